"""POST /v1/app/server/get_statement: where a day's statement of a merchant can be downloaded, and its hash."""

from settlement import clients
from settlement.archive import LINK_SECONDS, Archive
from settlement.clock import now_ms
from settlement.door import Door
from settlement.endpoint import Call, game_endpoint
from settlement.errors import StatementNotReady
from settlement.statement_messages import GameStatement, StatementRequest, statement_facts
from settlement.statements import why_absent

door = Door("get_statement")
archive = Archive(clients.s3(), door.settings.statement_bucket)


@game_endpoint(door, StatementRequest, role="merchant")
def handler(call: Call[StatementRequest]) -> GameStatement:
    now = now_ms()
    published = archive.newest("game", call.app_id, call.request.date)
    if published is None:
        raise StatementNotReady(why_absent(call.request.date, door.settings.statement_utc_offset_minutes, now))
    call.facts |= {"day": call.request.day, "revision": published.revision}
    facts = statement_facts(call.request, published, archive.link(published))
    return GameStatement(**facts, expires_at=str(now // 1000 + LINK_SECONDS))

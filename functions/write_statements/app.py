"""Every hour: makes the statement of each day that is over and lacks one, and looks at each again a day later."""

from settlement import clients
from settlement.archive import Archive
from settlement.bookkeeper import Bookkeeper, Made, Outcome, OutOfTime, Revised, Work
from settlement.buckets import HOUR_MS
from settlement.clock import now_ms
from settlement.door import Door, Event, background
from settlement.store import Store

door = Door("write_statements")
bookkeeper = Bookkeeper(
    Store.connect(door.settings),
    Archive(clients.s3(), door.settings.statement_bucket),
    door.settings.statement_utc_offset_minutes,
)

RUN_MS = 840_000  # within the function's timeout; what is left is the next hour's


class StatementsFailed(Exception):
    """Of some statements, each of which has its `fault` line; the others are made."""


@background(door)
def handler(_: Event) -> None:
    started_ms = now_ms()
    work = due(started_ms)
    failed: list[Work] = []
    while work and now_ms() < started_ms + RUN_MS:
        try:
            report(work[-1], bookkeeper.do(work[-1], started_ms + RUN_MS))
        except OutOfTime:
            break
        except Exception:  # its neighbours' statements are made all the same
            door.log.exception("fault", extra=facts(work[-1]))
            door.count("Faults")
            failed.append(work[-1])
        work.pop()
    door.count("StatementsMissing", sum(not each.published for each in work + failed))
    if failed:
        raise StatementsFailed(f"{len(failed)} statements could not be made")


def due(started_ms: int) -> list[Work]:
    """The last first: what was never made, before what is looked at again. Apps take turns at being the first."""
    apps = sorted(door.apps.all(), key=lambda app: app.app_id, reverse=True)
    turn = started_ms // HOUR_MS % max(len(apps), 1)
    work = [each for app in apps[turn:] + apps[:turn] for each in reversed(bookkeeper.due(app))]
    return sorted(work, key=lambda each: not each.published)


def report(work: Work, outcome: Outcome) -> None:
    match outcome:
        case Made():
            door.count("StatementsMade")
        case Revised():
            door.count("StatementsRevised")
    result = {"outcome": type(outcome).__name__.lower(), "revision": outcome.published.revision}
    door.log.info("statement", extra=facts(work) | result | {"count": outcome.published.count})


def facts(work: Work) -> dict[str, str]:
    return {"door": door.name, "app_id": work.app_id, "kind": work.kind, "day": str(work.day)}

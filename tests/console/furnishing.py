"""A month of two apps, as the console's tests and its pictures show it: made by the real functions, one after another.

They work on paper meanwhile, and what they wrote is moved into the world's tables: moto copies all tables for each
transaction, and a month of them would take half a minute.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from copy import replace
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final
from unittest.mock import patch

import simplejson

from settlement import clients
from settlement.delivery import NoAnswer, Request, Response
from settlement.notifications import club_notify_id, game_notify_id
from settlement.sources import SOURCES
from settlepoint_local.in_process import World
from settlepoint_local.lambda_events import sqs_event
from settlepoint_local.situations import CLUB, GAME, MERCHANT, ORDER, REPORT, WINNER
from settlepoint_local.template import table_definitions
from tests.paper import PaperDynamoDB

OPENID: Final = "openid-of-li"
SETTLEMENTS: Final = 56
"""One page and some more."""
EVIL: Final = '<img src=x onerror="window.hit=1">'
"""Stands where a caller may write what it likes."""
EVIL_OPENID: Final = f'openid-"><script>window.hit=1</script>{EVIL}'
EVIL_BILL: Final = f'"><svg onload="hit=1">{EVIL}'
DAY_MS: Final = 24 * 3_600_000

ACKNOWLEDGED: Final = Response(200, None, b'{"ret_code":0}', complete=True)
GONE: Final = Response(410, None, b"", complete=True)
BROKEN: Final = Response(502, None, b"<html>", complete=True)
SAYS_NO: Final = Response(200, None, b'{"ret_code":1001,"ret_msg":"no such club"}', complete=True)
TIMEOUT: Final = NoAnswer("timeout")
NOBODY: Final = NoAnswer("connection refused")

type Answer = Response | NoAnswer

FAILURES: Final[tuple[tuple[Answer, int], ...]] = ((BROKEN, 4_000), (SAYS_NO, 18_000), (TIMEOUT, 0))
"""Three in a row, and how many milliseconds pass after each."""

_WEIGHTED: Final = (6, 6, 6, 5, 5, 1, 1, 8, 9, 10)


@dataclass(frozen=True, slots=True)
class Furnished:
    """What there is to look for."""

    settled: list[str]
    """club-a's bill numbers of OPENID, in the sequence of their settlements."""
    retrying: str
    """A notification with failed attempts of three kinds."""
    dead: list[str]
    """club-a's notifications that were given up."""


def furnish(world: World) -> Furnished:
    with _on_paper(world):
        return _happened(world, world.now_ms)


def _happened(world: World, now_ms: int) -> Furnished:
    settled, dead = _account(world, now_ms), []
    for place, bill_no in enumerate(settled):
        notify_id = club_notify_id("club-a", bill_no)
        is_dead = place % 9 == 4
        attempt(world, notify_id, GONE if is_dead else ACKNOWLEDGED)
        dead += [notify_id] * is_dead
    world.now_ms = now_ms - 90_000
    settle(world, "bill-1001", amt=1333, amt_ratio=25, detail="周末活动 1/2", source=5)
    retrying = club_notify_id("club-a", "bill-1001")
    for number, (answer, wait_ms) in enumerate(FAILURES, 1):
        attempt(world, retrying, answer, number)
        world.now_ms += wait_ms
    world.now_ms = now_ms - 50_000
    settle(world, EVIL_BILL, openid=EVIL_OPENID, detail=EVIL)
    world.now_ms = now_ms - 10_000
    _merchant_whose_receiver_is_down(world)
    return Furnished(settled, retrying, dead)


@contextmanager
def _on_paper(world: World) -> Iterator[None]:
    """The functions that work here know no other tables, and afterwards they are gone. So does the world's clock."""
    tables, paper = clients.dynamodb(), PaperDynamoDB()
    for name, definition in table_definitions().items():
        paper.create_table(name, **definition)  # type: ignore[misc]
        for item in tables.scan(TableName=name)["Items"]:
            paper.put_item(TableName=name, Item=item)
    with patch.object(clients, "dynamodb", lambda: paper):
        for folder in (
            "create_club_order",
            "set_club_jf_settle",
            "create_order",
            "settle_users",
            "deliver_notification",
        ):
            world.function(folder)
    now_ms, watches, world.watches = world.now_ms, world.watches, False
    yield
    world.now_ms, world.watches = now_ms, watches
    world.cold_start()
    for name, table in paper.tables.items():
        for items in batched(table.items.values(), 25, strict=False):
            tables.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": item}} for item in items]})


def settle(world: World, bill_no: str, *, openid: str = OPENID, amt_ratio: int = 100, **order: Any) -> None:
    """One order of club-a, created and settled now."""
    bill = {"bill_no": bill_no, "openid": openid}
    created = {"amt": 50, "source": 6, "jf_gid": 7, "detail": "周赛", **order}
    assert world.call("create_club_order", bill | created, CLUB).code == 0
    assert world.call("set_club_jf_settle", bill | {"amt_ratio": amt_ratio}, CLUB).code == 0


def attempt(world: World, notify_id: str, answer: Answer, number: int = 1) -> None:
    """One message of the queue; the receiver answers so."""
    module = world.function("deliver_notification")

    def answered(_: Request) -> Answer:
        world.now_ms += 5000 if answer == TIMEOUT else 43
        return answer

    vars(module)["courier"] = replace(module.courier, send=answered)
    message = simplejson.dumps({"notify_id": notify_id, "attempt": number})
    assert world.invoke("deliver_notification", sqs_event([message], world.now_ms)) == {"batchItemFailures": []}


def _account(world: World, now_ms: int) -> list[str]:
    chance = random.Random(22)  # noqa: S311  # the same each time
    settled = []
    for number in range(SETTLEMENTS):
        world.now_ms = now_ms - 29 * DAY_MS + number * (29 * DAY_MS // SETTLEMENTS)
        source = chance.choice(_WEIGHTED)
        sign = -1 if SOURCES[source].sign == "-" or (source == 5 and chance.random() < 0.3) else 1
        account: dict[str, Any] = {"account": {"type": 2, "id": "club-9", "gid": 9}} if number % 3 else {}
        amt, ratio = sign * chance.randint(20, 900), chance.choice((100, 100, 35, 50, 5))
        settle(world, f"bill-{number:04}", amt=amt, amt_ratio=ratio, source=source, **account)
        settled.append(f"bill-{number:04}")
    return settled


def _merchant_whose_receiver_is_down(world: World) -> None:
    """Eight reports: five attempts find nobody, which opens the breaker; what comes then is held."""
    for number in range(8):
        order = {"out_order_id": f"order-{number}"}
        created = world.call("create_order", ORDER | order, MERCHANT)
        report = REPORT | {"match_id": f"match-{number}", "results": [WINNER | order]}
        assert world.call("settle_users", report, GAME).code == 0
        attempt(world, game_notify_id("merchant-a", [created.data["order_id"]]), NOBODY)

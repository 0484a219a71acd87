"""The audit: finds each bucket that is not what its settlements add up to, corrects it, is never wrong about it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from settlement.audit import JUDGED_AFTER_MS, STEADY_SECONDS, Audit, Auditor, Difference, Undecided
from settlement.buckets import HOUR_MS
from settlement.cursor import ListQuery
from settlement.orders import GameResult
from settlement.totals import Bucket, Sum
from tests.paper import Exceptions, PaperDynamoDB, fault
from tests.proof import few_or_many

from .test_totals import BOUNDARIES, ms
from .virtual_time import VirtualTime
from .worlds import QUIET, World, chance, club_order, game_order, make_world

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DAY_MS = 24 * HOUR_MS
NOW_MS = ms(2026, 11, 2, 11, 20)
FIRST_MS = NOW_MS - 2 * DAY_MS
LATER_MS = NOW_MS + 2 * HOUR_MS
"""When all of the histories' hours are closed."""


def make_history(world: World) -> None:
    """Three days of two months, two accounts, three sources, a pair that cancels out, and huge ones."""
    for number, (at_ms, openid, source, amt) in enumerate(
        [
            (FIRST_MS, "o-1", 5, 10),
            (FIRST_MS + 1, "o-1", 5, -10),
            (NOW_MS - DAY_MS, "o-1", 6, 10**12),
            (NOW_MS - 1, "o-1", 6, 10**12),
            (NOW_MS, "o-1", 0, -3),
            (NOW_MS, "o#2", 0, -(10**12)),
        ]
    ):
        world.settle(f"b-{number}", at_ms, openid=openid, source=source, amt=amt, shards=2)
    world.store().create_club_order(QUIET.app_id, club_order("not settled"))
    world.store().create_club_order("club-other", club_order("another app's"))


def auditor(world: World, now_ms: int = LATER_MS) -> Auditor:
    return Auditor(world.store(2), world.totals(2), lambda: now_ms, pause=lambda _: None)


def differences(
    world: World, now_ms: int = LATER_MS, *, openid: str | None = None, repair: bool = False
) -> list[Difference | Undecided]:
    return list(auditor(world, now_ms).differences(QUIET.app_id, FIRST_MS, openid, repair=repair))


def change(world: World, openid: str, bucket: str, name: str, by: int, app_id: str = QUIET.app_id) -> None:
    world.client.update_item(
        TableName=world.tables["TotalsTable"],
        Key={"app_openid": {"S": f"{app_id}#{openid}"}, "bucket": {"S": bucket}},
        UpdateExpression="ADD #name :by, #other :none",
        ExpressionAttributeNames={"#name": name, "#other": ("n" if name[0] == "h" else "h") + name[1:]},
        ExpressionAttributeValues={":by": {"N": str(by)}, ":none": {"N": "0"}},
    )


def stored_bucket(world: World, openid: str, row: str) -> str:
    """The first that is there, with its shard; `row` may leave out its period."""
    account = f"{QUIET.app_id}#{openid}"
    names = [item["bucket"]["S"] for item in world.rows("TotalsTable") if item["app_openid"]["S"] == account]
    return min(str(name) for name in names if name.startswith(f"{row}#"))


# --------------------------------------------------------------------------------------------------- what is found


@pytest.mark.parametrize("now_ms", [NOW_MS, NOW_MS + 1000, LATER_MS, NOW_MS + 3 * DAY_MS])
@pytest.mark.parametrize("openid", [None, "o-1"])
def test_exact_totals_have_no_difference_whenever_they_are_looked_at(
    world: World, now_ms: int, openid: str | None
) -> None:
    make_history(world)
    counted = Audit()
    found = auditor(world, now_ms).differences(QUIET.app_id, FIRST_MS, openid, counted=counted)
    assert list(found) == []
    if now_ms >= LATER_MS:
        assert counted.settlements == (6 if openid is None else 5)
    assert counted.buckets > 12


PLANTED: list[tuple[str, str, str, str, int, Sum]] = [
    # openid, row, part, kind, by, the difference
    ("o-1", "y#2026", "10", "h", -1, Sum(1, 0)),
    ("o-1", "m.6#2026-11", "02", "h", 7, Sum(-7, 0)),
    ("o-1", "m#2026-11", "01", "n", 1, Sum(0, -1)),
    ("o#2", "d#2026-11-02", "11", "h", 10**25, Sum(-(10**25), 0)),
    ("o-1", "d.5#2026-10-31", "11", "n", -1, Sum(0, 1)),  # the pair that cancels out
]


@pytest.mark.parametrize(("openid", "row", "part", "kind", "by", "off"), PLANTED)
def test_a_difference_is_found_told_and_corrected(
    world: World, openid: str, row: str, part: str, kind: str, by: int, off: Sum
) -> None:
    make_history(world)
    orders = world.rows("SettlementTable")
    now_ms = NOW_MS + 2 * 60_000  # in the last one's hour
    change(world, openid, stored_bucket(world, openid, row), f"{kind}{part}", by)
    [found] = differences(world, now_ms)
    assert isinstance(found, Difference)
    assert (found.openid, found.bucket) == (openid, Bucket(row, int(part)))
    assert found.expected.minus(found.stored) == off
    assert differences(world, now_ms, openid="o-2") == []
    assert differences(world, now_ms, openid=openid) == [found]
    assert differences(world, now_ms, repair=True) == [found]
    assert differences(world, now_ms) == []
    assert world.rows("SettlementTable") == orders


@pytest.mark.parametrize("lost", ["the hour", "every row"])
def test_totals_of_the_hour_under_way_are_judged_where_nothing_is_settled_meanwhile(world: World, lost: str) -> None:
    make_history(world)
    now_ms = NOW_MS + 60_000
    for item in world.rows("TotalsTable"):
        if item["app_openid"]["S"] == f"{QUIET.app_id}#o#2" and (lost == "every row" or item["bucket"]["S"][0] == "d"):
            key = {name: item[name] for name in ("app_openid", "bucket")}
            world.client.delete_item(TableName=world.tables["TotalsTable"], Key=key)
    found = differences(world, now_ms)
    assert {one.openid for one in found} == {"o#2"}
    assert len(found) == (2 if lost == "the hour" else 6)
    assert differences(world, now_ms, repair=True) == found
    assert differences(world, now_ms) == []


def test_an_index_that_is_behind_is_waited_for(world: World) -> None:
    make_history(world)
    late = world.settle("late", NOW_MS + 50_000, openid="o-1")
    hidden = [True]
    real_query = world.client.query

    def without_it(_: Callable[..., Any], **request: Any) -> Any:
        answer = real_query(**request)
        if hidden[0] and "IndexName" in request:
            time = {"N": str(late.settle_time_ms)}
            answer["Items"] = [item for item in answer["Items"] if item.get("settle_time") != time]
        return answer

    def catch_up(seconds: float) -> None:
        assert seconds == STEADY_SECONDS
        hidden[0] = False

    world.meddled.instead_of("query", without_it)
    looking = Auditor(world.store(2), world.totals(2), lambda: NOW_MS + 60_000, catch_up)
    assert list(looking.differences(QUIET.app_id, FIRST_MS)) == []
    assert not hidden[0]


def test_what_no_settlement_stands_behind_is_a_difference_too(world: World) -> None:
    make_history(world)
    change(world, "nobody", "m#2025-01#0", "h03", 5)
    change(world, "o-1", "d.9#2026-11-02#1", "n04", 1)
    change(world, "nobody", "m#2025-01#0", "h03", 5, app_id="club-other")
    found = differences(world, repair=True)
    assert [(one.openid, one.bucket) for one in found if isinstance(one, Difference)] == [
        ("nobody", Bucket("m#2025-01", 3)),
        ("o-1", Bucket("d.9#2026-11-02", 4)),
    ]
    assert differences(world) == []


@pytest.mark.parametrize("lost", ["all", "some"])
def test_totals_are_rebuilt_from_the_rows_alone(world: World, lost: str) -> None:
    make_history(world)
    queries = [
        ListQuery(QUIET.app_id, openid, source, start and start // 1000, end and end // 1000)
        for openid in ("o-1", "o#2")
        for source in (None, 0, 5, 6)
        for start, end in ((None, None), (FIRST_MS, None), (NOW_MS - DAY_MS, NOW_MS - HOUR_MS), (None, NOW_MS))
    ]
    before = [world.store().total(query, LATER_MS) for query in queries]
    for number, row in enumerate(world.rows("TotalsTable")):
        if lost == "all" or number % 3:
            key = {name: row[name] for name in ("app_openid", "bucket")}
            world.client.delete_item(TableName=world.tables["TotalsTable"], Key=key)
    assert [world.store().total(query, LATER_MS) for query in queries] != before
    assert len(differences(world, repair=True)) > 10
    assert [world.store().total(query, LATER_MS) for query in queries] == before
    assert differences(world) == []
    world.settle("one more", LATER_MS, amt=1)
    assert differences(world, LATER_MS + 2 * HOUR_MS) == []


def test_game_orders_are_in_no_total(world: World) -> None:
    make_history(world)
    world.now_ms = NOW_MS
    store = world.store()
    store.create_game_order(QUIET.app_id, "a" * 32, game_order())
    store.settle_game_orders(QUIET, "mg-1", "room-1", {"a" * 32: GameResult("m", "u", 0, 1, 2, None, 1)})
    counted = Audit()
    assert list(auditor(world).differences(QUIET.app_id, FIRST_MS, counted=counted)) == []
    assert counted.settlements == 6


# ---------------------------------------------------------------------------------------------- while others write


def test_an_addition_that_comes_between_the_look_and_the_correction_is_kept(world: World) -> None:
    make_history(world)
    change(world, "o-1", stored_bucket(world, "o-1", "y#2026"), "h11", 500)
    world.meddled.before_first("update_item", lambda: world.settle("in between", NOW_MS, amt=77, shards=2))
    assert len(differences(world, NOW_MS, repair=True)) == 1
    assert differences(world, LATER_MS) == []


def test_two_corrections_at_once_are_one(world: World) -> None:
    make_history(world)
    change(world, "o-1", stored_bucket(world, "o-1", "y#2026"), "h11", 500)
    other = lambda: differences(world, repair=True)  # noqa: E731
    world.meddled.before_first("update_item", other)
    assert differences(world, repair=True) == []  # the other has told of it
    assert differences(world) == []


def test_a_total_can_be_corrected_again(world: World) -> None:
    make_history(world)
    for by in (500, -3):
        change(world, "o-1", stored_bucket(world, "o-1", "y#2026"), "h11", by)
        assert len(differences(world, repair=True)) == 1
        assert differences(world) == []


def test_a_correction_whose_reply_is_lost_is_made_once(world: World) -> None:
    make_history(world)
    change(world, "o-1", stored_bucket(world, "o-1", "y#2026"), "h11", 500)
    change(world, "o-1", stored_bucket(world, "o-1", "y#2026"), "n10", 1)

    def twice(real: Callable[..., Any], **arguments: Any) -> Any:
        real(**arguments)
        return real(**arguments)  # as botocore repeats a call that it got no answer to

    world.meddled.instead_of("update_item", twice)
    differences(world, repair=True)
    assert differences(world) == []
    assert next(row for row in world.rows("TotalsTable") if row["bucket"]["S"] == "y#2026#r")["v"] == {"N": "1"}


def test_a_row_that_is_always_being_written_is_undecided_not_different(world: World) -> None:
    make_history(world)
    change(world, "o-1", stored_bucket(world, "o-1", "y#2026"), "h11", 500)

    def conflict(_: Callable[..., Any], **__: Any) -> Any:
        raise world.meddled.cancelled("TransactionConflict")

    world.meddled.instead_of("transact_get_items", conflict)
    assert differences(world, repair=True) == [Undecided("o-1", "y#2026")]


class Unsteady:
    """Calls take their time, in which settlements commit; reading at once meets a writer now and then."""

    def __init__(self, paper: PaperDynamoDB, time: VirtualTime, seed: int) -> None:
        self._paper = paper
        self._time = time
        self._dice = chance(seed)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._paper, name)
        if name not in {"query", "transact_get_items", "update_item", "get_paginator"}:
            return real

        def call(*names: Any, **arguments: Any) -> Any:
            self._time.sleep(self._dice.uniform(0, 0.5))
            if name == "transact_get_items" and self._dice.random() < 0.3:
                raise fault(Exceptions.TransactionCanceledException)
            return real(*names, **arguments)

        return call


@pytest.mark.parametrize("seed", range(few_or_many(4, 60)))
@pytest.mark.parametrize("damaged", [False, True])
def test_while_settlements_arrive_nothing_is_found_but_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, seed: int, damaged: bool
) -> None:
    """Thirty a second, of two accounts, over the end of an hour, a day or a month; the index lags by up to 20 s."""
    dice, time = chance(seed), VirtualTime()
    start_ms = dice.choice(BOUNDARIES) - dice.choice([0, 20_000, 40_000, JUDGED_AFTER_MS])
    lag = dice.choice([0, 3, 20])
    paper = PaperDynamoDB(lambda: time.now, lambda: dice.uniform(0, lag))
    world = make_world("paper", cast("DynamoDBClient", paper))

    def now_ms() -> int:
        return start_ms + time.now_ms()

    for number in range(60):
        world.settle(f"old-{number}", start_ms - dice.randrange(3 * DAY_MS), openid=dice.choice(["a", "b"]), amt=3)
    planted = set()
    if damaged:
        for row in ("y", "m.5"):
            bucket = stored_bucket(world, "a", row)
            [item] = [
                item
                for item in world.rows("TotalsTable")
                if item["bucket"]["S"] == bucket and item["app_openid"]["S"].endswith("#a")
            ]
            part = next(name for name in item if name[0] == "h")
            change(world, "a", bucket, part, 11)
            planted.add(("a", Bucket(bucket.rpartition("#")[0], int(part[1:]))))

    def settle(number: int) -> None:
        skewed = now_ms() + dice.choice([-30_000, 0, 0, 30_000])
        world.settle(f"new-{number}", skewed, openid=dice.choice(["a", "b"]), amt=dice.choice([-5, 7]))

    for number in range(1500):
        time.at(number / 30, lambda number=number: settle(number))  # type: ignore[misc]
    found: list[Difference | Undecided] = []
    unsteady = cast("DynamoDBClient", Unsteady(paper, time, seed))

    def audit() -> None:
        watching = World("paper", unsteady, world.tables)
        looking = Auditor(watching.store(), watching.totals(), now_ms, time.sleep)
        found.extend(looking.differences(QUIET.app_id, start_ms - 4 * DAY_MS, repair=damaged))

    time.at(dice.uniform(0, 30), audit)
    monkeypatch.setattr("settlement.store.time", time)
    time.run()
    assert {(one.openid, one.bucket) for one in found if isinstance(one, Difference)} == planted
    assert len(found) == len(planted)
    time.now += 2 * HOUR_MS / 1000
    assert list(Auditor(world.store(), world.totals(), now_ms).differences(QUIET.app_id, start_ms - 4 * DAY_MS)) == []

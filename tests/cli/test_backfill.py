"""`settlectl notifications backfill`."""

from collections.abc import Iterator
from typing import Any

import pytest

from settlectl.backfilling import INDEX_LAG_MS
from settlectl.deployment import Deployment
from settlement import clients
from settlement.orders import ReportedOrder, SettledClubOrder
from settlepoint_local.in_process import World
from settlepoint_local.situations import BILL, ORDER, REPORT, signature_of, token_of

from .api import Api
from .conftest import Run
from .ledgers import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, bodies, command_in, statuses, work_off

BACKFILL = ("notifications", "backfill", "--since", "1d", "--json")
CLUB = token_of("club-a")
MERCHANT = signature_of("merchant-a")


def settle_club_order(world: World, bill_no: str, at_ms: int) -> None:
    world.now_ms = at_ms
    for folder, body in (
        ("create_club_order", {**BILL, "bill_no": bill_no}),
        ("set_club_jf_settle", {"bill_no": bill_no, "openid": BILL["openid"], "amt_ratio": 7}),
    ):
        assert world.call(folder, body, CLUB).code == 0
    world.now_ms = NOW_MS


def report(world: World, numbers: list[int], at_ms: int) -> None:
    """A game report of orders in this sequence; some are robots', some have a commission."""
    world.now_ms = at_ms
    for number in numbers:
        assert world.call("create_order", {**ORDER, "out_order_id": f"order-{number}"}, MERCHANT).code == 0
    results = [
        {"out_order_id": f"order-{number}", "uid": f"u-{number}" if number % 2 else "", "is_ai": 1 - number % 2,
         "score": number, "remain_score": -number, **({"commission_score": 3} if number % 3 else {})}
        for number in numbers
    ]  # fmt: skip
    assert world.call("settle_users", {**REPORT, "results": results}, signature_of("game-a")).code == 0
    world.now_ms = NOW_MS


def settle_all_kinds(world: World) -> None:
    """Of club-a and merchant-a, on both sides of a midnight; then it is three hours later."""
    world.watches = False
    midnight_ms = NOW_MS
    settle_club_order(world, "bill-a/1", midnight_ms - 1)
    settle_club_order(world, "bill-b", midnight_ms)
    settle_club_order(world, "bill-c", midnight_ms)
    report(world, [5, 1, 4, 2, 3], midnight_ms)
    report(world, [12, 11], midnight_ms)
    for number in range(21, 27):  # between them, in every shard of the day
        report(world, [number], midnight_ms + number - 22)
    world.now_ms = midnight_ms + 3 * HOUR_MS


def notifications(world: World) -> dict[str, dict[str, Any]]:
    """By notify_id."""
    return {row["notify_id"]: row for row in world.rows("NotificationTable") if "body" in row}


def forget(keys: list[str]) -> None:
    for key in keys:
        clients.dynamodb().delete_item(TableName="NotificationTable", Key={"notify_id": {"S": key}})


@pytest.fixture
def quiet(world: World) -> None:
    """Neither app has a notify_url."""
    for app_id in ("club-a", "merchant-a"):
        world.change_app(app_id, notify_url=None)


def test_what_is_made_is_byte_for_byte_what_settling_makes(world: World, run: Run) -> None:
    settle_all_kinds(world)
    settled = notifications(world)
    assert len(settled) == 11
    forget(list(settled))
    for app_id, missing in (
        ("club-a", {"club_orders": 3, "game_reports": 0}),
        ("merchant-a", {"club_orders": 0, "game_reports": 8}),
    ):
        ran = run(*BACKFILL, "--app-id", app_id)
        assert ran.exit_status == 0
        assert ran.json == {
            "app_id": app_id,
            "since_ms": world.now_ms - DAY_MS,
            "until_ms": world.now_ms - MINUTE_MS,
            "missing": missing,
            "there": 0,
            "made": sum(missing.values()),
            "incomplete": [],
            "finished": True,
        }
    made = notifications(world)
    same = ("notify_id", "app_id", "notify_event", "notify_time", "body")
    assert {key: [row[name] for name in same] for key, row in made.items()} == {
        key: [row[name] for name in same] for key, row in settled.items()
    }
    assert {(row["status"], row["due_shard"]) for row in made.values()} == {
        ("held", "held#club-a"),
        ("held", "held#merchant-a"),
    }
    assert bodies(world) == [
        {"release": app_id, "pace": 1} for app_id in ("club-a", "club-a", "merchant-a", "merchant-a")
    ]


@pytest.mark.usefixtures("quiet")
def test_a_dry_run_counts_and_writes_nothing(world: World, run: Run) -> None:
    settle_club_order(world, "bill-1", NOW_MS - HOUR_MS)
    world.change_app("club-a")
    before = world.digest()
    ran = run(*BACKFILL, "--app-id", "club-a", "--dry-run")
    assert (ran.json["missing"]["club_orders"], ran.json["made"], ran.json["finished"]) == (1, 0, False)
    ran = run(*BACKFILL[:-1], "--app-id", "club-a", "--dry-run")
    assert "missing  1 club orders, 0 game reports\n" in ran.stdout
    assert "Nothing was changed" in ran.stderr
    assert world.digest() == before
    assert world.messages() == []


@pytest.mark.usefixtures("quiet")
def test_it_asks_first(world: World, run: Run) -> None:
    settle_club_order(world, "bill-1", NOW_MS - HOUR_MS)
    world.change_app("club-a")
    arguments = (*BACKFILL[:-1], "--app-id", "club-a")
    ran = run(*arguments, stdin="n\n")
    assert (ran.exit_status, notifications(world)) == (1, {})
    assert "Tell club-a of 1 settlements? [y/N]" in ran.stderr
    assert run(*arguments, stdin="y\n").exit_status == 0
    assert len(notifications(world)) == 1


@pytest.mark.usefixtures("quiet")
def test_repeating_it_does_no_harm(world: World, run: Run) -> None:
    settle_club_order(world, "bill-1", NOW_MS - HOUR_MS)
    world.change_app("club-a")
    assert run(*BACKFILL, "--app-id", "club-a").json["made"] == 1
    before, messages = world.digest(), world.messages()
    ran = run(*BACKFILL, "--app-id", "club-a")
    assert (ran.exit_status, ran.json["there"], ran.json["made"]) == (0, 1, 0)
    assert ran.json["missing"] == {"club_orders": 0, "game_reports": 0}
    assert (world.digest(), world.messages()) == (before, messages)


@pytest.mark.parametrize("index_is_behind", [False, True])
def test_what_the_ledger_has_is_passed_over_whatever_became_of_it(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, *, index_is_behind: bool
) -> None:
    for number in range(3):
        settle_club_order(world, f"bill-{number}", NOW_MS - HOUR_MS + number)
    lost, *_ = settled = list(notifications(world))
    forget([lost])
    before = notifications(world)
    if index_is_behind:
        monkeypatch.setattr(deployment.ledger, "listed", lambda *_: iter(()))
    ran = run(*BACKFILL, "--app-id", "club-a")
    assert (ran.json["there"], ran.json["made"]) == (2, 1)
    after = notifications(world)
    assert sorted(after) == sorted(settled)
    assert after.pop(lost)["status"] == "held"
    assert after == before


def test_a_report_of_which_orders_are_missing_is_named_and_passed_over(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(world, [1, 2, 3], NOW_MS - HOUR_MS)
    [key] = notifications(world)
    report(world, [4], NOW_MS - HOUR_MS)
    forget(list(notifications(world)))
    read = deployment.store.settled_between

    def behind(*arguments: Any) -> Iterator[SettledClubOrder | ReportedOrder]:
        """Of the report's orders one is not in the index yet."""
        found = list(read(*arguments))
        yield from [entry for entry in found if entry != next(e for e in found if e.notify_id == key)]  # type: ignore[union-attr]

    with monkeypatch.context() as meddled:
        meddled.setattr(deployment.store, "settled_between", behind)
        ran = run(*BACKFILL, "--app-id", "merchant-a")
    assert ran.exit_status == 1
    assert (ran.json["incomplete"], ran.json["made"]) == ([key], 1)
    assert f"game report {key}: not all of its orders were found; passed over" in ran.stderr
    assert "1 game reports were passed over; repeat the command in a minute" in ran.stderr
    assert key not in notifications(world)
    assert run(*BACKFILL, "--app-id", "merchant-a").exit_status == 0
    assert key in notifications(world)


@pytest.mark.usefixtures("quiet")
def test_the_last_minute_is_left_out(world: World, run: Run) -> None:
    settle_club_order(world, "bill-1", NOW_MS - INDEX_LAG_MS - 1)
    settle_club_order(world, "bill-2", NOW_MS - INDEX_LAG_MS)
    world.change_app("club-a")
    ran = run(*BACKFILL, "--app-id", "club-a")
    assert ran.json["made"] == 1
    assert "Settlements of the last 60 s are left out." in ran.stderr
    ran = run("notifications", "backfill", "--since", "30s", "--app-id", "club-a", "--json")
    assert (ran.exit_status, ran.json["made"]) == (0, 0)
    world.now_ms += 1
    assert run(*BACKFILL, "--app-id", "club-a").json["made"] == 1


@pytest.mark.usefixtures("quiet")
def test_the_range_is_what_is_asked_for(world: World, run: Run) -> None:
    for hours in (1, 2, 3, 4):
        settle_club_order(world, f"bill-{hours}", NOW_MS - hours * HOUR_MS)
    world.change_app("club-a")
    ran = run("notifications", "backfill", "--app-id", "club-a", "--since", "3h", "--until", "1h", "--json")
    assert ran.json["made"] == 2  # of the third hour, and of the second
    assert "left out" not in ran.stderr
    assert sorted(row["notify_time"] for row in notifications(world).values()) == [
        NOW_MS - 3 * HOUR_MS,
        NOW_MS - 2 * HOUR_MS,
    ]


def test_a_range_older_than_what_the_ledger_keeps_is_warned_of(world: World, run: Run) -> None:  # noqa: ARG001
    for since, warned in (("30d", False), ("31d", True)):
        ran = run("notifications", "backfill", "--app-id", "club-a", "--since", since, "--dry-run", "--json")
        assert ("warning: --since is more than 30 days ago" in ran.stderr) == warned


def test_nothing_is_looked_for_before_the_app_was_made(world: World, run: Run) -> None:
    world.change_app("club-a", created_at_ms=NOW_MS - DAY_MS)
    ran = run("notifications", "backfill", "--app-id", "club-a", "--since", "1990-01-01T00:00:00Z", "--json")
    assert ran.json["since_ms"] == NOW_MS - 2 * DAY_MS


@pytest.mark.usefixtures("quiet")
def test_every_page_of_the_index_is_read(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        settle_club_order(world, f"bill-{number}", NOW_MS - HOUR_MS)
    world.change_app("club-a")
    client = deployment._dynamodb
    query = client.query
    monkeypatch.setattr(client, "query", lambda **request: query(**{**request, "Limit": 1}))
    assert run(*BACKFILL, "--app-id", "club-a").json["made"] == 12


@pytest.mark.usefixtures("quiet")
def test_an_interrupted_backfill_goes_on_with_the_command_that_it_prints(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.watches = False
    for number in range(6):
        settle_club_order(world, f"bill-{number}", NOW_MS - HOUR_MS + number)
    world.change_app("club-a")
    monkeypatch.setattr("settlectl.backfilling.CHUNK", 2)
    add, calls = deployment.ledger.add_held, []

    def interrupted(*arguments: Any) -> bool:
        calls.append(arguments)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return add(*arguments)

    with monkeypatch.context() as meddled:
        meddled.setattr(deployment.ledger, "add_held", interrupted)
        ran = run(*BACKFILL, "--app-id", "club-a")
    assert (ran.exit_status, ran.stdout) == (130, "")
    assert "interrupted: 4 of 6 are made" in ran.stderr
    arguments = command_in(ran.stderr)
    assert arguments == [
        "notifications", "backfill", "--app-id", "club-a", "--since", "2026-11-21T23:00:00.003Z",
        "--until", "2026-11-21T23:59:00.000Z", "--json",
    ]  # fmt: skip
    assert bodies(world) == 2 * [{"release": "club-a", "pace": 1}]  # what was made till then goes out
    assert run(*arguments).exit_status == 0
    assert len(notifications(world)) == 6


def test_an_app_that_got_a_url_is_told_of_what_was_settled_before(
    world: World, run: Run, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the real doors: settled without a notification, the URL set, made, released, delivered once each."""
    monkeypatch.setenv("ALLOW_LOCAL_RECEIVERS", "true")
    world.change_app("merchant-a", notify_url=None)
    report(world, [2, 1], NOW_MS - HOUR_MS)
    report(world, [3], NOW_MS - HOUR_MS)
    assert notifications(world) == {}
    assert run("app", "update", "--app-id", "merchant-a", "--notify-url", api.base_url).exit_status == 0
    world.cold_start()  # as 30 s do
    api.answer = lambda _: (200, b'{"ret_code":0}')
    assert run(*BACKFILL, "--app-id", "merchant-a").json["made"] == 2
    work_off(world)
    assert set(statuses(world).values()) == {"delivered"}
    told = [[result["out_order_id"] for result in sent.json["data"]["results"]] for sent in api.received]
    assert sorted(told) == [["order-2", "order-1"], ["order-3"]]


@pytest.mark.usefixtures("quiet")
def test_of_a_disabled_app_it_waits(world: World, run: Run) -> None:
    settle_club_order(world, "bill-1", NOW_MS - HOUR_MS)
    world.change_app("club-a", status="disabled")
    ran = run(*BACKFILL[:-1], "--app-id", "club-a", "--yes")
    assert ran.exit_status == 0
    assert "app club-a is disabled: what is made is held until it is enabled" in ran.stderr
    world.cold_start()
    work_off(world)
    assert set(statuses(world).values()) == {"held"}

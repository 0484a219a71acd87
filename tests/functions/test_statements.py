"""The hourly run, and what the two endpoints say of its work."""

from typing import Any

import pytest
import simplejson

from settlement import clients
from settlement.bookkeeper import VERIFIED_AFTER_MS
from settlepoint_local.in_process import STATEMENT_BUCKET, World
from settlepoint_local.lambda_events import schedule_event
from settlepoint_local.situations import CLUB, MERCHANT, OTHER_CLUB, Authorization
from tests.walls import PUBLISHED_DAY, publish

from .answers import check_fault

DAY_MS = 86_400_000
STATEMENTS = 8
"""Of the scene's apps in a day: four clubs', four merchants'."""


def run(world: World) -> list[dict[str, Any]]:
    """One hour's run; its log lines of statements."""
    world.log.clear()
    world.invoke("write_statements", schedule_event(world.now_ms, "EveryHour"))
    return lines(world)


def lines(world: World) -> list[dict[str, Any]]:
    return [simplejson.loads(line) for line in world.log if '"message":"statement"' in line]


def metrics(world: World) -> dict[str, float]:
    [found] = [simplejson.loads(line) for line in world.log if '"_aws"' in line]
    return {name: sum(value) for name, value in found.items() if isinstance(value, list)}


def keys() -> list[str]:
    return [one["Key"] for one in clients.s3().list_objects_v2(Bucket=STATEMENT_BUCKET).get("Contents", [])]


def ask(world: World, day: str = "2026-11-22") -> dict[str, Any]:
    reply = world.call("get_club_jf_statement", {"day": day}, CLUB)
    assert reply.code == 0, reply.text
    return reply.data


def settled_yesterday(world: World) -> None:
    """As of the run's clock; the order was settled on 2026-11-22 in UTC+8."""
    world.happen("create_club_order/creates", "create_club_order/creates_negative")
    world.happen("set_club_jf_settle/settles_in_full")
    world.now_ms += DAY_MS


def test_a_day_is_made_once_and_verified_a_day_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("settlement.bookkeeper.CAUGHT_UP_DAYS", 2)
    settled_yesterday(world)
    made = run(world)
    assert len(made) == 2 * STATEMENTS
    assert {line["outcome"] for line in made} == {"made"}
    assert metrics(world) == {"StatementsMade": 2 * STATEMENTS, "StatementsMissing": 0}
    [ours] = [line for line in made if (line["app_id"], line["day"]) == ("club-a", "2026-11-22")]
    assert (ours["kind"], ours["revision"], ours["count"], ours["door"]) == ("club", 1, 1, "write_statements")
    before = ask(world)

    # The older of the two days is more than a day old: it is looked at again, and then never more.
    assert {line["day"] for line in run(world)} == {"2026-11-21"}
    assert run(world) == []
    world.now_ms += DAY_MS
    looked_at = run(world)
    assert {(line["day"], line["outcome"]) for line in looked_at} == {
        ("2026-11-22", "unchanged"),
        ("2026-11-23", "made"),
    }
    after = ask(world)
    assert {name: value for name, value in after.items() if name not in ("url", "expires_at")} == {
        name: value for name, value in before.items() if name not in ("url", "expires_at")
    }


def test_a_line_that_came_late_is_a_revision_and_both_apis_answer_the_newest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("settlement.bookkeeper.CAUGHT_UP_DAYS", 2)
    settled_yesterday(world)
    run(world)
    first = ask(world)
    world.now_ms -= DAY_MS
    world.happen("set_club_jf_settle/settles_negative_in_part")
    world.now_ms += DAY_MS + VERIFIED_AFTER_MS
    revised = [line for line in run(world) if line["outcome"] == "revised"]
    assert [(line["app_id"], line["revision"], line["count"]) for line in revised] == [("club-a", 2, 2)]
    assert metrics(world)["StatementsRevised"] == 1
    newest = ask(world)
    assert (newest["revision"], newest["count"]) == (2, 2)
    assert newest["csv_sha256"] != first["csv_sha256"]
    assert {key for key in keys() if "club-a/2026-11-22" in key} == {
        "club/club-a/2026-11-22/0001.csv.gz",
        "club/club-a/2026-11-22/0002.csv.gz",
    }


def test_one_app_that_fails_stops_no_other_and_is_made_in_the_next_run(world: World) -> None:
    settled_yesterday(world)
    broken = world.failing("dynamodb", "Query", where="club-b#")
    with broken, pytest.raises(Exception, match="1 statements could not be made"):
        run(world)
    assert len(lines(world)) == STATEMENTS - 1
    assert metrics(world) == {"StatementsMade": STATEMENTS - 1, "StatementsMissing": 1, "Faults": 2}
    [fault, *_] = [simplejson.loads(line) for line in world.log if '"message":"fault"' in line]
    assert (fault["app_id"], fault["day"], fault["kind"]) == ("club-b", "2026-11-22", "club")
    assert [line["app_id"] for line in run(world)] == ["club-b"]
    assert metrics(world) == {"StatementsMade": 1, "StatementsMissing": 0}


def test_a_run_ends_in_time_and_the_next_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settled_yesterday(world)
    door = world.function("write_statements")
    honest = door.bookkeeper.do

    def slow(work: object, deadline_ms: int) -> object:
        outcome = honest(work, deadline_ms)
        world.now_ms += door.RUN_MS // 3 + 1
        return outcome

    monkeypatch.setattr(type(door.bookkeeper), "do", lambda _, *arguments: slow(*arguments))
    first = run(world)
    assert len(first) == 3
    assert metrics(world) == {"StatementsMade": 3, "StatementsMissing": STATEMENTS - 3}
    monkeypatch.undo()
    rest = run(world)
    assert len(rest) == STATEMENTS - 3
    assert not {line["app_id"] for line in first} & {line["app_id"] for line in rest}


def test_a_statement_that_takes_too_long_is_left_whole_for_the_next_run(world: World) -> None:
    settled_yesterday(world)

    def late(answer: dict[str, Any]) -> None:
        if answer.get("Items"):
            world.now_ms += world.function("write_statements").RUN_MS

    with world.changing("dynamodb", "Query", late):
        made = run(world)
    assert "club-a" not in {line["app_id"] for line in made}
    assert metrics(world)["StatementsMissing"] == STATEMENTS - len(made)
    assert not [key for key in keys() if "club-a/2026-11-22" in key]
    assert "club-a" in {line["app_id"] for line in run(world)}


def test_apps_take_turns_at_being_the_first(world: World) -> None:
    settled_yesterday(world)
    due = world.function("write_statements").due
    firsts = {due(world.now_ms + hour * 3_600_000)[-1].app_id for hour in range(10)}
    assert len(firsts) == STATEMENTS


@pytest.mark.parametrize("operation", ["ListObjectsV2", "HeadObject"])
@pytest.mark.parametrize(
    ("folder", "by", "code"), [("get_club_jf_statement", CLUB, 1500), ("get_statement", MERCHANT, 10001)]
)
def test_a_bucket_that_fails_is_our_fault_and_nothing_of_it_is_told(
    world: World, operation: str, folder: str, by: Authorization, code: int
) -> None:
    publish(world.function("write_statements").bookkeeper)
    with world.failing("s3", operation, "SlowDown"):
        check_fault(world.call(folder, PUBLISHED_DAY, by), code)
    assert world.call(folder, PUBLISHED_DAY, by).code == 0


@pytest.mark.parametrize(
    ("day", "named"),
    [
        (None, "day: is missing"),
        (20261122, "day: must be a string"),
        ("", "day: must match"),
        ("2026-11-22\n", "day: must match"),
        (" 2026-11-22", "day: must match"),
        ("2026-1-2", "day: must match"),
        ("20261122", "day: must match"),
        ("２０２６-11-22", "day: must match"),
        ("2026-11-22/../x", "day: must match"),
        ("2026-02-29", "day: no such day"),
        ("2026-13-01", "day: no such day"),
        ("0000-01-01", "day: no such day"),
    ],
)
def test_what_is_no_day_is_refused(world: World, day: object, named: str) -> None:
    body = {} if day is None else {"day": day}
    check_fault(world.call("get_club_jf_statement", body, CLUB), 1001, named)
    check_fault(world.call("get_statement", body, MERCHANT), 10002, named)


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "2026-11-22", "2999-12-31", "9999-12-31"])
def test_a_day_without_a_statement_is_1007_however_far_away(world: World, day: str) -> None:
    check_fault(world.call("get_club_jf_statement", {"day": day}, CLUB), 1007, "day:")
    check_fault(world.call("get_statement", {"day": day}, MERCHANT), 70506, "day:")


def test_no_log_line_holds_the_link(world: World) -> None:
    settled_yesterday(world)
    run(world)
    url = str(ask(world)["url"])
    signature = url.partition("X-Amz-Signature=")[2][:64]
    assert len(signature) == 64
    assert not [line for line in world.log if signature in line or "X-Amz" in line]


def test_two_clubs_get_links_to_their_own_files(world: World) -> None:
    settled_yesterday(world)
    run(world)
    for by, own in ((CLUB, "/club/club-a/"), (OTHER_CLUB, "/club/club-b/")):
        assert own in world.call("get_club_jf_statement", {"day": "2026-11-22"}, by).data["url"]

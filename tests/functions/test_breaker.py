"""A receiver that is new, slow, dead or back again: one attempt at a time, none, and then what was held at a pace."""

import socket
from collections import Counter
from collections.abc import Iterator
from copy import replace
from typing import Any

import pytest

from settlement import clients
from settlement.breaker import TRIAL_MS, Breaker
from settlement.courier import Courier, UnderWay
from settlement.ledger import Ledger
from settlepoint_local.in_process import World
from settlepoint_local.situations import SITUATIONS

from .notifying import (
    NOW_MS,
    Queue,
    attempt,
    breaker_of,
    brought,
    counted,
    deliver,
    deliver_new,
    held,
    log_lines,
    release,
    results,
    row_of,
    settle,
    statuses,
    sweep,
    wait_until,
)
from .receiver import Answer, Receiver


@pytest.fixture
def ledger(world: World) -> Ledger:  # noqa: ARG001  # its tables
    return Ledger(clients.dynamodb(), "NotificationTable")


@pytest.fixture
def nobody_there(world: World, receiver: Receiver) -> Iterator[None]:  # noqa: ARG001  # it makes the others
    """A port at which every connection is refused."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        world.change_app("club-a", notify_url=f"http://127.0.0.1:{unused.getsockname()[1]}/")
        yield


def somebody_there(world: World, receiver: Receiver) -> None:
    world.change_app("club-a", notify_url=receiver.url)
    world.cold_start()


def breaker_is(ledger: Ledger, **facts: Any) -> Breaker:
    """Makes the app's breaker one like this."""
    seen = ledger.breaker("club-a")
    made = ledger.change_breaker(seen, replace(Breaker("club-a"), version=seen.version, **facts))
    assert made is not None
    return made


def all_held(world: World, count: int) -> list[str]:
    """So many settled club orders whose notifications are held, by a breaker that is open for a minute."""
    ledger = Ledger(clients.dynamodb(), "NotificationTable")
    breaker_is(ledger, failures=5, openings=2, open_until_ms=world.now_ms + 60_000)
    notify_ids = settle(world, count)
    for notify_id in notify_ids:
        deliver(world, notify_id)
    assert held(world) == {*notify_ids}
    assert world.take_messages() == []
    return notify_ids


def times(world: World, receiver: Receiver) -> list[int]:
    """When requests come, in seconds from now; filled while they do."""
    came: list[int] = []
    began_ms = world.now_ms
    receiver.meanwhile = lambda: came.append((world.now_ms - began_ms) // 1000)
    return came


def courier(world: World) -> Courier:
    made: Courier = world.function("deliver_notification").courier
    return made


# ---------------------------------------------------------------------------------------------------------- a new app


def test_a_new_apps_two_messages_are_one_attempt_and_then_the_other(world: World, receiver: Receiver) -> None:
    one, other = settle(world, 2)
    receiver.meanwhile = lambda: wait_until(lambda: held(world))
    assert brought(world, attempt(one), attempt(other)) == []

    [request] = receiver.requests
    assert statuses(world) == {request.notify_id: "delivered", ({one, other} - {request.notify_id}).pop(): "held"}
    assert sorted(results(world)) == ["delivered", "held"]
    assert counted(world, "NotificationsHeld") == 1
    [line] = [line for line in log_lines(world, "attempt") if line["result"] == "held"]
    assert {"http_status", "duration_ms", "error", "error_class", "opened"}.isdisjoint(line)
    assert world.messages() == [{"body": release(), "delay_seconds": 0, "group": "club-a"}]

    receiver.meanwhile = lambda: None
    queue = Queue(world)
    queue.play(1)
    assert {*statuses(world).values()} == {"delivered"}
    assert [row["attempt_count"] for row in world.rows("NotificationTable") if "status" in row] == [1, 1]
    assert counted(world, "NotificationsReleased") == 1
    [released] = [line for line in log_lines(world, "release") if line["released"]]
    assert (released["app_id"], released["released"], released["result"]) == ("club-a", 1, "released")

    queue.play(300, sweeping=True)  # and then nothing looks after it any more
    assert queue.look() == []
    assert {"held_at", "due_at", "due_shard"}.isdisjoint(breaker_of(world))
    assert len(receiver.requests) == 2


def test_a_trial_is_under_way_until_its_answer_and_then_all_may_come(world: World, receiver: Receiver) -> None:
    one, other, third = settle(world, 3)
    seen: list[dict[str, Any]] = []
    receiver.meanwhile = lambda: seen.append(breaker_of(world))
    deliver(world, one)
    assert seen[0]["trusted"] is False
    assert seen[0]["trial_until"] == NOW_MS + TRIAL_MS
    assert breaker_of(world)["trusted"] is True
    assert "trial_until" not in breaker_of(world)
    deliver(world, other)
    assert breaker_of(world)["version"] == 2  # one that is trusted costs no write
    assert brought(world, attempt(third)) == []
    assert world.messages() == []


@pytest.mark.parametrize("answer", [Answer(404), Answer(302), Answer(body=b"<html>"), Answer(410)])
def test_any_answer_shows_that_the_receiver_is_there(world: World, receiver: Receiver, answer: Answer) -> None:
    receiver.answer = answer
    deliver_new(world)
    assert breaker_of(world)["trusted"] is True


def test_a_trial_whose_function_died_is_over_after_ten_seconds(world: World, receiver: Receiver) -> None:
    one, other = settle(world, 2)
    with world.failing("secretsmanager", "GetSecretValue"):
        assert len(brought(world, attempt(one))) == 1
    world.now_ms += TRIAL_MS - 1
    assert deliver(world, other)["status"] == "held"
    assert breaker_of(world)["due_at"] == NOW_MS + TRIAL_MS + 5000  # the sweep looks after a trial that nobody ended
    world.now_ms += 1
    [third] = settle(world, 1)
    assert deliver(world, third)["status"] == "delivered"
    assert len(receiver.requests) == 1


def test_an_attempt_that_has_ended_is_doubted_no_more(world: World, receiver: Receiver) -> None:
    under_way: list[str] = []
    receiver.meanwhile = lambda: under_way.extend(courier(world).under_way)
    one, other = settle(world, 2)
    deliver(world, one)
    assert under_way == [one]
    assert courier(world).under_way == {}
    world.cold_start()
    with world.failing("secretsmanager", "GetSecretValue"):
        assert len(brought(world, attempt(other))) == 1
    assert courier(world).under_way == {}


def test_one_app_on_trial_holds_no_other_apps_back(world: World, receiver: Receiver) -> None:
    world.prepare("deliver_notification/two_messages")
    Ledger(clients.dynamodb(), "NotificationTable").change_breaker(
        Breaker("merchant-a"), Breaker("merchant-a").on_trial(world.now_ms)
    )
    world.invoke("deliver_notification", SITUATIONS["deliver_notification/two_messages"].event(world.scene))
    assert [request.headers["Sud-AppId"] for request in receiver.requests] == ["club-a"]
    assert sorted(results(world)) == ["delivered", "held"]


# ---------------------------------------------------------------------------------------------------------- a slow one


@pytest.mark.parametrize("slow", [Answer(), Answer(after_seconds=2)], ids=["answers late", "hangs"])
def test_a_receiver_that_hangs_is_on_trial_before_the_attempt_has_ended(
    world: World, receiver: Receiver, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, slow: Answer
) -> None:
    monkeypatch.setattr("settlement.sender.ATTEMPT_SECONDS", 1.5)
    first, waiting, next_one = settle(world, 3)
    deliver(world, first)
    monkeypatch.setattr(world.function("deliver_notification"), "LOOK_SECONDS", 0.01)
    meanwhile: list[Any] = []

    def hang() -> None:
        world.now_ms += 1001
        wait_until(lambda: not ledger.breaker("club-a").trusted)
        meanwhile.append(ledger.breaker("club-a").trial_until_ms)
        meanwhile.append(courier(world).deliver(next_one, 1).result)  # another function's, at the same time

    receiver.meanwhile, receiver.answer = hang, slow
    assert brought(world, attempt(waiting)) == []
    assert meanwhile == [NOW_MS + TRIAL_MS, "held"]
    answered = not slow.after_seconds
    assert statuses(world)[waiting] == ("delivered" if answered else "retrying")
    after = ledger.breaker("club-a")
    assert (after.trusted, after.failures, after.patience_ms) == ((True, 0, 2002) if answered else (False, 1, 1000))
    assert release() in [message["body"] for message in world.messages()]  # the next one's turn
    assert len(receiver.requests) == 2


DOUBTS = [
    ("within its patience", {"trusted": True}, 1000, False),
    ("beyond its patience", {"trusted": True}, 1001, True),
    ("within the patience that it was given", {"trusted": True, "patience_ms": 3000}, 3000, False),
    ("beyond it", {"trusted": True, "patience_ms": 3000}, 3001, True),
    ("on trial anyway", {"trusted": False, "trial_until_ms": NOW_MS + TRIAL_MS}, 4000, False),
]


@pytest.mark.parametrize(("facts", "waited_ms", "doubted"), [d[1:] for d in DOUBTS], ids=[d[0] for d in DOUBTS])
def test_whom_a_wait_puts_on_trial(
    world: World, ledger: Ledger, facts: dict[str, Any], waited_ms: int, *, doubted: bool
) -> None:
    seen = breaker_is(ledger, **facts)
    ours = courier(world)
    ours.under_way["x"] = UnderWay(seen, NOW_MS)
    world.now_ms += waited_ms
    ours.doubt_the_slow()
    after = ledger.breaker("club-a")
    if not doubted:
        assert after == seen
        return
    assert after == replace(seen, trusted=False, trial_until_ms=NOW_MS + TRIAL_MS, version=seen.version + 1)
    ours.doubt_the_slow()  # said once
    assert ledger.breaker("club-a") == after


def test_a_doubt_counts_though_the_row_has_changed_meanwhile(world: World, ledger: Ledger) -> None:
    seen = breaker_is(ledger, trusted=True)
    ours = courier(world)
    ours.under_way["x"] = UnderWay(seen, NOW_MS)
    ours.under_way["y"] = UnderWay(seen, NOW_MS + 1)
    assert ledger.change_breaker(seen, replace(seen, failures=1)) is not None
    world.now_ms += 1002
    for _ in range(3):
        ours.doubt_the_slow()
    after = ledger.breaker("club-a")
    assert (after.trusted, after.failures, after.version) == (False, 1, seen.version + 2)


def test_a_doubt_that_cannot_be_stored_fails_no_message(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, waiting = settle(world, 2)
    deliver(world, first)
    monkeypatch.setattr(world.function("deliver_notification"), "LOOK_SECONDS", 0.01)

    def hang() -> None:
        world.now_ms += 1001
        wait_until(lambda: failed)

    receiver.meanwhile = hang
    with world.failing("dynamodb", "PutItem", times=1) as failed:
        assert brought(world, attempt(waiting)) == []
    assert statuses(world)[waiting] == "delivered"
    assert results(world) == ["delivered", "delivered"]
    assert counted(world, "Faults") == len(log_lines(world, "fault")) == 1


# ---------------------------------------------------------------------------------------------------------- a dead one


@pytest.mark.usefixtures("nobody_there")
def test_five_refused_connections_open_the_breaker_and_the_sixth_is_held(world: World, receiver: Receiver) -> None:
    *five, sixth = settle(world, 6)
    for notify_id in five:
        assert deliver(world, notify_id)["status"] == "retrying"
    assert [line["opened"] for line in log_lines(world, "attempt")] == [False] * 4 + [True]
    assert {line["error_class"] for line in log_lines(world, "attempt")} == {"transport"}
    assert counted(world, "BreakersOpened") == 1
    assert counted(world, "AttemptsFailedByClass", **{"class": "transport"}) == 5
    assert breaker_of(world)["open_until"] == NOW_MS + 30_000
    assert [m for m in world.messages() if "release" in m["body"]] == [
        {"body": release(), "delay_seconds": 30, "group": "club-a"}
    ]
    somebody_there(world, receiver)
    row = deliver(world, sixth)
    assert (row["status"], row["attempt_count"]) == ("held", 0)
    assert receiver.requests == []
    assert breaker_of(world)["due_at"] == NOW_MS + 35_000  # where the release is lost, the sweep looks


def test_failures_between_answers_open_nothing(world: World, receiver: Receiver) -> None:
    for answer in [*4 * [Answer(500)], Answer(), *4 * [Answer(429)], Answer(404), *4 * [Answer(503)]]:
        receiver.answer = answer
        deliver_new(world)
    assert "open_until" not in breaker_of(world)
    assert breaker_of(world)["failures"] == 4
    assert counted(world, "BreakersOpened") == 0


def test_after_the_opening_one_is_tried_and_then_the_rest_go_out_at_a_growing_pace(
    world: World, receiver: Receiver, ledger: Ledger
) -> None:
    queue = Queue(world)
    receiver.answer = Answer(503)
    for notify_id in settle(world, 5):
        deliver(world, notify_id)
    more = settle(world, 20)
    for notify_id in more:
        deliver(world, notify_id)
    queue.play(29.9)  # the five come again meanwhile, and are held too
    assert len(held(world)) == 25
    assert len(receiver.requests) == 5
    receiver.answer = Answer()
    world.now_ms = NOW_MS
    came = times(world, receiver)
    world.now_ms = NOW_MS + 29_900
    queue.play(20)
    assert Counter(came) == {30: 1 + 1, 31: 2, 32: 4, 33: 8, 34: 9}
    assert {*statuses(world).values()} == {"delivered"}
    assert {request.notify_id for request in receiver.requests} == {*statuses(world)}
    assert len(receiver.requests) == 5 + 25  # each of them once more, none twice
    queue.play(300, sweeping=True)
    assert queue.look() == []
    assert ledger.breaker("club-a").held_at_ms == 0
    assert counted(world, "NotificationsReleased") == 25


def test_while_it_is_open_the_longest_planned_waits_at_the_front(world: World, receiver: Receiver) -> None:
    notify_ids = all_held(world, 4)
    [fresh] = settle(world, 1)
    world.now_ms += 60_000
    assert brought(world, release()) == []
    assert [message["body"] for message in world.take_messages()] == [attempt(notify_ids[0])]
    deliver(world, notify_ids[0])
    deliver(world, fresh)
    assert [request.notify_id for request in receiver.requests] == [notify_ids[0], fresh]


@pytest.mark.parametrize(("failing_trials", "open_seconds"), [(1, 60), (2, 120), (4, 480), (5, 600), (7, 600)])
def test_a_trial_that_fails_opens_it_again_for_twice_as_long(
    world: World, receiver: Receiver, failing_trials: int, open_seconds: int
) -> None:
    receiver.answer = Answer(500)
    for notify_id in settle(world, 5 + failing_trials):
        deliver(world, notify_id)
    for _ in range(failing_trials):
        world.now_ms = breaker_of(world)["open_until"]
        world.take_messages()
        assert brought(world, release()) == []
        [message] = world.take_messages()
        assert brought(world, message["body"]) == []
    assert breaker_of(world)["open_until"] == world.now_ms + open_seconds * 1000
    assert [m["delay_seconds"] for m in world.messages() if m["body"] == release()] == [open_seconds]
    assert counted(world, "BreakersOpened") == 1 + failing_trials
    assert len(receiver.requests) == 5 + failing_trials


def test_a_dead_merchant_sees_few_requests_loses_nothing_and_has_all_within_a_minute_of_its_trial(
    world: World, receiver: Receiver
) -> None:
    queue = Queue(world)
    receiver.answer = Answer(500)
    for notify_id in settle(world, 9):
        deliver(world, notify_id)
    assert len(receiver.requests) == 5
    queue.play(600, sweeping=True)
    assert len(receiver.requests) <= 5 + 25
    receiver.answer = Answer()
    queue.play(600 + 60, sweeping=True)
    assert {*statuses(world).values()} == {"delivered"}
    assert {request.notify_id for request in receiver.requests} == {*statuses(world)}


# ---------------------------------------------------------------------------------------------------------- a release


@pytest.mark.parametrize(("pace", "next_pace"), [(1, 2), (2, 4), (16, 32), (25, 50), (26, 50), (50, 50), (90, 50)])
def test_a_release_of_a_trusted_app_calls_for_the_next_at_twice_its_pace(
    world: World, ledger: Ledger, pace: int, next_pace: int
) -> None:
    notify_ids = all_held(world, 3)
    breaker_is(ledger, trusted=True, held_at_ms=world.now_ms, look_at_ms=world.now_ms + 5)
    assert brought(world, release(pace=pace)) == []
    sent = world.messages()
    now, later = sent[:-1], sent[-1]
    assert [message["body"] for message in now] == [attempt(notify_id) for notify_id in notify_ids[:pace]]
    assert {message["group"] for message in now} == {"club-a"}
    assert {message["delay_seconds"] for message in now} == {0}
    assert later == {"body": release(pace=next_pace), "delay_seconds": 1, "group": "club-a"}
    assert held(world) == {*notify_ids[pace:]}
    assert ledger.breaker("club-a").look_at_ms == world.now_ms + 60_000
    assert counted(world, "NotificationsReleased") == min(pace, 3)
    for notify_id in notify_ids[:pace]:
        assert row_of(world, notify_id)["due_at"] == world.now_ms + 60_000


@pytest.mark.parametrize("pace", [1, 50])
def test_a_release_of_an_app_that_is_not_trusted_lets_one_go_and_calls_for_nothing(
    world: World, ledger: Ledger, pace: int
) -> None:
    first, *_ = all_held(world, 3)
    breaker_is(ledger, failures=2, held_at_ms=world.now_ms, look_at_ms=world.now_ms + 5)
    assert brought(world, release(pace=pace)) == []
    assert [message["body"] for message in world.messages()] == [attempt(first)]  # its end calls for the next
    assert ledger.breaker("club-a").look_at_ms == world.now_ms + 60_000


@pytest.mark.parametrize(
    ("facts", "look_at_ms"),
    [
        ({"failures": 5, "openings": 1, "open_until_ms": NOW_MS + 1}, NOW_MS + 1 + 5000),
        ({"trial_until_ms": NOW_MS + 1}, NOW_MS + 1 + 5000),
        ({"trial_until_ms": NOW_MS + 9, "open_until_ms": NOW_MS - 9}, NOW_MS + 9 + 5000),
    ],
)
def test_a_release_that_comes_too_early_is_left_to_the_sweep(
    world: World, ledger: Ledger, facts: dict[str, Any], look_at_ms: int
) -> None:
    notify_ids = all_held(world, 2)
    breaker_is(ledger, held_at_ms=NOW_MS, look_at_ms=NOW_MS + 1, **facts)
    assert brought(world, release()) == []
    assert world.messages() == []
    assert held(world) == {*notify_ids}
    assert ledger.breaker("club-a").look_at_ms == look_at_ms


@pytest.mark.parametrize(
    ("held_ms_ago", "looks_in_ms", "next_release"),
    [
        (0, 60_000, True),  # what is being held just now may not be in the index yet
        (19_999, 60_000, True),
        (20_000, 60_000, False),
        (59_999, 60_000, False),
        (60_000, None, False),  # nobody can be about to hold something
    ],
)
def test_a_release_that_finds_nothing_looks_again_until_it_can_be_believed(
    world: World, ledger: Ledger, held_ms_ago: int, looks_in_ms: int | None, *, next_release: bool
) -> None:
    breaker_is(ledger, trusted=True, held_at_ms=NOW_MS - held_ms_ago, look_at_ms=NOW_MS)
    assert brought(world, release(pace=8)) == []
    after = ledger.breaker("club-a")
    assert after.look_at_ms == (0 if looks_in_ms is None else NOW_MS + looks_in_ms)
    assert after.held_at_ms == (0 if looks_in_ms is None else NOW_MS - held_ms_ago)
    expected = [{"body": release(pace=1), "delay_seconds": 1, "group": "club-a"}] if next_release else []
    assert world.messages() == expected
    assert counted(world, "NotificationsReleased") == 0


def test_a_release_of_what_was_held_just_now_and_is_not_in_the_index_yet_is_made_up_for(
    world: World, receiver: Receiver, ledger: Ledger
) -> None:
    breaker_is(ledger, trusted=True, held_at_ms=NOW_MS, look_at_ms=NOW_MS + 60_000)
    queue = Queue(world)
    assert brought(world, release()) == []
    queue.play(15)
    for _ in range(2):  # now the index has it
        [notify_id] = settle(world, 1)
        claim = ledger.claim(notify_id, 1, world.now_ms)
        assert claim is not None
        assert ledger.hold(claim)
        queue.play(2)
        assert row_of(world, notify_id)["status"] == "delivered"
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("situation", ["release_of_nothing", "poisoned_releases"])
def test_a_release_with_nothing_to_do_changes_nothing(world: World, situation: str) -> None:
    world.prepare(f"deliver_notification/{situation}")
    before = world.digest()
    answer = world.replay(f"deliver_notification/{situation}")
    assert world.digest() == before
    assert world.messages() == []
    poisoned = situation == "poisoned_releases"
    assert len(answer["batchItemFailures"]) == counted(world, "Faults") == (4 if poisoned else 0)
    assert len(log_lines(world, "release")) == (0 if poisoned else 1)


def test_a_release_of_an_app_that_is_open_and_holds_nothing_changes_nothing(world: World, ledger: Ledger) -> None:
    seen = breaker_is(ledger, failures=5, openings=1, open_until_ms=NOW_MS + 30_000)
    assert brought(world, release()) == []
    assert ledger.breaker("club-a") == seen
    assert world.messages() == []


def test_a_release_of_a_disabled_app_lets_nothing_go(world: World) -> None:
    ledger = Ledger(clients.dynamodb(), "NotificationTable")
    seen = Breaker("club-disabled", trusted=True)
    assert ledger.change_breaker(seen, seen.holding(NOW_MS, NOW_MS + 9)) is not None
    assert world.replay("deliver_notification/release_of_a_disabled_app") == {"batchItemFailures": []}
    assert world.messages() == []
    assert ledger.breaker("club-disabled").look_at_ms == NOW_MS + 300_000


def test_the_release_of_the_event_files(world: World, ledger: Ledger) -> None:
    notify_ids = all_held(world, 5)
    breaker_is(ledger, trusted=True, held_at_ms=world.now_ms, look_at_ms=world.now_ms)
    assert world.replay("deliver_notification/release") == {"batchItemFailures": []}
    assert held(world) == {notify_ids[4]}
    assert world.messages()[-1]["body"] == release(pace=8)


def test_two_releases_at_once_let_each_go_once(world: World, receiver: Receiver, ledger: Ledger) -> None:
    all_held(world, 9)
    breaker_is(ledger, trusted=True, held_at_ms=world.now_ms, look_at_ms=world.now_ms + 5)
    assert brought(world, *4 * [release(pace=9)]) == []
    assert counted(world, "NotificationsReleased") == 9
    Queue(world).play(30)
    assert len(receiver.requests) == 9


def test_an_app_that_is_gone_waits_for_nobody(world: World, ledger: Ledger) -> None:
    notify_ids = all_held(world, 2)
    breaker_is(ledger, held_at_ms=world.now_ms, look_at_ms=world.now_ms)
    clients.dynamodb().delete_item(TableName="AppTable", Key={"app_id": {"S": "club-a"}})
    world.cold_start()
    assert brought(world, release()) == []
    Queue(world).play(10)
    assert {row_of(world, notify_id)["status"] for notify_id in notify_ids} == {"dead"}


# --------------------------------------------------------------------------------------------------------- lost, broken


def test_a_release_that_the_queue_lost_is_made_up_for_by_the_sweep(world: World, receiver: Receiver) -> None:
    queue = Queue(world)
    receiver.answer = Answer(500)
    notify_ids = settle(world, 8)
    for notify_id in notify_ids:
        deliver(world, notify_id)
    receiver.answer = Answer()
    queue.lose()
    queue.play(30 + 5 + 60, sweeping=True)
    assert {statuses(world)[notify_id] for notify_id in notify_ids[5:]} == {"delivered"}
    queue.play(40, sweeping=True)  # the retries of the five were lost too
    assert {*statuses(world).values()} == {"delivered"}


def test_whenever_the_queue_is_lost_all_that_is_held_goes_out(world: World, receiver: Receiver, ledger: Ledger) -> None:
    queue = Queue(world)
    all_held(world, 12)
    world.now_ms += 60_000
    for _ in range(6):
        queue.play(60, sweeping=True)
        queue.lose()
    queue.play(180, sweeping=True)
    assert {*statuses(world).values()} == {"delivered"}
    assert len(receiver.requests) == 12
    assert ledger.breaker("club-a").held_at_ms == 0


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        ("InternalServerError", "InternalServerError"),
        ("AccessDeniedException", "ClientError"),
        ("ConditionalCheckFailedException", "Contended"),
    ],
)
def test_a_breaker_that_cannot_be_told_leaves_the_attempt_recorded(
    world: World, receiver: Receiver, error: str, fault: str
) -> None:
    first, second = settle(world, 2)
    deliver(world, first)
    receiver.answer = Answer(500)
    with world.failing("dynamodb", "PutItem", error):
        assert brought(world, attempt(second)) == []
    row = row_of(world, second)
    assert (row["status"], row["attempt_count"], row["error_class"]) == ("retrying", 1, "http_5xx")
    line = log_lines(world, "attempt")[-1]
    assert (line["result"], line["fault"], line["error_class"]) == ("retrying", fault, "http_5xx")
    assert counted(world, "Faults") == 1
    assert [message["body"] for message in world.messages()] == [attempt(second, 2)]


def test_a_breaker_that_always_changes_lets_nobody_in_and_spends_no_attempt(world: World, receiver: Receiver) -> None:
    [notify_id] = settle(world, 1)
    with world.failing("dynamodb", "PutItem", "ConditionalCheckFailedException") as tries:
        assert len(brought(world, attempt(notify_id))) == 1
    assert len(tries) == 20
    assert (row_of(world, notify_id)["attempt_count"], receiver.requests) == (0, [])


def test_a_breaker_that_was_changed_meanwhile_is_read_again(world: World, receiver: Receiver, ledger: Ledger) -> None:
    one, other = settle(world, 2)

    def another_trial() -> None:
        ledger.change_breaker(Breaker("club-a"), Breaker("club-a").on_trial(world.now_ms))

    with world.once_before("dynamodb", "PutItem", another_trial):
        assert deliver(world, one)["status"] == "held"
    assert receiver.requests == []
    breaker_is(ledger, trusted=True, failures=3)
    receiver.answer = Answer(500)

    def another_failure() -> None:
        seen = ledger.breaker("club-a")
        assert ledger.change_breaker(seen, seen.failed(1, world.now_ms)) is not None

    with world.once_before("dynamodb", "PutItem", another_failure):
        deliver(world, other)
    assert ledger.breaker("club-a").failures == 5  # both were counted
    assert log_lines(world, "attempt")[-1]["opened"] is True


def test_a_release_that_cannot_be_called_for_is_left_to_the_sweep(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(500)
    *four, fifth, sixth = settle(world, 6)
    for notify_id in four:
        deliver(world, notify_id)
    with world.failing("sqs", "SendMessageBatch", where="release"):
        assert brought(world, attempt(fifth)) == []
    line = log_lines(world, "attempt")[-1]
    assert (line["result"], line["fault"], line["opened"]) == ("retrying", "NotSent", True)
    assert counted(world, "Faults") == counted(world, "BreakersOpened") == 1
    assert breaker_of(world)["open_until"] == NOW_MS + 30_000
    assert deliver(world, sixth)["status"] == "held"
    receiver.answer = Answer()
    Queue(world).play(100, sweeping=True)
    assert {*statuses(world).values()} == {"delivered"}


def test_a_release_whose_messages_the_queue_does_not_take_goes_back_and_loses_nothing(
    world: World, receiver: Receiver, ledger: Ledger
) -> None:
    all_held(world, 6)
    breaker_is(ledger, trusted=True, held_at_ms=world.now_ms, look_at_ms=world.now_ms + 60_000)
    with world.failing("sqs", "SendMessageBatch"):
        assert len(brought(world, release(pace=4))) == 1
    assert counted(world, "Faults") == 1
    assert len(held(world)) == 2
    queue = Queue(world)
    queue.play(60 + 60, sweeping=True)  # even if the message never comes again
    assert {*statuses(world).values()} == {"delivered"}
    assert len(receiver.requests) == 6


@pytest.mark.usefixtures("receiver")
def test_a_hold_that_was_said_and_not_done_ends_with_a_sweep(world: World, ledger: Ledger) -> None:
    [notify_id] = settle(world, 1)
    breaker_is(ledger, trial_until_ms=world.now_ms + 1000)
    with world.failing("dynamodb", "UpdateItem", where="held#"):
        assert len(brought(world, attempt(notify_id))) == 1
    assert row_of(world, notify_id)["status"] == "pending"
    Queue(world).play(240, sweeping=True)
    assert row_of(world, notify_id)["status"] == "delivered"
    assert row_of(world, notify_id)["attempt_count"] == 1
    assert ledger.breaker("club-a").held_at_ms == 0


def test_a_lease_that_was_lost_holds_nothing(world: World, ledger: Ledger) -> None:
    [notify_id] = settle(world, 1)
    breaker_is(ledger, trial_until_ms=world.now_ms + TRIAL_MS)

    def another_goes_on() -> None:
        world.now_ms += 40_000
        assert ledger.claim(notify_id, 1, world.now_ms) is not None

    with world.once_before("dynamodb", "PutItem", another_goes_on):
        assert deliver(world, notify_id)["status"] == "pending"
    assert results(world) == ["lease lost"]
    assert counted(world, "NotificationsHeld") == 0


def test_the_sweep_and_the_queue_together_deliver_each_once(world: World, receiver: Receiver) -> None:
    queue = Queue(world)
    for number in range(6):
        for notify_id in settle(world, 3):
            assert brought(world, attempt(notify_id)) == []
        receiver.answer = Answer(500) if number < 3 else Answer()
        queue.play(20, sweeping=False)
        sweep(world)
    queue.play(1200, sweeping=True)
    assert {*statuses(world).values()} == {"delivered"}
    made = Counter({row["notify_id"]: row["attempt_count"] for row in world.rows("NotificationTable") if "body" in row})
    assert made == Counter(request.notify_id for request in receiver.requests)

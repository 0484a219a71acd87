"""When a failed attempt comes again, who brings it, and how it ends."""

from email.utils import formatdate

import pytest

from settlement import clients
from settlement.ledger import Ledger
from settlepoint_local.in_process import World

from .notifying import DAY, NOW_MS, Queue, attempt, brought, counted, deliver, log_lines, row_of, settle_one, sweep
from .receiver import Answer, Receiver

MINUTE = 60
HOUR = 3600
WAITS = [3, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, *6 * [12 * HOUR]]


def test_the_schedule_is_the_documented_one_and_then_it_is_dead(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(404)  # somebody is there, so no breaker opens
    notify_id = settle_one(world)
    for number, wait in enumerate(WAITS, start=1):
        row = deliver(world, notify_id, number)
        assert (row["status"], row["attempt_count"]) == ("retrying", number)
        waited = row["next_attempt_at"] - world.now_ms
        assert wait * 1000 <= waited <= wait * 1100
        sent = [message for message in world.messages() if message["body"] == attempt(notify_id, number + 1)]
        if waited <= 900_000:
            assert [message["group"] for message in sent] == ["club-a"]
            assert waited <= sent[0]["delay_seconds"] * 1000 < waited + 1000
            assert row["due_at"] == row["next_attempt_at"] + MINUTE * 1000
        else:
            assert sent == []  # SQS cannot wait so long: it lives in the ledger alone, and is due at its time
            assert row["due_at"] == row["next_attempt_at"]
        world.now_ms = row["next_attempt_at"]

    row = deliver(world, notify_id, len(WAITS) + 1)
    assert (row["status"], row["attempt_count"]) == ("dead", 16)
    assert len(row["attempts"]) == len(receiver.requests) == 16
    assert row["expires_at"] == world.now_ms // 1000 + 90 * DAY


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [("120", 120, 132), ("3600", 3600, 3960), ("999999", 3600, 3960), ("1", 3, 3.3), ("soon", 3, 3.3), ("-5", 3, 3.3)],
)
def test_retry_after_is_honoured_up_to_an_hour(
    world: World, receiver: Receiver, retry_after: str, least: float, most: float
) -> None:
    receiver.answer = Answer(503, headers={"Retry-After": retry_after})
    row = deliver(world, settle_one(world))
    assert least * 1000 <= row["next_attempt_at"] - NOW_MS <= most * 1000


def test_a_retry_after_that_is_a_date_is_waited_for(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(503, headers={"Retry-After": formatdate(NOW_MS / 1000 + 120, usegmt=True)})
    row = deliver(world, settle_one(world))
    assert 120_000 <= row["next_attempt_at"] - NOW_MS <= 132_000


@pytest.mark.parametrize(
    ("retry_after", "jitter", "delay_seconds"),
    [(1, 0.0, 3), (1, 0.999, 4), (899, 0.0, 899), (900, 0.0, 900), (900, 0.001, None), (901, 0.0, None)],
)
def test_a_wait_that_sqs_cannot_delay_lives_in_the_ledger_alone(
    world: World,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    retry_after: int,
    jitter: float,
    delay_seconds: int | None,
) -> None:
    monkeypatch.setattr("random.random", lambda: jitter)
    receiver.answer = Answer(404, headers={"Retry-After": str(retry_after)})
    notify_id = settle_one(world)
    row = deliver(world, notify_id)
    sent = [(message["body"], message["delay_seconds"]) for message in world.messages()]
    if delay_seconds is not None:
        assert sent == [(attempt(notify_id, 2), delay_seconds)]
        assert row["next_attempt_at"] - NOW_MS <= delay_seconds * 1000  # it never comes before its time
        assert row["due_at"] == row["next_attempt_at"] + 60_000
        return
    assert sent == []
    world.now_ms = row["next_attempt_at"]
    sweep(world)
    assert [message["body"] for message in world.messages()] == [attempt(notify_id, 2)]


def test_after_a_redelivery_the_schedule_begins_anew_and_the_pending_attempt_is_replaced(
    world: World, receiver: Receiver
) -> None:
    receiver.answer = Answer(404)
    notify_id, queue = settle_one(world), Queue(world)
    ledger = Ledger(clients.dynamodb(), "NotificationTable")
    for number in (1, 2, 3):
        world.now_ms = row_of(world, notify_id)["next_attempt_at"]
        deliver(world, notify_id, number)
    queue.lose()
    assert ledger.redeliver(notify_id, "club-a", 3, world.now_ms, hold=False)
    for number, wait in enumerate(WAITS, start=4):
        row = deliver(world, notify_id, number)
        assert wait * 1000 <= row["next_attempt_at"] - world.now_ms <= wait * 1100
        world.now_ms = row["next_attempt_at"]
    row = deliver(world, notify_id, 4 + len(WAITS))
    assert (row["status"], row["attempt_count"], len(receiver.requests)) == ("dead", 19, 19)


def test_an_old_message_and_a_redeliverys_are_one_attempt(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(404)
    notify_id, queue = settle_one(world), Queue(world)
    deliver(world, notify_id)
    receiver.answer = Answer()
    ledger = Ledger(clients.dynamodb(), "NotificationTable")
    assert ledger.redeliver(notify_id, "club-a", 1, world.now_ms, hold=False)
    assert brought(world, attempt(notify_id, 2)) == []
    queue.play(1000, sweeping=True)
    assert row_of(world, notify_id)["status"] == "delivered"
    assert len(receiver.requests) == 2


def test_a_next_message_that_is_not_taken_is_left_to_the_sweep(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(500)
    notify_id = settle_one(world)
    with world.failing("sqs", "SendMessageBatch"):
        assert brought(world, attempt(notify_id)) == []
    [line] = log_lines(world, "attempt")
    assert (line["result"], line["error_class"], line["fault"]) == ("retrying", "http_5xx", "NotSent")
    assert counted(world, "Faults") == 1
    assert counted(world, "NotificationAttemptsFailed") == 1
    row = deliver(world, notify_id)  # even if the queue brings it again: it was made, it is not made twice
    assert (row["status"], row["attempt_count"], len(receiver.requests)) == ("retrying", 1, 1)
    queue = Queue(world)
    queue.play(125, sweeping=True)  # within 60 s of its time plus one sweep
    assert row_of(world, notify_id)["attempt_count"] >= 2


def test_a_message_before_its_time_makes_no_attempt(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(500)
    notify_id = settle_one(world)
    world.now_ms = deliver(world, notify_id)["next_attempt_at"] - 1
    deliver(world, notify_id, 2)
    assert len(receiver.requests) == 1
    world.now_ms += 1
    deliver(world, notify_id, 2)
    assert len(receiver.requests) == 2

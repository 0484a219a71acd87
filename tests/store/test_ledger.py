"""The ledger: who may make an attempt, what became of it, and when the next one is due."""

import zlib
from typing import Any

import pytest

from settlement.ledger import (
    DEAD_KEPT_SECONDS,
    DELIVERED_KEPT_SECONDS,
    DUE_SHARDS,
    LEASE_MS,
    SWEEP_GRACE_MS,
    Attempt,
    Claim,
    Due,
    Notification,
    new_notification,
)

from .worlds import NOW_MS, World

NOTIFICATION = Notification("ab" * 32, "club-a", "upbot.club.jf.settle", NOW_MS, '{"a":1}')
SHARD = zlib.crc32(NOTIFICATION.notify_id.encode()) % DUE_SHARDS
FAILED = Attempt(NOW_MS, 120, 500, None, "http 500")
ACKNOWLEDGED = Attempt(NOW_MS, 80, 200, 0, None)


def stored(world: World, notification: Notification = NOTIFICATION) -> None:
    world.client.transact_write_items(TransactItems=[world.ledger.addition(notification)])


def row(world: World) -> dict[str, Any]:
    [found] = world.rows("NotificationTable")
    return found


def claimed(world: World, attempt_number: int = 1, now_ms: int = NOW_MS) -> Claim:
    claim = world.ledger.claim(NOTIFICATION.notify_id, attempt_number, now_ms)
    assert claim is not None
    return claim


def due(world: World, now_ms: int, limit: int = 10) -> list[Due]:
    return [entry for shard in range(DUE_SHARDS) for entry in world.ledger.due(shard, now_ms, limit)]


# --------------------------------------------------------------------------------------------------------------- claims


def test_a_claim_gives_the_stored_bytes_and_a_lease(world: World) -> None:
    stored(world)
    assert claimed(world) == Claim(NOTIFICATION, 1, NOW_MS + LEASE_MS)


@pytest.mark.parametrize("attempt_number", [0, 2, 3, -1])
def test_another_attempt_than_the_next_is_not_to_be_made(world: World, attempt_number: int) -> None:
    stored(world)
    assert world.ledger.claim(NOTIFICATION.notify_id, attempt_number, NOW_MS) is None


def test_a_notification_that_is_not_there_cannot_be_claimed_and_is_not_made_by_it(world: World) -> None:
    assert world.ledger.claim("cd" * 32, 1, NOW_MS) is None
    assert world.rows("NotificationTable") == []


def test_an_attempt_is_never_early(world: World) -> None:
    stored(world)
    assert world.ledger.claim(NOTIFICATION.notify_id, 1, NOW_MS - 1) is None
    assert world.ledger.record_retry(claimed(world), FAILED, NOW_MS + 3000)
    assert world.ledger.claim(NOTIFICATION.notify_id, 2, NOW_MS + 2999) is None
    assert claimed(world, 2, NOW_MS + 3000).attempt_number == 2


def test_while_a_lease_stands_duplicates_end_quietly_and_after_it_one_goes_on(world: World) -> None:
    stored(world)
    claimed(world)
    for now_ms in (NOW_MS, NOW_MS + 1, NOW_MS + LEASE_MS):
        assert world.ledger.claim(NOTIFICATION.notify_id, 1, now_ms) is None
    again = claimed(world, 1, NOW_MS + LEASE_MS + 1)
    assert again.lease_until_ms == NOW_MS + LEASE_MS + 1 + LEASE_MS
    assert world.ledger.claim(NOTIFICATION.notify_id, 1, NOW_MS + LEASE_MS + 1) is None


RECORDS = {
    "delivered": lambda ledger, claim: ledger.record_delivered(claim, ACKNOWLEDGED, NOW_MS),
    "dead": lambda ledger, claim: ledger.record_dead(claim, FAILED, NOW_MS),
    "retry": lambda ledger, claim: ledger.record_retry(claim, FAILED, NOW_MS + 3000),
    "hold": lambda ledger, claim: ledger.hold(claim, NOW_MS + 3000),
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_whoever_lost_the_lease_records_nothing(world: World, record: Any) -> None:
    stored(world)
    lost = claimed(world)
    going_on = claimed(world, 1, NOW_MS + LEASE_MS + 1)
    before = row(world)
    assert record(world.ledger, lost) is False
    assert row(world) == before
    assert record(world.ledger, going_on) is True
    before = row(world)
    for claim in (lost, going_on):  # nor does anybody record twice
        assert record(world.ledger, claim) is False
    assert row(world) == before


# -------------------------------------------------------------------------------------------------------------- records


def test_a_delivered_notification_is_done_and_kept_thirty_days(world: World) -> None:
    stored(world)
    assert world.ledger.record_delivered(claimed(world), ACKNOWLEDGED, NOW_MS + 80)
    found = row(world)
    assert found["status"] == {"S": "delivered"}
    assert found["attempt_count"] == {"N": "1"}
    assert found["expires_at"] == {"N": str(NOW_MS // 1000 + DELIVERED_KEPT_SECONDS)}
    assert DELIVERED_KEPT_SECONDS == 30 * 86400
    attempt = {"at": str(NOW_MS), "duration_ms": "80", "http_status": "200", "ret_code": "0"}
    assert found["attempts"] == {"L": [{"M": {name: {"N": value} for name, value in attempt.items()}}]}
    assert {"due_at", "due_shard", "next_attempt_at", "lease_until"}.isdisjoint(found)
    assert due(world, NOW_MS + 10**12) == []
    for number in (1, 2):
        assert world.ledger.claim(NOTIFICATION.notify_id, number, NOW_MS + 10**9) is None


def test_a_dead_notification_waits_for_a_hand_and_is_kept_ninety_days(world: World) -> None:
    stored(world)
    assert world.ledger.record_dead(claimed(world), FAILED, NOW_MS)
    found = row(world)
    assert found["status"] == {"S": "dead"}
    assert found["expires_at"] == {"N": str(NOW_MS // 1000 + DEAD_KEPT_SECONDS)}
    assert DEAD_KEPT_SECONDS == 90 * 86400
    assert found["body"] == {"S": NOTIFICATION.body}
    assert due(world, NOW_MS + 10**12) == []
    assert world.ledger.claim(NOTIFICATION.notify_id, 2, NOW_MS + 10**9) is None


def test_failed_attempts_are_kept_in_their_order_and_then_one_delivers(world: World) -> None:
    stored(world)
    now_ms = NOW_MS
    for number in range(1, 6):
        claim = claimed(world, number, now_ms)
        assert world.ledger.record_retry(claim, Attempt(now_ms, number, None, None, f"error {number}"), now_ms + 3000)
        assert row(world)["status"] == {"S": "retrying"}
        assert "expires_at" not in row(world)
        now_ms += 3000
    assert world.ledger.record_delivered(claimed(world, 6, now_ms), ACKNOWLEDGED, now_ms)
    attempts = row(world)["attempts"]["L"]
    assert [attempt["M"].get("error", {}).get("S") for attempt in attempts] == [f"error {n}" for n in range(1, 6)] + [
        None
    ]
    assert row(world)["attempt_count"] == {"N": "6"}


def test_what_is_written_with_the_settlement_is_never_changed(world: World) -> None:
    stored(world)
    before = row(world)
    world.ledger.record_retry(claimed(world), FAILED, NOW_MS + 1)
    world.ledger.hold(claimed(world, 2, NOW_MS + 1), NOW_MS + 2)
    world.ledger.record_dead(claimed(world, 2, NOW_MS + 2), FAILED, NOW_MS)
    for name in ("notify_id", "app_id", "notify_event", "notify_time", "body"):
        assert row(world)[name] == before[name]


def test_holding_spends_no_attempt(world: World) -> None:
    stored(world)
    assert world.ledger.hold(claimed(world), NOW_MS + 300_000)
    found = row(world)
    assert found["status"] == {"S": "held"}
    assert found["attempt_count"] == {"N": "0"}
    assert found["attempts"] == {"L": []}
    assert due(world, NOW_MS + 299_999) == []
    assert [entry.attempt_number for entry in due(world, NOW_MS + 300_000)] == [1]
    assert claimed(world, 1, NOW_MS + 300_000).attempt_number == 1


def test_a_ret_code_of_nineteen_digits_can_be_kept(world: World) -> None:
    stored(world)
    assert world.ledger.record_retry(claimed(world), Attempt(NOW_MS, 1, 200, -(2**63), "ret_code is not 0"), NOW_MS + 1)


# --------------------------------------------------------------------------------------------------------- the sweep


def test_a_new_notification_is_due_by_itself_after_a_grace(world: World) -> None:
    stored(world)
    assert due(world, NOW_MS + SWEEP_GRACE_MS - 1) == []
    assert world.ledger.due(SHARD, NOW_MS + SWEEP_GRACE_MS, 9) == [
        Due(NOTIFICATION.notify_id, "club-a", 1, NOW_MS, NOW_MS + SWEEP_GRACE_MS)
    ]
    assert SWEEP_GRACE_MS == 60_000


def test_a_retry_is_due_a_grace_after_its_planned_time(world: World) -> None:
    stored(world)
    world.ledger.record_retry(claimed(world), FAILED, NOW_MS + 900_000)
    assert due(world, NOW_MS + 900_000 + SWEEP_GRACE_MS - 1) == []
    [entry] = due(world, NOW_MS + 900_000 + SWEEP_GRACE_MS)
    assert (entry.attempt_number, entry.next_attempt_at_ms) == (2, NOW_MS + 900_000)


def test_what_was_claimed_and_never_recorded_is_due_again(world: World) -> None:
    stored(world)
    claimed(world)  # and then the function died
    [entry] = due(world, NOW_MS + SWEEP_GRACE_MS)
    assert claimed(world, entry.attempt_number, NOW_MS + SWEEP_GRACE_MS).attempt_number == 1


def test_the_longest_due_come_first_and_no_more_than_asked_for(world: World) -> None:
    for number in range(30):
        time_ms = NOW_MS - (number * 7919) % 30_000
        stored(world, Notification(f"{number:064x}", "club-a", "e", time_ms, "{}"))
    found = due(world, NOW_MS + SWEEP_GRACE_MS)
    assert len({entry.notify_id for entry in found}) == 30
    for shard in range(DUE_SHARDS):
        entries = world.ledger.due(shard, NOW_MS + SWEEP_GRACE_MS, 30)
        assert [entry.due_at_ms for entry in entries] == sorted(entry.due_at_ms for entry in entries)
        assert world.ledger.due(shard, NOW_MS + SWEEP_GRACE_MS, 2) == entries[:2]


def test_a_sweep_postpones_what_it_sends_once(world: World) -> None:
    stored(world)
    [entry] = due(world, NOW_MS + SWEEP_GRACE_MS)
    later = NOW_MS + 5 * SWEEP_GRACE_MS
    assert world.ledger.postpone(entry, later) is True
    assert world.ledger.postpone(entry, later) is False  # two sweeps at once: one sends
    assert due(world, later - 1) == []
    assert [again.due_at_ms for again in due(world, later)] == [later]
    assert claimed(world).attempt_number == 1


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_a_sweep_does_not_postpone_what_something_else_moved_meanwhile(world: World, record: Any) -> None:
    stored(world)
    [entry] = due(world, NOW_MS + SWEEP_GRACE_MS)
    assert record(world.ledger, claimed(world))
    before = row(world)
    assert world.ledger.postpone(entry, NOW_MS + 10**6) is False
    assert row(world) == before


# -------------------------------------------------------------------------------------------------------- the stream


def test_a_streams_new_row_is_the_first_attempts_message(world: World) -> None:
    stored(world)
    record = {"eventName": "INSERT", "dynamodb": {"NewImage": row(world)}}
    message = new_notification(record)
    assert message is not None
    assert (message.notify_id, message.app_id, message.attempt_number, message.delay_seconds) == (
        NOTIFICATION.notify_id,
        "club-a",
        1,
        0,
    )
    assert new_notification({**record, "eventName": "MODIFY"}) is None
    assert new_notification({**record, "eventName": "REMOVE", "dynamodb": {}}) is None
    assert (
        new_notification({"eventName": "INSERT", "dynamodb": {"NewImage": {"notify_id": {"S": "breaker#a"}}}}) is None
    )
    for broken in (
        {},
        {"eventName": "INSERT"},
        {"eventName": "INSERT", "dynamodb": {"NewImage": {"notify_event": {}}}},
    ):
        with pytest.raises(KeyError):
            new_notification(broken)

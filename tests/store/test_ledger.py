"""The ledger: who may make an attempt, what became of it, what is held, what operators ask, and each app's breaker."""

import zlib
from copy import replace
from typing import Any

import pytest

from settlement.breaker import Breaker
from settlement.ledger import (
    DEAD_KEPT_SECONDS,
    DELIVERED_KEPT_SECONDS,
    DUE_SHARDS,
    INTERRUPTED,
    LEASE_MS,
    SWEEP_GRACE_MS,
    Attempt,
    BreakerDue,
    Claim,
    Due,
    Listed,
    Message,
    Notification,
    Outstanding,
    Status,
    Stored,
    new_notification,
)

from .worlds import NOW_MS, World

NOTIFICATION = Notification("ab" * 32, "club-a", "upbot.club.jf.settle", NOW_MS, '{"a":1}')
LATER_MS = NOW_MS + LEASE_MS + 1
SHARD = zlib.crc32(NOTIFICATION.notify_id.encode()) % DUE_SHARDS
OTHER = replace(NOTIFICATION, notify_id="cd" * 32)
FAILED = Attempt(NOW_MS, 120, 500, None, "http 500", "http_5xx")
ACKNOWLEDGED = Attempt(NOW_MS, 80, 200, 0, None)


def stored(world: World, notification: Notification = NOTIFICATION) -> None:
    world.client.transact_write_items(TransactItems=[world.ledger.addition(notification)])


def row(world: World) -> dict[str, Any]:
    [found] = world.rows("NotificationTable")
    return found


def claimed(
    world: World, attempt_number: int = 1, now_ms: int = NOW_MS, notify_id: str = NOTIFICATION.notify_id
) -> Claim:
    claim = world.ledger.claim(notify_id, attempt_number, now_ms)
    assert claim is not None
    return claim


def retried(world: World, next_attempt_at_ms: int, attempt_number: int = 1, now_ms: int = NOW_MS) -> None:
    """An attempt failed; the queue brings the next."""
    claim = claimed(world, attempt_number, now_ms)
    assert world.ledger.record_retry(claim, FAILED, next_attempt_at_ms, queued=True)


def due(world: World, now_ms: int, limit: int = 10) -> list[Due | BreakerDue]:
    return [entry for shard in range(DUE_SHARDS) for entry in world.ledger.due(shard, now_ms, limit)]


def due_notifications(world: World, now_ms: int, limit: int = 10) -> list[Due]:
    return [entry for entry in due(world, now_ms, limit) if isinstance(entry, Due)]


# --------------------------------------------------------------------------------------------------------------- claims


def test_a_claim_gives_the_stored_bytes_and_a_lease(world: World) -> None:
    stored(world)
    assert claimed(world) == Claim(NOTIFICATION, 1, NOW_MS + LEASE_MS, NOW_MS, 0)


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
    retried(world, NOW_MS + 3000)
    assert world.ledger.claim(NOTIFICATION.notify_id, 2, NOW_MS + 2999) is None
    assert claimed(world, 2, NOW_MS + 3000) == Claim(NOTIFICATION, 2, NOW_MS + 3000 + LEASE_MS, NOW_MS + 3000, 0)


def test_while_a_lease_stands_duplicates_end_quietly_and_after_it_one_goes_on(world: World) -> None:
    stored(world)
    claimed(world)
    for now_ms in (NOW_MS, NOW_MS + 1, NOW_MS + LEASE_MS):
        assert world.ledger.claim(NOTIFICATION.notify_id, 1, now_ms) is None
    again = claimed(world, 1, NOW_MS + LEASE_MS + 1)
    assert again.lease_until_ms == NOW_MS + LEASE_MS + 1 + LEASE_MS
    assert world.ledger.claim(NOTIFICATION.notify_id, 1, NOW_MS + LEASE_MS + 1) is None


def test_an_attempt_that_was_begun_and_never_recorded_is_kept_as_interrupted_and_not_counted(world: World) -> None:
    interrupted = Attempt(NOW_MS, 0, None, None, INTERRUPTED, "interrupted")
    stored(world)
    claimed(world)  # and then the function died
    again = claimed(world, 1, LATER_MS)
    assert again == Claim(NOTIFICATION, 1, LATER_MS + LEASE_MS, NOW_MS, 0)
    found = world.ledger.find(NOTIFICATION.notify_id)
    assert found == Stored(NOTIFICATION, "pending", (interrupted,), NOW_MS, LATER_MS + LEASE_MS)
    assert row(world)["attempt_count"] == {"N": "0"}
    assert "error_class" not in row(world)
    assert world.ledger.record_delivered(again, ACKNOWLEDGED, LATER_MS)
    found = world.ledger.find(NOTIFICATION.notify_id)
    assert found == Stored(NOTIFICATION, "delivered", (interrupted, ACKNOWLEDGED), None, None)
    assert row(world)["attempt_count"] == {"N": "1"}


@pytest.mark.parametrize(("attempt_number", "after_ms"), [(0, 1), (2, 1), (1, 0), (1, -LEASE_MS)])
def test_a_claim_that_is_refused_changes_nothing_even_where_a_lease_has_lapsed(
    world: World, attempt_number: int, after_ms: int
) -> None:
    stored(world)
    claimed(world)
    before = row(world)
    assert world.ledger.claim(NOTIFICATION.notify_id, attempt_number, NOW_MS + LEASE_MS + after_ms) is None
    assert row(world) == before


def test_of_two_who_take_up_a_lapsed_attempt_one_wins(world: World) -> None:
    stored(world)
    claimed(world)
    won: list[Claim | None] = []

    def overtaken(real: Any, **arguments: Any) -> Any:
        seen = real(**arguments)
        if not won:
            won.append(None)
            won.append(world.ledger.claim(NOTIFICATION.notify_id, 1, LATER_MS))
        return seen

    world.meddled.instead_of("get_item", overtaken)
    assert world.ledger.claim(NOTIFICATION.notify_id, 1, LATER_MS + 1) is None
    assert won[1] is not None
    assert len(row(world)["attempts"]["L"]) == 1


RECORDS = {
    "delivered": lambda ledger, claim: ledger.record_delivered(claim, ACKNOWLEDGED, NOW_MS),
    "dead": lambda ledger, claim: ledger.record_dead(claim, FAILED, NOW_MS),
    "retry": lambda ledger, claim: ledger.record_retry(claim, FAILED, NOW_MS + 3000, queued=True),
    "late retry": lambda ledger, claim: ledger.record_retry(claim, FAILED, NOW_MS + 3000, queued=False),
    "hold": lambda ledger, claim: ledger.hold(claim),
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
    assert {"due_at", "due_shard", "next_attempt_at", "lease_until", "schedule_from", "error_class"}.isdisjoint(found)
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
    assert found["error_class"] == {"S": "http_5xx"}
    assert (found["due_shard"], found["due_at"]) == ({"S": "dead#club-a"}, {"N": str(NOW_MS)})
    assert {"next_attempt_at", "lease_until", "schedule_from"}.isdisjoint(found)
    assert due(world, NOW_MS + 10**12) == []
    assert world.ledger.claim(NOTIFICATION.notify_id, 2, NOW_MS + 10**9) is None


def test_failed_attempts_are_kept_in_their_order_and_then_one_delivers(world: World) -> None:
    stored(world)
    now_ms = NOW_MS
    for number in range(1, 6):
        claim = claimed(world, number, now_ms)
        attempt = Attempt(now_ms, number, None, None, f"error {number}", f"class {number}")
        assert world.ledger.record_retry(claim, attempt, now_ms + 3000, queued=True)
        assert (row(world)["status"], row(world)["error_class"]) == ({"S": "retrying"}, {"S": f"class {number}"})
        assert "expires_at" not in row(world)
        now_ms += 3000
    assert world.ledger.record_delivered(claimed(world, 6, now_ms), ACKNOWLEDGED, now_ms)
    attempts = row(world)["attempts"]["L"]
    assert [attempt["M"].get("error", {}).get("S") for attempt in attempts] == [f"error {n}" for n in range(1, 6)] + [
        None
    ]
    assert [attempt["M"].get("error_class", {}).get("S") for attempt in attempts] == [
        *(f"class {n}" for n in range(1, 6)),
        None,
    ]
    assert row(world)["attempt_count"] == {"N": "6"}
    assert "error_class" not in row(world)


def test_what_is_written_with_the_settlement_is_never_changed(world: World) -> None:
    stored(world)
    before = row(world)
    retried(world, NOW_MS + 1)
    assert world.ledger.hold(claimed(world, 2, NOW_MS + 1))
    [held] = world.ledger.held("club-a", NOW_MS + 1, 9)
    assert world.ledger.release(held, NOW_MS + 2)
    assert world.ledger.record_dead(claimed(world, 2, NOW_MS + 2), FAILED, NOW_MS)
    assert world.ledger.redeliver(NOTIFICATION.notify_id, "club-a", 2, NOW_MS + 3, hold=False)
    for name in ("notify_id", "app_id", "notify_event", "notify_time", "body"):
        assert row(world)[name] == before[name]


def test_a_ret_code_of_nineteen_digits_can_be_kept(world: World) -> None:
    stored(world)
    attempt = Attempt(NOW_MS, 1, 200, -(2**63), "ret_code is not 0", "not_acknowledged")
    assert world.ledger.record_retry(claimed(world), attempt, NOW_MS + 1, queued=True)
    found = world.ledger.find(NOTIFICATION.notify_id)
    assert found is not None
    assert found.attempts == (attempt,)


# --------------------------------------------------------------------------------------------------------- the sweep


def test_a_new_notification_is_due_by_itself_after_a_grace(world: World) -> None:
    stored(world)
    assert due(world, NOW_MS + SWEEP_GRACE_MS - 1) == []
    assert world.ledger.due(SHARD, NOW_MS + SWEEP_GRACE_MS, 9) == [
        Due(NOTIFICATION.notify_id, "club-a", 1, NOW_MS, NOW_MS + SWEEP_GRACE_MS)
    ]
    assert SWEEP_GRACE_MS == 60_000


@pytest.mark.parametrize(("queued", "grace_ms"), [(True, SWEEP_GRACE_MS), (False, 0)])
def test_a_retry_is_due_at_its_time_or_where_the_queue_has_it_a_grace_later(
    world: World, grace_ms: int, *, queued: bool
) -> None:
    stored(world)
    assert world.ledger.record_retry(claimed(world), FAILED, NOW_MS + 900_000, queued=queued)
    assert due(world, NOW_MS + 900_000 + grace_ms - 1) == []
    [entry] = due_notifications(world, NOW_MS + 900_000 + grace_ms)
    assert (entry.attempt_number, entry.next_attempt_at_ms) == (2, NOW_MS + 900_000)


def test_what_was_claimed_and_never_recorded_is_due_again(world: World) -> None:
    stored(world)
    claimed(world)  # and then the function died
    [entry] = due_notifications(world, NOW_MS + SWEEP_GRACE_MS)
    assert claimed(world, entry.attempt_number, NOW_MS + SWEEP_GRACE_MS).attempt_number == 1


def test_the_longest_due_come_first_and_no_more_than_asked_for(world: World) -> None:
    for number in range(30):
        time_ms = NOW_MS - (number * 7919) % 30_000
        stored(world, Notification(f"{number:064x}", "club-a", "e", time_ms, "{}"))
    found = due_notifications(world, NOW_MS + SWEEP_GRACE_MS)
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


# ------------------------------------------------------------------------------------------------------- what is held


def held_row(world: World, notification: Notification = NOTIFICATION, now_ms: int = NOW_MS) -> Due:
    """A new notification that was held at its first attempt."""
    stored(world, notification)
    assert world.ledger.hold(claimed(world, 1, now_ms, notification.notify_id))
    return Due(notification.notify_id, "club-a", 1, notification.notify_time_ms, notification.notify_time_ms)


def test_holding_spends_no_attempt_and_leaves_it_out_of_the_sweep(world: World) -> None:
    stored(world)
    assert world.ledger.hold(claimed(world, 1, NOW_MS + 70_000))
    found = row(world)
    assert found["status"] == {"S": "held"}
    assert (found["attempt_count"], found["attempts"]) == ({"N": "0"}, {"L": []})
    assert "lease_until" not in found
    assert due(world, NOW_MS + 10**12) == []
    # It keeps the time that it was planned for, not that of being held.
    assert world.ledger.held("club-a", NOW_MS, 9) == [Due(NOTIFICATION.notify_id, "club-a", 1, NOW_MS, NOW_MS)]
    assert world.ledger.held("club-a", NOW_MS - 1, 9) == []


def test_what_is_held_amid_its_retries_keeps_them(world: World) -> None:
    stored(world)
    retried(world, NOW_MS + 3000)
    assert world.ledger.hold(claimed(world, 2, NOW_MS + 5000))
    planned_ms = NOW_MS + 3000
    assert world.ledger.held("club-a", NOW_MS + 5000, 9) == [
        Due(NOTIFICATION.notify_id, "club-a", 2, planned_ms, planned_ms)
    ]
    found = world.ledger.find(NOTIFICATION.notify_id)
    assert found == Stored(NOTIFICATION, "held", (FAILED,), planned_ms, None)


def test_an_apps_held_come_in_the_order_in_which_they_were_planned_and_no_other_apps(world: World) -> None:
    planned = {f"{number:064x}": NOW_MS - (number * 7919) % 30_000 for number in range(12)}
    for notify_id, time_ms in planned.items():
        held_row(world, Notification(notify_id, "club-a", "e", time_ms, "{}"))
    others = Notification("f" * 64, "club-b", "e", NOW_MS - 40_000, "{}")
    held_row(world, others)
    in_order = sorted(planned, key=lambda notify_id: planned[notify_id])
    assert [entry.notify_id for entry in world.ledger.held("club-a", NOW_MS, 20)] == in_order
    assert [entry.notify_id for entry in world.ledger.held("club-a", NOW_MS, 5)] == in_order[:5]
    assert [entry.app_id for entry in world.ledger.held("club-b", NOW_MS, 5)] == ["club-b"]
    assert world.ledger.held("club", NOW_MS, 5) == []
    assert [world.ledger.count_held(app_id) for app_id in ("club-a", "club-b", "club")] == [12, 1, 0]


def test_the_held_are_counted_past_every_page_and_whenever_they_are_planned(world: World) -> None:
    for number in range(5):
        notification = Notification(f"{number:064x}", "club-a", "e", NOW_MS, "{}")
        assert world.ledger.add_held(notification, NOW_MS + number * 10**9)
    pages = []

    def two_a_page(params: dict[str, Any], **_: Any) -> None:
        params["Limit"] = 2
        pages.append(params)

    world.client.meta.events.register("provide-client-params.dynamodb.Query", two_a_page)
    try:
        assert world.ledger.count_held("club-a") == 5
    finally:
        world.client.meta.events.unregister("provide-client-params.dynamodb.Query", two_a_page)
    assert len(pages) == 3


def test_one_that_no_settlement_made_is_held_from_the_beginning(world: World) -> None:
    old = replace(NOTIFICATION, notify_time_ms=NOW_MS - 10**9)
    assert world.ledger.add_held(old, NOW_MS) is True
    assert world.ledger.find(old.notify_id) == Stored(old, "held", (), NOW_MS, None)
    assert world.ledger.held("club-a", NOW_MS - 1, 9) == []
    assert world.ledger.held("club-a", NOW_MS, 9) == [Due(old.notify_id, "club-a", 1, NOW_MS, NOW_MS)]
    assert due(world, NOW_MS + 10**12) == []
    record = {"eventName": "INSERT", "dynamodb": {"NewImage": row(world)}}
    assert new_notification(record) is None  # it is released at a pace, not sent at once


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_one_that_is_there_is_not_added_again_whatever_became_of_it(world: World, record: Any) -> None:
    stored(world)
    assert world.ledger.add_held(NOTIFICATION, NOW_MS + 5) is False
    assert record(world.ledger, claimed(world))
    before = row(world)
    assert world.ledger.add_held(replace(NOTIFICATION, body="{}"), NOW_MS + 5) is False
    assert row(world) == before


def test_a_released_one_waits_for_its_first_attempt_like_a_new_one(world: World) -> None:
    held = held_row(world)
    assert world.ledger.release(held, NOW_MS + 99) is True
    assert row(world)["status"] == {"S": "pending"}
    assert world.ledger.held("club-a", NOW_MS + 10**9, 9) == []
    assert due(world, NOW_MS + 98) == []
    assert world.ledger.due(SHARD, NOW_MS + 99, 9) == [replace(held, due_at_ms=NOW_MS + 99)]
    assert claimed(world).attempt_number == 1


def test_a_released_one_goes_on_with_its_retries(world: World) -> None:
    stored(world)
    retried(world, NOW_MS + 3000)
    assert world.ledger.hold(claimed(world, 2, NOW_MS + 3000))
    [held] = world.ledger.held("club-a", NOW_MS + 3000, 9)
    assert world.ledger.release(held, NOW_MS + 99_000)
    assert row(world)["status"] == {"S": "retrying"}
    assert claimed(world, 2, NOW_MS + 3000).attempt_number == 2


def test_of_two_releases_one_wins(world: World) -> None:
    held = held_row(world)
    assert world.ledger.release(held, NOW_MS + 99)
    before = row(world)
    assert world.ledger.release(held, NOW_MS + 77) is False
    assert row(world) == before


def test_a_release_that_looked_before_another_attempt_was_made_changes_nothing(world: World) -> None:
    held = held_row(world)
    assert world.ledger.release(held, NOW_MS)
    retried(world, NOW_MS)
    assert world.ledger.hold(claimed(world, 2))
    before = row(world)
    assert world.ledger.release(held, NOW_MS + 77) is False
    assert row(world) == before


@pytest.mark.parametrize("record", [RECORDS[name] for name in RECORDS if name != "hold"])
def test_a_release_of_what_was_attempted_meanwhile_changes_nothing(world: World, record: Any) -> None:
    held = held_row(world)
    assert record(world.ledger, claimed(world))  # a message that came twice found it held
    before = row(world)
    assert world.ledger.release(held, NOW_MS + 77) is False
    assert row(world) == before
    assert world.ledger.held("club-a", NOW_MS + 10**9, 9) == []


def test_a_release_makes_no_row(world: World) -> None:
    assert world.ledger.release(Due(NOTIFICATION.notify_id, "club-a", 1, NOW_MS, NOW_MS), NOW_MS) is False
    assert world.rows("NotificationTable") == []


# ------------------------------------------------------------------------------------------------------ by an operator


def became(world: World, status: str) -> int:
    """A notification of that status; how many attempts were made."""
    stored(world)
    if status == "pending":
        return 0
    if status == "held":
        assert world.ledger.hold(claimed(world))
        return 0
    if status == "held amid its retries":
        retried(world, NOW_MS)
        assert world.ledger.hold(claimed(world, 2))
        return 1
    assert RECORDS[{"retrying": "late retry"}.get(status, status)](world.ledger, claimed(world))
    return 1


FOUND = ["pending", "retrying", "held", "held amid its retries", "delivered", "dead"]


@pytest.mark.parametrize("status", FOUND)
def test_a_redelivery_replaces_the_pending_attempt_and_begins_the_schedule_anew(world: World, status: str) -> None:
    made = became(world, status)
    assert world.ledger.redeliver(NOTIFICATION.notify_id, "club-a", made, LATER_MS, hold=False) is True
    found = row(world)
    assert found["status"] == {"S": "retrying" if made else "pending"}
    assert found["attempt_count"] == {"N": str(made)}
    assert len(found["attempts"]["L"]) == made
    assert {"expires_at", "lease_until"}.isdisjoint(found)
    assert world.ledger.held("club-a", NOW_MS + 10**12, 9) == []
    assert due(world, LATER_MS + SWEEP_GRACE_MS - 1) == []
    assert due(world, LATER_MS + SWEEP_GRACE_MS) == [
        Due(NOTIFICATION.notify_id, "club-a", made + 1, LATER_MS, LATER_MS + SWEEP_GRACE_MS)
    ]
    assert world.ledger.claim(NOTIFICATION.notify_id, made + 1, LATER_MS - 1) is None
    assert claimed(world, made + 1, LATER_MS) == Claim(NOTIFICATION, made + 1, LATER_MS + LEASE_MS, LATER_MS, made)


@pytest.mark.parametrize("status", FOUND)
def test_a_redelivery_of_many_is_held_for_a_release(world: World, status: str) -> None:
    made = became(world, status)
    assert world.ledger.redeliver(NOTIFICATION.notify_id, "club-a", made, LATER_MS, hold=True) is True
    assert row(world)["status"] == {"S": "held"}
    assert {"expires_at", "lease_until"}.isdisjoint(row(world))
    assert due(world, NOW_MS + 10**12) == []
    assert world.ledger.held("club-a", LATER_MS - 1, 9) == []
    [held] = world.ledger.held("club-a", LATER_MS, 9)
    assert held == Due(NOTIFICATION.notify_id, "club-a", made + 1, LATER_MS, LATER_MS)
    assert world.ledger.release(held, LATER_MS)
    assert claimed(world, made + 1, LATER_MS).schedule_from == made


@pytest.mark.parametrize("status", FOUND)
def test_a_redelivery_that_looked_before_another_attempt_was_made_is_refused(world: World, status: str) -> None:
    made = became(world, status)
    before = row(world)
    for stale in (made - 1, made + 1):
        assert world.ledger.redeliver(NOTIFICATION.notify_id, "club-a", stale, LATER_MS, hold=False) is False
    assert row(world) == before


def test_while_an_attempt_is_under_way_a_redelivery_is_refused(world: World) -> None:
    stored(world)
    claim = claimed(world)
    for now_ms in (NOW_MS, NOW_MS + LEASE_MS):
        for hold in (True, False):
            assert world.ledger.redeliver(NOTIFICATION.notify_id, "club-a", 0, now_ms, hold=hold) is False
    assert world.ledger.record_delivered(claim, ACKNOWLEDGED, NOW_MS)  # it goes on undisturbed


def test_after_a_lease_whose_owner_died_a_redelivery_ends_it(world: World) -> None:
    stored(world)
    lost = claimed(world)
    assert world.ledger.redeliver(NOTIFICATION.notify_id, "club-a", 0, LATER_MS, hold=False)
    assert world.ledger.record_delivered(lost, ACKNOWLEDGED, LATER_MS) is False
    assert claimed(world, 1, LATER_MS).attempt_number == 1


def test_an_old_message_and_the_redeliverys_are_one_attempt(world: World) -> None:
    stored(world)
    retried(world, NOW_MS + 3000)  # message 2 is on its way
    assert world.ledger.redeliver(NOTIFICATION.notify_id, "club-a", 1, NOW_MS + 1000, hold=False)  # and so is a second
    claims = [world.ledger.claim(NOTIFICATION.notify_id, 2, NOW_MS + ms) for ms in (1000, 3000)]
    assert [claim is not None for claim in claims] == [True, False]
    [won, _] = claims
    assert won is not None
    assert world.ledger.record_delivered(won, ACKNOWLEDGED, NOW_MS + 1000)
    assert world.ledger.claim(NOTIFICATION.notify_id, 2, NOW_MS + 10**9) is None
    assert len(row(world)["attempts"]["L"]) == 2


def test_the_schedules_beginning_outlasts_failures_and_ends_with_the_notification(world: World) -> None:
    became(world, "dead")
    assert world.ledger.redeliver(NOTIFICATION.notify_id, "club-a", 1, NOW_MS, hold=False)
    retried(world, NOW_MS + 1, 2)
    assert world.ledger.hold(claimed(world, 3, NOW_MS + 1))
    claim = claimed(world, 3, NOW_MS + 1)
    assert claim.schedule_from == 1
    assert world.ledger.record_dead(claim, FAILED, NOW_MS)
    assert "schedule_from" not in row(world)


@pytest.mark.parametrize("hold", [True, False])
def test_a_redelivery_makes_no_row_and_touches_no_breaker(world: World, *, hold: bool) -> None:
    assert world.ledger.change_breaker(Breaker("club-a"), Breaker("club-a", trusted=True))
    before = world.rows("NotificationTable")
    for notify_id in (NOTIFICATION.notify_id, "breaker#club-a", "breaker#club-b"):
        for made in (0, 1, -1):
            assert world.ledger.redeliver(notify_id, "club-a", made, NOW_MS, hold=hold) is False
    assert world.rows("NotificationTable") == before


def test_a_notification_is_found_with_all_that_became_of_it(world: World) -> None:
    stored(world)
    assert world.ledger.find(NOTIFICATION.notify_id) == Stored(NOTIFICATION, "pending", (), NOW_MS, None)
    claim = claimed(world)
    assert world.ledger.find(NOTIFICATION.notify_id) == Stored(NOTIFICATION, "pending", (), NOW_MS, NOW_MS + LEASE_MS)
    bare = Attempt(NOW_MS, 5000, None, None, "timeout", "timeout")
    assert world.ledger.record_retry(claim, bare, NOW_MS + 3000, queued=True)
    assert world.ledger.find(NOTIFICATION.notify_id) == Stored(NOTIFICATION, "retrying", (bare,), NOW_MS + 3000, None)
    assert world.ledger.record_delivered(claimed(world, 2, NOW_MS + 3000), ACKNOWLEDGED, NOW_MS)
    assert world.ledger.find(NOTIFICATION.notify_id) == Stored(
        NOTIFICATION, "delivered", (bare, ACKNOWLEDGED), None, None
    )


def test_what_is_not_a_notification_is_not_found(world: World) -> None:
    assert world.ledger.change_breaker(Breaker("club-a"), Breaker("club-a", trusted=True))
    for notify_id in (NOTIFICATION.notify_id, "breaker#club-a", "breaker#club-b", "breaker#"):
        assert world.ledger.find(notify_id) is None


def test_an_apps_notifications_are_listed_oldest_first_with_their_ends(world: World) -> None:
    times = {f"{number:064x}": NOW_MS + offset for number, offset in enumerate([0, 5, 1, 999, 1000, 1001, 500])}
    for notify_id, time_ms in times.items():
        stored(world, Notification(notify_id, "club-a", "e", time_ms, "{}"))
    stored(world, Notification("f" * 64, "club-b", "e", NOW_MS + 7, "{}"))
    world.ledger.change_breaker(Breaker("club-a"), Breaker("club-a", trusted=True))

    def listed(since_ms: int, until_ms: int) -> list[int]:
        found = list(world.ledger.listed("club-a", since_ms, until_ms))
        assert all(times[entry.notify_id] == entry.notify_time_ms for entry in found)
        return [entry.notify_time_ms - NOW_MS for entry in found]

    assert listed(NOW_MS, NOW_MS + 1001) == [0, 1, 5, 500, 999, 1000]
    assert listed(NOW_MS + 1, NOW_MS + 1000) == [1, 5, 500, 999]
    assert listed(NOW_MS + 5, NOW_MS + 6) == [5]
    assert listed(0, NOW_MS) == []
    for empty in ((NOW_MS + 5, NOW_MS + 5), (NOW_MS + 6, NOW_MS + 5), (NOW_MS + 2000, NOW_MS)):
        assert listed(*empty) == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", Listed(NOTIFICATION.notify_id, "club-a", NOTIFICATION.event, NOW_MS, "pending", 0, None)),
        ("retrying", Listed(NOTIFICATION.notify_id, "club-a", NOTIFICATION.event, NOW_MS, "retrying", 1, "http_5xx")),
        ("held", Listed(NOTIFICATION.notify_id, "club-a", NOTIFICATION.event, NOW_MS, "held", 0, None)),
        ("delivered", Listed(NOTIFICATION.notify_id, "club-a", NOTIFICATION.event, NOW_MS, "delivered", 1, None)),
        ("dead", Listed(NOTIFICATION.notify_id, "club-a", NOTIFICATION.event, NOW_MS, "dead", 1, "http_5xx")),
    ],
)
def test_a_list_says_what_became_of_each(world: World, status: Status, expected: Listed) -> None:
    became(world, status)
    assert list(world.ledger.listed("club-a", NOW_MS, NOW_MS + 1)) == [expected]


def test_a_list_goes_on_past_every_page_and_reads_no_further_than_is_asked_for(world: World) -> None:
    for number in range(25):
        stored(world, Notification(f"{number:064x}", "club-a", "e", NOW_MS + number // 3, "{}"))
    world.meddled.instead_of("query", lambda real, **arguments: real(**{**arguments, "Limit": 4}))
    found = [entry.notify_id for entry in world.ledger.listed("club-a", NOW_MS, NOW_MS + 100)]
    assert sorted(found) == [f"{number:064x}" for number in range(25)]
    assert world.meddled.count("query") >= 7
    world.meddled.calls.clear()
    next(world.ledger.listed("club-a", NOW_MS, NOW_MS + 100))
    assert world.meddled.count("query") == 1


def test_a_list_is_whole_where_an_index_page_holds_a_megabyte(world: World) -> None:
    event = "e" * 300_000  # the index holds it: four of them to a page
    for number in range(7):
        stored(world, Notification(f"{number:064x}", "club-a", event, NOW_MS + number, "{}"))
    assert len(list(world.ledger.listed("club-a", NOW_MS, NOW_MS + 100))) == 7


# ------------------------------------------------------------------------------------------------------- the breakers

WHOLE = Breaker("club-a", True, 3, 2, NOW_MS + 1, NOW_MS + 2, 1500, NOW_MS + 3, NOW_MS + 4)


def changed(world: World, breaker: Breaker, **changes: Any) -> Breaker:
    stored = world.ledger.change_breaker(breaker, replace(breaker, **changes))
    assert stored is not None
    return stored


def test_the_dead_are_counted_by_app_until_they_are_redelivered(world: World) -> None:
    apps = ("club-a", "club-a", "club-b")
    for number, app_id in enumerate(apps):
        stored(world, replace(NOTIFICATION, notify_id=f"{number:064x}", app_id=app_id))
        assert world.ledger.record_dead(claimed(world, notify_id=f"{number:064x}"), FAILED, NOW_MS)
    assert [world.ledger.count_dead(app_id) for app_id in ("club-a", "club-b", "club")] == [2, 1, 0]
    assert world.ledger.redeliver(f"{0:064x}", "club-a", 1, NOW_MS, hold=False)
    assert world.ledger.redeliver(f"{2:064x}", "club-b", 1, NOW_MS, hold=True)
    assert [world.ledger.count_dead(app_id) for app_id in ("club-a", "club-b")] == [1, 0]
    assert world.ledger.count_held("club-b") == 1


def test_what_is_outstanding_is_counted_with_its_oldest_and_nothing_of_what_has_ended(world: World) -> None:
    assert world.ledger.outstanding(lambda: True) == Outstanding(complete=True, waiting=0, held={})
    ids = [f"{number:064x}" for number in range(7)]
    for number, notify_id in enumerate(ids):
        app_id = "club-a" if number < 5 else "club-b"
        stored(world, replace(NOTIFICATION, notify_id=notify_id, app_id=app_id, notify_time_ms=NOW_MS - 1000 * number))
    for app_id in ("club-a", "club-b"):
        assert world.ledger.change_breaker(Breaker(app_id), Breaker(app_id).holding(NOW_MS, NOW_MS + 10**9))
    assert world.ledger.record_delivered(claimed(world, notify_id=ids[6]), ACKNOWLEDGED, NOW_MS)
    for number in (1, 2):
        assert world.ledger.hold(claimed(world, notify_id=ids[number]))
    assert world.ledger.hold(claimed(world, notify_id=ids[5]))  # the oldest of what is left
    assert world.ledger.record_dead(claimed(world, notify_id=ids[4]), FAILED, NOW_MS)
    later = claimed(world, notify_id=ids[0])
    assert world.ledger.record_retry(later, FAILED, NOW_MS + 9000, queued=True)
    assert world.ledger.outstanding(lambda: True) == Outstanding(
        complete=True,
        waiting=2,
        held={"club-a": 2, "club-b": 1},
        oldest_notify_time_ms=NOW_MS - 5000,
        oldest_notify_id=ids[5],
        longest_planned_ms=NOW_MS - 3000,
    )


def test_an_app_whose_breaker_is_put_off_while_it_is_counted_is_counted_once(world: World) -> None:
    stored(world)
    breaker = world.ledger.change_breaker(Breaker("club-a"), Breaker("club-a").holding(NOW_MS, NOW_MS))
    assert breaker is not None
    assert world.ledger.hold(claimed(world))
    put_off = iter(range(1, 40))

    def look() -> bool:
        """Between two pages: the breaker moves to the end of its shard, where it is met again."""
        if (step := next(put_off, 0)) > 0:
            world.client.update_item(
                TableName=world.tables["NotificationTable"],
                Key={"notify_id": {"S": "breaker#club-a"}},
                UpdateExpression="SET due_at = :later",
                ExpressionAttributeValues={":later": {"N": str(NOW_MS + step)}},
            )
        return True

    def one_a_page(params: dict[str, Any], **_: Any) -> None:
        params["Limit"] = 1

    world.client.meta.events.register("provide-client-params.dynamodb.Query", one_a_page)
    try:
        assert world.ledger.outstanding(look).held == {"club-a": 1}
    finally:
        world.client.meta.events.unregister("provide-client-params.dynamodb.Query", one_a_page)


def test_a_count_that_ran_out_of_time_has_a_page_of_each_shard_that_it_came_to(world: World) -> None:
    for number in range(24):
        stored(world, replace(NOTIFICATION, notify_id=f"{number:064x}"))
    assert world.ledger.outstanding(lambda: False) == Outstanding(complete=False, waiting=0, held={})
    looks = iter([True, True, False])
    found = world.ledger.outstanding(lambda: next(looks))
    shards = [int(row["due_shard"]["S"]) for row in world.rows("NotificationTable")]
    assert (found.complete, found.waiting) == (False, sum(shard < 2 for shard in shards))
    assert 0 < found.waiting < 24


def test_an_app_without_a_row_has_a_new_breaker_and_asking_makes_none(world: World) -> None:
    assert world.ledger.breaker("club-a") == Breaker("club-a")
    assert world.rows("NotificationTable") == []


@pytest.mark.parametrize(
    "breaker",
    [WHOLE, replace(WHOLE, trusted=False), Breaker("club-a", trusted=True), Breaker("club-a", patience_ms=5000)],
)
def test_a_breaker_is_read_as_it_was_stored(world: World, breaker: Breaker) -> None:
    assert world.ledger.change_breaker(Breaker("club-a"), breaker) == replace(breaker, version=1)
    assert world.ledger.breaker("club-a") == replace(breaker, version=1)
    assert world.ledger.breaker("club-b") == Breaker("club-b")


@pytest.mark.parametrize(
    "name",
    ["trusted", "failures", "openings", "open_until_ms", "trial_until_ms", "held_at_ms", "look_at_ms"],
)
def test_what_becomes_nothing_again_is_stored_as_such(world: World, name: str) -> None:
    first = changed(world, Breaker("club-a"), **{name: getattr(WHOLE, name)})
    assert getattr(world.ledger.breaker("club-a"), name) == getattr(WHOLE, name)
    second = changed(world, first, **{name: getattr(Breaker("club-a"), name)})
    assert world.ledger.breaker("club-a") == second
    assert not getattr(second, name)


def test_each_change_is_a_version_and_what_was_seen_before_it_can_be_changed_no_more(world: World) -> None:
    new = Breaker("club-a")
    first = changed(world, new, failures=1)
    second = changed(world, first, failures=2)
    assert (first.version, second.version) == (1, 2)
    for stale in (new, first, replace(second, version=3)):
        assert world.ledger.change_breaker(stale, replace(stale, failures=99)) is None
    assert world.ledger.breaker("club-a") == second


def test_of_two_who_saw_the_same_one_wins(world: World) -> None:
    for seen in (Breaker("club-a"), WHOLE):
        seen = replace(seen, version=world.ledger.breaker("club-a").version)  # noqa: PLW2901
        answers = [world.ledger.change_breaker(seen, replace(seen, failures=50 + n)) for n in range(2)]
        assert [answer is None for answer in answers] == [False, True]
        assert world.ledger.breaker("club-a").failures == 50


def test_what_changes_nothing_writes_nothing(world: World) -> None:
    assert world.ledger.change_breaker(WHOLE, replace(WHOLE)) == WHOLE
    assert world.meddled.calls == []


def test_a_breaker_is_due_when_the_sweep_is_to_look_and_not_where_nothing_is_held(world: World) -> None:
    first = changed(world, Breaker("club-a"), trusted=True)
    assert due(world, NOW_MS + 10**12) == []
    second = changed(world, first, look_at_ms=NOW_MS + 35_000)
    assert due(world, NOW_MS + 34_999) == []
    assert due(world, NOW_MS + 35_000) == [BreakerDue("club-a", NOW_MS + 35_000)]
    changed(world, second, look_at_ms=0)
    assert due(world, NOW_MS + 10**12) == []
    assert {"due_shard", "due_at"}.isdisjoint(row(world))


def test_breakers_are_spread_over_the_shards_and_come_among_notifications(world: World) -> None:
    for number in range(24):
        changed(world, Breaker(f"app-{number}"), look_at_ms=NOW_MS + number)
    stored(world)
    found = due(world, NOW_MS + SWEEP_GRACE_MS, 50)
    assert {entry.app_id for entry in found if isinstance(entry, BreakerDue)} == {f"app-{n}" for n in range(24)}
    assert [entry.notify_id for entry in found if isinstance(entry, Due)] == [NOTIFICATION.notify_id]
    assert len({row["due_shard"]["S"] for row in world.rows("NotificationTable")}) > 4


def test_a_breaker_is_in_no_list_and_among_no_held(world: World) -> None:
    changed(world, WHOLE, failures=4)
    assert list(world.ledger.listed("club-a", 0, NOW_MS + 10**12)) == []
    assert world.ledger.held("club-a", NOW_MS + 10**12, 9) == []
    assert world.ledger.count_held("club-a") == 0
    assert "app_id" not in row(world)


def test_a_sweep_that_looks_after_a_breaker_postpones_it_once(world: World) -> None:
    breaker = changed(world, Breaker("club-a"), held_at_ms=NOW_MS, look_at_ms=NOW_MS + 5)
    [entry] = due(world, NOW_MS + 5)
    assert world.ledger.postpone(entry, NOW_MS + 60_005) is True
    assert world.ledger.postpone(entry, NOW_MS + 60_005) is False
    assert due(world, NOW_MS + 60_004) == []
    # Nothing but the look has moved, so whoever saw the breaker before may go on.
    assert world.ledger.breaker("club-a") == replace(breaker, look_at_ms=NOW_MS + 60_005)
    assert world.ledger.change_breaker(breaker, breaker.holds_nothing()) is not None
    assert world.ledger.postpone(BreakerDue("club-a", NOW_MS + 60_005), NOW_MS + 99_999) is False
    assert world.ledger.postpone(BreakerDue("club-b", NOW_MS), NOW_MS + 99_999) is False
    assert len(world.rows("NotificationTable")) == 1


# -------------------------------------------------------------------------------------------------------- the stream


def test_a_streams_new_row_is_the_first_attempts_message(world: World) -> None:
    stored(world)
    record = {"eventName": "INSERT", "dynamodb": {"NewImage": row(world)}}
    assert new_notification(record) == Message(NOTIFICATION.notify_id, "club-a", 1)
    assert new_notification({**record, "eventName": "MODIFY"}) is None
    assert new_notification({**record, "eventName": "REMOVE", "dynamodb": {}}) is None
    changed(world, WHOLE, failures=4)
    [breakers_row] = [found for found in world.rows("NotificationTable") if "notify_event" not in found]
    assert new_notification({"eventName": "INSERT", "dynamodb": {"NewImage": breakers_row}}) is None
    for broken in (
        {},
        {"eventName": "INSERT"},
        {"eventName": "INSERT", "dynamodb": {"NewImage": {"notify_event": {}}}},
    ):
        with pytest.raises(KeyError):
            new_notification(broken)

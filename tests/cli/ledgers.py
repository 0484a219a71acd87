"""Ledgers with a past: notifications that were delivered, that died, that wait."""

import shlex
from typing import Any, Final

from settlement.ledger import Attempt, Claim, Ledger, Notification
from settlement.notifications import CLUB_SETTLED
from settlepoint_local.in_process import World, _sqs_queue
from settlepoint_local.lambda_events import sqs_event
from settlepoint_local.scene import Scene

NOW_MS: Final = Scene().now_ms
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
ACKNOWLEDGED: Final = Attempt(NOW_MS - HOUR_MS, 12, 200, 0, None)
FAILED: Final = Attempt(NOW_MS - HOUR_MS, 34, 503, None, "http 503", "http_5xx")
REFUSED: Final = Attempt(NOW_MS - HOUR_MS, 5, 410, None, "http 410", "http_4xx")


def notify_id(number: int) -> str:
    return f"{number:064x}"


def claimed(ledger: Ledger, number: int, app_id: str = "club-a", settled_ms: int = NOW_MS - HOUR_MS) -> Claim:
    """A new notification, of which an attempt is under way since an hour before now."""
    body = f'{{"notify_id":"{notify_id(number)}","data":{{"detail":"\\u5468 1\\/2"}}}}'
    notification = Notification(notify_id(number), app_id, CLUB_SETTLED, settled_ms, body)
    assert ledger.add_held(notification, NOW_MS - HOUR_MS)
    claim = ledger.claim(notification.notify_id, 1, NOW_MS - HOUR_MS)
    assert claim is not None
    return claim


def dead(ledger: Ledger, number: int, attempt: Attempt = FAILED, **facts: Any) -> str:
    assert ledger.record_dead(claimed(ledger, number, **facts), attempt, NOW_MS - HOUR_MS)
    return notify_id(number)


def delivered(ledger: Ledger, number: int, **facts: Any) -> str:
    assert ledger.record_delivered(claimed(ledger, number, **facts), ACKNOWLEDGED, NOW_MS - HOUR_MS)
    return notify_id(number)


def retrying(ledger: Ledger, number: int, **facts: Any) -> str:
    """Its next attempt is an hour from now."""
    assert ledger.record_retry(claimed(ledger, number, **facts), FAILED, NOW_MS + HOUR_MS, queued=False)
    return notify_id(number)


def under_way(ledger: Ledger, number: int, **facts: Any) -> str:
    """Its second attempt began this moment."""
    claim = claimed(ledger, number, **facts)
    assert ledger.record_retry(claim, FAILED, NOW_MS - 1000, queued=True)
    assert ledger.claim(claim.notification.notify_id, 2, NOW_MS - 1000)
    return claim.notification.notify_id


def statuses(world: World) -> dict[str, str]:
    """By notify_id."""
    return {row["notify_id"]: row["status"] for row in world.rows("NotificationTable") if "status" in row}


def row_of(world: World, key: str) -> dict[str, Any]:
    [row] = [row for row in world.rows("NotificationTable") if row["notify_id"] == key]
    return row


def bodies(world: World) -> list[dict[str, Any]]:
    """Of the messages that wait."""
    return [message["body"] for message in world.messages()]


def work_off(world: World, rounds: int = 100) -> None:
    """The delivering function takes what is in the queue, round by round, a second apart, until there is nothing."""
    for _ in range(rounds):
        waiting = [message.body for message in _sqs_queue()._messages]
        if not waiting:
            return
        _sqs_queue()._messages.clear()
        for body in waiting:
            assert world.invoke("deliver_notification", sqs_event([body], world.now_ms)) == {"batchItemFailures": []}
        world.now_ms += 1000
    raise AssertionError("the queue does not run empty")


def command_in(stderr: str) -> list[str]:
    """The arguments of the command that goes on."""
    [line] = [line for line in stderr.splitlines() if "go on with: settlectl " in line]
    return shlex.split(line.partition("go on with: settlectl ")[2])

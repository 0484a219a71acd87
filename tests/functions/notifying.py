"""What the tests of the delivering half share: settle, deliver, what ledger and log have of it; a queue."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import simplejson

from settlepoint_local.in_process import Row, World
from settlepoint_local.lambda_events import sqs_event
from settlepoint_local.scene import Scene
from settlepoint_local.situations import BILL, CLUB

type Message = dict[str, Any]

NOW_MS = Scene().now_ms
DAY = 24 * 3600
EVERY_MINUTE_MS = 60_000
BATCH = 10


def settle(world: World, count: int) -> list[str]:
    """So many settled club orders, a millisecond apart, the last one now; their notifications' ids."""
    now_ms, known = world.now_ms, set(statuses(world))
    for number in range(count):
        world.now_ms = now_ms - (count - 1 - number)
        bill = {"bill_no": f"bill-{len(known) + number}", "openid": BILL["openid"]}
        assert world.call("create_club_order", BILL | bill, CLUB).code == 0
        assert world.call("set_club_jf_settle", bill, CLUB).code == 0
    made = [row for row in world.rows("NotificationTable") if "body" in row and row["notify_id"] not in known]
    return [row["notify_id"] for row in sorted(made, key=itemgetter("notify_time"))]


def settle_one(world: World) -> str:
    """The settled club order of the event files; its notification's id."""
    world.replay("set_club_jf_settle/settles_in_full")
    [row] = world.rows("NotificationTable")
    return str(row["notify_id"])


def attempt(notify_id: str, number: int = 1) -> Message:
    return {"notify_id": notify_id, "attempt": number}


def release(app_id: str = "club-a", pace: int = 1) -> Message:
    return {"release": app_id, "pace": pace}


def brought(world: World, *messages: Message) -> list[str]:
    """A batch of the queue; the ids of the messages that go back."""
    event = sqs_event([simplejson.dumps(message) for message in messages], world.now_ms)
    answer = world.invoke("deliver_notification", event)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def deliver(world: World, notify_id: str, number: int = 1) -> Row:
    """One message that does not go back; the notification's row afterwards."""
    assert brought(world, attempt(notify_id, number)) == []
    return row_of(world, notify_id)


def deliver_new(world: World) -> Row:
    """A settled club order whose first attempt is made; its notification's row afterwards."""
    [notify_id] = settle(world, 1)
    return deliver(world, notify_id)


def sweep(world: World) -> None:
    world.invoke("requeue_notifications", {})


# ---------------------------------------------------------------------------------------------------- what became of it


def row_of(world: World, key: str) -> Row:
    [row] = [row for row in world.rows("NotificationTable") if row["notify_id"] == key]
    return row


def breaker_of(world: World, app_id: str = "club-a") -> Row:
    return row_of(world, f"breaker#{app_id}")


def statuses(world: World) -> dict[str, str]:
    return {row["notify_id"]: row["status"] for row in world.rows("NotificationTable") if "status" in row}


def held(world: World) -> set[str]:
    return {notify_id for notify_id, status in statuses(world).items() if status == "held"}


def log_lines(world: World, message: str) -> list[dict[str, Any]]:
    """The log's lines of that name, the last call's last."""
    lines = [simplejson.loads(line) for line in world.log if f'"message":"{message}"' in line]
    assert all(line["message"] == message for line in lines)
    return lines


def results(world: World) -> list[str]:
    """What the attempts' log lines say."""
    return [line["result"] for line in log_lines(world, "attempt")]


def metrics(world: World) -> Iterator[dict[str, Any]]:
    """Each line of metrics."""
    for line in world.log:
        if '"_aws"' in line:
            yield simplejson.loads(line)


def counted(world: World, metric: str, **dimensions: str) -> int:
    """A metric's sum over all calls."""
    lines = [line for line in metrics(world) if metric in line and dimensions.items() <= line.items()]
    return int(sum(value for line in lines for value in line[metric]))


def wait_until(happened: Callable[[], object]) -> None:
    """For what another thread does meanwhile."""
    deadline = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


# ------------------------------------------------------------------------------------------------------------ the queue


@dataclass(slots=True)
class Queue:
    """SQS and the schedule, by the world's clock: brings each message at its time, ten at once at most."""

    world: World
    waiting: list[tuple[int, Message]] = field(default_factory=list)

    def play(self, seconds: float, *, sweeping: bool = False) -> None:
        """What happens in the next so many seconds; the sweeps are those of every full minute."""
        end_ms = self.world.now_ms + int(seconds * 1000)
        next_sweep_ms = (self.world.now_ms // EVERY_MINUTE_MS + 1) * EVERY_MINUTE_MS if sweeping else end_ms + 1
        while True:
            self.look()
            at_ms = min([next_sweep_ms, *(at_ms for at_ms, _ in self.waiting)])
            if at_ms > end_ms:
                break
            self.world.now_ms = max(self.world.now_ms, at_ms)
            if at_ms == next_sweep_ms:
                next_sweep_ms += EVERY_MINUTE_MS
                sweep(self.world)
                continue
            self.waiting.sort(key=itemgetter(0))
            due = [message for at_ms, message in self.waiting if at_ms <= self.world.now_ms][:BATCH]
            del self.waiting[: len(due)]
            assert brought(self.world, *due) == []
        self.world.now_ms = end_ms

    def look(self) -> list[Message]:
        """What waits in it."""
        self.waiting += [
            (self.world.now_ms + message["delay_seconds"] * 1000, message["body"])
            for message in self.world.take_messages()
        ]
        return [message for _, message in self.waiting]

    def lose(self) -> None:
        """Somebody purges it."""
        self.look()
        self.waiting.clear()

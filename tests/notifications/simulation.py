"""The delivering half of the bundle in virtual time: the real courier and doors on moto's tables, around them what AWS
does - stream, queue, batches in a limited number of processes, a schedule every minute - and receivers that are told
how to behave. Whatever may fail can be made to: messages are lost or doubled, processes are killed between two calls.

One seed repeats a run. The queue is a plain one, first in, first out: fairness must come from our own scheduling.
"""

import io
import logging
import os
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Final, cast
from unittest.mock import patch

import simplejson
from boto3.dynamodb.types import TypeDeserializer

from settlement import clients, clock
from settlement.apps import App, AppRegistry
from settlement.breaker import Breaker
from settlement.courier import Courier, Trip
from settlement.delivery import NoAnswer, Refused, Request, Response
from settlement.keyring import Keyring
from settlement.ledger import Ledger, Notification
from settlement.queue import NotificationQueue, Release, read_message
from settlepoint_local.in_process import LambdaContext, World
from settlepoint_local.lambda_events import REGION, stream_event
from settlepoint_local.scene import APPS, GENERATION, Scene
from settlepoint_local.template import environment, table_definitions
from tests.paper import PaperDynamoDB

from .virtual_time import VirtualTime

SWEEP_MS: Final = 60_000
VISIBILITY_MS: Final = 180_000
MAX_RECEIVES: Final = 5
BATCH: Final = 10
LOOK_MS: Final = 200
OK: Final = Response(200, None, b'{"ret_code":0}', complete=True)

type Answer = tuple[int, Response | NoAnswer | Refused]
"""After so many ms."""
type Behaviour = Callable[[str, int], Answer]
"""What a receiver does at a moment (ms) with a notification."""


class Killed(BaseException):
    """The process is gone: nothing of it is heard again."""


def prompt(_: str, __: int) -> Answer:
    return 20, OK


def silent(_: str, __: int) -> Answer:
    """Accepts the connection and never answers."""
    return 5000, NoAnswer("timeout")


def refusing(_: str, __: int) -> Answer:
    return 1, NoAnswer("connection refused")


@dataclass(frozen=True, slots=True)
class Received:
    """A request as the receiver's own log has it."""

    time_ms: int
    app_id: str
    notify_id: str
    body: bytes
    acknowledged: bool


@dataclass(slots=True)
class Queued:
    body: str
    receives: int = 0


@dataclass(slots=True)
class Process:
    """One batch in one process."""

    killed: bool = False


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong."""

    kill_at: frozenset[int] = frozenset()
    """Which boundaries, counted from now: before and after each call to AWS, before, in and after each request."""
    lose_stream_batch: float = 0.0
    lose_message: float = 0.0
    double_message: float = 0.0


class Watched:
    """A client whose calls take time, and between which the process may end."""

    def __init__(self, client: Any, run: "Simulation") -> None:
        self._client = client
        self._run = run

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if not callable(real) or name in ("exceptions", "get_paginator"):
            return real

        def call(**arguments: Any) -> Any:
            self._run.boundary()
            self._run.time.sleep(self._run.call_ms)
            self._run.boundary()
            answer = real(**arguments)
            self._run.boundary()
            return answer

        return call


class Simulation:
    def __init__(self, seed: int, *, slots: int = 50, call_ms: int = 5, queue_ms: int = 30) -> None:
        """`slots`: batches at once. `call_ms`: a call to AWS. `queue_ms`: from sent to received."""
        self.random = random.Random(seed)  # noqa: S311  # the same every time
        self.time = VirtualTime(Scene().now_ms)
        self.slots = slots
        self.call_ms = call_ms
        self.queue_ms = queue_ms
        self.faults = Faults()
        self.kills = 0
        self.receivers: dict[str, Behaviour] = {}
        self.requests: list[Received] = []
        self.committed: dict[str, str] = {}
        """The bodies of all that is in the ledger, by notify_id."""
        self.trips: list[tuple[int, Trip]] = []
        self.dead_letters: list[str] = []
        self.faults_of_ours: list[Exception] = []
        self.paper = PaperDynamoDB()
        self.dynamodb = cast("Any", Watched(self.paper, self))
        self.sqs = cast("Any", Watched(SimpleNamespace(send_message_batch=self._send_to_queue), self))
        self.ledger = Ledger(self.dynamodb, "NotificationTable")
        self.apps = AppRegistry(cast("Any", self.paper), "AppTable")
        self.keyring = Keyring(lambda: cast("Any", self), "master")
        self._known: dict[str, App] = {}
        self._doors = World()
        self._waiting: deque[Queued] = deque()
        self._busy = 0
        self._streamed: set[str] = set()
        self._streams = True
        self._purged_ms = -1
        self._boundaries = 0
        self._process: dict[Any, Process] = {}

    # ------------------------------------------------------------------------------------------------- a run

    @classmethod
    @contextmanager
    def of(cls, seed: int, **settings: Any) -> Iterator["Simulation"]:
        made = cls(seed, **settings)
        for name, definition in table_definitions().items():
            made.paper.create_table(TableName=name, **cast("Any", definition))
        names = {name: name for name in (*table_definitions(), "DeadLetterQueue")}
        variables = environment({**names, "NotificationQueue": "https://queue.example/q", "MasterSecret": "master"})
        with ExitStack() as stack:
            stack.enter_context(patch.dict(os.environ, {**variables, "AWS_DEFAULT_REGION": REGION}))
            stack.enter_context(
                patch.object(clock, "time", SimpleNamespace(time_ns=lambda: made.time.now_ms * 1_000_000))
            )
            for name, client in (("dynamodb", made.dynamodb), ("sqs", made.sqs), ("secrets_manager", made)):
                stack.enter_context(patch.object(clients, name, lambda client=client: client))
            stack.callback(logging.disable, logging.root.manager.disable)
            logging.disable(logging.CRITICAL)  # thousands of calls
            stack.enter_context(redirect_stdout(io.StringIO()))  # and their metrics
            stack.callback(made._doors.cold_start)
            made._every(SWEEP_MS, lambda: made.as_process(lambda: made.invoke("requeue_notifications", {})))
            stack.callback(made.time.stop)
            yield made

    def run(self, seconds: float, done: Callable[[], bool] = lambda: False) -> None:
        self.time.run(self.time.now_ms + int(seconds * 1000), done)

    def app(self, app_id: str, behaviour: Behaviour = prompt, **changes: Any) -> None:
        """A club that is told, and how its receiver behaves."""
        self._known[app_id] = replace(
            APPS["club-a"], app_id=app_id, **{"notify_url": f"https://{app_id}.example/", **changes}
        )
        self.receivers[app_id] = behaviour
        self.paper.delete_item(TableName="AppTable", Key={"app_id": {"S": app_id}})
        self.apps.create(self._known[app_id], self.keyring)

    def get_secret_value(self, **_: str) -> dict[str, str]:
        """Secrets Manager's one call."""
        return {"SecretString": simplejson.dumps({str(GENERATION): Scene().master})}

    # ---------------------------------------------------------------------------------------------- settlements

    def commit(self, app_id: str) -> str:
        """A ledger row as a settlement writes it, now; the stream has it."""
        notify_id = f"{self.random.getrandbits(256):064x}"
        notification = Notification(
            notify_id, app_id, "upbot.club.jf.settle", self.time.now_ms, f'{{"n":"{notify_id}"}}'
        )
        put = self.ledger.addition(notification)["Put"]
        self.paper.put_item(TableName=put["TableName"], Item=put["Item"])
        self._stream([dict(put["Item"])])
        return notify_id

    def load(self, app_id: str, per_second: float, seconds: float) -> None:
        """Commits at even distances from a random offset on."""
        distance_ms = 1000 / per_second
        offset = self.random.random() * distance_ms
        for number in range(int(per_second * seconds)):
            self.time.after(int(offset + number * distance_ms), lambda: self._commit_quietly(app_id))

    def _commit_quietly(self, app_id: str) -> None:
        self.commit(app_id)

    # --------------------------------------------------------------------------------------- stream and queue

    def stream(self) -> None:
        """Hands the ledger's new rows to queue_notifications, a moment later."""
        rows = self.paper.scan(TableName="NotificationTable")["Items"]
        self._stream([row for row in rows if row["notify_id"]["S"] not in self._streamed])

    def _stream(self, rows: "list[dict[str, Any]]") -> None:
        self._streamed |= {row["notify_id"]["S"] for row in rows}
        self.committed |= {row["notify_id"]["S"]: row["body"]["S"] for row in rows if "notify_event" in row}
        if rows and self._streams and self.random.random() >= self.faults.lose_stream_batch:
            event = stream_event([("INSERT", {"notify_id": row["notify_id"]}, row) for row in rows], self.time.now_ms)
            self.time.after(self.queue_ms, lambda: self._hand_over(event))

    def _hand_over(self, event: Any) -> None:
        """A batch of the stream that fails comes again."""
        if not self.as_process(lambda: self.invoke("queue_notifications", event)):
            self.time.after(1000, lambda: self._hand_over(event))

    def drop_the_stream(self) -> None:
        self._streams = False

    def purge(self) -> None:
        """What is in the queue is gone, delayed messages too; what is being delivered goes on."""
        self._purged_ms = self.time.now_ms
        self._waiting.clear()

    def _send_to_queue(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG002, N803
        for entry in Entries:
            copies = 1
            if self.random.random() < self.faults.lose_message:
                copies = 0
            elif self.random.random() < self.faults.double_message:
                copies = 2
            for _ in range(copies):
                self._arrive(Queued(entry["MessageBody"]), entry["DelaySeconds"] * 1000 + self.queue_ms)
        return {}

    def _arrive(self, message: Queued, after_ms: int) -> None:
        sent_ms = self.time.now_ms

        def arrive() -> None:
            if sent_ms > self._purged_ms:
                self._waiting.append(message)
                self._start_batches()

        self.time.after(after_ms, arrive)

    def _start_batches(self) -> None:
        while self._waiting and self._busy < self.slots:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._busy += 1
            self.time.after(0, lambda batch=batch: self._deliver(batch))  # type: ignore[misc]

    # ------------------------------------------------------------------------------------------------ delivering

    def _deliver(self, batch: list[Queued]) -> None:
        """One batch in one process: its messages in parallel, gone from the queue when all have ended."""
        process = Process()
        courier = self._courier()
        left = [len(batch)]

        def one(message: Queued) -> None:
            message.receives += 1
            failed = False
            try:
                with self._in(process):
                    self.trips.append((self.time.now_ms, self._trip(courier, message.body)))
                    self.boundary()
            except Killed:
                failed = True
            except Exception as fault:  # noqa: BLE001  # a fault of ours: the message goes back
                self.faults_of_ours.append(fault)
                failed = True
            if failed:
                self._back(message)
            left[0] -= 1
            if not left[0]:
                self._busy -= 1
                self._start_batches()

        def look() -> None:
            while left[0] and not process.killed:
                self.time.sleep(LOOK_MS)
                if left[0] and not process.killed:
                    with suppress(Killed), self._in(process):
                        courier.doubt_the_slow()

        for message in batch:
            self.time.after(0, lambda message=message: one(message))  # type: ignore[misc]
        self.time.after(0, look)

    def _trip(self, courier: Courier, body: str) -> Trip:
        match read_message(body):
            case Release(app_id, pace):
                return courier.release(app_id, pace)
            case notify_id, attempt_number:
                return courier.deliver(notify_id, attempt_number)

    def _back(self, message: Queued) -> None:
        if message.receives >= MAX_RECEIVES:
            self.dead_letters.append(message.body)
        else:
            self._arrive(message, VISIBILITY_MS)

    def _courier(self) -> Courier:
        return Courier(
            ledger=self.ledger,
            queue=NotificationQueue(self.sqs, "https://queue.example/q"),
            apps=cast("Any", SimpleNamespace(find=self._known.get)),
            keyring=self.keyring,
            send=self._send,
            clock_ms=clock.now_ms,
            nonce=lambda: f"{self.random.getrandbits(128):032x}",
            jitter=self.random.random,
        )

    def _send(self, request: Request) -> Response | NoAnswer | Refused:
        self.boundary()
        app_id, notify_id = request.headers["Sud-AppId"], request.headers["webhook-id"]
        duration_ms, answer = self.receivers[app_id](notify_id, self.time.now_ms)
        acknowledged = answer == OK
        self.requests.append(Received(self.time.now_ms, app_id, notify_id, request.body, acknowledged))
        self.time.sleep(duration_ms)
        self.boundary()
        return answer

    def invoke(self, folder: str, event: Any) -> Any:
        """A door's handler; not World.invoke, which listens to one call at a time."""
        return self._doors.function(folder).handler(event, LambdaContext(folder))

    # ------------------------------------------------------------------------------------------ time and kills

    def _every(self, period_ms: int, work: Callable[[], object]) -> None:
        def again() -> None:
            self.time.after(period_ms, again)
            work()

        self.time.after(period_ms, again)

    def as_process(self, work: Callable[[], object]) -> bool:
        """Whether it came to its end."""
        ended = False
        with suppress(Killed), self._in(Process()):
            work()
            ended = True
        return ended

    @contextmanager
    def _in(self, process: Process) -> Iterator[None]:
        task = self.time._running
        self._process[task] = process
        try:
            yield
        finally:
            del self._process[task]

    def boundary(self) -> None:
        """A place where the process may end; where one of its tasks was killed, it has."""
        process = self._process.get(self.time._running)
        if process is None:
            return
        self._boundaries += 1
        if not process.killed and self._boundaries in self.faults.kill_at:
            process.killed = True
            self.kills += 1
        if process.killed:
            raise Killed

    # --------------------------------------------------------------------------------------------- what came of it

    def breaker(self, app_id: str) -> Breaker:
        return self.ledger.breaker(app_id)

    def table(self, name: str) -> list[dict[str, Any]]:
        read: Callable[[Any], Any] = TypeDeserializer().deserialize
        items = self.paper.tables[name].items.values()
        return [{attribute: _plain(read(value)) for attribute, value in item.items()} for item in items]

    def rows(self) -> dict[str, dict[str, Any]]:
        """The ledger's notifications."""
        return {row["notify_id"]: row for row in self.table("NotificationTable") if "notify_event" in row}

    def all_delivered(self) -> bool:
        items = self.paper.tables["NotificationTable"].items.values()
        return all(item["status"]["S"] == "delivered" for item in items if "notify_event" in item)


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(part) for name, part in value.items()}
        case list():
            return [_plain(part) for part in value]
        case str() | bool() | set():
            return value
    return int(value)

"""The bundle in virtual time: the real doors and courier on tables on paper, around them what AWS does - stream, queue,
batches in a limited number of processes, a schedule every minute - and receivers that are told how to behave. Whatever
may fail can be made to: messages are lost, doubled and overtaken, calls fail (`aws`), processes are killed between two
of them, hosts' clocks differ.

One seed repeats a run. The queue is a plain one, first in, first out: fairness must come from our own scheduling.
"""

import io
import logging
import os
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from copy import replace
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, cast
from unittest.mock import patch

import simplejson
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import BotoCoreError, ClientError

from settlement import apps, clients, clock, keyring, store
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

from .aws import KINDS, Commit, Watched, WatchedTables
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
    """One invocation of one function."""

    skew_ms: int = 0
    """How far its host's clock is ahead."""
    ends_ms: int | None = None
    """When it is ended at the latest."""
    killed: bool = False
    met: list[str] = field(default_factory=list)
    """What went wrong with its calls."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong."""

    kill_at: frozenset[int] = frozenset()
    """Which boundaries, counted from now: before and after each call to AWS, before, in and after each request."""
    kill: float = 0.0
    """The chance at each boundary."""
    lose_stream_batch: float = 0.0
    double_stream_batch: float = 0.0
    lose_message: float = 0.0
    double_message: float = 0.0
    overtake_ms: int = 0
    """By how much a batch of the stream, or a message, may come later than another."""
    calls: Mapping[str, float] = field(default_factory=dict)
    """The chance of each kind that `aws` has."""


class Simulation:
    def __init__(self, seed: int, *, slots: int = 50, call_ms: int = 5, queue_ms: int = 30, hold_ms: int = 0) -> None:
        """`slots`: batches at once. `call_ms`: a call to AWS. `queue_ms`: from sent to received.

        `hold_ms`: for how long at most a transaction holds its rows; 0: all of them happen one after the other.
        """
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311  # the same every time
        self.time = VirtualTime(Scene().now_ms)
        self.slots = slots
        self.hold_ms = hold_ms
        self.call_ms = call_ms
        self.queue_ms = queue_ms
        self.faults = Faults()
        self.kills = 0
        self.met: Counter[str] = Counter()
        """What went wrong with how many calls."""
        self.journal: list[Commit] = []
        self.receivers: dict[str, Behaviour] = {}
        self.requests: list[Received] = []
        self.committed: dict[str, str] = {}
        """The bodies of all that is in the ledger, by notify_id."""
        self.trips: list[tuple[int, Trip]] = []
        self.dead_letters: list[str] = []
        self.faults_of_ours: list[Exception] = []
        self.paper = PaperDynamoDB(lambda: self.time.now_ms, self.index_lag_ms)
        self.dynamodb = cast("Any", WatchedTables(self.paper, self))
        self.sqs = cast("Any", Watched(SimpleNamespace(send_message_batch=self._send_to_queue), self))
        self.secrets_manager = cast("Any", Watched(SimpleNamespace(get_secret_value=self.get_secret_value), self))
        self.ledger = Ledger(self.dynamodb, "NotificationTable")
        self.apps = AppRegistry(cast("Any", self.paper), "AppTable")
        self.keyring = Keyring(lambda: cast("Any", self), "master")
        self._known: dict[str, App] = {}
        self._doors = World()
        self._waiting: deque[Queued] = deque()
        self._busy = 0
        self._streams = True
        self._purged_ms = -1
        self._boundaries = 0
        self._process: dict[Any, Process | None] = {}

    # ------------------------------------------------------------------------------------------------- a run

    @classmethod
    @contextmanager
    def of(cls, seed: int, **settings: Any) -> Iterator["Simulation"]:
        made = cls(seed, **settings)
        for name, definition in table_definitions().items():
            made.paper.create_table(TableName=name, **cast("Any", definition))
        names = {name: name for name in (*table_definitions(), "DeadLetterQueue", "StatementBucket")}
        variables = environment({**names, "NotificationQueue": "https://queue.example/q", "MasterSecret": "master"})
        with ExitStack() as stack:
            stack.enter_context(patch.dict(os.environ, {**variables, "AWS_DEFAULT_REGION": REGION}))
            stack.enter_context(patch.object(clock, "time", SimpleNamespace(time_ns=made.host_time_ns)))
            waits = SimpleNamespace(monotonic=made.monotonic, sleep=made.sleep)
            for module in (store, apps, keyring):
                stack.enter_context(patch.object(module, "time", waits))
            stack.enter_context(patch.object(store, "random", made.random))
            for name, client in (
                ("dynamodb", made.dynamodb),
                ("sqs", made.sqs),
                ("secrets_manager", made.secrets_manager),
            ):
                stack.enter_context(patch.object(clients, name, lambda client=client: client))
            stack.callback(logging.disable, logging.root.manager.disable)
            logging.disable(logging.CRITICAL)  # thousands of calls
            stack.enter_context(redirect_stdout(io.StringIO()))  # and their metrics
            stack.callback(made.forget_doors)
            made._every(SWEEP_MS, lambda: made.as_process(lambda: made.invoke("requeue_notifications", {})))
            stack.callback(made.time.stop)
            yield made

    def run(self, seconds: float, done: Callable[[], bool] | None = None) -> None:
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

    def wrote(self, commit: Commit) -> None:
        """Every row written by a call, as it is written; the ledger's stream has the new ones."""
        self.journal.append(commit)
        if commit.table == "NotificationTable" and commit.before is None and commit.after is not None:
            self._stream([commit.after])

    def _stream(self, rows: "list[dict[str, Any]]") -> None:
        self.committed |= {row["notify_id"]["S"]: row["body"]["S"] for row in rows if "notify_event" in row}
        if self._streams and not self._by_chance(self.faults.lose_stream_batch):
            event = stream_event([("INSERT", {"notify_id": row["notify_id"]}, row) for row in rows], self.time.now_ms)
            for _ in range(2 if self._by_chance(self.faults.double_stream_batch) else 1):
                self.time.after(self.queue_ms + self._overtaken_ms(), lambda: self._hand_over(event))

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
            if self._by_chance(self.faults.lose_message):
                copies = 0
            elif self._by_chance(self.faults.double_message):
                copies = 2
            for _ in range(copies):
                wait_ms = entry["DelaySeconds"] * 1000 + self.queue_ms + self._overtaken_ms()
                self._arrive(Queued(entry["MessageBody"]), wait_ms)
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
        process = self.new_process()
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
                    with suppress(Killed, BotoCoreError, ClientError), self._in(process):
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
            apps=self.registry(),
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

    def registry(self) -> AppRegistry:
        """What a delivering process knows of the apps; here, all there is to know."""
        return cast("AppRegistry", SimpleNamespace(find=self._known.get))

    def invoke(self, folder: str, event: Any) -> Any:
        """A door's handler; not World.invoke, which listens to one call at a time."""
        return self._doors.function(folder).handler(event, LambdaContext(folder))

    # ------------------------------------------------------------------------------------------ time and kills

    def _every(self, period_ms: int, work: Callable[[], object]) -> None:
        def again() -> None:
            self.time.after(period_ms, again)
            work()

        self.time.after(period_ms, again)

    def forget_doors(self) -> None:
        self._doors.cold_start()

    def new_process(self) -> Process:
        return Process()

    def as_process(self, work: Callable[[], object], process: Process | None = None) -> bool:
        """Whether it came to its end. Raises what it raised without a cause."""
        process = process or self.new_process()
        ended = False
        try:
            with suppress(Killed), self._in(process):
                work()
                ended = True
        except Exception as fault:
            if not process.met:
                raise
            self.faults_of_ours.append(fault)  # AWS tries again
        return ended

    def on_behalf(self, process: Process | None, work: Callable[[], object]) -> None:
        """What a process left behind happens; nobody hears how it ended."""
        self._process[self.time.running] = process
        try:
            with suppress(ClientError):
                work()
        finally:
            del self._process[self.time.running]

    @contextmanager
    def _in(self, process: Process) -> Iterator[None]:
        task = self.time.running
        self._process[task] = process
        try:
            yield
        finally:
            del self._process[task]

    @property
    def process(self) -> Process | None:
        """The one that runs now."""
        return self._process.get(self.time.running)

    def boundary(self) -> None:
        """A place where the process may end; where one of its tasks was killed, it has."""
        process = self.process
        if process is None:
            return
        self._boundaries += 1
        late = process.ends_ms is not None and self.time.now_ms > process.ends_ms
        killed = late or self._boundaries in self.faults.kill_at or self._by_chance(self.faults.kill)
        if killed and not process.killed:
            process.killed = True
            process.met.append("killed")
            self.kills += 1
        if process.killed:
            raise Killed

    def peril(self, name: str, possible: "set[str]") -> str | None:
        """What goes wrong with a call that a process makes now."""
        process, calls = self.process, self.faults.calls
        if process is None or not calls:
            return None
        roll = self.random.random()
        for kind in KINDS:
            if kind in possible:
                roll -= calls.get(kind, 0.0)
                if roll < 0:
                    process.met.append(f"{name}: {kind}")
                    self.met[kind] += 1
                    return kind
        return None

    def latency_ms(self) -> int:
        return self.call_ms

    def index_lag_ms(self) -> int:
        """How much later than its table an index has a write."""
        return 0

    def host_time_ns(self) -> int:
        """As the host of the process that runs now has it."""
        process = self.process
        return (self.time.now_ms + (process.skew_ms if process else 0)) * 1_000_000

    def monotonic(self) -> float:
        return self.time.now_ms / 1000

    def sleep(self, seconds: float) -> None:
        self.time.sleep(max(1, round(seconds * 1000)))

    def _by_chance(self, chance: float) -> bool:
        return chance > 0 and self.random.random() < chance

    def _overtaken_ms(self) -> int:
        return self.random.randint(0, self.faults.overtake_ms) if self.faults.overtake_ms else 0

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

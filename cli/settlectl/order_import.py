"""Importing orders: each row one CreateClubJfOrder, several at a time, to be stopped and taken up again at any moment.

Creating is idempotent, so sending a row twice does no harm: the state file only saves time.

    FILE                      never changed
    FILE.import-state         while unfinished: the line up to which every row has its final answer; saved every second
    FILE.rejected.jsonl       the rows that were not accepted, one JSON object each: line, kind, reason, ret, and
                              the row as it was sent (order, null where it was not) and as it stands in FILE (text)

An answer that is final (accepted, conflict, refused) counts for its row. Anything else (throttled, 5xx, no answer) is
tried again with growing waits; when that does not help, or the token is refused, the import stops, to be resumed.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Final, Literal, NamedTuple

import simplejson
from pydantic import BaseModel, ValidationError

from settlectl.calls import Answer, Client
from settlectl.deployment import Deployment
from settlectl.failures import BadInput, CommandFailed, Interrupted, NoAnswer
from settlectl.order_files import FaultyRow, OrderRow, Row, digest_of, read_rows
from settlectl.tokens import mint_token, why_useless
from settlement.errors import BadRequest, OrderExists

PATH: Final = "/upbot/api/CreateClubJfOrder"
SCOPE: Final = "orders:write"
TOKEN_SECONDS: Final = 3600
TOKEN_RESERVE_SECONDS: Final = 600
RETRY_SECONDS: Final = (0.5, 1, 2, 4, 8, 16)
"""The wait after each try without a final answer, stretched by up to a half."""
MAX_RETRY_AFTER_SECONDS: Final = 60
SAVE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """Stored, now or by an earlier call: the API does not tell the two apart."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A final answer other than success, or a row that was never sent."""

    kind: Literal["conflict", "refused", "invalid"]
    reason: str
    ret: int | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """No final answer for this row, nor likely for the next: the import stops here."""

    reason: str


type Outcome = Accepted | Rejected | Blocked


@dataclass(slots=True)
class Tally:
    """What became of the rows so far, those of earlier runs among them."""

    rows: int
    accepted: int = 0
    conflicts: int = 0
    refused: int = 0
    invalid: int = 0

    @property
    def done(self) -> int:
        return self.accepted + self.not_accepted

    @property
    def not_accepted(self) -> int:
        return self.conflicts + self.refused + self.invalid

    def count(self, outcome: Accepted | Rejected) -> None:
        match outcome:
            case Accepted():
                self.accepted += 1
            case Rejected(kind="conflict"):
                self.conflicts += 1
            case Rejected(kind="refused"):
                self.refused += 1
            case Rejected(kind="invalid"):
                self.invalid += 1


@dataclass(frozen=True, slots=True)
class Survey:
    """The file as it was read before anything is sent."""

    rows: int
    faults: list[FaultyRow]


class State(BaseModel):
    """FILE.import-state: what it belongs to, and how far it is."""

    sha256: str
    app_id: str
    base_url: str
    done_through_line: int = 0
    accepted: int = 0
    conflicts: int = 0
    refused: int = 0
    invalid: int = 0
    rejected_bytes: int = 0
    """Length of FILE.rejected.jsonl at that point."""


class Listener(NamedTuple):
    """Who is told while it runs, from the importing thread."""

    progressed: Callable[[Tally], None] = lambda _: None
    rejected: Callable[[int, Rejected], None] = lambda _, __: None
    """Line and reason."""
    resumed: Callable[[int], None] = lambda _: None
    """The line after which it goes on."""


def survey(file: Path) -> Survey:
    """Validates every row. Raises BadInput where the file as a whole cannot be read."""
    rows = 0
    faults = []
    for row in read_rows(file):
        rows += 1
        if isinstance(row, FaultyRow):
            faults.append(row)
    return Survey(rows, faults)


def state_path(file: Path) -> Path:
    return file.with_name(f"{file.name}.import-state")


def rejected_path(file: Path) -> Path:
    return file.with_name(f"{file.name}.rejected.jsonl")


def import_orders(
    deployment: Deployment,
    app_id: str,
    file: Path,
    rows: int,
    *,
    concurrency: int = 8,
    listener: Listener | None = None,
    retry_seconds: tuple[float, ...] = RETRY_SECONDS,
) -> Tally:
    """Sends the file's orders and counts what became of them; faulty rows are not sent and count as invalid.

    Raises CommandFailed where it cannot begin or go on, Interrupted at Ctrl-C; the same call later goes on from there.
    """
    tell = listener or Listener()
    bearer = Bearer(deployment, app_id)
    new = State(sha256=digest_of(file), app_id=app_id, base_url=deployment.base_url)
    state = _resumable(file, new) or new
    if state.done_through_line:
        tell.resumed(state.done_through_line)
    tally = Tally(rows, state.accepted, state.conflicts, state.refused, state.invalid)
    stop = threading.Event()
    sender = Sender(Client(deployment.base_url, concurrency), bearer, stop, retry_seconds)
    remaining = (row for row in read_rows(file) if row.line > state.done_through_line)
    with (
        _journal(file, state, tally) as journal,
        closing(_outcomes(remaining, sender.send, concurrency, stop)) as outcomes,
    ):
        for row, outcome in outcomes:
            if isinstance(outcome, Blocked):
                raise CommandFailed(
                    f"stopped at line {row.line}: {outcome.reason}. {tally.done} of {rows} rows are done; "
                    "run the same command again to go on"
                )
            tally.count(outcome)
            if isinstance(outcome, Rejected):
                journal.reject(row, outcome)
                tell.rejected(row.line, outcome)
            journal.done(row.line)
            tell.progressed(tally)
    state_path(file).unlink()
    if not tally.not_accepted:
        rejected_path(file).unlink()
    return tally


def _outcomes(
    rows: Iterator[Row], send: Callable[[OrderRow], Outcome], concurrency: int, stop: threading.Event
) -> Generator[tuple[Row, Outcome]]:
    """Each row with its outcome, in the file's order, while later ones are under way.

    However it ends, what is under way is waited for, and what is not begun is dropped.
    """
    waiting: deque[tuple[Row, Future[Outcome]]] = deque()
    with ThreadPoolExecutor(concurrency, thread_name_prefix="import") as pool:
        try:
            for row in rows:
                waiting.append((row, pool.submit(send, row) if isinstance(row, OrderRow) else _invalid(row)))
                if len(waiting) >= 4 * concurrency:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _first(waiting: deque[tuple[Row, Future[Outcome]]]) -> tuple[Row, Outcome]:
    row, future = waiting[0]
    outcome = future.result()
    waiting.popleft()
    return row, outcome


def _invalid(row: FaultyRow) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(Rejected("invalid", row.fault))
    return future


class Bearer:
    """The Authorization header of a short-lived token, renewed before it ends. Used from several threads."""

    def __init__(self, deployment: Deployment, app_id: str) -> None:
        """Raises NoSuchApp, and CommandFailed where a token of this app would be refused."""
        self._deployment = deployment
        self._app_id = app_id
        self._lock = threading.Lock()
        reasons = why_useless(deployment.app(app_id))
        if reasons:
            raise CommandFailed(f"{reasons[0]}; nothing was sent")
        self._token = mint_token(deployment, app_id, [SCOPE], TOKEN_SECONDS)

    def header(self) -> str:
        with self._lock:
            if self._token.expires_at - time.time() < TOKEN_RESERVE_SECONDS:
                self._token = mint_token(self._deployment, self._app_id, [SCOPE], TOKEN_SECONDS)
            return f"Bearer {self._token.token}"


@dataclass(frozen=True, slots=True)
class Sender:
    client: Client
    bearer: Bearer
    stop: threading.Event
    retry_seconds: tuple[float, ...]

    def send(self, row: OrderRow) -> Outcome:
        """Tries until the answer is final, the waits are used up, or the import stops."""
        for wait_seconds in (*self.retry_seconds, None):
            retry_after_seconds = 0.0
            try:
                answer = self.client.post(PATH, row.body, self.bearer.header())
            except NoAnswer as error:
                reason = str(error)
            else:
                outcome = final_outcome(answer)
                if outcome is not None:
                    return outcome
                reason = f"HTTP {answer.status}"
                retry_after_seconds = _retry_after_seconds(answer)
            if wait_seconds is None:
                return Blocked(reason)
            if self.stop.wait(max(wait_seconds * random.uniform(1, 1.5), retry_after_seconds)):  # noqa: S311 (jitter)
                return Blocked("stopped")
        raise AssertionError("the last wait is None")


def final_outcome(answer: Answer) -> Outcome | None:
    """What an answer of CreateClubJfOrder means; None: try again."""
    code = answer.code("ret")
    match answer.status:
        case 200 if code == 0:
            return Accepted()
        case 200 if code == OrderExists.club.code:
            return Rejected("conflict", _detail(answer), code)
        case 200 | 413 if code == BadRequest.club.code:
            return Rejected("refused", _detail(answer), code)
        case 429:
            return None
        case status if status >= 500:
            return None
        case status:
            return Blocked(f"HTTP {status}, ret {code}: {_detail(answer)}")


def _detail(answer: Answer) -> str:
    value = answer.value()
    return str(value.get("detail") or value.get("msg") or "") if isinstance(value, dict) else "not an envelope"


def _retry_after_seconds(answer: Answer) -> float:
    value = answer.headers.get("Retry-After", "")
    return min(int(value), MAX_RETRY_AFTER_SECONDS) if value.isascii() and value.isdecimal() and len(value) < 10 else 0


# ------------------------------------------------------------------------------------------- what is kept


@dataclass(slots=True)
class Journal:
    """The state file and the rejected rows, which agree with each other whenever the state is saved."""

    file: Path
    state: State
    tally: Tally
    rejected: IO[bytes]
    line: int
    saved_at: float = field(default_factory=time.monotonic)

    def reject(self, row: Row, outcome: Rejected) -> None:
        order = simplejson.loads(row.body, use_decimal=True) if isinstance(row, OrderRow) else None
        entry = {
            "line": row.line,
            "kind": outcome.kind,
            "reason": outcome.reason,
            "ret": outcome.ret,
            "order": order,
            "text": row.text,
        }
        self.rejected.write(simplejson.dumps(entry).encode() + b"\n")

    def done(self, line: int) -> None:
        self.line = line
        if time.monotonic() - self.saved_at > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        self.rejected.flush()
        counts = {f.name: getattr(self.tally, f.name) for f in fields(self.tally) if f.name != "rows"}
        state = self.state.model_copy(
            update={"done_through_line": self.line, "rejected_bytes": self.rejected.tell(), **counts}
        )
        path = state_path(self.file)
        new = path.with_name(f"{path.name}.new")
        new.write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")
        new.replace(path)
        self.saved_at = time.monotonic()


@contextmanager
def _journal(file: Path, state: State, tally: Tally) -> Iterator[Journal]:
    """Saves at the end, and at the beginning: a folder that cannot be written to is found before anything is sent."""
    path = rejected_path(file)
    try:
        with path.open("r+b" if state.done_through_line else "wb") as rejected:
            rejected.truncate(state.rejected_bytes)
            rejected.seek(state.rejected_bytes)
            journal = Journal(file, state, tally, rejected, state.done_through_line)
            journal.save()
            try:
                yield journal
            except KeyboardInterrupt as interruption:
                raise Interrupted(
                    f"interrupted: {tally.done} of {tally.rows} rows are done; run the same command again to go on"
                ) from interruption
            finally:
                journal.save()
    except OSError as error:
        raise CommandFailed(f"cannot write beside {file}: {error.strerror}") from error


def _resumable(file: Path, new: State) -> State | None:
    """The state of an earlier run of the very same import; None begins anew."""
    try:
        state = State.model_validate_json(state_path(file).read_bytes())
        rejected_bytes = rejected_path(file).stat().st_size
    except (FileNotFoundError, ValidationError):
        return None
    except OSError as error:
        raise BadInput(f"{state_path(file)}: {error.strerror}") from error
    same = (state.sha256, state.app_id, state.base_url) == (new.sha256, new.app_id, new.base_url)
    return state if same and rejected_bytes >= state.rejected_bytes else None

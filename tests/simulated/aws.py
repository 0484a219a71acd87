"""AWS at its client's boundary: every call takes its time, in which others make theirs, and may go wrong by itself.

    refused       an error, nothing is done            reply lost   done, and nobody hears of it
    throttled     the same, by another name            late         given up as timed out, done some time afterwards
    timed out     it never arrived                     in progress  done; botocore's repeat of it is told to wait
    conflict      a transaction is cancelled, though no neighbour is in its rows
    unprocessed   a batch's answer lacks some keys
    stale         a read that does not ask to be consistent shows the row as it was

A transaction holds its rows from its prepare until its end, as DynamoDB's do. What finds one of them held is cancelled
or refused, the rows that it got itself meanwhile stay held until then:

    ----prepare=========commit----->      rows held: =
          ----prepare xxx cancelled->     finds one held; holds the others meanwhile: x
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from tests.paper import Exceptions, Item, Pages, PaperDynamoDB, fault

if TYPE_CHECKING:
    from .simulation import Process, Simulation

type Place = tuple[str, tuple[Any, ...]]
"""A row: its table and its key."""

KINDS: Final = [
    "refused",
    "throttled",
    "timed_out",
    "reply_lost",
    "late",
    "conflict",
    "in_progress",
    "unprocessed",
    "stale",
]
_WRITES: Final = {"put_item", "update_item", "delete_item", "transact_write_items", "send_message_batch"}
_ANY_CALL: Final = {"refused", "throttled", "timed_out"}
_OF: Final[dict[str, set[str]]] = {
    "transact_write_items": {*_ANY_CALL, "reply_lost", "late", "conflict", "in_progress"},
    "batch_get_item": {*_ANY_CALL, "unprocessed"},
    "get_item": {*_ANY_CALL, "stale"},
    **{name: {*_ANY_CALL, "reply_lost", "late"} for name in _WRITES - {"transact_write_items"}},
}
_LATEST_MS: Final = 5_000
_PATIENCE_MS: Final = 3_000
"""How long a caller waits for an answer that does not come."""
STALE_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Commit:
    """One row that was written."""

    time_ms: int
    process: "Process | None"
    table: str
    key: tuple[Any, ...]
    before: Item | None
    after: Item | None


class Watched:
    """A client whose calls take time, may fail, and between which the process may end."""

    def __init__(self, client: Any, run: "Simulation") -> None:
        self._client = client
        self._run = run

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name == "exceptions" or not callable(real):
            return real

        def call(**arguments: Any) -> Any:
            self._run.boundary()
            self._run.time.sleep(self._run.latency_ms())
            self._run.boundary()
            answer = self._happen(name, lambda: self._do(name, real, arguments), arguments)
            self._run.boundary()
            return answer

        return call

    def get_paginator(self, name: str) -> Pages:
        return Pages(getattr(self, name))

    def _do(self, _: str, real: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        return real(**arguments)

    def _happen(self, name: str, do: Callable[[], Any], arguments: dict[str, Any]) -> Any:
        run = self._run
        match run.peril(name, _OF.get(name, _ANY_CALL)):
            case "refused":
                raise _error("InternalServerError", name)
            case "throttled":
                raise _error("ThrottlingException", name)
            case "timed_out":
                run.time.sleep(_PATIENCE_MS)
                raise ConnectTimeoutError(endpoint_url=name)
            case "reply_lost":
                do()
                run.time.sleep(_PATIENCE_MS)
                raise ReadTimeoutError(endpoint_url=name)
            case "late":
                process = run.process
                run.time.after(run.random.randint(1, _LATEST_MS), lambda: run.on_behalf(process, do))
                run.time.sleep(_PATIENCE_MS)
                raise ReadTimeoutError(endpoint_url=name)
            case "in_progress":
                do()
                raise fault(Exceptions.TransactionInProgressException)
            case "conflict":
                codes = ["None"] * len(arguments["TransactItems"])
                passing = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")
                codes[run.random.randrange(len(codes))] = run.random.choice(passing)
                raise _cancelled(codes)
            case "stale" if not arguments.get("ConsistentRead"):
                return self._stale(arguments)
            case "unprocessed":
                return self._partly(do, arguments)
        return do()

    def _stale(self, arguments: dict[str, Any]) -> Any:
        raise NotImplementedError

    def _partly(self, do: Callable[[], Any], arguments: dict[str, Any]) -> Any:
        """Some keys are left for another call."""
        [(table, request)] = arguments["RequestItems"].items()
        keys = request["Keys"]
        left = keys[self._run.random.randint(0, len(keys) - 1) :]
        arguments["RequestItems"] = {table: {**request, "Keys": keys[: len(keys) - len(left)]}}
        answer = do()
        answer["UnprocessedKeys"] = {table: {**request, "Keys": left}}
        return answer


class WatchedTables(Watched):
    """DynamoDB: rows are held by transactions, and what is written is kept."""

    def __init__(self, paper: PaperDynamoDB, run: "Simulation") -> None:
        super().__init__(paper, run)
        self._paper = paper
        self._held: set[Place] = set()

    def _do(self, name: str, real: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        if name == "batch_get_item":
            return self._one_by_one(arguments)
        if name not in _WRITES:
            return real(**arguments)
        places = list(_places(self._paper, name, arguments))
        if name == "transact_write_items":
            self._prepare(places)
        elif self._held.intersection(places):
            raise fault(Exceptions.TransactionConflictException)
        try:
            before = [self._paper.tables[table].items.get(key) for table, key in places]
            answer = real(**arguments)
        finally:
            if name == "transact_write_items":
                self._held.difference_update(places)
        run = self._run
        for (table, key), was in zip(places, before, strict=True):
            is_now = self._paper.tables[table].items.get(key)
            run.wrote(Commit(run.time.now_ms, run.process, table, key, was, is_now))
        return answer

    def _prepare(self, places: list[Place]) -> None:
        """Holds them for a moment; leaves them held."""
        run = self._run
        if not run.hold_ms:
            return
        codes = ["TransactionConflict" if place in self._held else "None" for place in places]
        got = [place for place, code in zip(places, codes, strict=True) if code == "None"]
        self._held.update(got)
        run.time.sleep(run.random.randint(1, run.hold_ms))
        if len(got) < len(places):
            self._held.difference_update(got)
            raise _cancelled(codes)

    def _one_by_one(self, arguments: dict[str, Any]) -> Any:
        """No snapshot: between two of the keys there is time for a neighbour."""
        found: dict[str, list[Item]] = {}
        for table, request in arguments["RequestItems"].items():
            found[table] = []
            for key in request["Keys"]:
                answer = self._paper.get_item(TableName=table, Key=key)
                found[table] += [answer["Item"]] if answer else []
                if self._run.hold_ms:
                    self._run.time.sleep(self._run.random.randint(0, 1))
        return {"Responses": found, "UnprocessedKeys": {}}

    def _stale(self, arguments: dict[str, Any]) -> Any:
        """The row as it was a second ago."""
        table = arguments["TableName"]
        key = self._paper.tables[table].key_of(arguments["Key"])
        item = self._paper.tables[table].items.get(key)
        for commit in reversed(self._run.journal):
            if commit.time_ms <= self._run.time.now_ms - STALE_MS:
                break
            if (commit.table, commit.key) == (table, key):
                item = commit.before
        return {} if item is None else {"Item": dict(item)}


def _places(paper: PaperDynamoDB, name: str, arguments: Mapping[str, Any]) -> Iterator[Place]:
    requests = [arguments]
    if name == "transact_write_items":
        requests = [request for write in arguments["TransactItems"] for request in write.values()]
    for request in requests:
        table = request["TableName"]
        yield table, paper.tables[table].key_of(request.get("Item") or request["Key"])


def _error(code: str, name: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "in the simulation"}}, name)


def _cancelled(codes: list[str]) -> ClientError:
    return fault(Exceptions.TransactionCanceledException, CancellationReasons=[{"Code": code} for code in codes])

"""A client between whose calls everything can happen that happens to a handler on AWS."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ReadTimeoutError

from .virtual_time import VirtualTime
from .worlds import World

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LONGEST_CALL_SECONDS = 0.02
PASSING = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")


class Killed(BaseException):
    """The handler is gone between two of its calls; nobody catches this on the way out."""


class Perilous:
    """Every call takes a moment, in which other callers make theirs. Then, by chance:

    killed before | done, killed after | refused, nothing written | done, and the reply is lost | done, and a repeat
    with the same token is told that it is still in progress | done
    """

    def __init__(self, world: World, time: VirtualTime, dice: Random, peril: float) -> None:
        self._world = world
        self._time = time
        self._dice = dice
        self._peril = peril
        self.met: list[str] = []

    @property
    def client(self) -> "DynamoDBClient":
        return cast("DynamoDBClient", self)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._world.client, name)
        if name not in {"get_item", "put_item", "transact_write_items", "query"}:
            return real

        def call(**arguments: Any) -> Any:
            self._time.sleep(self._dice.uniform(0, LONGEST_CALL_SECONDS))
            if self._dice.random() >= self._peril:
                return real(**arguments)
            return self._happen(name, lambda: real(**arguments), arguments)

        return call

    def _happen(self, name: str, real: Callable[[], Any], arguments: dict[str, Any]) -> Any:
        kinds = ["killed before", "killed after", "lost reply"]
        if name == "transact_write_items":
            kinds += ["refused", "refused", "in progress"]
        kind = self._dice.choice(kinds)
        self.met.append(f"{name}: {kind}")
        if kind == "killed before":
            raise Killed
        if kind == "refused":
            codes = ["None"] * len(arguments["TransactItems"])
            codes[self._dice.randrange(len(codes))] = self._dice.choice(PASSING)
            raise self._world.meddled.cancelled(*codes)
        answer = real()
        self._time.sleep(self._dice.uniform(0, LONGEST_CALL_SECONDS))
        if kind == "killed after":
            raise Killed
        if kind == "lost reply":
            raise ReadTimeoutError(endpoint_url="dynamodb")
        if kind == "in progress":
            raise self._world.meddled.error("TransactionInProgressException", "TransactWriteItems")
        return answer

"""Making notifications held, many of them: the drain sends them at the pace that their receiver takes.

The row of an app's breaker says that something is held; what nobody said is looked after by nobody:

    before the first      said; in a replay, a breaker that is open goes on trial: the operator says that it is mended
    every 10 s            said again, for the drain believes an empty index a minute after the last word
    after the last one    said again, however it ends; what is held until then goes out
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from settlement.apps import CACHE_SECONDS
from settlement.breaker import FIRST_PACE, HELD_LATELY_MS, Breaker
from settlement.clock import now_ms
from settlement.ledger import SWEEP_GRACE_MS, Ledger, Message
from settlement.queue import NotificationQueue, NotSent, Release

AT_ONCE: Final = 8
"""Writes under way at a time."""
CHUNK: Final = 40
"""Notifications between two looks at the clock."""
CLOCKS_APART_MS: Final = 5000
"""What is planned for now is planned so much earlier: on a host whose clock is behind it would be too early."""
_INDEX_SECONDS: Final = 1
"""How long the first of what is held may take into the index."""
_TRIES: Final = 20


class BreakerContended(Exception):
    """An app's breaker's row changed at every try."""

    def __init__(self, app_id: str) -> None:
        super().__init__(f"app {app_id}: its breaker's row changed at every try; try again")


@dataclass(slots=True)
class Drain:
    """To be entered while an app's notifications are made held. Raises BreakerContended."""

    ledger: Ledger
    queue: NotificationQueue
    app_id: str
    mended: bool
    """Whether the operator says that the receiver is there again."""
    not_sent: str | None = None
    """Why the queue did not take a message, where it did not; the sweep makes up for it."""
    _said_at_ms: int = 0

    def __enter__(self) -> Self:
        self._say(_held_and_tried if self.mended else _held)
        self._release()
        return self

    def __exit__(self, *_: object) -> None:
        self._say(_held)
        self._release()

    def goes_on(self) -> None:
        """To be called before each chunk: says again that something is held, where that was said 10 s ago."""
        if now_ms() - self._said_at_ms >= HELD_LATELY_MS:
            self._say(_held)

    def _say(self, change: Callable[[Breaker, int], Breaker]) -> None:
        said_at_ms = now_ms()
        change_breaker(self.ledger, self.app_id, lambda seen: change(seen, said_at_ms))
        self._said_at_ms = said_at_ms

    def _release(self) -> None:
        self.not_sent = sent(self.queue, Release(self.app_id, FIRST_PACE, _INDEX_SECONDS)) or self.not_sent


def try_at_once(ledger: Ledger, app_id: str) -> None:
    """An app's breaker that is open goes on trial. Raises BreakerContended."""
    at_ms = now_ms()
    change_breaker(ledger, app_id, lambda seen: _tried(seen, at_ms))


def meet_another_receiver(ledger: Ledger, app_id: str) -> None:
    """Forgets what is known of an app's receiver, whose URL has changed. Raises BreakerContended."""
    change_breaker(ledger, app_id, Breaker.of_another_receiver)


def release_when_known(queue: NotificationQueue, app_id: str) -> str | None:
    """What is held for an app that was just changed goes out as soon as every function knows of it.

    Why the queue did not take the message, where it did not: then the sweep makes up for it within minutes.
    """
    return sent(queue, Release(app_id, FIRST_PACE, int(CACHE_SECONDS) + 1))


def change_breaker(ledger: Ledger, app_id: str, change: Callable[[Breaker], Breaker]) -> None:
    """Raises BreakerContended."""
    for _ in range(_TRIES):
        seen = ledger.breaker(app_id)
        if ledger.change_breaker(seen, change(seen)) is not None:
            return
    raise BreakerContended(app_id)


def sent(queue: NotificationQueue, message: Message | Release) -> str | None:
    """Why the queue did not take it; None where it did."""
    try:
        queue.send([message])
    except NotSent as error:
        return str(error)
    return None


def _tried(seen: Breaker, at_ms: int) -> Breaker:
    """One that is on trial stays as it is: a second attempt beside the one that waits would be one too many."""
    return seen.tried_at_once() if seen.is_open(at_ms) else seen


def _held(seen: Breaker, at_ms: int) -> Breaker:
    """Something is held, and looked after within a minute though every message should be lost."""
    soon_ms = at_ms + SWEEP_GRACE_MS
    said = seen.holding(at_ms, soon_ms)
    return said if said.look_at_ms <= soon_ms else said.looking_again(soon_ms)


def _held_and_tried(seen: Breaker, at_ms: int) -> Breaker:
    return _held(_tried(seen, at_ms), at_ms)

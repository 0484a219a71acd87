"""Many callers at once in a time of their own: threads that take turns, by a clock that jumps to the next event.

Whatever sleeps here takes no real time, and the same seed gives the same run.
"""

import heapq
from collections.abc import Callable
from itertools import count
from threading import Event, Thread, local


class VirtualTime:
    """In the place of the module `time`: monotonic and sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._mine = local()
        self._yielded = Event()
        self._faults: list[BaseException] = []

    def monotonic(self) -> float:
        return self.now

    def now_ms(self) -> int:
        return int(self.now * 1000)

    def sleep(self, seconds: float) -> None:
        """Only for what `at` started."""
        turn: Event = self._mine.turn
        turn.clear()
        self._push(self.now + seconds, turn.set)
        self._yielded.set()
        turn.wait()

    def at(self, when: float, act: Callable[[], object]) -> None:
        """Starts `act` as a caller of its own at that moment."""
        self._push(when, lambda: Thread(target=self._live, args=(act,), daemon=True).start())

    def run(self) -> None:
        """Until nobody waits any more. Raises what a caller raised."""
        while self._waiting and not self._faults:
            self.now, _, go = heapq.heappop(self._waiting)
            self._yielded.clear()
            go()
            self._yielded.wait()
        if self._faults:
            raise self._faults[0]

    def _live(self, act: Callable[[], object]) -> None:
        self._mine.turn = Event()
        try:
            act()
        except BaseException as fault:  # noqa: BLE001  # raised by run()
            self._faults.append(fault)
        finally:
            self._yielded.set()

    def _push(self, when: float, go: Callable[[], None]) -> None:
        heapq.heappush(self._waiting, (when, next(self._numbers), go))

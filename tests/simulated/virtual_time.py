"""Virtual time: tasks in threads of which one runs at a time; waiting costs nothing, and a seed repeats everything."""

import heapq
import itertools
import threading
from collections.abc import Callable


class Stopped(BaseException):
    """The run is over; raised in tasks that still wait."""


class Task:
    def __init__(self, time: "VirtualTime", work: Callable[[], None]) -> None:
        self._time = time
        self._work = work
        self._turn = threading.Semaphore(0)
        self.error: BaseException | None = None
        self.ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = False

    def resume(self) -> None:
        """Runs it until it waits or ends; for the scheduler."""
        if not self._started:
            self._started = True
            self._thread.start()
        self._turn.release()
        self._time.idle.acquire()

    def wait(self) -> None:
        """Hands over; for the task itself."""
        self._time.idle.release()
        self._turn.acquire()
        if self._time.over:
            raise Stopped

    def _run(self) -> None:
        self._turn.acquire()
        try:
            if not self._time.over:
                self._work()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  # raised again by run()
            self.error = error
        finally:
            self.ended = True
            self._time.idle.release()


class VirtualTime:
    """Unix ms that only waiting moves on."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.idle = threading.Semaphore(0)
        self.over = False
        self._agenda: list[tuple[int, int, Task]] = []
        self._sequence = itertools.count()
        self._tasks: list[Task] = []
        self._running: Task | None = None
        self._until_ms = 0
        """How far a task that nobody stands in the way of may go without handing over."""

    @property
    def running(self) -> Task | None:
        return self._running

    def at(self, time_ms: int, work: Callable[[], None]) -> None:
        """Runs `work` as a task of its own then."""
        task = Task(self, work)
        self._tasks.append(task)
        self._plan(time_ms, task)

    def after(self, wait_ms: int, work: Callable[[], None]) -> None:
        self.at(self.now_ms + wait_ms, work)

    def sleep(self, wait_ms: int) -> None:
        """For tasks; elsewhere time stands still."""
        task = self._running
        if task is None or wait_ms <= 0:
            return
        then_ms = self.now_ms + wait_ms
        if then_ms <= self._until_ms and (not self._agenda or then_ms < self._agenda[0][0]):
            self.now_ms = then_ms  # it would be the next one anyway
            return
        self._plan(then_ms, task)
        task.wait()

    def run(self, until_ms: int, done: Callable[[], bool] | None = None) -> None:
        """Goes on until then, or until nothing is planned or `done()`. Raises what a task raised."""
        self._until_ms = until_ms if done is None else self.now_ms
        while self._agenda and self._agenda[0][0] <= until_ms and not (done and done()):
            time_ms, _, task = heapq.heappop(self._agenda)
            self.now_ms = max(self.now_ms, time_ms)
            self._running = task
            task.resume()
            self._running = None
            if task.ended:
                self._tasks.remove(task)
                if task.error is not None:
                    raise task.error
        if not (done and done()):
            self.now_ms = max(self.now_ms, until_ms)

    def stop(self) -> None:
        """Ends the tasks that still wait."""
        self.over = True
        for task in self._tasks:
            if task._started:  # its own
                task._turn.release()
                task._thread.join()

    def _plan(self, time_ms: int, task: Task) -> None:
        heapq.heappush(self._agenda, (time_ms, next(self._sequence), task))

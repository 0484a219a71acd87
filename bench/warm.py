"""Warm calls: each contestant in a process of its own that stays, all of them in turns."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.cold import command
from bench.contestants import Contestant


@dataclass(slots=True)
class Turns:
    """What was measured of one contestant, a turn each; milliseconds per call."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    peak_kib: int = 0

    @property
    def cpu(self) -> float:
        """The best turn: what else the machine does only ever adds."""
        return min(self.cpu_ms)

    @property
    def wall(self) -> float:
        return min(self.wall_ms)


class Worker:
    def __init__(self, contestant: Contestant, url: str) -> None:
        self.contestant = contestant
        self._process = subprocess.Popen(
            command(contestant, "warm"),
            env=contestant.environment(url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._told()

    def turn(self, calls: int, turns: Turns | None = None) -> Any:
        """The last call's answer."""
        if self._process.stdin is None:
            raise RuntimeError("no way to tell the worker")
        self._process.stdin.write(f"{calls}\n")
        told = self._told()
        if turns is not None:
            turns.cpu_ms.append(told["cpu_ms"] / calls)
            turns.wall_ms.append(told["wall_ms"] / calls)
            turns.peak_kib = told["kib"]
        return told["answer"]

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _told(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit(f"{self.contestant.key} ended; BENCH_LOG names a file for what it says")
        told: dict[str, Any] = json.loads(line)
        return told


@contextmanager
def workers(contestants: Sequence[Contestant], url: str) -> Iterator[list[Worker]]:
    started: list[Worker] = []
    try:
        started += (Worker(contestant, url) for contestant in contestants)
        yield started
    finally:
        for worker in started:
            worker.close()

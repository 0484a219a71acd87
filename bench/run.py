"""`make bench`: ours and the peers in one run, in turns; prints ratios, writes bench/RESULTS.md and bench/results.png.

    .venv/bin/python -m bench.run [--rounds 15] [--turns 15] [--no-instructions]

Ours is what deploys: functions/*/app.py and the two layers as `sam build` makes them, with authentication, validation,
logging and metrics on. The peers (bench/peers) do the same job with the same calls, which is checked. Figures are this
machine's; what carries over is the ratio of two columns of one run.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import deliveries, gate
from bench.bars import draw
from bench.cold import EVENTS, Start, cpu_of_a_start, init_ms, succeeded, write_events
from bench.contestants import (
    API_JOBS,
    JOBS,
    ONLY_STARTED,
    OURS,
    WORDS,
    Contestant,
    build,
    contestants,
    our_doors,
    ours,
    peer,
    sizes,
)
from bench.rows import rows
from bench.stub import calls, stub
from bench.warm import Turns, workers

from settlement.clock import now_ms
from settlepoint_local.scene import Scene

FOLDER: Final = Path(__file__).parent
WARM_CALLS: Final = {"settle": 60, "list": 40, "query": 100, "deliver": 50}
COUNTED_JOBS: Final = ("settle", "list", "query")
MIB: Final = 2**20

type Say = Callable[[str], None]


@dataclass(slots=True)
class Figures:
    """Everything of one run. Keys are `contestant/job`."""

    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    init_ms: dict[str, float] = field(default_factory=dict)
    start_ms: dict[str, float] = field(default_factory=dict)
    peak_mib: dict[str, float] = field(default_factory=dict)
    instructions: dict[str, float] = field(default_factory=dict)
    warm_instructions: dict[str, float] = field(default_factory=dict)
    warm_cpu_ms: dict[str, float] = field(default_factory=dict)
    warm_wall_ms: dict[str, float] = field(default_factory=dict)
    warm_peak_mib: dict[str, float] = field(default_factory=dict)
    unzipped: dict[str, int] = field(default_factory=dict)
    zipped: dict[str, int] = field(default_factory=dict)
    deliveries: dict[str, float] = field(default_factory=dict)


def event_of(contestant: Contestant) -> Any:
    return json.loads((EVENTS / f"{contestant.door}.json").read_text())


def check(figures: Figures, url: str) -> None:
    """One call of each: all succeed, and whoever does the same job makes the same calls."""
    calls(url)
    for job in JOBS:
        for contestant in contestants(job):
            answer = cpu_of_a_start(contestant, url).answer
            if not succeeded(answer):
                raise SystemExit(f"{contestant.key} answered {answer}")
            figures.calls[contestant.key] = dict(sorted(calls(url).items()))
            if figures.calls[contestant.key] != figures.calls[f"{OURS}/{job}"]:
                raise SystemExit(f"{contestant.key} makes other calls: {figures.calls[contestant.key]}")


def measure_cold(figures: Figures, url: str, rounds: int, say: Say) -> None:
    measured = unique([*our_doors(), *(contestant for job in JOBS for contestant in contestants(job))])
    inits: dict[str, list[float]] = {contestant.key: [] for contestant in measured}
    starts: dict[str, list[Start]] = {contestant.key: [] for contestant in measured}
    for number in range(rounds):
        say(f"cold starts, round {number + 1} of {rounds}")
        write_events()
        for contestant in measured:
            starts[contestant.key].append(cpu_of_a_start(contestant, url))
            inits[contestant.key].append(init_ms(contestant, url, event_of(contestant)))
    for key, found in starts.items():
        figures.init_ms[key] = min(inits[key])  # what else the machine does only ever adds
        figures.start_ms[key] = min(start.called_ms for start in found)
        figures.peak_mib[key] = min(start.peak_kib for start in found) / 1024


def measure_warm(figures: Figures, url: str, turns: int, say: Say) -> None:
    measured = [contestant for job in JOBS for contestant in contestants(job)]
    write_events()
    with workers(measured, url) as started:
        found = {worker.contestant.key: Turns() for worker in started}
        for worker in started:
            worker.turn(WARM_CALLS[worker.contestant.job])
        for number in range(turns):
            say(f"warm calls, turn {number + 1} of {turns}")
            write_events()
            for worker in started:
                answer = worker.turn(WARM_CALLS[worker.contestant.job], found[worker.contestant.key])
                if not succeeded(answer):
                    raise SystemExit(f"{worker.contestant.key} answered {answer}")
    for key, turned in found.items():
        figures.warm_cpu_ms[key], figures.warm_wall_ms[key] = turned.cpu, turned.wall
        figures.warm_peak_mib[key] = turned.peak_kib / 1024


def measure_instructions(figures: Figures, url: str, say: Say) -> None:
    measured = [contestant for job in JOBS for contestant in contestants(job)]
    say("instructions of starts")
    starts = gate.count_starts(unique([*our_doors(), *map(ours, ONLY_STARTED), *measured]), url)
    say("instructions of warm calls")
    warm = None if starts is None else gate.count_warm([c for c in measured if c.job in COUNTED_JOBS], url)
    if starts is None or warm is None:
        say("no instruction counts: valgrind is not installed, or cannot run Python here")
        return
    figures.instructions, figures.warm_instructions = starts, warm


def measure_sizes(figures: Figures) -> None:
    ours = contestants("settle")[0]
    parts = [sizes(layer) for layer in ours.layers]
    figures.unzipped[OURS], figures.zipped[OURS] = (sum(numbers) for numbers in zip(*parts, strict=True))
    for name in WORDS:
        if name != OURS:
            figures.unzipped[name], figures.zipped[name] = sizes(peer(name, "settle").layers[0])


def unique(found: Iterable[Contestant]) -> list[Contestant]:
    return list({contestant.key: contestant for contestant in found}.values())


# ------------------------------------------------------------------------------------------------------ the report


def ratio(figures: dict[str, float], job: str, to: str, name: str = OURS) -> float:
    return figures[f"{name}/{job}"] / figures[f"{to}/{job}"]


class Aim(NamedTuple):
    """What is asked, of whom, how much of theirs, and what it is."""

    figure: str
    of: str
    limit: float
    value: float
    at_least: bool = False
    """Whether more is better; else less is."""

    @property
    def asked(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:.2f}"

    @property
    def reached(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def aims(figures: Figures) -> list[Aim]:
    found: list[Aim] = []
    for contestant in our_doors():
        init = figures.init_ms[contestant.key]
        if contestant.job in {"deliver", "queue_notifications", "requeue_notifications"}:
            found.append(Aim(f"init, {contestant.door}", "lean boto", 1.10, init / figures.init_ms["lean/settle"]))
            continue
        beside = contestant.job if contestant.job in API_JOBS else "settle"
        found += [
            Aim(f"init, {contestant.door}", "FastAPI", 0.50, init / figures.init_ms[f"fastapi/{beside}"]),
            Aim(f"init, {contestant.door}", "lean boto", 1.05, init / figures.init_ms[f"lean/{beside}"]),
        ]
    for job in ("settle", "query"):
        found += [
            Aim(f"warm CPU, {job}", "FastAPI", 0.50, ratio(figures.warm_cpu_ms, job, "fastapi")),
            Aim(f"warm CPU, {job}", "lean boto", 1.05, ratio(figures.warm_cpu_ms, job, "lean")),
        ]
    rates = figures.deliveries
    bare, raw = rates["http.client, a connection each"], rates["raw socket, kept"]
    guide = deliveries.GUIDE_OURS * raw / deliveries.GUIDE_RAW
    found += [
        Aim("warm CPU, list of 20", "FastAPI", 0.55, ratio(figures.warm_cpu_ms, "list", "fastapi")),
        Aim("layers, unzipped", "plain", 0.60, figures.unzipped[OURS] / figures.unzipped["plain"]),
        Aim("peak RSS, settle", "FastAPI", 0.80, ratio(figures.warm_peak_mib, "settle", "fastapi")),
    ]
    for way in ("to an address", "to a name"):
        rate = rates[f"ours, {way}"]
        found += [
            Aim(f"deliveries per CPU-second, {way}", "http.client", 0.50, rate / bare, at_least=True),
            Aim(f"deliveries per CPU-second, {way}", "raw socket's share", 1.00, rate / guide, at_least=True),
        ]
    return found


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    names = list(head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, ["---", *["---:"] * (len(names) - 1)], *lines))


def by_contestant(figures: dict[str, float], digits: int) -> str:
    jobs = [job for job in JOBS if f"{OURS}/{job}" in figures]  # not all are counted

    def cell(name: str, job: str) -> str:
        key = f"{name}/{job}"
        return f"{figures[key]:.{digits}f} ({ratio(figures, job, 'lean', name):.2f})" if key in figures else "-"

    return table(("", *jobs), ([words, *(cell(name, job) for job in jobs)] for name, words in WORDS.items()))


def report(figures: Figures) -> str:
    reached = table(
        ("figure", "of", "aim", "measured", ""),
        (
            [aim.figure, aim.of, aim.asked, f"{aim.value:.2f}", "reached" if aim.reached else "**missed**"]
            for aim in aims(figures)
        ),
    )
    rates = figures.deliveries
    bare, raw = rates["http.client, a connection each"], rates["raw socket, kept"]
    doors = table(
        ("door", "init ms", "CPU ms of a cold start", "peak MiB"),
        (
            [
                c.door,
                f"{figures.init_ms[c.key]:.0f}",
                f"{figures.start_ms[c.key]:.0f}",
                f"{figures.peak_mib[c.key]:.0f}",
            ]
            for c in our_doors()
        ),
    )
    size = table(
        ("", "unzipped MiB", "zipped MiB", "unzipped, of plain"),
        (
            [
                words,
                f"{figures.unzipped[name] / MIB:.1f}",
                f"{figures.zipped[name] / MIB:.1f}",
                f"{figures.unzipped[name] / figures.unzipped['plain']:.2f}",
            ]
            for name, words in WORDS.items()
        ),
    )
    throughput = {f"{name}/{job}": 1000 / ms for (name, job), ms in split(figures.warm_cpu_ms)}
    ways = table(
        ("way", "per CPU-second", "of http.client with a connection each"),
        ([name, f"{rate:.0f}", f"{rate / bare:.2f}"] for name, rate in rates.items()),
    )
    calls_made = table(
        ("job", "calls of a first call, the same for all"),
        ([job, ", ".join(f"{n} {what}" for what, n in figures.calls[f"{OURS}/{job}"].items())] for job in JOBS),
    )
    counted = ""
    if figures.instructions:
        counted = f"""
## Instructions

cachegrind, PYTHONHASHSEED=0, millions. A start: imports and clients, no call (in brackets: of lean boto's):

{by_contestant(figures.instructions, 0)}

A warm call:

{by_contestant(figures.warm_instructions, 1)}
"""
    return f"""# Beside the peers

`make bench`, {time.strftime("%Y-%m-%d", time.gmtime())}, CPython {platform.python_version()} on {platform.machine()}. \
The best of the turns of one run; what carries over to another machine is a ratio. Everything of ours is on: \
authentication, validation, log line, metrics.

{calls_made}

{notes()}
## Aims

{reached}

The raw socket's share is {deliveries.GUIDE_OURS} of {deliveries.GUIDE_RAW}: here, where a raw socket does {raw:.0f}, \
{deliveries.GUIDE_OURS * raw / deliveries.GUIDE_RAW:.0f}.

![ratios](results.png)

## Cold start

Init of the runtime interface emulator, wall ms (in brackets: of lean boto's):

{by_contestant(figures.init_ms, 0)}

CPU ms of a process that imports, starts and answers one call:

{by_contestant(figures.start_ms, 0)}

All of our doors:

{doors}

## Warm

CPU ms per call:

{by_contestant(figures.warm_cpu_ms, 3)}

Wall ms per call:

{by_contestant(figures.warm_wall_ms, 3)}

Calls per second and core (1000 / CPU ms), stub and network left out:

{by_contestant(throughput, 0)}

Peak RSS, MiB, after the warm calls:

{by_contestant(figures.warm_peak_mib, 1)}
{counted}
## Size

Byte-compiled alike. Ours holds both architectures, the peers one.

{size}

## Deliveries

Claim, breaker, signatures, sending, judging, recording; store and queue are stubs in the process, the receiver is not.

{ways}
"""


def split(figures: dict[str, float]) -> list[tuple[tuple[str, str], float]]:
    return [((key.partition("/")[0], key.partition("/")[2]), value) for key, value in figures.items()]


def notes() -> str:
    """What was reached and what stands in the way of more: written by hand, it stands beside the figures."""
    path = FOLDER / "NOTES.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="cold starts of each")
    parser.add_argument("--turns", type=int, default=15, help="turns of warm calls of each")
    parser.add_argument("--no-instructions", action="store_true", help="leave callgrind out")
    parser.add_argument("--no-build", action="store_true", help="take what the last run built")
    given = parser.parse_args()

    def say(line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)

    if not given.no_build:
        say("building the peers, and ours with sam build")
        build()
    figures = Figures()
    write_events()
    with stub(partial(rows, Scene(now_ms=now_ms()))) as url:
        say("the same calls?")
        check(figures, url)
        measure_sizes(figures)
        measure_warm(figures, url, given.turns, say)
        (EVENTS.parent / "results.json").write_text(json.dumps(asdict(figures)))  # a run that is stopped leaves them
        measure_cold(figures, url, given.rounds, say)
        (EVENTS.parent / "results.json").write_text(json.dumps(asdict(figures)))
        if not given.no_instructions:
            measure_instructions(figures, url, say)
    say("deliveries")
    figures.deliveries = deliveries.rates()
    (EVENTS.parent / "results.json").write_text(json.dumps(asdict(figures), indent=1) + "\n")
    (FOLDER / "RESULTS.md").write_text(report(figures), encoding="utf-8")
    draw(figures.start_ms, figures.warm_cpu_ms, FOLDER / "results.png")
    for aim in aims(figures):
        say(f"{aim.figure:42} of {aim.of:18} {aim.value:5.2f}  {aim.asked}  {'reached' if aim.reached else 'missed'}")
    for name, rate in figures.deliveries.items():
        say(f"deliveries per CPU-second, {name:34} {rate:7.0f}")
    counted = gate.Counted(figures.instructions, figures.warm_instructions)
    if worse := gate.compare(gate.figures(counted, figures.unzipped[OURS])):
        raise SystemExit(f"worse than bench/GATE.json (kept, now): {worse}")


if __name__ == "__main__":
    main()

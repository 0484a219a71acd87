"""What may not grow: instructions of starts and warm calls, of lean boto's in the same run; the layers' size.

    .venv/bin/python -m bench.gate [--no-build] [--set]

Instructions repeat to the fourth digit whatever else the machine does, and as a ratio of one run they hold on another
machine too. A figure more than 2 % above bench/GATE.json ends with status 1; --set makes what is counted what must be
kept. Needs valgrind; six minutes.
"""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from bench.cold import millions_of_instructions, write_events
from bench.contestants import JOBS, ONLY_STARTED, OURS, Contestant, build, contestants, our_doors, ours, peer, sizes
from bench.rows import rows
from bench.stub import stub

from settlement.clock import now_ms
from settlepoint_local.scene import Scene

GATE: Final = Path(__file__).with_name("GATE.json")
SLACK: Final = 1.02
FEW, MANY = 4, 24
"""Calls after the first one in two counted runs; their difference is what warm calls take."""
MIB: Final = 2**20
BESIDE: Final = "lean"


class Counted(NamedTuple):
    """Millions of instructions, by `contestant/job`."""

    start: dict[str, float]
    """Imports and clients, no call."""
    warm: dict[str, float]


def count_starts(measured: list[Contestant], url: str) -> dict[str, float] | None:
    """None where valgrind is not installed, or cannot run Python here."""
    with ThreadPoolExecutor(2) as two:  # what else runs changes no count
        counts = two.map(lambda contestant: millions_of_instructions(contestant, url), measured)
        found = {contestant.key: count for contestant, count in zip(measured, counts, strict=True) if count is not None}
    return found if len(found) == len(measured) else None


def count_warm(measured: list[Contestant], url: str) -> dict[str, float] | None:
    """Likewise, of one warm call."""

    def counted(contestant: Contestant) -> float | None:
        few, many = (millions_of_instructions(contestant, url, calls) for calls in (FEW, MANY))
        return None if few is None or many is None else (many - few) / (MANY - FEW)

    found: dict[str, float] = {}
    with ThreadPoolExecutor(2) as two:
        for first in range(0, len(measured), 2):
            write_events()  # a signature is taken for 300 s
            pair = measured[first : first + 2]
            found |= {c.key: n for c, n in zip(pair, two.map(counted, pair), strict=True) if n is not None}
    return found if len(found) == len(measured) else None


def figures(counted: Counted, unzipped: int) -> dict[str, float]:
    """What is kept: figures that repeat, on any machine."""
    found = {"layers unzipped, MiB": round(unzipped / MIB, 2)}
    for key, count in counted.start.items():
        name, _, job = key.partition("/")
        if name == OURS:
            beside = counted.start.get(f"{BESIDE}/{job}", counted.start[f"{BESIDE}/settle"])
            found[f"start of {JOBS.get(job, job)}, of lean boto's"] = round(count / beside, 3)
    for key, count in counted.warm.items():
        name, _, job = key.partition("/")
        if name == OURS:
            found[f"warm {job}, of lean boto's"] = round(count / counted.warm[f"{BESIDE}/{job}"], 3)
    return found


def compare(found: dict[str, float]) -> dict[str, tuple[float, float]]:
    """What is worse than what is kept: kept and found. Of what is not kept yet nothing is said."""
    kept: dict[str, float] = json.loads(GATE.read_text(encoding="utf-8"))
    return {name: (kept[name], found[name]) for name in kept.keys() & found.keys() if found[name] > kept[name] * SLACK}


def keep(found: dict[str, float]) -> None:
    GATE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def layers_bytes() -> int:
    """Unzipped."""
    return sum(sizes(layer)[0] for layer in ours("settle").layers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-build", action="store_true", help="take what the last run built")
    parser.add_argument("--set", action="store_true", help="what is counted becomes what must be kept")
    given = parser.parse_args()
    if not given.no_build:
        build()
    write_events()
    doors = [*our_doors(), *(ours(door) for door in ONLY_STARTED)]
    with stub(partial(rows, Scene(now_ms=now_ms()))) as url:
        start = count_starts([*doors, *(peer(BESIDE, job) for job in JOBS)], url)
        warm = count_warm([c for job in JOBS for c in contestants(job) if c.name in {OURS, BESIDE}], url)
    if start is None or warm is None:
        raise SystemExit("valgrind is not installed, or cannot run Python here")
    found = figures(Counted(start, warm), layers_bytes())
    for name, figure in found.items():
        print(f"{name:50}{figure:8.3f}")
    if given.set:
        keep(found)
    for name, (before, now) in (worse := compare(found)).items():
        print(f"worse: {name}: {before} kept, {now} now", file=sys.stderr)
    sys.exit(bool(worse))


if __name__ == "__main__":
    main()

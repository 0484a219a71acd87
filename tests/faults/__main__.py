"""One seed again, with its history: .venv/bin/python -m tests.faults SEED."""

import sys

from .invariants import broken
from .play import played
from .run import FaultyRun


def main(seed: int) -> int:
    with FaultyRun.seeded(seed) as run:
        played(run)
    for call in run.history:
        print(call)
    found = broken(run)
    for invariant, fault in found.items():
        print(f"\n{invariant.__name__}: {fault}")
    print(
        f"\nseed {seed}: {len(run.history)} calls, {run.kills} kills, {dict(run.met)}, {len(found)} invariants broken"
    )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))

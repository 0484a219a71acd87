"""Each planted bug is noticed within a few seeds, by the invariant that is there for it; each invariant has its bug."""

import pytest

from tests.proof import few_or_many

from .bugs import BUGS, Plant
from .invariants import INVARIANTS, Invariant, broken
from .play import played
from .run import FaultyRun

SEEDS_AT_MOST = few_or_many(60, 200)


@pytest.mark.parametrize(("plant", "invariant"), BUGS.items(), ids=[plant.__name__ for plant in BUGS])
def test_a_planted_bug_is_noticed(plant: Plant, invariant: Invariant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    seeds = next(seed for seed in range(SEEDS_AT_MOST) if invariant in found(seed))
    print(f"{plant.__name__}: {invariant.__name__} noticed it in seed {seeds}")


def found(seed: int) -> set[Invariant]:
    with FaultyRun.seeded(seed) as run:
        played(run)
        return set(broken(run))


def test_each_invariant_notices_a_bug() -> None:
    assert set(BUGS.values()) == set(INVARIANTS)

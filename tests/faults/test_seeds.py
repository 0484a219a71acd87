"""Seeds by the thousand. How one is run again: `tests.faults`."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context

import pytest

from tests.proof import few_or_many
from tests.simulated.aws import KINDS

from .play import play

SEEDS = few_or_many(40, 10_000)
PROCESSES = few_or_many(1, 2)
_PART = 20


def met(seeds: range) -> Counter[str]:
    """What happened in those runs, in each of which every invariant holds."""
    counted: Counter[str] = Counter()
    for seed in seeds:
        run = play(seed)
        counted.update(run.met, kills=run.kills, calls=len(run.history), orders=len(run.table("SettlementTable")))
        counted.update(call.name for call in run.history if call.answered)
        counted.update(str(call.code) for call in run.history)
        counted.update(settlements=sum("settle_time" in row for row in run.table("SettlementTable")))
        counted.update(notifications=len(run.rows()), walks=sum(walk.complete for walk in run.walks))
    return counted


def parts() -> Iterator[Counter[str]]:
    ranges = [range(first, min(first + _PART, SEEDS)) for first in range(0, SEEDS, _PART)]
    if PROCESSES == 1:
        yield from map(met, ranges)
        return
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("fork")) as processes:
        try:
            yield from processes.map(met, ranges)
        except BaseException:
            processes.shutdown(cancel_futures=True)
            raise


def test_every_invariant_holds_whatever_fails(capsys: pytest.CaptureFixture[str]) -> None:
    total: Counter[str] = Counter()
    for part in parts():
        total.update(part)
    figures = f"{SEEDS} seeds: " + ", ".join(f"{count} {what}" for what, count in sorted(total.items()))
    with capsys.disabled() if few_or_many(few=False, many=True) else nullcontext():
        print(figures)
    # The runs are worth something: each fault was met, and each answer was given.
    for what in (*KINDS, "kills"):
        assert total[what] >= SEEDS / 20, what
    for code in ("0", "1001", "1002", "1003", "1004", "1005", "1500", "70501", "70503", "70504", "70505", "10001"):
        assert total[code] >= SEEDS / 20, code
    assert total["settlements"] > 2 * SEEDS
    assert total["notifications"] > SEEDS
    assert total["walks"] > 2 * SEEDS


def test_a_seed_repeats_its_run_whatever_ran_before() -> None:
    once = [str(call) for call in play(3).history]
    play(4)
    assert [str(call) for call in play(3).history] == once

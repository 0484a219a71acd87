"""A merchant that is down costs the others nothing: ten merchants, five notifications a second each, some of them dead.

In virtual time, on a queue that is not fair: what holds here holds by our own scheduling. bench/isolation.py measures
the same over HTTP on the deployed template.
"""

from dataclasses import dataclass

import pytest

from tests.proof import few_or_many
from tests.simulated.simulation import Answer, Behaviour, Simulation, prompt, refusing, silent

APPS = [f"merchant-{number}" for number in range(10)]
SECONDS = few_or_many(4, 30)


@dataclass(frozen=True, slots=True)
class Ages:
    """Of the healthy merchants' notifications, ms from the commit."""

    acknowledged: list[int]
    begun: list[int]

    @property
    def p99_ms(self) -> int:
        return sorted(self.acknowledged)[int(len(self.acknowledged) * 0.99)]


def measured(dead: int, behaviour: Behaviour, seed: int = 1) -> Ages:
    with Simulation.of(seed) as run:
        for number, app_id in enumerate(APPS):
            run.app(app_id, behaviour if number < dead else prompt)
            run.load(app_id, per_second=5, seconds=SECONDS)
        run.run(SECONDS + 5)
        rows = [row for row in run.rows().values() if row["app_id"] in APPS[dead:]]
    assert len(rows) == (10 - dead) * 5 * SECONDS
    assert all(row["status"] == "delivered" for row in rows)
    return Ages(
        [row["attempts"][-1]["at"] + row["attempts"][-1]["duration_ms"] - row["notify_time"] for row in rows],
        [row["attempts"][0]["at"] - row["notify_time"] for row in rows],
    )


@pytest.fixture(scope="module")
def undisturbed() -> Ages:
    return measured(0, prompt)


def silent_after_a_second() -> Behaviour:
    """Trusted at first: the worst moment to stop answering."""
    begun: list[int] = []

    def behave(notify_id: str, now_ms: int) -> Answer:
        begun.append(now_ms)
        return silent(notify_id, now_ms) if now_ms - begun[0] > 1000 else prompt(notify_id, now_ms)

    return behave


@pytest.mark.parametrize(
    ("dead", "behaviour", "most"),
    [
        (1, silent, 1.5),
        (5, silent, 2.0),
        (5, refusing, 2.0),
        (1, silent_after_a_second(), 1.5),
        (5, silent_after_a_second(), 2.0),
    ],
    ids=["one silent", "five silent", "five refusing", "one falls silent", "five fall silent"],
)
def test_the_healthy_do_not_notice(undisturbed: Ages, dead: int, behaviour: Behaviour, most: float) -> None:
    disturbed = measured(dead, behaviour)
    assert disturbed.p99_ms <= most * undisturbed.p99_ms
    assert max(disturbed.begun) <= 2000

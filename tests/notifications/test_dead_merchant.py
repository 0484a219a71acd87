"""The breaker over a long outage, in virtual time: a dead merchant sees few requests, and nothing is missing."""

import pytest

from tests.simulated.simulation import Answer, Behaviour, Simulation, prompt, refusing, silent

MINUTE = 60
DEAD, HEALTHY = "merchant-dead", "merchant-healthy"


class Outage:
    """Down from the first moment until it is mended."""

    def __init__(self, down: Behaviour) -> None:
        self._down = down
        self.mended_ms: int | None = None

    def __call__(self, notify_id: str, now_ms: int) -> Answer:
        return (self._down if self.mended_ms is None else prompt)(notify_id, now_ms)


@pytest.mark.parametrize("down", [refusing, silent], ids=["refusing", "silent"])
def test_a_dead_merchant_sees_few_requests_and_afterwards_everything(down: Behaviour) -> None:
    with Simulation.of(seed=7) as run:
        outage = Outage(down)
        run.app(DEAD, outage)
        run.app(HEALTHY)
        run.load(DEAD, per_second=0.3, seconds=14 * MINUTE)
        run.load(HEALTHY, per_second=0.2, seconds=20 * MINUTE)

        run.run(MINUTE, done=lambda: run.breaker(DEAD).openings > 0)
        opened_ms = run.time.now_ms
        run.run(10 * MINUTE)
        in_ten_minutes = [r for r in run.requests if r.app_id == DEAD and r.time_ms > opened_ms]
        assert 3 <= len(in_ten_minutes) <= 25
        assert run.breaker(DEAD).openings > 3
        statuses = {row["status"] for row in run.rows().values() if row["app_id"] == DEAD}
        assert "held" in statuses
        assert "delivered" not in statuses

        outage.mended_ms = mended_ms = run.time.now_ms
        run.run(10 * MINUTE, done=lambda: run.breaker(DEAD).trusted)
        answered = [r for r in run.requests if r.app_id == DEAD and r.time_ms >= mended_ms]
        assert [r.acknowledged for r in answered] == [True]  # the first good probe closes it
        assert run.breaker(DEAD).openings == 0

        closed_ms = run.time.now_ms
        run.run(8 * MINUTE)
        rows = run.rows()
        assert {notify_id for notify_id in run.committed if rows[notify_id]["status"] != "delivered"} == set()
        assert {r.notify_id for r in run.requests if r.acknowledged} == set(run.committed)
        assert run.ledger.count_held(DEAD) == 0
        assert run.dead_letters == []

        # It is not knocked over when it is back: what waited comes at a growing pace.
        drained = [r.time_ms for r in run.requests if r.app_id == DEAD and r.time_ms >= closed_ms]
        assert sum(time_ms < closed_ms + 1500 for time_ms in drained) <= 6
        # And the healthy one does not feel the drain.
        ages = {
            notify_id: row["attempts"][-1]["at"] + row["attempts"][-1]["duration_ms"] - row["notify_time"]
            for notify_id, row in rows.items()
            if row["app_id"] == HEALTHY
        }
        before = [age for n, age in ages.items() if rows[n]["notify_time"] < opened_ms]
        during = [age for n, age in ages.items() if closed_ms <= rows[n]["notify_time"] < closed_ms + MINUTE * 1000]
        assert during
        assert max(during) <= 1.5 * max(before)


def test_requests_and_attempts_match_one_to_one() -> None:
    """The receiver's own log and the ledger's attempts: the same requests, in an outage and after it."""
    with Simulation.of(seed=8) as run:
        outage = Outage(refusing)
        run.app(DEAD, outage)
        run.load(DEAD, per_second=1, seconds=MINUTE)
        run.run(3 * MINUTE)
        outage.mended_ms = run.time.now_ms
        run.run(15 * MINUTE)
        assert run.all_delivered()
        received: dict[str, list[int]] = {}
        for request in run.requests:
            received.setdefault(request.notify_id, []).append(request.time_ms)
        attempted = {notify_id: row["attempt_count"] for notify_id, row in run.rows().items()}
        assert {notify_id: len(times) for notify_id, times in received.items()} == attempted

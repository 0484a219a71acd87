"""When attempts are made, in virtual time: each in [t, t + 10 %] of the table's, none early, and then no more."""

import pytest

from settlement.delivery import Response
from tests.proof import few_or_many
from tests.simulated.simulation import Answer, Simulation

MINUTE, HOUR = 60, 3600
TABLE = [3, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, *6 * [12 * HOUR]]


def unwilling(_: str, __: int) -> Answer:
    """Answers, and does not acknowledge: the breaker has nothing to say."""
    return 50, Response(200, None, b'{"ret_code":1}', complete=True)


@pytest.mark.parametrize("seed", range(few_or_many(2, 50)))
def test_every_attempt_is_made_in_its_time(seed: int) -> None:
    with Simulation.of(seed) as run:
        run.app("merchant-1", unwilling)
        notify_id = run.commit("merchant-1")
        run.run(4 * 24 * HOUR)
        row = run.rows()[notify_id]
        assert (row["status"], row["attempt_count"]) == ("dead", 16)
        attempts = row["attempts"]
        for before, after, wait in zip(attempts[:-1], attempts[1:], TABLE, strict=True):
            waited = (after["at"] - before["at"] - before["duration_ms"]) / 1000
            by_queue = wait * 1.1 < 900
            # What the queue cannot delay is brought by the next minute's sweep.
            assert wait <= waited <= wait * 1.1 + (2 if by_queue else MINUTE + 1)
        assert [request.time_ms for request in run.requests] == [attempt["at"] for attempt in attempts]

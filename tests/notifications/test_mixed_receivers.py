"""Every kind of receiver at once, each changing its mind: no fault of theirs becomes one of ours."""

import random

import pytest

from settlement.delivery import NoAnswer, Refused, Response
from tests.proof import few_or_many
from tests.simulated.simulation import OK, Answer, Behaviour, Simulation

MINUTE = 60


def page(status: int, body: bytes = b"", retry_after: str | None = None) -> Response:
    return Response(status, retry_after, body, complete=True)


ANSWERS: list[Answer] = [
    (20, OK),
    (4000, OK),
    (1, NoAnswer("connection refused")),
    (5000, NoAnswer("timeout")),
    (300, NoAnswer("tls failed")),
    (30, NoAnswer("name not found")),
    (0, Refused("url leads to an address that is not public")),
    (15, page(200, b"<html>")),
    (15, page(200, b'{"ret_code":1}')),
    (15, page(302)),
    (15, page(404)),
    (15, page(410)),
    (15, page(429, retry_after="90")),
    (15, page(500)),
    (15, page(503, retry_after="Sun, 22 Nov 2026 00:05:00 GMT")),
    (900, Response(200, None, b"x" * 16384, complete=False)),
]


def moody(chance: random.Random) -> Behaviour:
    """In the same mood for a while."""
    mood: list[Answer] = [ANSWERS[0]]

    def behave(_: str, __: int) -> Answer:
        if chance.random() < 0.15:
            mood[0] = chance.choice(ANSWERS)
        return mood[0]

    return behave


@pytest.mark.parametrize("seed", range(few_or_many(3, 200)))
def test_no_fault_of_a_receiver_reaches_the_dead_letter_queue(seed: int) -> None:
    with Simulation.of(seed) as run:
        for number in range(6):
            run.app(f"merchant-{number}", moody(random.Random(seed * 10 + number)))  # noqa: S311  # the same every time
            run.load(f"merchant-{number}", per_second=0.5, seconds=2 * MINUTE)
        run.run(20 * MINUTE)
        assert run.dead_letters == []
        assert run.faults_of_ours == []
        rows = run.rows()
        assert len(rows) == 6 * 60

        seen: dict[str, list[int]] = {notify_id: [] for notify_id in rows}
        for request in run.requests:
            seen[request.notify_id].append(request.time_ms)
        for notify_id, row in rows.items():
            assert seen[notify_id] == [attempt["at"] for attempt in row["attempts"]]
            assert row["attempt_count"] == len(row["attempts"])

        for app_id in run.receivers:  # and once they are all well, everything goes out that was not given up
            run.receivers[app_id] = lambda _, __: (20, OK)
        run.run(8 * 60 * MINUTE)
        for row in run.rows().values():
            last = row["attempts"][-1]
            assert row["status"] == "delivered" or last["error_class"] == "refused" or last.get("http_status") == 410

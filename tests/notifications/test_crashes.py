"""Processes killed between any two steps, messages lost and doubled: what was settled is told, and told the same.

1,000 seeds with PROVE=1. A run that fails repeats from its seed.
"""

import pytest

from settlepoint_local.lambda_events import api_event
from settlepoint_local.scene import Scene
from settlepoint_local.situations import json_bytes
from settlepoint_local.template import endpoints
from tests.proof import few_or_many
from tests.simulated.simulation import Faults, Simulation

MINUTE = 60
APP = "club-a"


def settle(run: Simulation, bill_no: str) -> None:
    """A bot that settles an order over the real doors, and repeats each call until it is answered."""
    openid = "openid-of-li"
    calls = (
        (
            "create_club_order",
            {"bill_no": bill_no, "openid": openid, "amt": 10, "source": 5, "jf_gid": 1, "detail": ""},
        ),
        ("set_club_jf_settle", {"bill_no": bill_no, "openid": openid}),
    )
    for folder, body in calls:
        for _ in range(20):
            headers = {"Authorization": Scene(now_ms=run.time.now_ms).token(APP)}
            event = api_event("x", endpoints()[folder], run.time.now_ms, body=json_bytes(body), headers=headers)
            answers: list[dict[str, object]] = []
            if run.as_process(lambda: answers.append(run.invoke(folder, event))) and answers[0]["statusCode"] == 200:  # noqa: B023
                break
            run.time.sleep(200)
        else:
            raise AssertionError(f"{folder} was never answered")


@pytest.mark.parametrize("seed", range(few_or_many(25, 1000)))
def test_whatever_is_killed_every_settlement_is_acknowledged_and_copies_are_alike(seed: int) -> None:
    with Simulation.of(seed) as run:
        run.app(APP)
        orders = [f"bill-{number}" for number in range(4)]
        kill_at = frozenset(run.random.sample(range(1, 200), run.random.randint(1, 6)))
        run.faults = Faults(kill_at=kill_at, double_message=0.1)
        for number, bill_no in enumerate(orders):
            run.time.after(number * 300, lambda bill_no=bill_no: settle(run, bill_no))  # type: ignore[misc]
        run.run(20 * MINUTE)
        assert run.kills == len(kill_at)

        settled = [row for row in run.table("SettlementTable") if "settle_time" in row]
        assert len(settled) == len(orders)
        rows = run.rows()
        assert len(rows) == len(orders)  # no settlement without a ledger row, and none with two
        assert {row["status"] for row in rows.values()} == {"delivered"}
        acknowledged = [request for request in run.requests if request.acknowledged]
        assert {request.notify_id for request in acknowledged} == set(rows)
        assert {(request.notify_id, request.body) for request in run.requests} == {
            (notify_id, row["body"].encode()) for notify_id, row in rows.items()
        }
        assert len(run.requests) - len(orders) <= run.kills
        for notify_id, row in rows.items():
            # The receiver's own log and ours: each request is an attempt, be it one that was interrupted.
            seen = [request.time_ms for request in run.requests if request.notify_id == notify_id]
            begun = [attempt["at"] for attempt in row["attempts"] if attempt.get("error_class") != "interrupted"]
            assert len(begun) <= len(seen) <= len(row["attempts"])
            assert row["attempt_count"] == len(begun) == 1
        assert run.dead_letters == []


@pytest.mark.parametrize("seed", range(few_or_many(3, 50)))
def test_losing_the_queue_loses_nothing(seed: int) -> None:
    """The queue is purged and the stream's batches are dropped in the middle of a load."""
    with Simulation.of(seed) as run:
        for app_id in ("merchant-1", "merchant-2"):
            run.app(app_id)
            run.load(app_id, per_second=1, seconds=30)
        run.time.after(8_000, run.drop_the_stream)
        run.time.after(15_000, run.purge)
        run.faults = Faults(lose_message=0.2)
        run.time.after(35_000, lambda: setattr(run, "faults", Faults()))
        run.run(5 * MINUTE)
        rows = run.rows()
        assert len(rows) == 60
        assert {row["status"] for row in rows.values()} == {"delivered"}
        # Each due again within 60 s of its planned time, plus one sweep.
        late = [row["attempts"][0]["at"] - row["notify_time"] for row in rows.values()]
        assert max(late) <= 60_000 + 60_000 + 1000
        assert sum(age > 10_000 for age in late) > 20  # it was the sweep that brought them
        assert run.dead_letters == []

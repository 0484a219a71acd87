"""What a page and its total cost does not depend on the history: calls and read units as Amazon's engine tells them.

bench/scale.py takes this to a million settlements.
"""

from typing import Any

import pytest

from settlement.cursor import ListQuery, Position
from settlement.store import Store
from settlement.totals import Totals

from .test_totals import ms
from .worlds import QUIET, World, chance

SMALL, LARGE = 60, 360
SHARDS = 4
FILTERS = {
    "none": (None, None, None),
    "rare source": (9, None, None),
    "month": (None, ms(2026, 4), ms(2026, 5) - 1000),
    "whole hours": (None, ms(2026, 3, 11, 7), ms(2026, 5, 22, 16) - 1000),
    "whole hours, rare source": (9, ms(2026, 3, 11, 7), ms(2026, 5, 22, 16) - 1000),
}


class Metered:
    """Its queries' calls and read units."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.cost: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def query(self, **request: Any) -> Any:
        answer = self._client.query(**request, ReturnConsumedCapacity="TOTAL")
        least = 1.0 if request.get("ConsistentRead") else 0.5  # DynamoDB Local bills nothing for finding nothing
        self.cost.append(max(answer["ConsumedCapacity"]["CapacityUnits"], least))
        return answer

    def get_paginator(self, name: str) -> Any:
        assert name == "query"

        class Pages:
            def paginate(_, **request: Any) -> Any:  # noqa: N805
                answer = self.query(**request)
                assert "LastEvaluatedKey" not in answer
                return [answer]

        return Pages()


def costs(world: World) -> dict[str, tuple[list[float], list[float], list[float]]]:
    """By filter: of the first page, of its total, of the page after it."""
    metered: Any = Metered(world.client)
    store = Store(
        metered,
        world.tables["SettlementTable"],
        Totals(metered, world.tables["TotalsTable"], SHARDS),
        world.ledger,
    )
    found = {}
    for name, (source, start_ms, end_ms) in FILTERS.items():
        query = ListQuery(QUIET.app_id, "o-1", source, start_ms and start_ms // 1000, end_ms and end_ms // 1000)
        measured = []
        last = store.settled_page(query, None, 5)[-1]
        after = Position(last.settle_time_ms, last.order.bill_no)
        for act in (
            lambda: store.settled_page(query, None, 6),  # noqa: B023
            lambda: store.total(query, ms(2026, 7)),  # noqa: B023
            lambda: store.settled_page(query, after, 6),  # noqa: B023
        ):
            metered.cost = []
            act()
            measured.append(list(metered.cost))
        found[name] = (measured[0], measured[1], measured[2])
    return found


def test_six_times_the_history_costs_the_same(world: World) -> None:
    if world.engine == "moto":
        pytest.skip("moto tells no capacity")
    dice = chance(6)
    for number in range(SMALL):
        at_ms = dice.randrange(ms(2026, 4), ms(2026, 5))
        world.settle(f"b-{number}", at_ms, source=9 if number < 20 else 5, amt=-7, shards=SHARDS)
    small = costs(world)
    for number in range(SMALL, LARGE):
        at_ms = dice.randrange(ms(2026, 3), ms(2026, 6))
        world.settle(f"b-{number}", at_ms, source=dice.choice([0, 5, 6, 7]), amt=-7, shards=SHARDS)
    large = costs(world)
    assert large == small
    assert max(len(total) for _, total, _ in large.values()) == 5  # a year, two months, two days
    for first, total, later in large.values():
        assert first == later == [0.5]  # small pages, read as indexes are: half a unit
        assert total == [1.0] * len(total)

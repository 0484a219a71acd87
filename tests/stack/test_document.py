"""What Schemathesis makes of docs/openapi.yaml, sent to the deployed stack. tests/functions sends much more of it."""

import pytest

from settlepoint_local.openapi import OPERATIONS
from tests.exploring import Explorer
from tests.proof import few_or_many

from .system import System

pytestmark = pytest.mark.stack

EXAMPLES = few_or_many(8, 60)


@pytest.fixture(scope="module")
def explorer(system: System) -> Explorer:
    club, merchant = system.club(), system.merchant()
    game_server = system.game_server(merchant, "mg-1")
    bill, order = system.club_order(), system.game_order()
    assert club.create(bill).code == merchant.create(order).code == 0
    report = system.report(merchant, order["out_order_id"])
    callers = {"merchant": merchant.header, "game": game_server.header}
    return Explorer(
        system.base_url,
        {
            folder: callers.get(operation.need, lambda _: f"Bearer {club.token}")
            for folder, operation in OPERATIONS.items()
            if operation.need
        },
        {**bill, **order, **report},
        system.directory_signature(merchant),
    )


@pytest.mark.parametrize("positive", [True, False], ids=["as the document says", "not as the document says"])
@pytest.mark.parametrize("folder", [folder for folder in OPERATIONS if OPERATIONS[folder].request])
def test_no_answer_is_outside_the_contract(explorer: Explorer, folder: str, positive: bool) -> None:
    explorer.explore(folder, positive=positive, examples=EXAMPLES)
    assert sum(explorer.answers[folder].values()) >= EXAMPLES / 2


def test_no_answer_of_the_directory_is_outside_the_contract(explorer: Explorer) -> None:
    explorer.explore("get_api_directory", positive=True, examples=EXAMPLES)

"""Every endpoint against all that another app has, and against every failed proof: tests/walls.py, in this process.

The answer has the same bytes as what an unknown thing, or a failed proof, gets, and no table has changed.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from settlepoint_local import in_process
from settlepoint_local.in_process import Reply, World
from settlepoint_local.lambda_events import api_event
from settlepoint_local.openapi import OPERATIONS
from settlepoint_local.situations import BILL, ORDER, json_bytes
from settlepoint_local.template import endpoints
from tests.walls import (
    CALLED,
    FOREIGN,
    MERCHANT_A,
    POWERLESS,
    REFUSED,
    ROWS,
    WITHOUT_LOOK_UPS,
    by,
    directory_signatures,
    failing_proofs,
    forbidden,
    powerless,
    publish,
    refused,
)


def test_every_endpoint_has_a_row() -> None:
    assert ROWS.keys() == endpoints().keys() == OPERATIONS.keys()
    assert {folder: row.needs for folder, row in ROWS.items()} == {
        folder: operation.need for folder, operation in OPERATIONS.items()
    }


@pytest.fixture
def settled(world: World) -> World:
    """App A has a settled club order, a settled and an open game order."""
    return furnished(world)


@pytest.fixture(scope="module")
def shared(aws: None) -> Iterator[World]:  # noqa: ARG001  # it lives in there
    """The same for calls that are refused: they change nothing, and so need no world of their own."""
    with in_process.world() as made:
        before = furnished(made).digest()
        yield made
        assert made.digest() == before


def furnished(world: World) -> World:
    world.happen("create_club_order/creates", "set_club_jf_settle/settles_in_full")
    world.happen("create_order/creates", "create_order/creates_without_optional_fields", "settle_users/settles_one")
    publish(world.function("write_statements").bookkeeper)
    return world


def ask_directory(world: World, signature: str) -> Reply:
    folder = "get_api_directory"
    reply: Reply = world.invoke(
        folder, api_event(folder, endpoints()[folder], world.now_ms, parameters={"signature": signature})
    )
    return reply


def same_bytes(one: Reply, other: Reply) -> bool:
    return (one.status, one.headers, one.text) == (other.status, other.headers, other.text)


def test_only_endpoints_that_look_nothing_up_have_nothing_foreign() -> None:
    assert {folder for folder, row in ROWS.items() if not row.foreign} == WITHOUT_LOOK_UPS


@pytest.mark.parametrize("folder", CALLED)
def test_the_honest_call_is_answered_or_the_rest_would_prove_nothing(settled: World, folder: str) -> None:
    reply = settled.call(folder, ROWS[folder].body, by(folder, ROWS[folder].app))
    assert (reply.status, reply.code) in {(200, 0), (200, 70504)}


@pytest.mark.parametrize(("folder", "place"), FOREIGN)
def test_what_another_has_is_what_nobody_has(settled: World, folder: str, place: int) -> None:
    row = ROWS[folder]
    before = settled.digest()
    theirs, nobodys = (settled.call(folder, body, by(folder, row.other)) for body in row.foreign[place])
    assert same_bytes(theirs, nobodys)
    assert settled.digest() == before
    mine = settled.call(folder, row.foreign[place][0], by(folder, row.app))
    assert mine.status == 200


@pytest.mark.parametrize("folder", sorted(WITHOUT_LOOK_UPS - {"get_api_directory"}))
def test_a_number_that_another_has_is_free_and_theirs_stays(settled: World, folder: str) -> None:
    body = {"create_club_order": BILL, "create_order": ORDER}[folder]
    table = settled.rows("SettlementTable")
    assert settled.call(folder, body, by(folder, ROWS[folder].other)).code == 0
    assert [row for row in settled.rows("SettlementTable") if row in table] == table


# ------------------------------------------------------------------------------------------------ who they are not


def bodies(folder: str) -> list[bytes]:
    """The honest one, what another has, what nobody has, what is no JSON at all: no oracle among them."""
    row = ROWS[folder]
    return [*map(json_bytes, [row.body, *(body for pair in row.foreign for body in pair)]), b"[]", b"\xff", b""]


@pytest.mark.parametrize("case", list(failing_proofs("create_order")))
@pytest.mark.parametrize("folder", CALLED)
def test_a_failed_proof_gets_the_one_answer_whatever_is_asked_for(shared: World, folder: str, case: str) -> None:
    before = shared.digest()
    for body in bodies(folder):
        reply = shared.call(folder, body, failing_proofs(folder)[case])
        assert (reply.status, reply.text) == refused(folder)
        assert reply.headers == {"Content-Type": "application/json"}
    assert shared.digest() == before


@pytest.mark.parametrize(("folder", "case"), POWERLESS)
def test_without_the_right_everything_gets_one_answer(shared: World, folder: str, case: str) -> None:
    before = shared.digest()
    for body in bodies(folder):
        reply = shared.call(folder, body, powerless(folder)[case])
        assert (reply.status, reply.text) == (403, forbidden(folder))
    assert shared.digest() == before


@pytest.mark.parametrize("case", list(directory_signatures()))
def test_no_path_but_an_apps_own_leads_to_a_directory(world: World, case: str) -> None:
    assert ask_directory(world, world.scene.directory_signature(MERCHANT_A)).status == 200
    reply = ask_directory(world, directory_signatures()[case](world.scene))
    assert (reply.status, reply.text) == REFUSED["path"]


# ------------------------------------------------------------------------------------------------ the matrix bites


def test_the_matrix_finds_a_wall_with_a_hole(settled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that finds whatever app an order belongs to is told from one that does not."""
    module = settled.function("query_order")
    honest = type(module.store).find_game_order

    def finds_anybodys(store: Any, _: str, order_id: str) -> Any:
        return honest(store, MERCHANT_A, order_id)

    monkeypatch.setattr(type(module.store), "find_game_order", finds_anybodys)
    row = ROWS["query_order"]
    theirs, nobodys = (settled.call("query_order", body, by("query_order", row.other)) for body in row.foreign[1])
    assert not same_bytes(theirs, nobodys)

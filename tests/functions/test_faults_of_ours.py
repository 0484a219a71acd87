"""1500 and 10001: what a caller sees when something behind a door is broken, and that it may then repeat."""

from collections.abc import Callable
from typing import Any

import pytest

from settlement import store
from settlepoint_local.in_process import World
from settlepoint_local.situations import SITUATIONS

from .answers import check_fault

# situation, AWS operation that the function needs, code
BROKEN = [
    ("create_club_order/creates", "GetItem", 1500),  # the app
    ("create_club_order/creates", "PutItem", 1500),
    ("create_club_order/repeats", "GetItem", 1500),
    ("set_club_jf_settle/settles_in_full", "GetItem", 1500),
    ("set_club_jf_settle/settles_in_full", "TransactWriteItems", 1500),
    ("get_club_jf_settle_list/lists_all", "Query", 1500),
    ("create_order/creates", "PutItem", 10001),
    ("query_order/tells_created", "GetItem", 10001),
    ("query_user_settle/tells_result", "GetItem", 10001),
    ("settle_users/settles", "BatchGetItem", 10001),
    ("settle_users/settles", "TransactWriteItems", 10001),
    ("get_api_directory/tells_urls", "GetItem", 10001),
]


@pytest.mark.parametrize("error", ["InternalServerError", "AccessDeniedException", "ValidationException"])
@pytest.mark.parametrize(("key", "operation", "code"), BROKEN)
def test_a_broken_table_is_our_fault_and_nothing_of_it_is_told(
    world: World, key: str, operation: str, code: int, error: str
) -> None:
    folder, event = SITUATIONS[key].folder, SITUATIONS[key].event(world.scene)
    world.prepare(key)
    world.cold_start()
    with world.failing("dynamodb", operation, error) as calls:
        check_fault(world.invoke(folder, event), code)
    assert calls
    assert [line for line in world.log if '"message":"fault"' in line and error in line]
    assert world.invoke(folder, event).code == 0


@pytest.mark.parametrize(
    ("key", "code"),
    [("create_club_order/creates", 1500), ("get_club_jf_settle_list/pages_on", 1500), ("create_order/creates", 10001)],
)
def test_an_unreadable_master_secret_is_our_fault_and_not_the_callers(world: World, key: str, code: int) -> None:
    world.prepare(key)
    world.cold_start()
    with world.failing("secretsmanager", "GetSecretValue", "DecryptionFailure"):
        check_fault(world.invoke(SITUATIONS[key].folder, SITUATIONS[key].event(world.scene)), code)


def cancelled(*codes: str) -> dict[str, Any]:
    return {"CancellationReasons": [{"Code": code} for code in codes]}


@pytest.mark.parametrize(
    ("key", "code"), [("set_club_jf_settle/settles_in_full", 1500), ("settle_users/settles", 10001)]
)
@pytest.mark.parametrize(
    "reasons",
    [
        ("TransactionConflict", "None", "None", "None", "None"),
        ("None", "TransactionConflict", "ThrottlingError", "None", "None"),
        ("None", "None", "ProvisionedThroughputExceeded", "None", "None"),
    ],
)
def test_conflicts_beyond_the_deadline_are_503_and_nothing_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch, key: str, code: int, reasons: tuple[str, ...]
) -> None:
    monkeypatch.setattr(store, "DEADLINE_SECONDS", 0.05)
    world.prepare(key)
    with world.failing(
        "dynamodb", "TransactWriteItems", "TransactionCanceledException", **cancelled(*reasons)
    ) as calls:
        reply = world.invoke(SITUATIONS[key].folder, SITUATIONS[key].event(world.scene))
    check_fault(reply, code, "the order", status=503)
    assert len(calls) > 1
    assert world.invoke(SITUATIONS[key].folder, SITUATIONS[key].event(world.scene)).code == 0


@pytest.mark.parametrize(
    "reasons", [("ValidationError", "None"), ("TransactionConflict", "ItemCollectionSizeLimitExceeded")]
)
def test_a_reason_that_does_not_pass_is_not_tried_again(world: World, reasons: tuple[str, ...]) -> None:
    key = "set_club_jf_settle/settles_in_full"
    world.prepare(key)
    with world.failing(
        "dynamodb", "TransactWriteItems", "TransactionCanceledException", **cancelled(*reasons)
    ) as calls:
        reply = world.invoke(SITUATIONS[key].folder, SITUATIONS[key].event(world.scene))
    check_fault(reply, 1500)
    assert len(calls) == 1


@pytest.mark.parametrize("key", ["set_club_jf_settle/settles_in_full", "settle_users/settles"])
@pytest.mark.parametrize("error", ["TransactionInProgressException", "TransactionCanceledException"])
def test_a_conflict_that_passes_is_tried_again_and_succeeds(world: World, key: str, error: str) -> None:
    world.prepare(key)
    conflict = cancelled("None", "TransactionConflict")
    with world.failing("dynamodb", "TransactWriteItems", error, times=2, **conflict) as calls:
        assert world.invoke(SITUATIONS[key].folder, SITUATIONS[key].event(world.scene)).code == 0
    assert len(calls) == 3
    assert len(world.rows("NotificationTable")) == 1


@pytest.mark.parametrize("damage", [{"body": "%%%", "isBase64Encoded": True}, {"body": None, "headers": None}])
def test_an_event_that_is_not_whole_is_refused_and_not_a_crash(world: World, damage: dict[str, Any]) -> None:
    event = SITUATIONS["create_order/creates"].event(world.scene) | damage
    assert world.invoke("create_order", event).code in (10002, 10004)


@pytest.mark.parametrize("variable", ["SETTLEMENT_TABLE", "MASTER_SECRET_ID", "PAGE_SIZE", "ALLOW_LOCAL_RECEIVERS"])
def test_a_missing_setting_stops_the_cold_start_and_names_itself(
    world: World, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(Exception, match=variable):
        world.function("create_order")


def test_reads_that_dynamodb_left_undone_are_asked_for_again(world: World) -> None:
    key = "settle_users/settles"
    world.prepare(key)
    with world.changing("dynamodb", "BatchGetItem", leaves_one_unread()):
        assert world.invoke("settle_users", SITUATIONS[key].event(world.scene)).code == 0
    assert len(world.rows("NotificationTable")) == 1


def leaves_one_unread() -> Callable[[dict[str, Any]], None]:
    """The first answer lacks its last row and says so, as DynamoDB's do when it is busy."""
    done: list[bool] = []

    def change(answer: dict[str, Any]) -> None:
        if not done:
            done.append(True)
            [(table, rows)] = answer["Responses"].items()
            unread = rows.pop()
            answer["UnprocessedKeys"] = {table: {"Keys": [{"billno": unread["billno"]}], "ConsistentRead": True}}

    return change

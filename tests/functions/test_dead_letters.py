"""What our own code fails on: it goes back four times, and then one message tells of it, with its cause."""

from typing import Any

import pytest
import simplejson

from settlement.queue import MAX_RECEIVES
from settlepoint_local.in_process import World
from settlepoint_local.lambda_events import sqs_event
from settlepoint_local.template import template

from .notifying import attempt, counted, settle_one
from .receiver import Receiver


def received(world: World, body: str, times: int) -> Any:
    event = sqs_event([body], world.now_ms, receives=times)
    return world.invoke("deliver_notification", event)["batchItemFailures"], event["Records"][0]["messageId"]


def received_until_it_is_gone(world: World, body: str) -> str:
    """As SQS does, three minutes apart; the message's id."""
    for times in range(1, MAX_RECEIVES + 1):
        failures, message_id = received(world, body, times)
        if not failures:
            assert times == MAX_RECEIVES
            return str(message_id)
        assert failures == [{"itemIdentifier": message_id}]
        assert world.dead_letters() == []
        world.now_ms += 180_000
    raise AssertionError("it always goes back")


POISONED = {
    "{": "JSONDecodeError",
    '{"notify_id":5,"attempt":"1"}': "ValueError in read_message, queue.py:",
    '{"release":"club-a"}': "ValueError in read_message, queue.py:",
}


@pytest.mark.parametrize(("body", "cause"), POISONED.items())
def test_a_poisoned_message_is_given_up_once_with_its_cause(world: World, body: str, cause: str) -> None:
    message_id = received_until_it_is_gone(world, body)
    [(buried, told)] = world.dead_letters()
    assert buried == body
    assert told["cause"].startswith(cause)
    assert told["message_id"] == message_id
    assert counted(world, "Faults") == MAX_RECEIVES


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("dynamodb", "UpdateItem", "InternalServerError"),
        ("dynamodb", "GetItem", "ProvisionedThroughputExceededException"),
        ("secretsmanager", "GetSecretValue", "ResourceNotFoundException"),
    ],
)
def test_each_fault_of_ours_leaves_one_message_with_its_cause(
    world: World, receiver: Receiver, service: str, operation: str, code: str
) -> None:
    body = simplejson.dumps(attempt(settle_one(world)))
    with world.failing(service, operation, code):
        received_until_it_is_gone(world, body)
    [(buried, told)] = world.dead_letters()
    assert buried == body
    assert told["cause"].split(" in ")[0] in (code, "ClientError", "InternalServerError")
    assert receiver.requests == []
    # Put back into the queue once the fault is mended, it is delivered.
    world.now_ms += 180_000
    assert received(world, body, 1)[0] == []
    assert len(receiver.requests) == 1


def test_what_the_dead_letter_queue_does_not_take_goes_back(world: World) -> None:
    """There SQS's own redrive has it."""
    with world.failing("sqs", "SendMessage"):
        failures, message_id = received(world, "{", MAX_RECEIVES)
    assert failures == [{"itemIdentifier": message_id}]
    assert template()["Resources"]["NotificationQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] > MAX_RECEIVES


def test_a_cause_quotes_nothing(world: World) -> None:
    received(world, '{"notify_id":"openid-of-li"', MAX_RECEIVES)
    [(_, told)] = world.dead_letters()
    assert "openid-of-li" not in told["cause"]

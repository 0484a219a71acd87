"""From the ledger's stream to the queue."""

from typing import Any

import pytest

from settlepoint_local.in_process import World
from settlepoint_local.situations import SITUATIONS, club_settlement, game_settlement


def test_new_rows_of_the_stream_become_messages_of_their_apps(world: World) -> None:
    world.replay("queue_notifications/new_notifications")
    club, game = club_settlement(world.scene), game_settlement(world.scene)
    assert world.messages() == [
        {"body": {"notify_id": club.notify_id, "attempt": 1}, "delay_seconds": 0, "group": "club-a"},
        {"body": {"notify_id": game.notify_id, "attempt": 1}, "delay_seconds": 0, "group": "merchant-a"},
    ]


def test_other_changes_and_other_rows_of_the_stream_are_passed_over(world: World) -> None:
    world.replay("queue_notifications/partly_other_rows")
    assert [message["body"]["notify_id"] for message in world.messages()] == [game_settlement(world.scene).notify_id]


def test_a_poisoned_record_raises_so_that_the_batch_comes_again(world: World) -> None:
    with pytest.raises(KeyError):
        world.replay("queue_notifications/poisoned")
    assert world.messages() == []
    assert any('"Faults"' in line for line in world.log)


def test_a_message_that_the_queue_does_not_take_raises(world: World) -> None:
    key = "queue_notifications/new_notifications"
    world.prepare(key)

    def refuse_the_second(answer: dict[str, Any]) -> None:
        answer["Failed"] = [{"Id": "1", "SenderFault": False, "Code": "InternalError"}]

    with world.changing("sqs", "SendMessageBatch", refuse_the_second), pytest.raises(Exception, match="1 of 2"):
        world.invoke("queue_notifications", SITUATIONS[key].event(world.scene))

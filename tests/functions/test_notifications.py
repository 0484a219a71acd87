"""From the ledger's stream to the receiver: what is sent, how it is judged, and what the ledger keeps of it."""

import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import simplejson
from standardwebhooks import Webhook, WebhookVerificationError

from settlement.apps import SecretVersion
from settlement.signing import sud_signature, webhook_library_secret, webhook_signature
from settlepoint_local.in_process import World
from settlepoint_local.lambda_events import sqs_event
from settlepoint_local.scene import GENERATION, Scene
from settlepoint_local.situations import SITUATIONS, club_settlement, game_settlement

from .receiver import ACKNOWLEDGED, Answer, Receiver, receiving

NOW_MS = Scene().now_ms
MINUTE = 60
HOUR = 3600
WAITS = [3, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, *6 * [12 * HOUR]]
DAY = 24 * HOUR


@pytest.fixture
def receiver(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Both apps are told there."""
    monkeypatch.setenv("ALLOW_LOCAL_RECEIVERS", "true")
    with receiving() as made:
        for app_id in ("club-a", "merchant-a"):
            world.change_app(app_id, notify_url=made.url)
        yield made


def settle_one(world: World) -> str:
    """A settled club order; its notification's id."""
    world.replay("set_club_jf_settle/settles_in_full")
    [row] = world.rows("NotificationTable")
    return str(row["notify_id"])


def deliver(world: World, notify_id: str, attempt: int = 1) -> dict[str, Any]:
    """One message; the notification's row afterwards."""
    event = sqs_event([simplejson.dumps({"notify_id": notify_id, "attempt": attempt})], world.now_ms)
    assert world.invoke("deliver_notification", event) == {"batchItemFailures": []}
    return row_of(world, notify_id)


def row_of(world: World, notify_id: str) -> dict[str, Any]:
    [row] = [row for row in world.rows("NotificationTable") if row["notify_id"] == notify_id]
    return row


def results(world: World) -> list[str]:
    """What the attempts' log lines say, the last call's last."""
    lines = [simplejson.loads(line) for line in world.log if '"message":"attempt"' in line]
    return [line["result"] for line in lines]


# ------------------------------------------------------------------------------------------------ stream to queue


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


# ------------------------------------------------------------------------------------------------ what is sent


def test_two_messages_are_two_requests_and_both_delivered(world: World, receiver: Receiver) -> None:
    answer = world.replay("deliver_notification/two_messages")

    assert answer == {"batchItemFailures": []}
    sent = {request.headers["Sud-AppId"]: request.body.decode() for request in receiver.requests}
    club, game = club_settlement(world.scene), game_settlement(world.scene)
    assert sent == {"club-a": club.body, "merchant-a": game.body}
    assert results(world) == ["delivered", "delivered"]


def test_a_club_is_told_the_entry_and_its_openid(world: World, receiver: Receiver) -> None:
    deliver(world, settle_one(world))
    [request] = receiver.requests
    assert (
        request.body
        == (
            b'{"notify_id":"%s","notify_time":"1795305600000","app_id":"club-a",'
            b'"notify_event":"upbot.club.jf.settle","data":{"openid":"openid-of-li","billno":"bill-1001","amt":1333,'
            b'"settle_amt":1333,"amt_ratio":100,"settle_time":1795305600000,'
            b'"detail":"\\u5468\\u672b\\u6d3b\\u52a8 1\\/2","source":5,"jf_gid":7,'
            b'"account":{"type":2,"id":"club-9","gid":9}}}'
        )
        % request.headers["webhook-id"].encode()
    )


def test_a_merchant_is_told_the_report(world: World, receiver: Receiver) -> None:
    world.replay("settle_users/settles")
    deliver(world, world.rows("NotificationTable")[0]["notify_id"])
    [request] = receiver.requests
    assert (
        request.body
        == (
            b'{"notify_id":"%s","notify_time":"1795305600000","app_id":"merchant-a",'
            b'"notify_event":"sud.mg.merchant.user.settle","data":{"mg_id":"mg-1","room_id":"room-9","match_id":"match-7",'
            b'"results":[{"uid":"player-1","order_id":"ab49e6adc253d31cf294ebf4c3a59633","out_order_id":"order-1001",'
            b'"is_ai":0,"score":120,"remain_score":880,"commission_score":6},'
            b'{"uid":"","order_id":"63c8548e3c8f520b5b8fa3dc95b78fa8","out_order_id":"order-1002",'
            b'"is_ai":1,"score":-120,"remain_score":0}],"settle_at":"1795305590"}}'
        )
        % request.headers["webhook-id"].encode()
    )


def test_a_receiver_verifies_the_sud_signature_by_recomputing_it(world: World, receiver: Receiver) -> None:
    deliver(world, settle_one(world))
    [request] = receiver.requests
    headers = request.headers
    assert headers["Content-Type"] == "application/json;charset=utf-8"
    assert headers["Sud-AppId"] == "club-a"
    assert headers["Sud-Timestamp"] == str(NOW_MS)
    assert re.fullmatch(r"[0-9a-f]{32}", headers["Sud-Nonce"])
    secret = world.scene.secret("club-a")
    expected = sud_signature(secret, "club-a", headers["Sud-Timestamp"], headers["Sud-Nonce"], request.body)
    assert headers["Sud-Signature"] == expected
    assert request.path == "/settled?by=settlepoint"


def test_a_receiver_verifies_with_a_standard_webhooks_library(world: World, receiver: Receiver) -> None:
    # The library looks at the real clock.
    world.scene = Scene(now_ms=time.time_ns() // 1_000_000)
    deliver(world, settle_one(world))
    [request] = receiver.requests
    library = Webhook(webhook_library_secret(world.scene.secret("club-a")))
    assert library.verify(request.body, request.headers)["notify_id"] == request.headers["webhook-id"]
    with pytest.raises(WebhookVerificationError):
        library.verify(request.body.replace(b"1333", b"1334"), request.headers)


def test_while_a_secret_is_rotated_the_webhook_signature_carries_both(world: World, receiver: Receiver) -> None:
    rotating = tuple(
        SecretVersion(version, GENERATION, retires_at_ms=NOW_MS + 1 if version == 1 else None) for version in (1, 2)
    )
    world.change_app("club-a", notify_url=receiver.url, secret_versions=rotating, signing_version=1)
    deliver(world, settle_one(world))
    [request] = receiver.requests
    headers = request.headers
    signatures = {
        webhook_signature(
            world.scene.secret("club-a", version), headers["webhook-id"], str(NOW_MS // 1000), request.body
        )
        for version in (1, 2)
    }
    assert set(headers["webhook-signature"].split(" ")) == signatures
    old = world.scene.secret("club-a", 1)
    assert headers["Sud-Signature"] == sud_signature(old, "club-a", str(NOW_MS), headers["Sud-Nonce"], request.body)


def test_every_attempt_sends_the_same_bytes_under_a_fresh_signature(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(500)
    notify_id = settle_one(world)
    for attempt in (1, 2, 3):
        world.now_ms = row_of(world, notify_id)["next_attempt_at"]
        deliver(world, notify_id, attempt)
    assert len(receiver.requests) == 3
    assert {request.body for request in receiver.requests} == {row_of(world, notify_id)["body"].encode("ascii")}
    for header in ("Sud-Timestamp", "Sud-Nonce", "Sud-Signature", "webhook-timestamp", "webhook-signature"):
        assert len({request.headers[header] for request in receiver.requests}) == 3
    assert {request.headers["webhook-id"] for request in receiver.requests} == {notify_id}


# ------------------------------------------------------------------------------------------------ how it is judged


@pytest.mark.usefixtures("receiver")
def test_an_acknowledged_notification_ends(world: World) -> None:
    row = deliver(world, settle_one(world))
    assert (row["status"], row["attempt_count"]) == ("delivered", 1)
    assert row["attempts"] == [{"at": NOW_MS, "duration_ms": 0, "http_status": 200, "ret_code": 0}]
    assert row["expires_at"] == NOW_MS // 1000 + 30 * DAY
    assert row.keys().isdisjoint({"next_attempt_at", "due_at", "due_shard", "lease_until"})
    assert world.messages() == []
    assert any('"NotificationsDelivered":[1.0]' in line for line in world.log)


ACKNOWLEDGEMENTS = [
    Answer(),
    Answer(201),
    Answer(body=b'{"ret_code":0}'),
    Answer(body=b' {"more":[1.5],"ret_code" : 0}\n'),
    Answer(body=b'{"ret_code":-0}'),
    Answer(headers={"Content-Type": "text/html"}),
]
FAILURES: list[tuple[str, Answer, dict[str, Any]]] = [
    ("a string", Answer(body=b'{"ret_code":"0"}'), {"http_status": 200}),
    ("false", Answer(body=b'{"ret_code":false}'), {"http_status": 200}),
    ("null", Answer(body=b'{"ret_code":null}'), {"http_status": 200}),
    ("a fraction", Answer(body=b'{"ret_code":0.0}'), {"http_status": 200}),
    ("another code", Answer(body=b'{"ret_code":1}'), {"http_status": 200, "ret_code": 1}),
    ("a huge code", Answer(body=b'{"ret_code":%s}' % (b"9" * 40)), {"http_status": 200}),
    ("no code", Answer(body=b"{}"), {"http_status": 200}),
    ("a list", Answer(body=b'[{"ret_code":0}]'), {"http_status": 200}),
    ("nothing", Answer(body=b""), {"http_status": 200}),
    ("204", Answer(204, b""), {"http_status": 204}),
    ("ok", Answer(body=b"ok"), {"http_status": 200}),
    ("html", Answer(body=b"<html><body>Sign in</body></html>"), {"http_status": 200}),
    ("twice", Answer(body=b'{"ret_code":1,"ret_code":0}'), {"http_status": 200}),
    ("not utf-8", Answer(body=b'{"ret_code":0,"a":"\xff"}'), {"http_status": 200}),
    ("larger than 16 KiB", Answer(body=b'{"ret_code":0,"a":"%s"}' % (b"x" * 16_384)), {"http_status": 200}),
    ("cut off", Answer(headers={"Content-Length": "99", "Connection": "close"}), {}),
    ("300", Answer(300), {"http_status": 300}),
    ("400", Answer(400), {"http_status": 400}),
    ("404", Answer(404), {"http_status": 404}),
    ("429", Answer(429), {"http_status": 429}),
    ("500", Answer(500), {"http_status": 500}),
    ("503", Answer(503), {"http_status": 503}),
]


@pytest.mark.parametrize("answer", ACKNOWLEDGEMENTS)
def test_what_acknowledges(world: World, receiver: Receiver, answer: Answer) -> None:
    receiver.answer = answer
    assert deliver(world, settle_one(world))["status"] == "delivered"


@pytest.mark.parametrize(("answer", "kept"), [pair[1:] for pair in FAILURES], ids=[pair[0] for pair in FAILURES])
def test_everything_else_is_a_failed_attempt(
    world: World, receiver: Receiver, answer: Answer, kept: dict[str, Any]
) -> None:
    receiver.answer = answer
    row = deliver(world, settle_one(world))
    assert (row["status"], row["attempt_count"]) == ("retrying", 1)
    [attempt] = row["attempts"]
    assert attempt.pop("error")
    assert attempt == {"at": NOW_MS, "duration_ms": 0, **kept}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(world: World, receiver: Receiver, status: int) -> None:
    receiver.answer = Answer(status, headers={"Location": "/elsewhere"})
    row = deliver(world, settle_one(world))
    assert (row["status"], row["attempts"][0]["http_status"]) == ("retrying", status)
    assert [request.path for request in receiver.requests] == ["/settled?by=settlepoint"]


def test_410_ends_the_deliveries_of_that_notification(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(410)
    row = deliver(world, settle_one(world))
    assert (row["status"], row["attempt_count"]) == ("dead", 1)
    assert row["expires_at"] == NOW_MS // 1000 + 90 * DAY
    assert row.keys().isdisjoint({"next_attempt_at", "due_at", "due_shard"})
    assert world.messages() == []


@pytest.mark.parametrize("answer", [Answer(after_seconds=1), Answer(500, after_seconds=1)])
def test_an_answer_that_does_not_end_in_time_is_a_failed_attempt(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr("settlement.sender.ATTEMPT_SECONDS", 0.3)
    receiver.answer = answer
    row = deliver(world, settle_one(world))
    assert (row["status"], row["attempts"][0]["error"]) == ("retrying", "timeout")


def test_nobody_there_is_a_failed_attempt(world: World, receiver: Receiver) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        world.change_app("club-a", notify_url=f"http://127.0.0.1:{unused.getsockname()[1]}/")
        row = deliver(world, settle_one(world))
    assert (row["status"], row["attempts"][0]["error"]) == ("retrying", "connection refused")
    assert receiver.requests == []


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:1/", "https://[::1]/", "https://169.254.169.254/", "http://localhost/"]
)
def test_a_deployment_for_real_receivers_connects_to_no_local_address(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ALLOW_LOCAL_RECEIVERS", "false")
    world.change_app("club-a", notify_url=url)
    row = deliver(world, settle_one(world))
    assert row["status"] == "dead"
    assert row["attempts"][0]["error"].startswith("url ")
    assert receiver.requests == []


# ------------------------------------------------------------------------------------------------ when it comes again


def test_the_schedule_is_the_documented_one_and_then_it_is_dead(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(500)
    notify_id = settle_one(world)
    for attempt, wait in enumerate(WAITS, start=1):
        row = deliver(world, notify_id, attempt)
        assert (row["status"], row["attempt_count"]) == ("retrying", attempt)
        waited = row["next_attempt_at"] - world.now_ms
        assert wait * 1000 <= waited <= wait * 1100
        assert row["due_at"] == row["next_attempt_at"] + MINUTE * 1000
        expected = {"notify_id": notify_id, "attempt": attempt + 1}
        sent = [message for message in world.messages() if message["body"] == expected]
        if waited <= 900_000:
            assert [message["group"] for message in sent] == ["club-a"]
            assert waited <= sent[0]["delay_seconds"] * 1000 < waited + 1000
        else:
            assert sent == []  # SQS cannot wait so long: it lives in the ledger alone
        world.now_ms = row["next_attempt_at"]

    row = deliver(world, notify_id, len(WAITS) + 1)
    assert (row["status"], row["attempt_count"]) == ("dead", 16)
    assert len(row["attempts"]) == len(receiver.requests) == 16
    assert row["expires_at"] == world.now_ms // 1000 + 90 * DAY


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [("120", 120, 132), ("3600", 3600, 3960), ("999999", 3600, 3960), ("1", 3, 3.3), ("soon", 3, 3.3), ("-5", 3, 3.3)],
)
def test_retry_after_is_honoured_up_to_an_hour(
    world: World, receiver: Receiver, retry_after: str, least: float, most: float
) -> None:
    receiver.answer = Answer(503, headers={"Retry-After": retry_after})
    row = deliver(world, settle_one(world))
    assert least * 1000 <= row["next_attempt_at"] - NOW_MS <= most * 1000


def test_a_message_that_comes_twice_is_one_attempt(world: World, receiver: Receiver) -> None:
    answer = world.replay("deliver_notification/same_message_twice")
    assert answer == {"batchItemFailures": []}
    assert len(receiver.requests) == 1
    assert sorted(results(world)) == ["delivered", "duplicate"]


@pytest.mark.parametrize("key", ["unknown_notification", "later_attempt_than_due"])
def test_a_message_with_nothing_to_begin_ends_quietly(world: World, receiver: Receiver, key: str) -> None:
    world.prepare(f"deliver_notification/{key}")
    before = world.digest()
    event = SITUATIONS[f"deliver_notification/{key}"].event(world.scene)
    assert world.invoke("deliver_notification", event) == {"batchItemFailures": []}
    assert world.digest() == before
    assert receiver.requests == []


def test_a_message_before_its_time_makes_no_attempt(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(500)
    notify_id = settle_one(world)
    world.now_ms = deliver(world, notify_id)["next_attempt_at"] - 1
    deliver(world, notify_id, 2)
    assert len(receiver.requests) == 1
    world.now_ms += 1
    deliver(world, notify_id, 2)
    assert len(receiver.requests) == 2


# ------------------------------------------------------------------------------------------------ our own faults


def test_a_poisoned_message_fails_alone(world: World, receiver: Receiver) -> None:
    key = "deliver_notification/partly_poisoned"
    records = SITUATIONS[key].event(world.scene)["Records"]
    answer = world.replay(key)
    poisoned = [{"itemIdentifier": records[place]["messageId"]} for place in (0, 2)]
    assert answer == {"batchItemFailures": poisoned}
    assert results(world) == ["delivered"]
    assert len(receiver.requests) == 1


def test_a_poisoned_message_of_the_right_shape_fails_too(world: World) -> None:
    assert len(world.replay("deliver_notification/poisoned")["batchItemFailures"]) == 1


@pytest.mark.parametrize(
    ("service", "operation"),
    [("dynamodb", "UpdateItem"), ("dynamodb", "GetItem"), ("secretsmanager", "GetSecretValue")],
)
def test_our_own_fault_spends_no_attempt(world: World, receiver: Receiver, service: str, operation: str) -> None:
    notify_id = settle_one(world)
    event = sqs_event([simplejson.dumps({"notify_id": notify_id, "attempt": 1})], world.now_ms)
    with world.failing(service, operation):
        answer = world.invoke("deliver_notification", event)
    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}
    row = row_of(world, notify_id)
    assert (row["status"], row["attempt_count"], receiver.requests) == ("pending", 0, [])

    world.now_ms += 180_000  # the queue shows the message again
    assert deliver(world, notify_id)["status"] == "delivered"


def test_a_next_message_that_is_not_taken_is_left_to_the_sweep(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(500)
    notify_id = settle_one(world)
    event = sqs_event([simplejson.dumps({"notify_id": notify_id, "attempt": 1})], world.now_ms)
    with world.failing("sqs", "SendMessageBatch"):
        assert world.invoke("deliver_notification", event)["batchItemFailures"] == []
    row = deliver(world, notify_id)  # even if the queue brings it again: it was made, it is not made twice
    assert (row["status"], row["attempt_count"], len(receiver.requests)) == ("retrying", 1, 1)
    world.now_ms = row["due_at"]
    world.invoke("requeue_notifications", {})
    assert world.messages()[-1]["body"] == {"notify_id": notify_id, "attempt": 2}


def test_an_attempt_that_was_begun_and_not_recorded_is_made_again_after_its_lease(
    world: World, receiver: Receiver
) -> None:
    notify_id = settle_one(world)
    event = sqs_event([simplejson.dumps({"notify_id": notify_id, "attempt": 1})], world.now_ms)

    def crash(_: dict[str, Any]) -> None:
        raise ConnectionError("after the claim")

    with world.changing("dynamodb", "UpdateItem", crash):
        assert len(world.invoke("deliver_notification", event)["batchItemFailures"]) == 1
    world.now_ms += 35_000
    deliver(world, notify_id)
    assert receiver.requests == []  # its owner may still be sending
    world.now_ms += 1
    assert deliver(world, notify_id)["status"] == "delivered"


# ------------------------------------------------------------------------------------------------ sweep and hold


def test_the_sweep_sends_what_nothing_else_did(world: World) -> None:
    key = "requeue_notifications/every_minute"
    world.prepare(key)
    event = SITUATIONS[key].event(world.scene)
    club, game = club_settlement(world.scene), game_settlement(world.scene)

    for now_ms, sent in (
        (NOW_MS - 4000 + 59_999, []),
        (NOW_MS - 4000 + 60_000, [club]),
        (NOW_MS - 4000 + 60_001, []),
        (NOW_MS - 1000 + 60_000, [game]),
        (NOW_MS - 4000 + 120_000, [club]),
        (NOW_MS + 3_600_000, [club, game]),
    ):
        before = len(world.messages())
        world.now_ms = now_ms
        world.invoke("requeue_notifications", event)
        new = world.messages()[before:]
        assert sorted((message["body"]["notify_id"], message["group"]) for message in new) == sorted(
            (notification.notify_id, notification.app_id) for notification in sent
        )
        assert all(message["body"]["attempt"] == 1 and message["delay_seconds"] == 0 for message in new)


def test_the_sweep_says_how_late_the_oldest_is(world: World) -> None:
    world.prepare("requeue_notifications/every_minute")
    world.now_ms = NOW_MS + 600_000
    world.invoke("requeue_notifications", {})
    [metrics] = [line for line in world.log if "OldestOverdueSeconds" in line]
    assert simplejson.loads(metrics)["OldestOverdueSeconds"] == [604.0]


def test_what_was_delivered_is_not_swept(world: World, receiver: Receiver) -> None:
    world.replay("deliver_notification/two_messages")
    world.now_ms += 365 * DAY * 1000
    world.invoke("requeue_notifications", {})
    assert world.messages() == []
    assert len(receiver.requests) == 2


def test_a_disabled_apps_notification_is_held_and_goes_out_when_it_is_enabled(world: World, receiver: Receiver) -> None:
    notify_id = settle_one(world)
    world.change_app("club-a", notify_url=receiver.url, status="disabled")
    row = deliver(world, notify_id)
    assert (row["status"], row["attempt_count"], row["attempts"]) == ("held", 0, [])
    assert receiver.requests == []
    assert "lease_until" not in row

    world.change_app("club-a", notify_url=receiver.url)
    world.cold_start()
    world.now_ms = row["due_at"]
    world.invoke("requeue_notifications", {})
    assert [message["body"]["attempt"] for message in world.messages()] == [1]
    assert deliver(world, notify_id)["status"] == "delivered"


def test_an_app_that_lost_its_notify_url_is_told_nothing_more(world: World, receiver: Receiver) -> None:
    notify_id = settle_one(world)
    world.change_app("club-a", notify_url=None)
    row = deliver(world, notify_id)
    assert (row["status"], row["attempts"][0]["error"]) == ("dead", "app has no notify_url")
    assert receiver.requests == []


def test_acknowledging_bytes_are_what_the_guide_says() -> None:
    assert simplejson.loads(ACKNOWLEDGED)["ret_code"] == 0

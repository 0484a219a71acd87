"""One attempt: what is sent, how the answer is judged, what is said of it, and what a fault of ours leaves behind."""

import re
import socket
import time
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from settlement.apps import SecretVersion
from settlement.signing import sud_signature, webhook_library_secret, webhook_signature
from settlepoint_local.in_process import World
from settlepoint_local.project import STACK_NAME
from settlepoint_local.scene import GENERATION, Scene
from settlepoint_local.situations import BILL, SITUATIONS, club_settlement, game_settlement

from .notifying import (
    DAY,
    NOW_MS,
    attempt,
    brought,
    counted,
    deliver,
    deliver_new,
    log_lines,
    metrics,
    results,
    row_of,
    settle,
    settle_one,
    statuses,
)
from .receiver import Answer, Receiver

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
    for number in (1, 2, 3):
        world.now_ms = row_of(world, notify_id)["next_attempt_at"]
        deliver(world, notify_id, number)
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
FAILURES: list[tuple[str, str, Answer, dict[str, Any]]] = [
    ("a string", "not_acknowledged", Answer(body=b'{"ret_code":"0"}'), {"http_status": 200}),
    ("false", "not_acknowledged", Answer(body=b'{"ret_code":false}'), {"http_status": 200}),
    ("null", "not_acknowledged", Answer(body=b'{"ret_code":null}'), {"http_status": 200}),
    ("a fraction", "not_acknowledged", Answer(body=b'{"ret_code":0.0}'), {"http_status": 200}),
    ("another code", "not_acknowledged", Answer(body=b'{"ret_code":1}'), {"http_status": 200, "ret_code": 1}),
    ("a huge code", "not_acknowledged", Answer(body=b'{"ret_code":%s}' % (b"9" * 40)), {"http_status": 200}),
    ("no code", "not_acknowledged", Answer(body=b"{}"), {"http_status": 200}),
    ("a list", "not_acknowledged", Answer(body=b'[{"ret_code":0}]'), {"http_status": 200}),
    ("nothing", "not_acknowledged", Answer(body=b""), {"http_status": 200}),
    ("204", "not_acknowledged", Answer(204, b""), {"http_status": 204}),
    ("ok", "not_acknowledged", Answer(body=b"ok"), {"http_status": 200}),
    ("html", "not_acknowledged", Answer(body=b"<html><body>Sign in</body></html>"), {"http_status": 200}),
    ("twice", "not_acknowledged", Answer(body=b'{"ret_code":1,"ret_code":0}'), {"http_status": 200}),
    ("not utf-8", "not_acknowledged", Answer(body=b'{"ret_code":0,"a":"\xff"}'), {"http_status": 200}),
    (
        "larger than 16 KiB",
        "not_acknowledged",
        Answer(body=b'{"ret_code":0,"a":"%s"}' % (b"x" * 16_384)),
        {"http_status": 200},
    ),
    ("cut off", "transport", Answer(headers={"Content-Length": "99", "Connection": "close"}), {}),
    ("300", "http_3xx", Answer(300), {"http_status": 300}),
    ("400", "http_4xx", Answer(400), {"http_status": 400}),
    ("404", "http_4xx", Answer(404), {"http_status": 404}),
    ("429", "http_429", Answer(429), {"http_status": 429}),
    ("500", "http_5xx", Answer(500), {"http_status": 500}),
    ("503", "http_5xx", Answer(503), {"http_status": 503}),
]


@pytest.mark.parametrize("answer", ACKNOWLEDGEMENTS)
def test_what_acknowledges(world: World, receiver: Receiver, answer: Answer) -> None:
    receiver.answer = answer
    assert deliver(world, settle_one(world))["status"] == "delivered"


@pytest.mark.parametrize(
    ("error_class", "answer", "kept"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES]
)
def test_everything_else_is_a_failed_attempt(
    world: World, receiver: Receiver, error_class: str, answer: Answer, kept: dict[str, Any]
) -> None:
    receiver.answer = answer
    row = deliver(world, settle_one(world))
    assert (row["status"], row["attempt_count"]) == ("retrying", 1)
    [made] = row["attempts"]
    assert made.pop("error")
    assert made == {"at": NOW_MS, "duration_ms": 0, "error_class": error_class, **kept}
    assert row["error_class"] == error_class
    assert counted(world, "AttemptsFailedByClass", **{"class": error_class}) == 1


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
    assert row.keys().isdisjoint({"next_attempt_at", "lease_until"})
    assert (row["due_shard"], row["due_at"]) == ("dead#club-a", NOW_MS)
    assert world.messages() == []


@pytest.mark.parametrize("answer", [Answer(after_seconds=1), Answer(500, after_seconds=1)])
def test_an_answer_that_does_not_end_in_time_is_a_failed_attempt(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr("settlement.sender.ATTEMPT_SECONDS", 0.3)
    receiver.answer = answer
    row = deliver(world, settle_one(world))
    assert (row["status"], row["attempts"][0]["error"], row["error_class"]) == ("retrying", "timeout", "timeout")


def test_nobody_there_is_a_failed_attempt(world: World, receiver: Receiver) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        world.change_app("club-a", notify_url=f"http://127.0.0.1:{unused.getsockname()[1]}/")
        row = deliver(world, settle_one(world))
    assert (row["status"], row["attempts"][0]["error"]) == ("retrying", "connection refused")
    assert row["error_class"] == "transport"
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
    assert row["error_class"] == "refused"
    assert receiver.requests == []


def test_an_app_that_lost_its_notify_url_is_told_nothing_more(world: World, receiver: Receiver) -> None:
    notify_id = settle_one(world)
    world.change_app("club-a", notify_url=None)
    row = deliver(world, notify_id)
    assert (row["status"], row["attempts"][0]["error"]) == ("dead", "app has no notify_url")
    assert receiver.requests == []


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
    [
        ("dynamodb", "UpdateItem"),
        ("dynamodb", "GetItem"),
        ("dynamodb", "PutItem"),  # the breaker's: a new app's attempt is a trial
        ("secretsmanager", "GetSecretValue"),
    ],
)
def test_our_own_fault_spends_no_attempt(world: World, receiver: Receiver, service: str, operation: str) -> None:
    notify_id = settle_one(world)
    with world.failing(service, operation):
        assert len(brought(world, attempt(notify_id))) == 1
    row = row_of(world, notify_id)
    assert (row["status"], row["attempt_count"], receiver.requests) == ("pending", 0, [])
    assert len(log_lines(world, "fault")) == counted(world, "Faults") == 1

    world.now_ms += 180_000  # the queue shows the message again
    assert deliver(world, notify_id)["status"] == "delivered"


def test_an_attempt_that_was_begun_and_not_recorded_is_made_again_after_its_lease(
    world: World, receiver: Receiver
) -> None:
    notify_id = settle_one(world)

    def crash(_: dict[str, Any]) -> None:
        raise ConnectionError("after the claim")

    with world.changing("dynamodb", "UpdateItem", crash):
        assert len(brought(world, attempt(notify_id))) == 1
    world.now_ms += 35_000
    deliver(world, notify_id)
    assert receiver.requests == []  # its owner may still be sending
    world.now_ms += 1
    row = deliver(world, notify_id)
    assert (row["status"], row["attempt_count"]) == ("delivered", 1)
    assert [made.get("error_class") for made in row["attempts"]] == ["interrupted", None]


def test_one_fault_is_not_its_neighbours(world: World, receiver: Receiver) -> None:
    one, other = settle(world, 2)
    deliver_new(world)  # from now on they may go side by side
    with world.failing("dynamodb", "UpdateItem", where=one):
        assert len(brought(world, attempt(one), attempt(other))) == 1
    assert statuses(world)[one] == "pending"
    assert statuses(world)[other] == "delivered"
    assert one not in {request.notify_id for request in receiver.requests}


# ------------------------------------------------------------------------------------------------ what is said of it


def test_a_delivered_one_is_one_line_and_two_metrics(world: World, receiver: Receiver) -> None:
    notify_id = settle_one(world)
    world.now_ms += 2500
    receiver.meanwhile = lambda: setattr(world, "now_ms", world.now_ms + 40)
    deliver(world, notify_id)
    [line] = log_lines(world, "attempt")
    facts = {
        "door": "deliver_notification",
        "result": "delivered",
        "app_id": "club-a",
        "notify_id": notify_id,
        "attempt_number": 1,
        "http_status": 200,
        "duration_ms": 40,
        "age_ms": 2540,
        "opened": False,
    }
    assert line.items() >= facts.items()
    assert line["level"] == "INFO"
    assert {"error", "error_class", "fault", "released"}.isdisjoint(line)
    assert counted(world, "NotificationsDelivered") == 1
    assert counted(world, "DeliveryAgeMs") == 2540
    for metric in ("NotificationAttemptsFailed", "NotificationsDead", "NotificationsHeld", "Faults", "BreakersOpened"):
        assert counted(world, metric) == 0


def test_an_attempt_begins_when_it_is_sent_and_not_when_it_was_claimed(world: World, receiver: Receiver) -> None:
    notify_id = settle_one(world)

    def take_long() -> None:
        world.now_ms += 700

    with world.once_before("dynamodb", "PutItem", take_long):
        row = deliver(world, notify_id)
    assert [(made["at"], made["duration_ms"]) for made in row["attempts"]] == [(NOW_MS + 700, 0)]
    assert receiver.requests[0].headers["Sud-Timestamp"] == str(NOW_MS + 700)


@pytest.mark.parametrize(
    ("answer", "result", "error", "error_class", "metric"),
    [
        (Answer(503), "retrying", "http 503", "http_5xx", "NotificationAttemptsFailed"),
        (Answer(410), "dead", "http 410", "http_4xx", "NotificationsDead"),
        (
            Answer(body=b"ok"),
            "retrying",
            "answer is not a JSON object",
            "not_acknowledged",
            "NotificationAttemptsFailed",
        ),
    ],
)
def test_a_failed_one_is_one_line_with_its_class(
    world: World, receiver: Receiver, answer: Answer, result: str, error: str, error_class: str, metric: str
) -> None:
    receiver.answer = answer
    deliver(world, settle_one(world))
    [line] = log_lines(world, "attempt")
    assert (line["result"], line["error"], line["error_class"]) == (result, error, error_class)
    assert line["http_status"] == answer.status
    assert counted(world, metric) == 1
    assert counted(world, "NotificationsDelivered") == 0


def test_failures_by_class_are_a_metric_of_this_stack_with_a_dimension(world: World, receiver: Receiver) -> None:
    receiver.answer = Answer(429)
    deliver(world, settle_one(world))
    [line] = [line for line in metrics(world) if "AttemptsFailedByClass" in line]
    [declared] = line["_aws"]["CloudWatchMetrics"]
    assert declared["Namespace"] == "Settlepoint"
    assert [sorted(dimensions) for dimensions in declared["Dimensions"]] == [["class", "service"]]
    assert (line["class"], line["service"]) == ("http_429", STACK_NAME)


def test_no_line_holds_what_is_the_receivers_alone(world: World, receiver: Receiver) -> None:
    for answer in (Answer(500, b"the receiver's own words"), Answer()):
        receiver.answer = answer
        for notify_id in settle(world, 2):
            deliver(world, notify_id)
    assert len(log_lines(world, "attempt")) == 4
    private = {str(BILL["openid"]), receiver.url, "127.0.0.1", "own words", "bill-0"}
    for request in receiver.requests:
        private |= {request.headers[name] for name in ("Sud-Signature", "Sud-Nonce", "webhook-signature")}
        private.add(request.body.decode())
    lines = [line for line in world.log if '"call"' not in line]  # those of the API name their path and no more
    for text in private:
        assert not [line for line in lines if text in line]

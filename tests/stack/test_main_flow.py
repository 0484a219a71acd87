"""What customers do all day, from the first call to the verified notification."""

import hmac
import time
from decimal import Decimal
from typing import Any

import pytest

from .receiver import Receiver
from .system import System, until
from .wire import as_bytes, send

pytestmark = pytest.mark.stack


def test_a_club_order_is_created_settled_listed_and_told(system: System, receiver: Receiver) -> None:
    club = system.club(notify_url=receiver.url)
    account = {"type": 2, "id": system.confidential("club"), "gid": 9}
    order = system.club_order(amt=1333, account=account)

    created, settled = club.create(order), club.settle(order, amt_ratio=25)
    assert created.body == settled.body == b'{"ret":0,"msg":""}'
    listed = club.page(order["openid"])

    [entry] = listed.data["settle_list"]
    assert entry == {
        "billno": order["bill_no"],
        "amt": 1333,
        "settle_amt": Decimal("333.25"),
        "amt_ratio": 25,
        "settle_time": entry["settle_time"],
        "account": account,
        "detail": order["detail"],
        "source": 5,
        "jf_gid": 7,
    }
    assert abs(entry["settle_time"] / 1000 - time.time()) < 30
    assert {name: listed.data[name] for name in ("total_amt", "page_context", "is_end")} == {
        "total_amt": Decimal("333.25"),
        "page_context": "",
        "is_end": True,
    }
    assert b'"settle_amt":333.25,' in listed.body

    [callback] = receiver.wait_for(1)
    assert callback.verified(club.app_id, club.secret) == {
        "notify_id": callback.headers["webhook-id"],
        "notify_time": str(entry["settle_time"]),
        "app_id": club.app_id,
        "notify_event": "upbot.club.jf.settle",
        "data": {"openid": order["openid"], **entry},
    }
    assert callback.body.isascii()
    assert rb"1\/2" in callback.body
    row = system.wait_for_status(club.app_id, "delivered")
    assert (row["notify_id"], row["body"].encode()) == (callback.json["notify_id"], callback.body)
    assert [(attempt["http_status"], attempt["ret_code"]) for attempt in row["attempts"]] == [(200, 0)]
    assert not {"next_attempt_at", "due_shard", "due_at"} & row.keys()


def test_a_game_report_settles_its_orders_and_the_merchant_is_told_once(system: System, receiver: Receiver) -> None:
    merchant = system.merchant(notify_url=receiver.url)
    game_server = system.game_server(merchant, "mg-1")
    orders = [system.game_order(payload={"to": "a/b"}), system.game_order()]
    order_ids = [merchant.create(order).data["order_id"] for order in orders]
    assert merchant.query(order_id=order_ids[0]).data == {**orders[0], "order_id": order_ids[0], "status": "CREATED"}
    assert merchant.query_settle(order_id=order_ids[0]).code == 70504

    report = system.report(merchant)
    player = {"uid": system.confidential("uid"), "is_ai": 0, "score": 120, "remain_score": 880, "commission_score": 6}
    robot = {"uid": "", "is_ai": 1, "score": -120, "remain_score": -2147483648}
    report["results"] = [{"order_id": order_ids[0], **player}, {"out_order_id": orders[1]["out_order_id"], **robot}]
    assert game_server.report(report).body == b'{"ret_code":0,"ret_msg":"","data":{}}'

    assert merchant.query(out_order_id=orders[1]["out_order_id"]).data["status"] == "EXECUTE_SUCCESS"
    results = [
        {**figures, "order_id": order_id, "out_order_id": order["out_order_id"]}
        for order_id, order, figures in zip(order_ids, orders, (player, robot), strict=True)
    ]
    where = {name: report[name] for name in ("mg_id", "room_id", "match_id", "settle_at")}
    for order_id, result in zip(order_ids, results, strict=True):
        assert merchant.query_settle(order_id=order_id).data == {**result, **where}

    [callback] = receiver.wait_for(1)
    told = callback.verified(merchant.app_id, merchant.secret)
    assert told["notify_event"] == "sud.mg.merchant.user.settle"
    assert told["data"] == {**where, "results": results}
    delivered = system.wait_for_status(merchant.app_id, "delivered")

    assert game_server.report(report).code == 0
    assert system.ledger(merchant.app_id) == [delivered]
    assert receiver.callbacks == [callback]


def test_a_receiver_that_fails_is_asked_again_with_the_same_bytes_and_fresh_signatures(
    system: System, receiver: Receiver
) -> None:
    receiver.answers = [(200, b'{"ret_code":"0"}')]
    club = system.club(notify_url=receiver.url)
    order = system.club_order()
    club.create(order)
    club.settle(order)

    first, second = receiver.wait_for(2)
    assert second.at - first.at >= 3
    assert second.body == first.body
    assert first.verified(club.app_id, club.secret) == second.verified(club.app_id, club.secret)
    for name in ("sud-nonce", "sud-timestamp", "sud-signature", "webhook-timestamp", "webhook-signature"):
        assert second.headers[name] != first.headers[name], name
    row = system.wait_for_status(club.app_id, "delivered")
    assert [attempt.get("error") for attempt in row["attempts"]] == ["answer has no integer ret_code", None]


def test_losing_the_queue_loses_no_notification(system: System, receiver: Receiver) -> None:
    club = system.club(notify_url=receiver.url)
    order = system.club_order()
    club.create(order)
    with system.paused("DeliverNotificationFunction"):
        club.settle(order)
        queue_url = system.stack.queue_url
        until(lambda: system.waiting_messages(queue_url) or None, "the stream reached the queue")
        system.sqs.purge_queue(QueueUrl=queue_url)
        until(lambda: system.waiting_messages(queue_url) == 0 or None, "the queue is empty")
    system.invoke("RequeueNotificationsFunction", {})
    [waiting] = system.ledger(club.app_id)
    assert (waiting["status"], waiting["attempt_count"]) == ("pending", 0)  # not due yet: the sweep leaves it alone

    a_minute_later(system, waiting)
    system.invoke("RequeueNotificationsFunction", {})
    [callback] = receiver.wait_for(1)
    callback.verified(club.app_id, club.secret)
    system.wait_for_status(club.app_id, "delivered")


def a_minute_later(system: System, row: dict[str, Any]) -> None:
    """What the row looks like to the sweep then: due."""
    assert row["due_at"] - row["next_attempt_at"] == 60_000
    system.dynamodb.update_item(
        TableName=system.stack.tables["NotificationTable"],
        Key={"notify_id": {"S": row["notify_id"]}},
        UpdateExpression="SET due_at = :past",
        ExpressionAttributeValues={":past": {"N": str(row["due_at"] - 60_000)}},
    )


def test_the_api_directory_gives_urls_of_this_deployment_that_work_as_they_stand(system: System) -> None:
    merchant = system.merchant()
    signature = hmac.new(merchant.secret.encode(), merchant.app_id.encode(), "md5").hexdigest()
    listed = send(f"{system.base_url}/asc/{signature}", None, {}, "GET")

    assert (listed.status, listed.content_type) == (200, "application/json")
    calls = ("create_order", "query_order", "query_user_settle")
    assert listed.json == {"api": {call: f"{system.base_url}/v1/app/server/{call}" for call in calls}}
    order = system.game_order()
    body = as_bytes(order)
    headers = {"Authorization": "Sud-Auth " + ",".join(f'{n}="{v}"' for n, v in merchant.parts(body).items())}
    assert send(listed.json["api"]["create_order"], body, headers).data["out_order_id"] == order["out_order_id"]


@pytest.mark.parametrize("signature", ["0" * 32, "x", "asc%23x"])
def test_an_unknown_api_directory_is_404_in_the_envelope(system: System, signature: str) -> None:
    answer = send(f"{system.base_url}/asc/{signature}", None, {}, "GET")
    assert (answer.status, answer.json) == (404, {"ret_code": 1404, "ret_msg": "接口不存在"})

"""The job's reads and writes on boto3's resource API, as the two peers that use it do them."""

import json
import os
import random
import time
import zlib
from decimal import Decimal

import boto3
import job
import jwt
from boto3.dynamodb.conditions import Key
from botocore.config import Config
from botocore.exceptions import ClientError

config = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})
dynamodb = boto3.resource("dynamodb", config=config)
orders, totals = dynamodb.Table(os.environ["SETTLEMENT_TABLE"]), dynamodb.Table(os.environ["TOTALS_TABLE"])
ledger, app_table = dynamodb.Table(os.environ["NOTIFICATION_TABLE"]), dynamodb.Table(os.environ["APP_TABLE"])
master = ""
apps = {}


def whole(value):
    """Decimals, which are all whole here, as integers."""
    match value:
        case Decimal():
            return int(value)
        case dict():
            return {name: whole(part) for name, part in value.items()}
    return value


def find_app(app_id):
    cached = apps.get(app_id)
    if cached and time.monotonic() - cached[0] < job.CACHE_SECONDS:
        return cached[1]
    app = whole(app_table.get_item(Key={"app_id": app_id}, ConsistentRead=True).get("Item"))
    if app:
        apps[app_id] = (time.monotonic(), app)
    return app


def master_secret():
    global master
    if not master:
        secrets_manager = boto3.client("secretsmanager", config=config)
        value = secrets_manager.get_secret_value(SecretId=os.environ["MASTER_SECRET_ID"])["SecretString"]
        master = json.loads(value)["1"]
    return master


def club_caller(authorization, scope):
    app_id, version, token = job.jwt_parts(authorization)
    app = find_app(app_id)
    if not app or app["status"] != "enabled" or version not in app["secret_versions"]:
        raise job.unauthenticated()
    secret = job.app_secret(master_secret(), app_id, version)
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["sub", "scope", "iat", "exp"]})
    except jwt.InvalidTokenError as error:
        raise job.unauthenticated() from error
    job.check_claims(claims, app_id, scope)
    return app


def merchant_caller(authorization, body):
    app_id = job.sud_parts(authorization or "")["app_id"]
    job.check_sud(master_secret(), find_app(app_id), authorization, body)
    return app_id


def order_of(item):
    order = {"detail": "", "account": None, **whole(item)}
    return {**order, "bill_no": order["billno"].split("#", 2)[2]}


def settle_order(app_id, bill_no, openid, settle_amt, amt_ratio):
    key = f"club#{app_id}#{bill_no}"
    item = orders.get_item(Key={"billno": key}, ConsistentRead=True).get("Item")
    if item is None or item["openid"] != openid:
        raise job.Fault(200, 1003, "订单不存在", "bill_no")
    order = order_of(item)
    hundredths, ratio = job.settle_terms(order["amt"], settle_amt, amt_ratio)
    if "settle_time" in order:
        if (order["settle_hundredths"], order["amt_ratio"]) == (hundredths, ratio):
            return False
        raise job.Fault(200, 1004, "订单已结算", "bill_no")
    time_ms, account, shard = job.now_ms(), f"{app_id}#{openid}", random.randrange(4)
    notify_id, body = job.notification(app_id, order, hundredths, ratio, time_ms)
    additions = [
        {
            "Update": {
                "TableName": totals.name,
                "Key": {"app_openid": account, "bucket": row},
                "UpdateExpression": "ADD #h :h, #n :n",
                "ExpressionAttributeNames": {"#h": f"h{part}", "#n": f"n{part}"},
                "ExpressionAttributeValues": {":h": hundredths, ":n": 1},
            }
        }
        for row, part in job.total_buckets(order["source"], time_ms, shard)
    ]
    # The resource's own client takes and gives plain values.
    dynamodb.meta.client.transact_write_items(
        TransactItems=[
            {
                "Update": {
                    "TableName": orders.name,
                    "Key": {"billno": key},
                    "UpdateExpression": "SET app_openid = :a, app_openid_source = :s, settle_hundredths = :h,"
                    " amt_ratio = :r, app_day = :d, settle_time = :t",
                    "ConditionExpression": "attribute_exists(billno) AND attribute_not_exists(settle_time)",
                    "ExpressionAttributeValues": {
                        ":a": account,
                        ":s": f"{account}#{order['source']}",
                        ":h": hundredths,
                        ":r": ratio,
                        ":d": job.day_key(app_id, time_ms, zlib.crc32(key.encode()) % 8),
                        ":t": time_ms,
                    },
                }
            },
            *additions,
            {
                "Put": {
                    "TableName": ledger.name,
                    "Item": {
                        "notify_id": notify_id,
                        "app_id": app_id,
                        "notify_event": "upbot.club.jf.settle",
                        "notify_time": time_ms,
                        "body": body,
                        "status": "pending",
                        "attempt_count": 0,
                        "attempts": [],
                        "next_attempt_at": time_ms,
                        "due_shard": str(zlib.crc32(notify_id.encode()) % 8),
                        "due_at": time_ms + 60_000,
                    },
                }
            },
        ]
    )
    return True


def page_of(app_id, openid):
    account = f"{app_id}#{openid}"
    items = orders.query(
        IndexName="openid-settle_time-index",
        KeyConditionExpression=Key("app_openid").eq(account) & Key("settle_time").gte(0),
        ScanIndexForward=False,
        Limit=21,
    )["Items"]
    rows = totals.query(
        ConsistentRead=True,
        KeyConditionExpression=Key("app_openid").eq(account) & Key("bucket").between("y#", "y#~"),
    )["Items"]
    total = sum(int(value) for row in rows for name, value in row.items() if name[0] == "h")
    entries = []
    for item in items[:20]:
        order = order_of(item)
        entries.append(job.entry(order, order["settle_hundredths"], order["amt_ratio"], order["settle_time"]))
    page = {"settle_list": entries, "total_amt": job.points(total), "page_context": "", "is_end": len(items) <= 20}
    if len(items) > 20:
        last = entries[-1]
        place = (openid, last["settle_time"], last["billno"])
        page["page_context"] = job.encode_cursor(job.cursor_key(master_secret()), *place)
    return page


def order_answer(app_id, order_id):
    item = orders.get_item(Key={"billno": f"game#{app_id}#{order_id}"}, ConsistentRead=True).get("Item")
    if item is None:
        raise job.Fault(200, 70503, "订单不存在", "order_id")
    order = whole(item)
    fields = ("out_order_id", "mg_id", "room_id", "cmd", "from_uid", "to_uid", "value", "out_group_id")
    answer = {name: order[name] for name in fields if name in order}
    answer |= {"order_id": order_id, "status": "EXECUTE_SUCCESS" if "settle_time" in order else "CREATED"}
    if "payload" in order:
        answer["payload"] = json.loads(order["payload"])
    return answer


def deliver(message, post):
    """One attempt. `post` sends url, body and headers, and gives status and body back."""
    time_ms = job.now_ms()
    lease, key = time_ms + job.LEASE_MS, {"notify_id": message["notify_id"]}
    try:
        row = ledger.update_item(
            Key=key,
            UpdateExpression="SET lease_until = :lease",
            ConditionExpression="attempt_count = :before AND next_attempt_at <= :now"
            " AND (attribute_not_exists(lease_until) OR lease_until < :now)",
            ExpressionAttributeValues={":lease": lease, ":before": message["attempt"] - 1, ":now": time_ms},
            ReturnValues="ALL_NEW",
        )["Attributes"]
    except dynamodb.meta.client.exceptions.ConditionalCheckFailedException:
        return "duplicate"
    app_id = row["app_id"]
    app = find_app(app_id)
    breaker = ledger.get_item(Key={"notify_id": f"breaker#{app_id}"}, ConsistentRead=True).get("Item")
    if breaker is not None and breaker.get("open_until", 0) > time_ms:
        return "held"
    body = row["body"].encode()
    secret = job.app_secret(master_secret(), app_id, app["signing_version"])
    status, answer = post(app["notify_url"], body, job.delivery_headers(secret, app_id, message["notify_id"], body))
    if status != 200 or json.loads(answer).get("ret_code") != 0:
        return "retry"
    attempt = {"at": time_ms, "duration_ms": job.now_ms() - time_ms, "http_status": status, "ret_code": 0}
    ledger.update_item(
        Key=key,
        UpdateExpression="SET attempts = list_append(attempts, :a), #s = :s, attempt_count = :c, expires_at = :e"
        " REMOVE lease_until, next_attempt_at, due_shard, due_at",
        ConditionExpression="lease_until = :lease",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={
            ":a": [attempt],
            ":s": "delivered",
            ":c": message["attempt"],
            ":e": time_ms // 1000 + job.KEPT_SECONDS,
            ":lease": lease,
        },
    )
    return "delivered"


__all__ = ["ClientError", "club_caller", "deliver", "merchant_caller", "order_answer", "page_of", "settle_order"]

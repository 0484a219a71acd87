"""Settle, list and query with checks and log lines by hand: what lean boto and the floor have in common.

Each brings a module `client` of its own: `dynamodb`, and `secrets_manager()`, made when it is first needed.
"""

import base64
import hashlib
import json
import os
import random
import time
import zlib

import client
import job

dynamodb = client.dynamodb
ORDERS, TOTALS = os.environ["SETTLEMENT_TABLE"], os.environ["TOTALS_TABLE"]
LEDGER, APPS = os.environ["NOTIFICATION_TABLE"], os.environ["APP_TABLE"]
master = ""
apps = {}


def plain(value):
    [(kind, content)] = value.items()
    match kind:
        case "N":
            return int(content)
        case "M":
            return {name: plain(part) for name, part in content.items()}
        case "L":
            return [plain(part) for part in content]
    return content


def find_app(app_id):
    cached = apps.get(app_id)
    if cached and time.monotonic() - cached[0] < job.CACHE_SECONDS:
        return cached[1]
    item = dynamodb.get_item(TableName=APPS, Key={"app_id": {"S": app_id}}, ConsistentRead=True).get("Item")
    app = item and {name: plain(value) for name, value in item.items()}
    if app:
        apps[app_id] = (time.monotonic(), app)
    return app


def master_secret():
    global master
    if not master:
        value = client.secrets_manager().get_secret_value(SecretId=os.environ["MASTER_SECRET_ID"])["SecretString"]
        master = json.loads(value)["1"]
    return master


def club_caller(headers, scope):
    app_id, version, token = job.jwt_parts(headers.get("authorization"))
    app = find_app(app_id)
    if not app or app["status"] != "enabled" or version not in app["secret_versions"]:
        raise job.unauthenticated()
    job.check_claims(job.jwt_by_hand(token, job.app_secret(master_secret(), app_id, version)), app_id, scope)
    return app


def text(body, name, maximum):
    value = body.get(name)
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= maximum:
        raise job.bad(f"{name}: must be 1 to {maximum} bytes")
    return value


def number(body, name, low, high):
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not low <= value <= high:
        raise job.bad(f"{name}: must be an integer from {low} to {high}")
    return value


def order_of(item):
    order = {name: plain(value) for name, value in item.items()}
    return {"detail": "", "account": None, **order, "bill_no": order["billno"].split("#", 2)[2]}


def settle(headers, raw):
    app = club_caller(headers, "settlements:write")
    body = json.loads(raw)
    bill_no, openid = text(body, "bill_no", 64), text(body, "openid", 128)
    settle_amt, ratio = number(body, "settle_amt", -(10**12), 10**12), number(body, "amt_ratio", 0, 100)
    app_id = app["app_id"]
    key = f"club#{app_id}#{bill_no}"
    item = dynamodb.get_item(TableName=ORDERS, Key={"billno": {"S": key}}, ConsistentRead=True).get("Item")
    if item is None or item["openid"]["S"] != openid:
        raise job.Fault(200, 1003, "订单不存在", "bill_no")
    order = order_of(item)
    hundredths, ratio = job.settle_terms(order["amt"], settle_amt, ratio)
    if "settle_time" in order:
        if (order["settle_hundredths"], order["amt_ratio"]) == (hundredths, ratio):
            return None
        raise job.Fault(200, 1004, "订单已结算", "bill_no")
    time_ms, account, shard = job.now_ms(), f"{app_id}#{openid}", random.randrange(4)
    notify_id, notify_body = job.notification(app_id, order, hundredths, ratio, time_ms)
    items = [
        {
            "Update": {
                "TableName": ORDERS,
                "Key": {"billno": {"S": key}},
                "UpdateExpression": "SET app_openid = :a, app_openid_source = :s, settle_hundredths = :h, amt_ratio = :r,"
                " app_day = :d, settle_time = :t",
                "ConditionExpression": "attribute_exists(billno) AND attribute_not_exists(settle_time)",
                "ExpressionAttributeValues": {
                    ":a": {"S": account},
                    ":s": {"S": f"{account}#{order['source']}"},
                    ":h": {"N": str(hundredths)},
                    ":r": {"N": str(ratio)},
                    ":d": {"S": job.day_key(app_id, time_ms, zlib.crc32(key.encode()) % 8)},
                    ":t": {"N": str(time_ms)},
                },
            }
        },
        *(
            {
                "Update": {
                    "TableName": TOTALS,
                    "Key": {"app_openid": {"S": account}, "bucket": {"S": row}},
                    "UpdateExpression": "ADD #h :h, #n :n",
                    "ExpressionAttributeNames": {"#h": f"h{part}", "#n": f"n{part}"},
                    "ExpressionAttributeValues": {":h": {"N": str(hundredths)}, ":n": {"N": "1"}},
                }
            }
            for row, part in job.total_buckets(order["source"], time_ms, shard)
        ),
        {
            "Put": {
                "TableName": LEDGER,
                "Item": {
                    "notify_id": {"S": notify_id},
                    "app_id": {"S": app_id},
                    "notify_event": {"S": "upbot.club.jf.settle"},
                    "notify_time": {"N": str(time_ms)},
                    "body": {"S": notify_body},
                    "status": {"S": "pending"},
                    "attempt_count": {"N": "0"},
                    "attempts": {"L": []},
                    "next_attempt_at": {"N": str(time_ms)},
                    "due_shard": {"S": str(zlib.crc32(notify_id.encode()) % 8)},
                    "due_at": {"N": str(time_ms + 60_000)},
                },
            }
        },
    ]
    dynamodb.transact_write_items(TransactItems=items)
    count("OrdersSettled")
    return None


def listing(headers, raw):
    app = club_caller(headers, "settlements:read")
    body = json.loads(raw)
    openid = text(body, "openid", 128)
    number(body, "source", -1, 16)
    account = f"{app['app_id']}#{openid}"
    items = dynamodb.query(
        TableName=ORDERS,
        IndexName="openid-settle_time-index",
        KeyConditionExpression="app_openid = :k AND settle_time >= :s",
        ExpressionAttributeValues={":k": {"S": account}, ":s": {"N": "0"}},
        ScanIndexForward=False,
        Limit=21,
    )["Items"]
    rows = dynamodb.query(
        TableName=TOTALS,
        ConsistentRead=True,
        KeyConditionExpression="app_openid = :k AND #b BETWEEN :f AND :l",
        ExpressionAttributeNames={"#b": "bucket"},
        ExpressionAttributeValues={":k": {"S": account}, ":f": {"S": "y#"}, ":l": {"S": "y#~"}},
    )["Items"]
    total = sum(int(value["N"]) for row in rows for name, value in row.items() if name[0] == "h")
    entries = []
    for item in items[:20]:
        order = order_of(item)
        entries.append(job.entry(order, order["settle_hundredths"], order["amt_ratio"], order["settle_time"]))
    page = {"settle_list": entries, "total_amt": job.points(total), "page_context": "", "is_end": len(items) <= 20}
    if len(items) > 20:
        last = entries[-1]
        page["page_context"] = job.encode_cursor(
            job.cursor_key(master_secret()), openid, last["settle_time"], last["billno"]
        )
    return page


def query(headers, raw):
    header = headers.get("authorization", "")
    app_id = job.sud_parts(header)["app_id"]
    job.check_sud(master_secret(), find_app(app_id), header, raw)
    body = json.loads(raw)
    order_id = body.get("order_id") or None
    if order_id is None:
        out_order_id = text(body, "out_order_id", 64)
        order_id = hashlib.sha256(f"{app_id}\n{out_order_id}".encode()).hexdigest()[:32]
    key = f"game#{app_id}#{order_id}"
    item = dynamodb.get_item(TableName=ORDERS, Key={"billno": {"S": key}}, ConsistentRead=True).get("Item")
    if item is None:
        raise job.Fault(200, 70503, "订单不存在", "order_id")
    order = {name: plain(value) for name, value in item.items()}
    fields = ("out_order_id", "mg_id", "room_id", "cmd", "from_uid", "to_uid", "value", "out_group_id")
    answer = {name: order[name] for name in fields if name in order}
    answer |= {"order_id": order_id, "status": "EXECUTE_SUCCESS" if "settle_time" in order else "CREATED"}
    if "payload" in order:
        answer["payload"] = json.loads(order["payload"])
    return answer


ROUTES = {
    "/upbot/api/SetClubJfSettle": (settle, "ret", "msg"),
    "/upbot/api/GetClubJfSettleList": (listing, "ret", "msg"),
    "/v1/app/server/query_order": (query, "ret_code", "ret_msg"),
}


def count(metric):
    line = {
        "_aws": {
            "Timestamp": job.now_ms(),
            "CloudWatchMetrics": [
                {"Namespace": "Bench", "Dimensions": [["service"]], "Metrics": [{"Name": metric, "Unit": "Count"}]}
            ],
        },
        "service": client.NAME,
        metric: [1.0],
    }
    print(json.dumps(line))


def handler(event, context):
    started = time.perf_counter()
    work, code_name, text_name = ROUTES[event["path"]]
    headers = {name.lower(): value for name, value in event["headers"].items()}
    raw = event["body"] or ""
    raw = base64.b64decode(raw) if event["isBase64Encoded"] else raw.encode()
    try:
        status, body = 200, {code_name: 0, text_name: ""}
        data = work(headers, raw)
        if data is not None:
            body["data"] = data
    except job.Fault as fault:
        status, body = fault.status, {code_name: fault.code, text_name: fault.text, "detail": fault.detail}
    except ValueError:
        fault = job.bad("body")
        status, body = 200, {code_name: fault.code, text_name: fault.text, "detail": fault.detail}
    ms = round((time.perf_counter() - started) * 1000, 1)
    print(
        json.dumps(
            {
                "message": "call",
                "path": event["path"],
                "request_id": context.aws_request_id,
                "code": body[code_name],
                "ms": ms,
            }
        )
    )
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(body, separators=(",", ":"), ensure_ascii=False, default=job.json_points),
        "isBase64Encoded": False,
    }

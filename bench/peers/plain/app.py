"""A plain handler, pydantic models, the Powertools Logger and Metrics, a boto3 client, PyJWT."""

import base64
import hashlib
import json
import os
import random
import time
import zlib
from typing import Annotated

import boto3
import job
import jwt
import urllib3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

logger = Logger(service="plain")
metrics = Metrics(namespace="Bench", service="plain")
config = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})
dynamodb = boto3.client("dynamodb", config=config)
secrets_manager = None
http = None
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
    global master, secrets_manager
    if not master:
        secrets_manager = boto3.client("secretsmanager", config=config)
        value = secrets_manager.get_secret_value(SecretId=os.environ["MASTER_SECRET_ID"])["SecretString"]
        master = json.loads(value)["1"]
    return master


def club_caller(headers, scope):
    app_id, version, token = job.jwt_parts(headers.get("authorization"))
    app = find_app(app_id)
    if not app or app["status"] != "enabled" or version not in app["secret_versions"]:
        raise job.unauthenticated()
    job.check_claims(decoded(token, job.app_secret(master_secret(), app_id, version)), app_id, scope)
    return app


def decoded(token, secret):
    try:
        return jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["sub", "scope", "iat", "exp"]})
    except jwt.InvalidTokenError as error:
        raise job.unauthenticated() from error


def utf8(maximum):
    def check(value):
        if not 1 <= len(value.encode()) <= maximum:
            raise ValueError(f"must be 1 to {maximum} bytes")
        return value

    return AfterValidator(check)


class Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class SettleBody(Body):
    bill_no: Annotated[str, utf8(64)]
    openid: Annotated[str, utf8(128)]
    settle_amt: int | None = None
    amt_ratio: Annotated[int, Field(ge=0, le=100)] | None = None


class ListBody(Body):
    openid: Annotated[str, utf8(128)]
    source: Annotated[int, Field(ge=-1, le=16)] | None = None
    start_time_unix_sec: Annotated[int, Field(ge=0)] | None = None
    end_time_unix_sec: Annotated[int, Field(ge=0)] | None = None
    page_context: str | None = None


class QueryBody(Body):
    order_id: str | None = None
    out_order_id: Annotated[str, Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def names_an_order(self):
        if not (self.order_id or self.out_order_id):
            raise ValueError("order_id or out_order_id must be given")
        return self


def validated(model, raw):
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise job.bad(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def order_of(item):
    order = {name: plain(value) for name, value in item.items()}
    return {"detail": "", "account": None, **order, "bill_no": order["billno"].split("#", 2)[2]}


def settle(headers, raw):
    app = club_caller(headers, "settlements:write")
    body = validated(SettleBody, raw)
    bill_no, openid, settle_amt, ratio = body.bill_no, body.openid, body.settle_amt, body.amt_ratio
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
    openid = validated(ListBody, raw).openid
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
    body = validated(QueryBody, raw)
    order_id = body.order_id or hashlib.sha256(f"{app_id}\n{body.out_order_id}".encode()).hexdigest()[:32]
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
    metrics.add_metric(metric, MetricUnit.Count, 1)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event, context):
    if "Records" in event:
        return deliver_all(event)
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
    ms = round((time.perf_counter() - started) * 1000, 1)
    logger.info("call", extra={"path": event["path"], "code": body[code_name], "ms": ms})
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(body, separators=(",", ":"), ensure_ascii=False, default=job.json_points),
        "isBase64Encoded": False,
    }


def deliver_all(event):
    failures = []
    for record in event["Records"]:
        try:
            result = deliver(record["body"])
            logger.info("attempt", extra={"result": result})
        except ClientError:
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def deliver(text_of_message):
    global http
    message = json.loads(text_of_message)
    key, time_ms = {"notify_id": {"S": message["notify_id"]}}, job.now_ms()
    lease = str(time_ms + job.LEASE_MS)
    try:
        row = dynamodb.update_item(
            TableName=LEDGER,
            Key=key,
            UpdateExpression="SET lease_until = :lease",
            ConditionExpression="attempt_count = :before AND next_attempt_at <= :now"
            " AND (attribute_not_exists(lease_until) OR lease_until < :now)",
            ExpressionAttributeValues={
                ":lease": {"N": lease},
                ":before": {"N": str(message["attempt"] - 1)},
                ":now": {"N": str(time_ms)},
            },
            ReturnValues="ALL_NEW",
        )["Attributes"]
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return "duplicate"
    app_id = row["app_id"]["S"]
    app = find_app(app_id)
    breaker = dynamodb.get_item(
        TableName=LEDGER, Key={"notify_id": {"S": f"breaker#{app_id}"}}, ConsistentRead=True
    ).get("Item")
    if breaker is not None and int(breaker.get("open_until", {"N": "0"})["N"]) > time_ms:
        return "held"
    if http is None:
        http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=3, total=5))
    body = row["body"]["S"].encode()
    headers = job.delivery_headers(
        job.app_secret(master_secret(), app_id, app["signing_version"]), app_id, message["notify_id"], body
    )
    answer = http.request("POST", app["notify_url"], body=body, headers=headers, redirect=False)
    if answer.status != 200 or json.loads(answer.data).get("ret_code") != 0:
        return "retry"
    attempt = {
        "at": {"N": str(time_ms)},
        "duration_ms": {"N": str(job.now_ms() - time_ms)},
        "http_status": {"N": "200"},
        "ret_code": {"N": "0"},
    }
    dynamodb.update_item(
        TableName=LEDGER,
        Key=key,
        UpdateExpression="SET attempts = list_append(attempts, :a), #s = :s, attempt_count = :c, expires_at = :e"
        " REMOVE lease_until, next_attempt_at, due_shard, due_at",
        ConditionExpression="lease_until = :lease",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={
            ":a": {"L": [{"M": attempt}]},
            ":s": {"S": "delivered"},
            ":c": {"N": str(message["attempt"])},
            ":e": {"N": str(time_ms // 1000 + job.KEPT_SECONDS)},
            ":lease": {"N": lease},
        },
    )
    count("NotificationsDelivered")
    return "delivered"

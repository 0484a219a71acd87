"""Lean boto: a plain handler, a botocore client, checks and log lines by hand."""

import json

import by_hand
import job
import urllib3
from botocore.exceptions import ClientError
from by_hand import LEDGER, count, dynamodb, find_app, master_secret

http = None


def handler(event, context):
    return deliver_all(event, context) if "Records" in event else by_hand.handler(event, context)


def deliver_all(event, context):
    failures = []
    for record in event["Records"]:
        try:
            result = deliver(record["body"])
            print(json.dumps({"message": "attempt", "result": result, "request_id": context.aws_request_id}))
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

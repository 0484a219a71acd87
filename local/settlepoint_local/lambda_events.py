"""What AWS hands to a function, complete: API Gateway's proxy events, stream and queue batches, the schedule's."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from settlepoint_local.template import Endpoint

type Event = dict[str, Any]

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
API_ID: Final = "a1b2c3d4e5"
STAGE: Final = "live"
DOMAIN: Final = f"{API_ID}.execute-api.{REGION}.amazonaws.com"
CALLER_ADDRESS: Final = "203.0.113.7"

_NOBODY = dict.fromkeys(
    (
        "accessKey",
        "accountId",
        "caller",
        "cognitoAuthenticationProvider",
        "cognitoAuthenticationType",
        "cognitoIdentityId",
        "cognitoIdentityPoolId",
        "principalOrgId",
        "user",
        "userArn",
    )
)


def api_event(
    name: str,
    endpoint: Endpoint,
    now_ms: int,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
    as_base64: bool = True,
) -> Event:
    """A REST API's proxy event. `name` makes its ids; bodies are base64, as BinaryMediaTypes makes them."""
    path = endpoint.path.replace("+}", "}").format(**(parameters or {}))
    sent = {**_client_headers(name), **(headers or {})}
    return {
        "resource": endpoint.path,
        "path": path,
        "httpMethod": endpoint.method,
        "headers": sent,
        "multiValueHeaders": {header: [value] for header, value in sent.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": dict(parameters) if parameters else None,
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "deploymentId": "d6e7f8",
            "domainName": DOMAIN,
            "domainPrefix": API_ID,
            "extendedRequestId": base64.b64encode(_digest(name)[:11]).decode(),
            "httpMethod": endpoint.method,
            "identity": {**_NOBODY, "sourceIp": CALLER_ADDRESS, "userAgent": sent.get("User-Agent")},
            "path": f"/{STAGE}{path}",
            "protocol": "HTTP/1.1",
            "requestId": str(_uuid(name)),
            "requestTime": _moment(now_ms).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": now_ms,
            "resourceId": _digest(endpoint.path).hex()[:6],
            "resourcePath": endpoint.path,
            "stage": STAGE,
        },
        "body": _body_text(body, as_base64=as_base64),
        "isBase64Encoded": as_base64 and body is not None,
    }


def console_event(
    name: str,
    path: str,
    now_ms: int,
    *,
    body: bytes | None = None,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Event:
    """A call of the console: `path` is what comes after `/console/`, "" the page itself; with a body it is a POST."""
    endpoint = Endpoint("GET" if body is None else "POST", "/console/{proxy+}" if path else "/console")
    sent = {**({} if body is None else {"Content-Type": "application/json"}), **(headers or {})}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    parameters = {"proxy": path} if path else None
    return api_event(name, endpoint, now_ms, body=body, headers=sent, parameters=parameters)


def stream_event(records: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]], now_ms: int) -> Event:
    """A batch of a table's stream: what happened (INSERT, MODIFY, REMOVE), the row's key, its new image or {}."""
    return {"Records": [_stream_record(place, *record, now_ms) for place, record in enumerate(records)]}


def sqs_event(bodies: Sequence[str], now_ms: int, *, group: str = "club-a", receives: int = 1) -> Event:
    """A batch of the notification queue, each message received for the `receives`-th time."""
    return {"Records": [_sqs_record(place, body, group, now_ms, receives) for place, body in enumerate(bodies)]}


def schedule_event(now_ms: int, schedule: str = "EveryMinute") -> Event:
    """What EventBridge Scheduler sends where a schedule has no input of its own."""
    return {
        "version": "0",
        "id": str(_uuid("schedule")),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT,
        "time": _moment(now_ms).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/settlepoint-{schedule}"],
        "detail": "{}",
    }


def _client_headers(name: str) -> dict[str, str]:
    return {
        "Accept": "*/*",
        "Host": DOMAIN,
        "User-Agent": "Go-http-client/1.1",
        "X-Amzn-Trace-Id": f"Root=1-6920f980-{_digest(name).hex()[:24]}",
        "X-Forwarded-For": CALLER_ADDRESS,
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    }


def _body_text(body: bytes | None, *, as_base64: bool) -> str | None:
    if body is None:
        return None
    return base64.b64encode(body).decode() if as_base64 else body.decode()


def _stream_record(
    place: int, change: str, key: Mapping[str, Any], image: Mapping[str, Any], now_ms: int
) -> dict[str, Any]:
    change_record: dict[str, Any] = {
        "ApproximateCreationDateTime": now_ms // 1000,
        "Keys": dict(key),
        "SequenceNumber": f"{4421584500000000017450439092 + place}",
        "SizeBytes": len(json.dumps([key, image])),
        "StreamViewType": "NEW_IMAGE",
    }
    if image:
        change_record["NewImage"] = dict(image)
    return {
        "eventID": _digest(f"stream {place}").hex()[:32],
        "eventName": change,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": change_record,
        "eventSourceARN": (
            f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/settlepoint-NotificationTable/stream/2026-11-01T00:00:00.000"
        ),
    }


def _sqs_record(place: int, body: str, group: str, now_ms: int, receives: int) -> dict[str, Any]:
    return {
        "messageId": str(_uuid(f"message {place}")),
        "receiptHandle": base64.b64encode(_digest(f"receipt {place}")).decode(),
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": str(receives),
            "SentTimestamp": str(now_ms - 50),
            "SenderId": f"AROAEXAMPLE{place:09d}:settlepoint-QueueNotificationsFunction",
            "ApproximateFirstReceiveTimestamp": str(now_ms),
            "MessageGroupId": group,
        },
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:settlepoint-NotificationQueue",
        "awsRegion": REGION,
    }


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _uuid(name: str) -> object:
    return uuid5(NAMESPACE_OID, name)


def _moment(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms // 1000, UTC)

"""The real functions inside this process, on tables made from template.yaml in moto: milliseconds a call.

A call enters where production enters, functions/{folder}/app.py's handler with an event and a context. Every answer is
watched: one with a non-zero code must have changed no table, and no log line may hold what the caller keeps secret.
"""

import base64
import copy
import gzip
import hashlib
import importlib.util
import io
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from threading import RLock
from types import ModuleType, SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import boto3
import simplejson
from boto3.dynamodb.types import TypeDeserializer
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import Item
from moto.sqs.models import sqs_backends

from settlement import bookkeeper, clients, clock
from settlement.apps import App, AppRegistry
from settlement.console_endpoint import SECURITY_HEADERS
from settlement.delivery import NoAnswer, Refused, Request, Response, Send
from settlement.keyring import Keyring
from settlement.signing import derive_app_secret, derive_cursor_key, derive_operator_key
from settlepoint_local.lambda_events import REGION, Event, api_event, console_event
from settlepoint_local.project import ROOT, STACK_NAME
from settlepoint_local.scene import APPS, GENERATION, Scene
from settlepoint_local.situations import SITUATIONS, Authorization, json_bytes
from settlepoint_local.template import CONSOLE, endpoints, environment, functions, table_definitions

type Row = dict[str, Any]

_WRITES: Final = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "ExecuteStatement")
MASTER_SECRET_ID: Final = "settlepoint/master"  # noqa: S105  # its name
STATEMENT_BUCKET: Final = "settlepoint-statements"
_VERSIONS: Final = range(1, 8)
_SHORTEST_SECRET = 12
"""What is shorter may stand in a line by chance."""


class Broken(AssertionError):
    """A call broke a promise that every call keeps."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An API function's answer, as API Gateway takes it."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> dict[str, Any]:
        """Numbers with a fraction are Decimals; `400.0` is one too, `400` is an int."""
        parsed: dict[str, Any] = simplejson.loads(self.text, use_decimal=True)
        return parsed

    @property
    def code(self) -> int:
        envelope = self.json
        return int(envelope.get("ret", envelope.get("ret_code", 0)))

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.json["data"]
        return data


@dataclass(frozen=True, slots=True)
class ConsoleReply(Reply):
    """The console's answer; its body unzipped."""

    @property
    def code(self) -> int:
        return self.status if self.status >= 400 else 0

    @property
    def data(self) -> dict[str, Any]:
        return self.json

    @property
    def error(self) -> dict[str, str]:
        error: dict[str, str] = self.json["error"]
        return error


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """What Lambda tells a function of its invocation."""

    function_name: str
    aws_request_id: str = "8f6c1a52-7f1e-4c0e-9a55-0d6c5b0a7e11"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512
    log_group_name: str = "settlepoint-FunctionLogs"
    log_stream_name: str = "2026/11/22/[$LATEST]0123456789abcdef0123456789abcdef"

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{DEFAULT_ACCOUNT_ID}:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return 25_000


@contextmanager
def aws() -> Iterator[None]:
    """Imitates AWS in this process, with the template's tables, a queue, the master secret and the scene's apps."""
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(clean | credentials)
    try:
        with mock_aws(), _one_call_at_a_time():
            _forget_clients()
            for name, definition in table_definitions().items():
                boto3.client("dynamodb").create_table(TableName=name, **definition)  # type: ignore[misc]
            queues = ("NotificationQueue", "DeadLetterQueue")
            urls = {name: boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"] for name in queues}
            secret = simplejson.dumps({str(GENERATION): Scene().master})
            boto3.client("secretsmanager").create_secret(Name=MASTER_SECRET_ID, SecretString=secret)
            names = {name: name for name in table_definitions()}
            boto3.client("s3").create_bucket(Bucket=STATEMENT_BUCKET)
            resources = {"MasterSecret": MASTER_SECRET_ID, "StatementBucket": STATEMENT_BUCKET}
            os.environ.update(environment({**names, **urls, **resources}))
            keyring = Keyring(clients.secrets_manager, MASTER_SECRET_ID)
            for app in APPS.values():
                AppRegistry(clients.dynamodb(), "AppTable").create(app, keyring)
            yield
    finally:
        _forget_clients()
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _one_call_at_a_time() -> Iterator[None]:
    """moto checks a condition and then writes: of two threads both might win, as they cannot in DynamoDB."""
    lock = RLock()

    def alone(call: Callable[..., Any]) -> Callable[..., Any]:
        def locked(*arguments: Any, **named: Any) -> Any:
            with lock:
                return call(*arguments, **named)

        return locked

    with ExitStack() as patches:
        for name in ("put_item", "update_item", "delete_item", "transact_write_items", "get_item", "query", "scan"):
            patches.enter_context(patch.object(DynamoDBBackend, name, alone(getattr(DynamoDBBackend, name))))
        yield


@contextmanager
def world() -> Iterator["World"]:
    """A world of its own within `aws()`: what happens in it is gone afterwards, as are its functions."""
    backend = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION]
    tables, variables = copy.deepcopy(backend.tables), dict(os.environ)
    made = World()
    stopped = SimpleNamespace(time_ns=lambda: made.now_ms * 1_000_000)
    try:
        # The scene's apps are a year old, and moto takes its time: a month of their statements would be half a minute.
        with patch.object(clock, "time", stopped), patch.object(bookkeeper, "CAUGHT_UP_DAYS", 1):
            yield made
    finally:
        made.cold_start()
        backend.tables = tables
        for queue in sqs_backends[DEFAULT_ACCOUNT_ID][REGION].queues.values():
            queue._messages.clear()  # noqa: SLF001  # purge_queue may be called once a minute
        boto3.resource("s3").Bucket(STATEMENT_BUCKET).objects.delete()
        os.environ.clear()
        os.environ.update(variables)


@dataclass(slots=True)
class World:
    scene: Scene = field(default_factory=Scene)
    now_ms: int = Scene().now_ms
    """What the functions' clock says."""
    log: list[str] = field(default_factory=list)
    """Every line that functions wrote: log lines and metrics."""
    watches: bool = True
    """Whether writes are compared with answers; thousands of calls that only prepare need not be."""
    _modules: dict[str, ModuleType] = field(default_factory=dict)
    _exchanged: set[str] = field(default_factory=set)
    """What receivers were sent and answered in the invocation under way: bodies, nonces, signatures."""
    _watched: list[list[str]] = field(default_factory=list)

    # ------------------------------------------------------------------------------------------------ calling

    def invoke(self, folder: str, event: Event) -> Any:
        """Calls a function as Lambda does; raises what it raises, and Broken."""
        handler = self.function(folder).handler
        output = io.StringIO()
        for log_handler in logging.getLogger(STACK_NAME).handlers:
            if isinstance(log_handler, logging.StreamHandler):
                log_handler.setStream(output)
        self._exchanged.clear()
        with self._watching() as before, redirect_stdout(output):
            try:
                answer = handler(event, LambdaContext(functions()[folder]))
            finally:
                lines = output.getvalue().splitlines()
                self.log += lines
                self._check_log(lines, event, told=set() if folder in endpoints() else self._notified())
        if folder not in {*endpoints(), CONSOLE}:
            return answer
        reply = _console_reply(answer) if folder == CONSOLE else _reply(answer)
        if reply.code != 0 and before and before != [self.digest()]:
            raise Broken(f"{folder} answered {reply.code} and changed a table")
        return reply

    @contextmanager
    def _watching(self) -> Iterator[list[str]]:
        """The tables' digest as it was before a call's first write; nothing while it writes nothing.

        A neighbour, which calls in the middle of another call, moves the other's digest on to what it leaves behind.
        """
        before: list[str] = []

        def look(**_: Any) -> None:
            if not before:
                before.append(self.digest())

        with ExitStack() as hooks:
            for operation in _WRITES if self.watches else ():
                hooks.enter_context(_hooked(f"before-call.dynamodb.{operation}", look))
            self._watched.append(before)
            yield before
            self._watched.pop()
            for others in filter(None, self._watched):
                others[:] = [self.digest()]

    def call(self, folder: str, body: Mapping[str, Any] | bytes, by: Authorization | str | None) -> Reply:
        """A POST to one of the two APIs, signed by `by` or carrying it as its Authorization."""
        sent = body if isinstance(body, bytes) else json_bytes(body)
        authorization = by(copy.replace(self.scene, now_ms=self.now_ms), sent) if callable(by) else by
        headers = {"Content-Type": "application/json"}
        if authorization is not None:
            headers["Authorization"] = authorization
        event = api_event(f"{folder}/test", endpoints()[folder], self.now_ms, body=sent, headers=headers)
        reply: Reply = self.invoke(folder, event)
        return reply

    def ask(self, path: str, body: Mapping[str, Any] | bytes | None, token: str | None) -> "ConsoleReply":
        """What the console's page asks for: a POST of `body` to a path below `api/`, a GET without one."""
        sent = json_bytes(body) if isinstance(body, Mapping) else body
        event = console_event("console/test", f"api/{path}", self.now_ms, body=sent, token=token)
        reply: ConsoleReply = self.invoke(CONSOLE, event)
        return reply

    def replay(self, key: str, event: Event | None = None) -> Any:
        """A situation, `folder/name`: first what happened before it, one event a second; then it, now."""
        situation = SITUATIONS[key]
        self.prepare(key)
        return self.invoke(situation.folder, situation.event(self.scene) if event is None else event)

    def prepare(self, key: str) -> None:
        """What happened before a situation."""
        before = SITUATIONS[key].after
        for place, earlier in enumerate(before):
            self.now_ms = self.scene.now_ms - (len(before) - place) * 1000
            self.happen(earlier)
        self.now_ms = self.scene.now_ms

    def happen(self, *keys: str) -> None:
        """Situations whose event alone is invoked, now, and succeeds."""
        for key in keys:
            reply = self.invoke(SITUATIONS[key].folder, SITUATIONS[key].event(self.scene))
            if isinstance(reply, Reply) and reply.code != 0:
                raise Broken(f"{key}: {reply.text}")

    def function(self, folder: str) -> ModuleType:
        """The function's module, loaded as by a cold start when it is first asked for."""
        if folder not in self._modules:
            path = ROOT / "functions" / folder / "app.py"
            spec = importlib.util.spec_from_file_location(f"functions_{folder}", path)
            if spec is None or spec.loader is None:
                raise FileNotFoundError(path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            if hasattr(module, "courier"):
                vars(module)["courier"] = copy.replace(module.courier, send=self._remembering(module.courier.send))
            self._modules[folder] = module
        return self._modules[folder]

    def cold_start(self) -> None:
        """Forgets the loaded functions, and so what they remember of apps and settings."""
        for module in self._modules.values():
            if hasattr(module, "threads"):
                module.threads.shutdown()  # none outlives its world
        self._modules.clear()

    # ------------------------------------------------------------------------------------------------ what is there

    def rows(self, table: str) -> list[Row]:
        """A table's rows, sorted; numbers are ints, for nothing here is stored with a fraction."""
        items = clients.dynamodb().scan(TableName=table)["Items"]
        rows = [{name: _plain(TypeDeserializer().deserialize(value)) for name, value in item.items()} for item in items]
        return sorted(rows, key=lambda row: [str(row[key]) for key in _KEYS[table]])

    def messages(self) -> list[dict[str, Any]]:
        """What waits in the queue, delayed messages too: body, delay_seconds, group."""
        queue = _sqs_queue()
        return [
            {
                "body": simplejson.loads(message.body),
                "delay_seconds": max(0, round((message.delayed_until - message.sent_timestamp) / 1000)),
                "group": message.group_id,
            }
            for message in queue._messages  # noqa: SLF001  # receive_message would not show delayed ones
        ]

    def dead_letters(self) -> list[tuple[str, dict[str, str]]]:
        """What is in the dead-letter queue: bodies, and what is told beside them."""
        queue = sqs_backends[DEFAULT_ACCOUNT_ID][REGION].queues["DeadLetterQueue"]
        return [
            (message.body, {name: value["StringValue"] for name, value in message.message_attributes.items()})
            for message in queue._messages  # noqa: SLF001
        ]

    def take_messages(self) -> list[dict[str, Any]]:
        """What waits in the queue, which is empty then."""
        taken = self.messages()
        _sqs_queue()._messages.clear()  # noqa: SLF001
        return taken

    def digest(self) -> str:
        """Of the four tables, whole."""
        digest = hashlib.sha256()
        for name in sorted(_KEYS):
            table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[name]
            for row in sorted(_row_text(item) for item in table.all_items()):
                digest.update(row.encode() + b"\n")
            digest.update(b"\n")
        return digest.hexdigest()

    # ------------------------------------------------------------------------------------------------ what goes wrong

    @contextmanager
    def failing(
        self,
        service: str,
        operation: str,
        code: str = "InternalServerError",
        *,
        times: int = 1_000_000,
        where: str = "",
        **answer: Any,
    ) -> Iterator[list[str]]:
        """The next calls of one AWS operation, `times` of them, fail with `code`; gives back the calls made so far.

        `where` is a text that the call's body must hold.
        """
        calls: list[str] = []

        def fail(params: Mapping[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
            body = params["body"]
            if where not in (body.decode() if isinstance(body, bytes) else str(body)):
                return None
            calls.append(operation)
            if len(calls) > times:
                return None
            parsed = {"Error": {"Code": code, "Message": f"injected {code}"}, "ResponseMetadata": {}, **answer}
            return AWSResponse("", 400, HTTPHeaders(), io.BytesIO()), parsed

        with _hooked(f"before-call.{service}.{operation}", fail):
            yield calls

    @contextmanager
    def changing(self, service: str, operation: str, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
        """Every answer of one AWS operation passes `change`, which alters it or raises in its place."""

        def pass_on(parsed: dict[str, Any], **_: Any) -> None:
            change(parsed)

        with _hooked(f"after-call.{service}.{operation}", pass_on):
            yield

    @contextmanager
    def once_before(self, service: str, operation: str, act: Callable[[], Any]) -> Iterator[None]:
        """`act` happens once, between what the function did so far and its call of one AWS operation."""
        waiting = [act]

        def interfere(**_: Any) -> None:
            if waiting:
                waiting.pop()()

        with _hooked(f"before-call.{service}.{operation}", interfere):
            yield

    def change_app(self, app_id: str, **changes: Any) -> App:
        """Stores a fixture app with other fields; functions that are loaded know it after a cold start."""
        app = copy.replace(APPS[app_id], **changes)
        client = clients.dynamodb()
        client.delete_item(TableName="AppTable", Key={"app_id": {"S": app_id}})
        AppRegistry(client, "AppTable").create(app, Keyring(clients.secrets_manager, MASTER_SECRET_ID))
        return app

    # ------------------------------------------------------------------------------------------------ what is checked

    def _remembering(self, send: Send) -> Send:
        """Sends, and remembers what no log line may hold of it."""

        def sent(request: Request) -> Response | NoAnswer | Refused:
            answer = send(request)
            self._exchanged |= {request.body.decode(), request.headers["Sud-Nonce"], request.headers["Sud-Signature"]}
            self._exchanged |= set(request.headers["webhook-signature"].split())
            if isinstance(answer, Response):
                self._exchanged.add(answer.body.decode(errors="replace"))
            return answer

        return sent

    def _notified(self) -> set[str]:
        """The ledger's bodies, whole, and whose settlements they tell."""
        table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables["NotificationTable"]
        attributes = [item.to_json()["Attributes"] for item in table.all_items()]
        bodies = [item["body"]["S"] for item in attributes if "body" in item]
        return {*bodies, *(name for body in bodies for name in re.findall(r'"(?:openid|uid)":"([^"\\]*)"', body))}

    def _check_log(self, lines: list[str], event: Event, told: set[str]) -> None:
        """No line holds a key, anything of the call that is the caller's alone, or of what receivers are told."""
        theirs = _private(event) | {text for text in self._exchanged | told if len(text) >= _SHORTEST_SECRET}
        kept_secret = keys(self.scene.master) | theirs
        for line in lines:
            for secret in kept_secret:
                if secret in line:
                    raise Broken(f"a log line holds {secret[:12]!r}...: {line}")


_KEYS: Final = {
    name: [key["AttributeName"] for key in definition["KeySchema"]] for name, definition in table_definitions().items()
}


def _row_text(item: Item) -> str:
    return simplejson.dumps(item.to_json()["Attributes"], sort_keys=True, default=sorted)  # a set has no order


def _reply(answer: Any) -> Reply:
    """Raises Broken for what API Gateway would refuse or pass on as something else than an envelope."""
    if not isinstance(answer, dict) or answer.keys() != {"statusCode", "headers", "body", "isBase64Encoded"}:
        raise Broken(f"not an answer that API Gateway takes: {answer!r}")
    if answer["headers"] != {"Content-Type": "application/json"} or answer["isBase64Encoded"]:
        raise Broken(f"not JSON: {answer!r}")
    return Reply(answer["statusCode"], answer["headers"], answer["body"])


def _console_reply(answer: Any) -> ConsoleReply:
    """Raises Broken for what API Gateway would refuse, or what lacks a header that every answer has."""
    if not isinstance(answer, dict) or answer.keys() != {"statusCode", "headers", "body", "isBase64Encoded"}:
        raise Broken(f"not an answer that API Gateway takes: {answer!r}")
    headers = answer["headers"]
    if missing := SECURITY_HEADERS.items() - headers.items():
        raise Broken(f"without {missing}: {answer!r}")
    body = answer["body"]
    if answer["isBase64Encoded"]:
        if headers.get("Content-Encoding") != "gzip":
            raise Broken(f"base64 of what? {headers}")
        body = gzip.decompress(base64.b64decode(body)).decode()
    return ConsoleReply(answer["statusCode"], headers, body)


@cache
def keys(master: str) -> frozenset[str]:
    """The master, what is derived from it, and every app's secret of the versions that tests rotate through."""
    secrets = {derive_app_secret(master, app_id, version) for app_id in APPS for version in _VERSIONS}
    return frozenset({master, derive_cursor_key(master, GENERATION), derive_operator_key(master, GENERATION)} | secrets)


def _private(event: Event) -> set[str]:
    """The credentials, openids and body of an event, as texts that no log line may hold."""
    found: set[str] = set()
    for name, value in (event.get("headers") or {}).items():
        if name.lower() == "authorization":
            found |= {value, value.partition(" ")[2], *re.findall(r'signature="([^"]*)"', value)}
    body = event.get("body") or ""
    found.add(body)
    if event.get("isBase64Encoded"):
        with suppress(ValueError):
            body = base64.b64decode(body).decode()
            # An id that is also an openid, as only a random call has it, may stand in the log as the id.
            ids = set(re.findall(r'"(?:bill_no|order_id|out_order_id)"\s*:\s*"([^"\\]*)"', body))
            found |= {body, *re.findall(r'"(?:openid|page_context)"\s*:\s*"([^"\\]*)"', body)} - ids
    return {text for text in found if len(text) >= _SHORTEST_SECRET}


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            if value != int(value):
                raise Broken(f"a number with a fraction is stored: {value}")
            return int(value)
        case dict():
            return {name: _plain(part) for name, part in value.items()}
        case list():
            return [_plain(part) for part in value]
    return value


@contextmanager
def _hooked(event: str, hook: Callable[..., Any]) -> Iterator[None]:
    """A botocore event's hook, in the functions' own clients."""
    service = event.split(".")[1]
    client: Any = {
        "dynamodb": clients.dynamodb,
        "sqs": clients.sqs,
        "s3": clients.s3,
        "secretsmanager": clients.secrets_manager,
    }[service.replace("-", "")]()
    client.meta.events.register_first(event, hook)
    try:
        yield
    finally:
        client.meta.events.unregister(event, hook)


def _sqs_queue() -> Any:
    return sqs_backends[DEFAULT_ACCOUNT_ID][REGION].queues["NotificationQueue"]


def _forget_clients() -> None:
    for client in (clients.dynamodb, clients.sqs, clients.s3, clients.secrets_manager):
        client.cache_clear()

"""What answers the measured functions: DynamoDB's, SQS's and Secrets Manager's protocols over HTTP, and a receiver.

Rows are canned, nothing is stored, each call is counted: `GET /calls` tells the counts since the last look. A process
of its own, so that only the function's side is measured.
"""

import asyncio
import json
import socket
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Event as Ready
from typing import Any, Final

from bench.rows import Rows

type Payload = dict[str, Any]

_RECEIVER_ANSWER: Final = b'{"ret_code":0}'
_WAIT_SECONDS: Final = 20


class Answers:
    """One canned answer per kind of call."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.calls: Counter[str] = Counter()
        self._by_target: dict[str, Callable[[Payload], Payload]] = {
            "GetItem": self._get_item,
            "BatchGetItem": self._batch_get_item,
            "Query": self._query,
            "UpdateItem": self._update_item,
            "PutItem": lambda _: {},
            "TransactWriteItems": lambda _: {},
            "SendMessageBatch": self._send_message_batch,
            "GetSecretValue": lambda _: {"ARN": "a", "Name": "n", "VersionId": "v", "SecretString": rows.master},
        }

    def aws(self, target: str, payload: Payload) -> Payload:
        operation = target.rpartition(".")[2]
        self.calls[f"{operation} {payload.get('TableName', '')}".rstrip()] += 1
        return self._by_target[operation](payload)

    def _get_item(self, payload: Payload) -> Payload:
        [(name, value)] = payload["Key"].items()
        item = self.rows.find(payload["TableName"], name, value["S"])
        return {} if item is None else {"Item": item}

    def _batch_get_item(self, payload: Payload) -> Payload:
        [(table, request)] = payload["RequestItems"].items()
        found = [self.rows.find(table, "billno", key["billno"]["S"]) for key in request["Keys"]]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def _query(self, payload: Payload) -> Payload:
        items = {"TotalsTable": self.rows.totals, "SettlementTable": self.rows.page}.get(payload["TableName"], [])
        limit = payload.get("Limit", len(items))
        return {"Items": items[:limit], "Count": min(limit, len(items)), "ScannedCount": min(limit, len(items))}

    def _update_item(self, payload: Payload) -> Payload:
        if payload.get("ReturnValues") != "ALL_NEW":
            return {}
        return {"Attributes": {**self.rows.notification, "notify_id": payload["Key"]["notify_id"]}}

    def _send_message_batch(self, payload: Payload) -> Payload:
        sent = [
            {"Id": entry["Id"], "MessageId": f"m-{entry['Id']}", "MD5OfMessageBody": "0" * 32}
            for entry in payload["Entries"]
        ]
        return {"Successful": sent, "Failed": []}


class Connection(asyncio.Protocol):
    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        raw: socket.socket = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].decode("latin-1")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])
            }
            length = int(headers.get("content-length", "0"))
            if len(self._received) < end + 4 + length:
                if headers.get("expect") == "100-continue":
                    self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            self._answer(head.partition(" ")[2].partition(" ")[0], headers, body)

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> None:
        answers = self._answers
        kind = b"application/json"
        if path == "/calls":
            answer = json.dumps(answers.calls).encode()
            answers.calls.clear()
        elif path == "/receiver":
            answers.calls["receiver"] += 1
            answer = _RECEIVER_ANSWER
        else:
            target = headers["x-amz-target"]
            kind = b"application/x-amz-json-1.0" if "Secret" not in target else b"application/x-amz-json-1.1"
            answer = json.dumps(answers.aws(target, json.loads(body))).encode()
        closes = headers.get("connection", "").lower() == "close"
        self._write(
            b"HTTP/1.1 200 OK\r\nServer: Server\r\nDate: Sun, 22 Nov 2026 00:00:00 GMT\r\nContent-Type: %s\r\n"
            b"Content-Length: %d\r\nConnection: %s\r\nx-amzn-RequestId: %s\r\n\r\n%s"
            % (kind, len(answer), b"close" if closes else b"keep-alive", b"A" * 52, answer)
        )
        if closes and self._transport is not None:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _serve(listening: socket.socket, rows: Rows, ready: Ready) -> None:
    answers = Answers(rows)

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Connection(answers), sock=listening)
        ready.set()
        async with server:
            await server.serve_forever()

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        sys.exit(0)


@contextmanager
def stub(rows: Callable[[str], Rows]) -> Iterator[str]:
    """Its URL while it runs. `rows` makes what it answers, and is told that URL."""
    spawn = get_context("fork")
    ready = spawn.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        process = spawn.Process(target=_serve, args=(listening, rows(url), ready), daemon=True)
        process.start()
    try:
        if not ready.wait(_WAIT_SECONDS):
            raise TimeoutError("the stub did not start")
        yield url
    finally:
        process.terminate()
        process.join(_WAIT_SECONDS)


def calls(url: str) -> dict[str, int]:
    """What was called since the last look."""
    with urllib.request.urlopen(f"{url}/calls", timeout=_WAIT_SECONDS) as answer:  # noqa: S310  # the stub's own
        counted: dict[str, int] = json.load(answer)
    return counted

"""HTTP as customers speak it: the bytes that are given are the bytes that are sent and signed."""

import hashlib
import hmac
import http.client
import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import simplejson

THREADS = 8
"""Each concurrent call starts another Lambda process; more threads would only wait for processor time."""


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = simplejson.loads(self.body.decode("utf-8"), use_decimal=True)
        return value

    @property
    def code(self) -> int:
        """The envelope's, of either API."""
        envelope = self.json
        code = envelope["ret"] if "ret" in envelope else envelope["ret_code"]
        assert type(code) is int
        return code

    @property
    def data(self) -> dict[str, Any]:
        assert (self.status, self.code) == (200, 0), self.body.decode()
        data: dict[str, Any] = self.json["data"]
        return data


def send(url: str, body: bytes | Iterable[bytes] | None, headers: dict[str, str], method: str = "POST") -> Answer:
    """One call; a body that is no bytes is sent in chunks. Redirects are not followed: there must be none."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.getheader("Content-Type", ""), response.read())
    finally:
        connection.close()


def at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """The answers, in the calls' sequence."""
    with ThreadPoolExecutor(THREADS) as threads:
        return [future.result() for future in [threads.submit(call) for call in calls]]


def as_bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@dataclass(frozen=True)
class Club:
    """A club's bot: posts JSON with its token."""

    base_url: str
    app_id: str
    secret: str
    token: str

    def call(self, endpoint: str, body: Any) -> Answer:
        return self.post(f"/upbot/api/{endpoint}", as_bytes(body))

    def post(self, path: str, body: bytes | Iterable[bytes]) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return send(self.base_url + path, body, headers)

    def create(self, order: dict[str, Any]) -> Answer:
        return self.call("CreateClubJfOrder", order)

    def settle(self, order: dict[str, Any], **terms: int) -> Answer:
        return self.call("SetClubJfSettle", {"bill_no": order["bill_no"], "openid": order["openid"], **terms})

    def page(self, openid: str, **query: Any) -> Answer:
        return self.call("GetClubJfSettleList", {"openid": openid, **query})


def sud_sign(secret: str, app_id: str, timestamp: str, nonce: str, body: bytes) -> str:
    """Written from the published rule, not taken from the layer."""
    return hmac.new(
        secret.encode(), f"{app_id}\n{timestamp}\n{nonce}\n".encode() + body + b"\n", hashlib.sha1
    ).hexdigest()


def sud_header(parts: dict[str, str]) -> str:
    return "Sud-Auth " + ",".join(f'{name}="{value}"' for name, value in parts.items())


@dataclass(frozen=True)
class SudParty:
    """A merchant or a game server: signs what it sends."""

    base_url: str
    app_id: str
    secret: str
    clock: Callable[[], str] = field(default=lambda: str(time.time_ns() // 1_000_000))

    def parts(self, body: bytes, **changes: str) -> dict[str, str]:
        """The header's four parts; `changes` take effect after signing."""
        timestamp, nonce = self.clock(), secrets.token_hex(8)
        signature = sud_sign(self.secret, self.app_id, timestamp, nonce, body)
        return {"app_id": self.app_id, "timestamp": timestamp, "nonce": nonce, "signature": signature, **changes}

    def header(self, body: bytes) -> str:
        """The Authorization of a body."""
        return sud_header(self.parts(body))

    def post(self, path: str, body: bytes | Iterable[bytes], parts: dict[str, str]) -> Answer:
        headers = {"Authorization": sud_header(parts), "Content-Type": "application/json"}
        return send(self.base_url + path, body, headers)

    def call(self, path: str, body: Any) -> Answer:
        raw = as_bytes(body)
        return self.post(path, raw, self.parts(raw))

    def create(self, order: dict[str, Any]) -> Answer:
        return self.call("/v1/app/server/create_order", order)

    def query(self, **ids: str) -> Answer:
        return self.call("/v1/app/server/query_order", ids)

    def query_settle(self, **ids: str) -> Answer:
        return self.call("/v1/app/server/query_user_settle", ids)

    def report(self, report: dict[str, Any]) -> Answer:
        return self.call("/v1/mg/server/user_settle", report)

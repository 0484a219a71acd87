"""Calls of the two APIs over HTTP: exact bytes out, whole answers in, no redirects, no hidden repeats."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import simplejson
import urllib3

from settlectl.failures import NoAnswer
from settlement.signing import sud_signature
from settlement.sudauth import SudAuth

TIMEOUT: Final = urllib3.Timeout(connect=5, read=35)
"""API Gateway answers within 29 s, or says that it will not."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes

    def value(self) -> Any:
        """The body as JSON, numbers as Decimal; as text where it is not JSON."""
        text = self.body.decode(errors="replace")
        try:
            return simplejson.loads(text, use_decimal=True)
        except simplejson.JSONDecodeError:
            return text

    def is_json(self) -> bool:
        try:
            simplejson.loads(self.body.decode())
        except ValueError:  # of the decoding, or of the JSON
            return False
        return True

    def code(self, name: str) -> int | None:
        """`ret` or `ret_code`; None unless it is an integer in a JSON object."""
        value = self.value()
        code = value.get(name) if isinstance(value, dict) else None
        return code if type(code) is int else None


class Client:
    """Keeps connections; calls from several threads at once."""

    def __init__(self, base_url: str, connections: int = 1) -> None:
        self._base_url = base_url
        options: dict[str, Any] = {"maxsize": connections, "block": True, "timeout": TIMEOUT, "retries": False}
        self._pool: urllib3.PoolManager = (
            urllib3.PoolManager(**options)
            if (proxy := _proxy(base_url)) is None
            else urllib3.ProxyManager(proxy, **options)
        )

    def post(self, path: str, body: bytes, authorization: str) -> Answer:
        """Raises NoAnswer."""
        headers = {"Content-Type": "application/json", "Authorization": authorization, "User-Agent": "settlectl"}
        return self._send("POST", path, headers, body)

    def get(self, path: str) -> Answer:
        """Raises NoAnswer."""
        return self._send("GET", path, {"User-Agent": "settlectl"}, None)

    def _send(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        try:
            answer = self._pool.request(method, self._base_url + path, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswer(f"{method} {path}: no answer from {self._base_url}: {_cause(error)}") from error
        return Answer(answer.status, answer.headers, answer.data)


def sud_authorization(secret: str, app_id: str, body: bytes, now_ms: int) -> str:
    """The header that signs `body`, under a fresh nonce."""
    timestamp, nonce = str(now_ms), secrets.token_hex(16)
    return str(SudAuth(app_id, timestamp, nonce, sud_signature(secret, app_id, timestamp, nonce, body)))


def _proxy(base_url: str) -> str | None:
    """As the environment says; never for this machine itself."""
    url = urlsplit(base_url)
    host = url.hostname or ""
    if host in ("127.0.0.1", "::1", "localhost") or proxy_bypass(host):
        return None
    return getproxies().get(url.scheme)


def _cause(error: urllib3.exceptions.HTTPError) -> str:
    match error:
        case urllib3.exceptions.NewConnectionError():
            return "connection refused or host unknown"
        case urllib3.exceptions.TimeoutError():
            return "timed out"
        case urllib3.exceptions.SSLError():
            return "TLS failed"
        case _:
            return type(error).__name__

"""The game API's authentication: `Authorization: Sud-Auth app_id="..",timestamp="..",nonce="..",signature=".."`.

No nonce store is needed: every call is safe to repeat, so a replay within its 300 s gets the answer that its owner got.
Source: DESIGN section 3.
"""

import re
from typing import Final, NamedTuple

from settlement.apps import AppRegistry
from settlement.callers import Caller
from settlement.errors import Unauthenticated
from settlement.keyring import Keyring
from settlement.signing import matches, sud_signature

MAX_CLOCK_DIFFERENCE_MS: Final = 300_000

_SCHEME = "sud-auth "
_PART = re.compile(r'\s*([a-z_]+)\s*=\s*"([^"\\]{1,128})"\s*(,|$)')
_TIMESTAMP = re.compile(r"[0-9]{10}|[0-9]{13}")


class SudAuth(NamedTuple):
    """The header's four parts."""

    app_id: str
    timestamp: str
    nonce: str
    signature: str

    def __str__(self) -> str:
        return "Sud-Auth " + ",".join(f'{name}="{part}"' for name, part in self._asdict().items())


def parse_sud_auth(authorization: str | None) -> SudAuth:
    """The parts, which come in any order, each once and nothing else. Raises Unauthenticated."""
    header = (authorization or "").strip()
    if header[: len(_SCHEME)].lower() != _SCHEME or len(header) > 1024 or not header.isascii():
        raise Unauthenticated("not a Sud-Auth header")
    parts: dict[str, str] = {}
    position, goes_on = len(_SCHEME), True
    while goes_on:
        match = _PART.match(header, position)
        if match is None or match[1] in parts:
            raise Unauthenticated("Sud-Auth header: malformed")
        parts[match[1]] = match[2]
        position, goes_on = match.end(), match[3] == ","
    if parts.keys() != set(SudAuth._fields):
        raise Unauthenticated("Sud-Auth header: parts")
    return SudAuth(**parts)


def timestamp_ms(timestamp: str) -> int:
    """Milliseconds of a timestamp in seconds (10 digits) or milliseconds (13). Raises Unauthenticated."""
    if not _TIMESTAMP.fullmatch(timestamp):
        raise Unauthenticated("Sud-Auth header: timestamp")
    return int(timestamp) * (1000 if len(timestamp) == 10 else 1)


def authenticate_game(
    authorization: str | None, body: bytes, apps: AppRegistry, keyring: Keyring, now_ms: int
) -> Caller:
    """The caller whose secret signed `body`, the raw bytes as sent. Raises Unauthenticated."""
    given = parse_sud_auth(authorization)
    if abs(timestamp_ms(given.timestamp) - now_ms) > MAX_CLOCK_DIFFERENCE_MS:
        raise Unauthenticated("timestamp is more than 300 s off")
    app = apps.find(given.app_id)
    if app is None:
        raise Unauthenticated("no such app")
    if not app.enabled:
        raise Unauthenticated("app is disabled")
    for version in app.versions_in_use(now_ms):
        secret = keyring.app_secret(app.app_id, version.version, version.generation)
        if matches(sud_signature(secret, given.app_id, given.timestamp, given.nonce, body), given.signature):
            return Caller(app, frozenset())
    raise Unauthenticated("signature")

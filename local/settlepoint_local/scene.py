"""The stage that event files and tests share: a master secret, a moment, apps; and how those apps sign.

Nothing here is a secret: the master is 64 times one letter, and the apps exist in tests and on local stacks alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import jwt

from settlement.apps import App, Role, SecretVersion, Status
from settlement.callers import CLUB_SCOPES, OPERATOR_SCOPES
from settlement.cursor import ListQuery, Position, encode_cursor
from settlement.seals import seal
from settlement.signing import (
    derive_app_secret,
    derive_cursor_key,
    derive_operator_key,
    directory_signature,
    sud_signature,
)
from settlement.sudauth import SudAuth

MASTER: Final = "m" * 64
NOW: Final = datetime(2026, 11, 22, tzinfo=UTC)
GENERATION: Final = 1
NONCE: Final = "b2f5ff47436671b6"
TOKEN_SECONDS: Final = 30 * 24 * 3600
OPERATOR: Final = "ada"
OPERATOR_SECONDS: Final = 12 * 3600


def _app(
    app_id: str,
    *roles: Role,
    notify_url: str | None = None,
    status: Status = "enabled",
    mg_ids: frozenset[str] = frozenset(),
    for_apps: frozenset[str] = frozenset(),
    versions: tuple[SecretVersion, ...] = (SecretVersion(1, GENERATION),),
) -> App:
    signing_version = versions[-1].version
    created_at_ms = int(NOW.timestamp() * 1000) - 365 * 24 * 3_600_000
    return App(
        app_id, app_id, frozenset(roles), status, notify_url, mg_ids, for_apps, versions, signing_version, created_at_ms
    )


_RETIRED = SecretVersion(1, GENERATION, retires_at_ms=int(NOW.timestamp() * 1000) - 1)

APPS: Final = {
    app.app_id: app
    for app in (
        _app("club-a", "club", notify_url="https://club-a.example/settled"),
        _app("club-b", "club"),
        _app("club-disabled", "club", status="disabled"),
        _app("club-rotated", "club", versions=(_RETIRED, SecretVersion(2, GENERATION))),
        _app("merchant-a", "merchant", notify_url="https://merchant-a.example/settled"),
        _app("merchant-b", "merchant"),
        _app("merchant-disabled", "merchant", status="disabled"),
        _app("merchant-rotated", "merchant", versions=(_RETIRED, SecretVersion(2, GENERATION))),
        _app("game-a", "game", mg_ids=frozenset({"mg-1", "mg-2"}), for_apps=frozenset({"merchant-a"})),
        _app("game-b", "game", mg_ids=frozenset({"mg-1"}), for_apps=frozenset({"merchant-b"})),
    )
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Who signs what, and when. By default the fixed one of the committed event files."""

    master: str = MASTER
    now_ms: int = int(NOW.timestamp() * 1000)

    @property
    def now_seconds(self) -> int:
        return self.now_ms // 1000

    def secret(self, app_id: str, version: int | None = None) -> str:
        """An app's secret; by default of its newest version."""
        return derive_app_secret(self.master, app_id, version or APPS[app_id].signing_version)

    def claims(self, app_id: str, scopes: tuple[str, ...] = CLUB_SCOPES) -> dict[str, Any]:
        """A token's claims, as they should be."""
        issued = self.now_seconds - 60
        return {"sub": app_id, "scope": list(scopes), "iat": issued, "exp": issued + TOKEN_SECONDS}

    def token(
        self,
        app_id: str,
        scopes: tuple[str, ...] = CLUB_SCOPES,
        *,
        claims: Mapping[str, Any] | None = None,
        version: int | None = None,
        key: str | None = None,
        algorithm: str = "HS256",
        headers: Mapping[str, Any] | None = None,
    ) -> str:
        """A club token. Every argument after the scopes makes one that is not as it should be."""
        key_id = f"{app_id}.{version or APPS[app_id].signing_version}"
        return jwt.encode(
            dict(self.claims(app_id, scopes) if claims is None else claims),
            self.secret(app_id, version) if key is None else key,
            algorithm=algorithm,
            headers={"kid": key_id, **(headers or {})},
        )

    def operator_claims(self, scopes: tuple[str, ...] = OPERATOR_SCOPES) -> dict[str, Any]:
        """An operator token's claims, as they should be."""
        issued = self.now_seconds - 60
        return {"sub": OPERATOR, "scope": list(scopes), "iat": issued, "exp": issued + OPERATOR_SECONDS}

    def operator_token(
        self,
        scopes: tuple[str, ...] = OPERATOR_SCOPES,
        *,
        claims: Mapping[str, Any] | None = None,
        key: str | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> str:
        """An operator's token. Every argument after the scopes makes one that is not as it should be."""
        return jwt.encode(
            dict(self.operator_claims(scopes) if claims is None else claims),
            derive_operator_key(self.master, GENERATION) if key is None else key,
            algorithm="HS256",
            headers={"kid": f"ops.{GENERATION}", **(headers or {})},
        )

    def sud_auth(
        self, app_id: str, body: bytes, *, timestamp: str = "", nonce: str = NONCE, version: int | None = None
    ) -> SudAuth:
        """The game API's signature of a body."""
        timestamp = timestamp or str(self.now_ms)
        signature = sud_signature(self.secret(app_id, version), app_id, timestamp, nonce, body)
        return SudAuth(app_id, timestamp, nonce, signature)

    def directory_signature(self, app_id: str) -> str:
        return directory_signature(self.secret(app_id), app_id)

    def ticket(self, bound: object, expected: int) -> str:
        """What the console gave for a finished count."""
        key = derive_cursor_key(self.master, GENERATION)
        return seal(["replay", self.now_ms, expected, 0, 0, 0, None], "ticket", bound, key, GENERATION)

    def page_context(self, query: ListQuery, bill_no: str, settle_time_ms: int) -> str:
        """A genuine cursor: the page after this entry."""
        key = derive_cursor_key(self.master, GENERATION)
        return encode_cursor(Position(settle_time_ms, bill_no), query, key, GENERATION)

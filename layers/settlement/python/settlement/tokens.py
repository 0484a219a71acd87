"""Club tokens: JWTs that an app, or the operator for it, signs with the app's secret.

    header  alg HS256 (nothing else), kid {app_id}.{n}: the secret's version
    claims  sub = app_id = kid's app; scope, a list; iat; exp, at most 90 days after iat

Source: DESIGN section 6.
"""

from typing import Any, Final

import jwt

from settlement.apps import App, AppRegistry
from settlement.callers import Caller
from settlement.errors import Unauthenticated
from settlement.keyring import Keyring

MAX_LIFETIME_SECONDS: Final = 90 * 24 * 3600
CLOCK_SKEW_SECONDS: Final = 60
"""How far ahead of ours the clock of whoever minted a token may be."""
_ALGORITHM = "HS256"
_BEARER = "bearer "
_MAX_TOKEN_LENGTH = 4096
# The clock is the caller's argument: PyJWT would ask its own.
_OPTIONS: Any = {
    "require": ["sub", "scope", "iat", "exp"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


def mint(app: App, keyring: Keyring, scopes: list[str], now_seconds: int, lifetime_seconds: int) -> str:
    """A token signed with the app's newest secret in use.

    Raises ValueError for a lifetime outside 1 s..90 days, and where no version of the app's secret is in use.
    """
    if not 0 < lifetime_seconds <= MAX_LIFETIME_SECONDS:
        raise ValueError("a token lives at least a second and at most 90 days")
    versions = app.versions_in_use(now_seconds * 1000)
    if not versions:
        raise ValueError("no version of the app's secret is in use")
    newest = versions[0]
    return jwt.encode(
        {"sub": app.app_id, "scope": scopes, "iat": now_seconds, "exp": now_seconds + lifetime_seconds},
        keyring.app_secret(app.app_id, newest.version, newest.generation),
        algorithm=_ALGORITHM,
        headers={"kid": f"{app.app_id}.{newest.version}"},
    )


def authenticate_club(authorization: str | None, apps: AppRegistry, keyring: Keyring, now_ms: int) -> Caller:
    """The caller that a token (`Authorization: <token>`, or after `Bearer `) proves. Raises Unauthenticated."""
    token = _token(authorization)
    app_id, version_number = _key_id(token)
    app = apps.find(app_id)
    if app is None:
        raise Unauthenticated("no such app")
    if not app.enabled:
        raise Unauthenticated("app is disabled")
    version = next((v for v in app.versions_in_use(now_ms) if v.version == version_number), None)
    if version is None:
        raise Unauthenticated("secret version is not in use")
    secret = keyring.app_secret(app_id, version.version, version.generation)
    try:
        claims = jwt.decode(token, secret, algorithms=[_ALGORITHM], options=_OPTIONS)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise Unauthenticated(f"token: {type(error).__name__}") from error
    return Caller(app, _scopes(claims, app_id, now_ms / 1000))


def _token(authorization: str | None) -> str:
    token = (authorization or "").strip()
    if token[: len(_BEARER)].lower() == _BEARER:
        token = token[len(_BEARER) :].strip()
    # JWTs are written without base64's padding; PyJWT would take a signature that has it.
    if not token or len(token) > _MAX_TOKEN_LENGTH or not token.isascii() or "=" in token:
        raise Unauthenticated("no token, or not one")
    return token


def _key_id(token: str) -> tuple[str, int]:
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise Unauthenticated(f"token header: {type(error).__name__}") from error
    app_id, _, version = kid.partition(".") if isinstance(kid, str) else ("", "", "")
    if not (version.isascii() and version.isdecimal() and len(version) < 10):
        raise Unauthenticated("token header: kid")
    return app_id, int(version)


def _scopes(claims: dict[str, Any], app_id: str, now_seconds: float) -> frozenset[str]:
    if claims["sub"] != app_id:
        raise Unauthenticated("token: sub is not the key's app")
    issued, expires, not_before = _time(claims["iat"]), _time(claims["exp"]), _time(claims.get("nbf", 0))
    # Written so that NaN, which a JWT library may let through, fails each of them.
    if not (issued <= now_seconds + CLOCK_SKEW_SECONDS and not_before <= now_seconds + CLOCK_SKEW_SECONDS):
        raise Unauthenticated("token: not valid yet")
    if not now_seconds < expires:
        raise Unauthenticated("token: expired")
    if not expires - issued <= MAX_LIFETIME_SECONDS:
        raise Unauthenticated("token: lives longer than 90 days")
    scopes = claims["scope"]
    if not (isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)):
        raise Unauthenticated("token: scope is not a list of strings")
    return frozenset(scopes)


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated("token: a time is not a number")
    return float(value) if abs(value) < 1e15 else float("nan")

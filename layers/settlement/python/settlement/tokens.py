"""Tokens: JWTs of clubs, and of operators.

              signed with                                         kid              sub
    club      the app's secret, by the app or for it              {app_id}.{n}     app_id = kid's app
    operator  the operators' key of the newest master generation  ops.{n}          the operator's name

    header  alg HS256 (nothing else), kid: n is the secret's version, or the master's generation
    claims  sub; scope, a list; iat; exp, at most 90 days after iat

An app may be called `ops`: its kid reads like an operator's and its key is another. Source: DESIGN section 6.
"""

import re
from typing import Any, Final

import jwt

from settlement.apps import App, AppRegistry
from settlement.callers import Caller, Operator
from settlement.errors import Unauthenticated
from settlement.keyring import Keyring

MAX_LIFETIME_SECONDS: Final = 90 * 24 * 3600
CLOCK_SKEW_SECONDS: Final = 60
"""How far ahead of ours the clock of whoever minted a token may be."""
OPERATOR_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
"""It stands in log lines."""
_OPERATORS = "ops"
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
    versions = app.versions_in_use(now_seconds * 1000)
    if not versions:
        raise ValueError("no version of the app's secret is in use")
    newest = versions[0]
    secret = keyring.app_secret(app.app_id, newest.version, newest.generation)
    return _signed(secret, f"{app.app_id}.{newest.version}", app.app_id, scopes, now_seconds, lifetime_seconds)


def mint_operator(name: str, keyring: Keyring, scopes: list[str], now_seconds: int, lifetime_seconds: int) -> str:
    """A token for the console. Raises ValueError for a lifetime outside 1 s..90 days, and a name that is none."""
    if not OPERATOR_NAME.fullmatch(name):
        raise ValueError(f"an operator's name must match {OPERATOR_NAME.pattern}")
    key, generation = keyring.operator_key()
    return _signed(key, f"{_OPERATORS}.{generation}", name, scopes, now_seconds, lifetime_seconds)


def _signed(key: str, key_id: str, subject: str, scopes: list[str], now_seconds: int, lifetime_seconds: int) -> str:
    if not 0 < lifetime_seconds <= MAX_LIFETIME_SECONDS:
        raise ValueError("a token lives at least a second and at most 90 days")
    claims = {"sub": subject, "scope": scopes, "iat": now_seconds, "exp": now_seconds + lifetime_seconds}
    return jwt.encode(claims, key, algorithm=_ALGORITHM, headers={"kid": key_id})


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
    claims = _claims(token, keyring.app_secret(app_id, version.version, version.generation), now_ms / 1000)
    if claims["sub"] != app_id:
        raise Unauthenticated("token: sub is not the key's app")
    return Caller(app, _scopes(claims))


def authenticate_operator(authorization: str | None, keyring: Keyring, now_ms: int) -> Operator:
    """The operator that a token proves, by the same checks as a club's. Raises Unauthenticated.

    The key is the newest generation's, whatever the token says: what an older one signed has ended.
    """
    token = _token(authorization)
    issuer, named_generation = _key_id(token)
    if issuer != _OPERATORS:
        raise Unauthenticated("token header: not an operator's kid")
    key, generation = keyring.operator_key()
    if named_generation != generation:
        raise Unauthenticated("operators' key is of another generation")
    claims = _claims(token, key, now_ms / 1000)
    name = claims["sub"]
    if not (isinstance(name, str) and OPERATOR_NAME.fullmatch(name)):
        raise Unauthenticated("token: sub is no operator's name")
    return Operator(name, _scopes(claims), int(claims["exp"]))


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


def _claims(token: str, key: str, now_seconds: float) -> dict[str, Any]:
    """What a token says that `key` signed, at a moment of its life."""
    try:
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=[_ALGORITHM], options=_OPTIONS)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise Unauthenticated(f"token: {type(error).__name__}") from error
    issued, expires, not_before = _time(claims["iat"]), _time(claims["exp"]), _time(claims.get("nbf", 0))
    # Written so that NaN, which a JWT library may let through, fails each of them.
    if not (issued <= now_seconds + CLOCK_SKEW_SECONDS and not_before <= now_seconds + CLOCK_SKEW_SECONDS):
        raise Unauthenticated("token: not valid yet")
    if not now_seconds < expires:
        raise Unauthenticated("token: expired")
    if not expires - issued <= MAX_LIFETIME_SECONDS:
        raise Unauthenticated("token: lives longer than 90 days")
    return claims


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    scopes = claims["scope"]
    if not (isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)):
        raise Unauthenticated("token: scope is not a list of strings")
    return frozenset(scopes)


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated("token: a time is not a number")
    return float(value) if abs(value) < 1e15 else float("nan")

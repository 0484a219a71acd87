"""`settlectl token`: tokens of the club API."""

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from settlectl.apps import AppId
from settlectl.console import AsJson, note, print_value, warn
from settlectl.deployment import Deployment, chosen
from settlectl.failures import BadInput, CommandFailed
from settlement.apps import App
from settlement.callers import CLUB_SCOPES
from settlement.clock import now_ms
from settlement.tokens import MAX_LIFETIME_SECONDS, mint

_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


@dataclass(frozen=True, slots=True)
class MintedToken:
    token: str
    expires_at: int
    """Unix time in seconds."""
    app: App


def mint_token(deployment: Deployment, app_id: str, scopes: list[str], ttl_seconds: int) -> MintedToken:
    """A token of the app's newest secret. Raises BadInput, NoSuchApp, and CommandFailed where the app has no secret."""
    unknown = [scope for scope in scopes if scope not in CLUB_SCOPES]
    if unknown or not scopes:
        raise BadInput(f"--scope {' '.join(unknown) or '(none)'}: must be one of {', '.join(CLUB_SCOPES)}")
    if not 0 < ttl_seconds <= MAX_LIFETIME_SECONDS:
        raise BadInput("--ttl: a token lives at least 1s and at most 90d")
    app = deployment.app(app_id)
    issued_at = now_ms() // 1000
    if not app.versions_in_use(issued_at * 1000):
        raise CommandFailed(f"app {app_id}: no version of its secret is in use")
    token = mint(app, deployment.keyring, list(dict.fromkeys(scopes)), issued_at, ttl_seconds)
    return MintedToken(token, issued_at + ttl_seconds, app)


def seconds_of(duration: str, option: str = "ttl") -> int:
    """Seconds of `90s`, `15m`, `12h` or `30d`. Raises BadInput."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise BadInput(f"--{option} {duration!r}: write a whole number and s, m, h or d, such as 12h or 30d")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def why_useless(app: App) -> list[str]:
    """Why a token of this app would be refused now, one sentence each."""
    reasons = []
    if "club" not in app.roles:
        reasons.append(f"app {app.app_id} has not the role club: calls with this token will be refused (1006)")
    if not app.enabled:
        reasons.append(f"app {app.app_id} is disabled: calls with this token will be refused (1002)")
    return reasons


# ---------------------------------------------------------------------------------------------------- commands

commands = typer.Typer(no_args_is_help=True, help="Tokens of the club API.")


@commands.callback()
def _token() -> None:
    pass  # with a callback, `mint` stays a command of its own even while it is the only one


@commands.command(
    "mint",
    help="""
    Print a token for the club API.

    Without --json the token alone is on stdout. Options that take several
    values are repeated.

        TOKEN=$(settlectl token mint --app-id club-9 --scope settlements:read)
        settlectl token mint --app-id club-9 --scope orders:write \\
            --scope settlements:write --ttl 12h --json
    """,
)
def _mint(
    context: typer.Context,
    app_id: AppId,
    scope: Annotated[
        list[str], typer.Option(metavar="|".join(CLUB_SCOPES), help="What it may do; repeat for several.")
    ],
    ttl: Annotated[str, typer.Option(metavar="N[s|m|h|d]", help="How long it lives; at most 90d.")] = "30d",
    as_json: AsJson = False,
) -> None:
    minted = mint_token(chosen(context), app_id, scope, seconds_of(ttl))
    for reason in why_useless(minted.app):
        warn(reason)
    if as_json:
        print_value({"token": minted.token, "expires_at": minted.expires_at})
    else:
        print(minted.token)
        note(f"Expires after {ttl}. Whoever has it may use it; `settlectl app disable` stops every token of the app.")

"""`settlectl token`: tokens of the club API, and of the console."""

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from settlectl.console import AsJson, note, print_value, warn
from settlectl.deployment import Deployment, chosen
from settlectl.failures import BadInput, CommandFailed
from settlement.apps import App
from settlement.callers import CLUB_SCOPES, OPERATOR_READS, OPERATOR_SCOPES
from settlement.clock import now_ms
from settlement.tokens import MAX_LIFETIME_SECONDS, OPERATOR_NAME, mint, mint_operator

_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_APP_TTL = "30d"
_OPERATOR_TTL = "12h"


@dataclass(frozen=True, slots=True)
class MintedToken:
    token: str
    expires_at: int
    """Unix time in seconds."""
    app: App | None
    """None: it is an operator's."""


def mint_token(deployment: Deployment, app_id: str, scopes: list[str], ttl_seconds: int) -> MintedToken:
    """A token of the app's newest secret. Raises BadInput, NoSuchApp, and CommandFailed where the app has no secret."""
    unknown = [scope for scope in scopes if scope not in CLUB_SCOPES]
    if unknown or not scopes:
        raise BadInput(f"--scope {' '.join(unknown) or '(none)'}: must be one of {', '.join(CLUB_SCOPES)}")
    _check_lifetime(ttl_seconds)
    app = deployment.app(app_id)
    issued_at = now_ms() // 1000
    if not app.versions_in_use(issued_at * 1000):
        raise CommandFailed(f"app {app_id}: no version of its secret is in use")
    token = mint(app, deployment.keyring, list(dict.fromkeys(scopes)), issued_at, ttl_seconds)
    return MintedToken(token, issued_at + ttl_seconds, app)


def mint_operator_token(deployment: Deployment, name: str, ttl_seconds: int, *, write: bool) -> MintedToken:
    """A token for the console; without `write` it reads. Raises BadInput."""
    if not OPERATOR_NAME.fullmatch(name):
        raise BadInput(
            f"--operator {name!r}: must be 1 to 64 of A-Z a-z 0-9 . _ @ + - and begin with a letter or digit"
        )
    _check_lifetime(ttl_seconds)
    scopes = list(OPERATOR_SCOPES) if write else [OPERATOR_READS]
    issued_at = now_ms() // 1000
    token = mint_operator(name, deployment.keyring, scopes, issued_at, ttl_seconds)
    return MintedToken(token, issued_at + ttl_seconds, None)


def _check_lifetime(ttl_seconds: int) -> None:
    if not 0 < ttl_seconds <= MAX_LIFETIME_SECONDS:
        raise BadInput("--ttl: a token lives at least 1s and at most 90d")


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

commands = typer.Typer(no_args_is_help=True, help="Tokens of the club API, and of the console.")


@commands.callback()
def _token() -> None:
    pass  # with a callback, `mint` stays a command of its own even while it is the only one


@commands.command(
    "mint",
    help="""
    Print a token: for the club API, or for the console.

    Without --json the token alone is on stdout. Options that take several
    values are repeated.

        TOKEN=$(settlectl token mint --app-id club-9 --scope settlements:read)
        settlectl token mint --app-id club-9 --scope orders:write \\
            --scope settlements:write --ttl 12h --json

    An operator's token opens the console and nothing else. It reads; with
    --write it also redelivers, replays, rotates secrets, enables and disables
    apps, and each such call is logged with the operator's name.

        settlectl token mint --operator ada
        settlectl token mint --operator ada --write --ttl 1h

    A new generation of the master secret ends every operator's token within
    30 s, and no app's.
    """,
)
def _mint(
    context: typer.Context,
    app_id: Annotated[str | None, typer.Option("--app-id", metavar="ID", help="The app that it is for.")] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="|".join(CLUB_SCOPES), help="What the app may do with it; repeat for several."),
    ] = None,
    operator: Annotated[str | None, typer.Option(metavar="NAME", help="The operator that it is for.")] = None,
    write: Annotated[bool, typer.Option("--write", help="An operator's: it may change things, too.")] = False,
    ttl: Annotated[
        str | None,
        typer.Option(
            metavar="N[s|m|h|d]",
            help=f"How long it lives, at most 90d; without it {_APP_TTL}, an operator's {_OPERATOR_TTL}.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    if (app_id is None) == (operator is None):
        raise BadInput("say whose token it is: --app-id or --operator, one of them")
    if operator is not None:
        if scope:
            raise BadInput("--scope is for an app's token; an operator's reads, and with --write also writes")
        life = _OPERATOR_TTL if ttl is None else ttl
        minted = mint_operator_token(chosen(context), operator, seconds_of(life), write=write)
        ending = "A new generation of the master secret ends every operator's token."
    else:
        if write:
            raise BadInput("--write is for an operator's token; an app's may do what --scope says")
        life = _APP_TTL if ttl is None else ttl
        minted = mint_token(chosen(context), app_id or "", scope or [], seconds_of(life))
        ending = "Whoever has it may use it; `settlectl app disable` stops every token of the app."
    for reason in [] if minted.app is None else why_useless(minted.app):
        warn(reason)
    if as_json:
        print_value({"token": minted.token, "expires_at": minted.expires_at})
    else:
        print(minted.token)
        note(f"Expires after {life}. {ending}")

"""`settlectl app rotate-secret`, `activate-secret`, `retire-secret`: another secret, and nobody cut off."""

from collections.abc import Callable
from typing import Annotated

import typer

from settlectl.apps import (
    IN_FORCE,
    SHOWN_ONCE,
    AppId,
    NewSecret,
    checked_app_id,
    new_secret,
    secret_facts,
    secrets_text,
)
from settlectl.console import AsJson, note, print_facts, print_value
from settlectl.deployment import Deployment, chosen
from settlectl.failures import BadInput, CommandFailed, NoSuchApp
from settlectl.tokens import seconds_of
from settlement.apps import App, AppContended, AppNotFound
from settlement.clock import now_ms
from settlement.rotation import MAX_OVERLAP_MS, RotationRefused, activated, retired, rotated


def rotate_secret(deployment: Deployment, app_id: str, *, again: bool = False) -> NewSecret:
    """Version n+1, accepted beside the old one, which still signs. Raises CommandFailed, NoSuchApp."""
    generation = deployment.keyring.newest_generation()
    app = _changed(deployment, app_id, lambda app: rotated(app, generation, now_ms(), again=again))
    return new_secret(deployment, app)


def activate_secret(deployment: Deployment, app_id: str, overlap_seconds: int | None = None) -> App:
    """The newest version signs; the older end after the overlap. Raises BadInput, CommandFailed, NoSuchApp."""
    overlap_ms = None if overlap_seconds is None else overlap_seconds * 1000
    if overlap_ms is not None and not 0 < overlap_ms <= MAX_OVERLAP_MS:
        raise BadInput("--overlap: lasts at least 1s and at most 30d; `app retire-secret` ends it at once")
    return _changed(deployment, app_id, lambda app: activated(app, now_ms(), overlap_ms))


def retire_secret(deployment: Deployment, app_id: str, *, at_once: bool = False) -> App:
    """Only the newest version is left. Raises CommandFailed, NoSuchApp."""
    return _changed(deployment, app_id, lambda app: retired(app, now_ms(), at_once=at_once))


def _changed(deployment: Deployment, app_id: str, decide: Callable[[App], App]) -> App:
    try:
        return deployment.apps.change_secrets(checked_app_id(app_id), decide, deployment.keyring)
    except AppNotFound as error:
        raise NoSuchApp(app_id) from error
    except RotationRefused as error:
        raise CommandFailed(f"app {app_id}: {error}; nothing was changed") from error
    except AppContended as error:
        raise CommandFailed(f"app {app_id}: somebody else is changing it; nothing was changed, try again") from error


# ---------------------------------------------------------------------------------------------------- commands

commands = typer.Typer()


@commands.command(
    "rotate-secret",
    help="""
    Make an app's next secret, and print it, once. Step 1 of 3.

    Both secrets are accepted from then on. webhook-signature carries both,
    Sud-Signature stays the old one's. No clock runs: give the app its new
    secret and, once it is installed, take the next step.

        settlectl app rotate-secret --app-id shop-1
        settlectl app activate-secret --app-id shop-1
        settlectl app retire-secret --app-id shop-1

    Refused while two versions are in use. With --again a new secret that was
    lost, or leaked, before it was activated is replaced by another.

    --json: app_id, secret, secret_version, webhook_secret, directory_url, and
    signing_version, the version that Sud-Signature is still made with.
    """,
)
def _rotate(
    context: typer.Context,
    app_id: AppId,
    again: Annotated[bool, typer.Option("--again", help="Replace the new one, which is not activated yet.")] = False,
    as_json: AsJson = False,
) -> None:
    made = rotate_secret(chosen(context), app_id, again=again)
    if as_json:
        print_value(made.to_json() | {"signing_version": made.app.signing_version})
    else:
        print_facts({"app": app_id, **made.facts(), "signs with": f"version {made.app.signing_version}"})
    note(f"{SHOWN_ONCE} {IN_FORCE}")
    note(f"Next, once the app has it installed: settlectl app activate-secret --app-id {app_id}")


@commands.command(
    "activate-secret",
    help="""
    Sign with the new secret, and let the old one run out. Step 2 of 3.

    Sud-Signature is the new secret's from then on. The old one is accepted, and
    webhook-signature carries both, until the overlap is over.

        settlectl app activate-secret --app-id shop-1
        settlectl app activate-secret --app-id shop-1 --overlap 7d

    Repeating it changes nothing; with --overlap the end is set anew, counted
    from now. A version that has ended stays ended.

    --json: app_id, signing_version, and secret_versions, a list of version,
    state (signs, accepted, ended) and retires_at_ms (null: no end is set).
    """,
)
def _activate(
    context: typer.Context,
    app_id: AppId,
    overlap: Annotated[
        str | None,
        typer.Option(metavar="N[s|m|h|d]", help="How long the old one is still accepted: 24h, at most 30d."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    overlap_seconds = None if overlap is None else seconds_of(overlap, "overlap")
    app = activate_secret(chosen(context), app_id, overlap_seconds)
    _print_secrets(app, as_json=as_json)
    if "club" in app.roles:
        note("Tokens that the old secret signed end with it: mint the app's tokens anew before.")


@commands.command(
    "retire-secret",
    help="""
    End the old secret before its overlap is over. Step 3 of 3, or the emergency.

    Without this step the old one ends by itself. Refused until the new one is
    activated.

        settlectl app retire-secret --app-id shop-1

    A secret leaked: make another, and let it be the only one at once. Whatever
    still uses the old one is cut off until it has the new one.

        settlectl app rotate-secret --app-id shop-1
        settlectl app retire-secret --app-id shop-1 --now

    --json: app_id, signing_version, and secret_versions as activate-secret
    prints them; one is left.
    """,
)
def _retire(
    context: typer.Context,
    app_id: AppId,
    at_once: Annotated[
        bool, typer.Option("--now", help="The newest signs and all others end, whatever the step.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    _print_secrets(retire_secret(chosen(context), app_id, at_once=at_once), as_json=as_json)


def _print_secrets(app: App, *, as_json: bool) -> None:
    if as_json:
        print_value({"app_id": app.app_id, **secret_facts(app)})
    else:
        print_facts({"app": app.app_id, "secret versions": secrets_text(app)})
    note(IN_FORCE)

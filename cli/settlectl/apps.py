"""`settlectl app`: who may call, in which role, and where they are told."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from settlectl.console import AsJson, note, print_facts, print_table, print_value, warn
from settlectl.deployment import Deployment, chosen
from settlectl.failures import AppAlreadyExists, BadInput, NoSuchApp
from settlement.apps import APP_ID, ROLES, App, AppChanges, AppExists, AppNotFound, Role, SecretVersion, Status
from settlement.clock import now_ms
from settlement.draining import meet_another_receiver, release_when_known
from settlement.rotation import FIRST_VERSION, state_of
from settlement.sender import UrlNotAllowed, check_url
from settlement.signing import directory_signature, webhook_library_secret

MAX_TEXT_BYTES = 128
SHOWN_ONCE = "The secret is not stored and cannot be shown again."
IN_FORCE = "It takes up to 30 s until this is in force everywhere."


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret just made. It is nowhere stored: it is shown this once."""

    app: App
    version: int
    secret: str
    directory_url: str

    @property
    def webhook_secret(self) -> str:
        """The secret as Standard Webhooks libraries take it."""
        return webhook_library_secret(self.secret)

    def to_json(self) -> dict[str, Any]:
        return {
            "app_id": self.app.app_id,
            "secret": self.secret,
            "secret_version": self.version,
            "webhook_secret": self.webhook_secret,
            "directory_url": self.directory_url,
        }

    def facts(self) -> dict[str, str]:
        return {
            "secret": self.secret,
            "secret version": str(self.version),
            "webhook secret": self.webhook_secret,
            "API directory": self.directory_url,
        }


def new_secret(deployment: Deployment, app: App) -> NewSecret:
    """Of the app's newest version."""
    newest = app.secret_versions[-1]
    secret = deployment.keyring.app_secret(app.app_id, newest.version, newest.generation)
    return NewSecret(app, newest.version, secret, directory_url(deployment, app.app_id, secret))


def create_app(
    deployment: Deployment,
    app_id: str,
    roles: Iterable[str],
    *,
    name: str = "",
    notify_url: str | None = None,
    mg_ids: Iterable[str] = (),
    for_apps: Iterable[str] = (),
) -> NewSecret:
    """Stores a new app. Raises BadInput, AppAlreadyExists."""
    new = App(
        app_id=checked_app_id(app_id),
        name=_checked_text("name", name or app_id),
        roles=frozenset(role for role in ROLES if role in _checked_roles(list(roles))),
        status="enabled",
        notify_url=None if notify_url is None else _checked_notify_url(deployment, notify_url),
        mg_ids=_checked_mg_ids(mg_ids),
        for_apps=_checked_for_apps(for_apps),
        secret_versions=(SecretVersion(FIRST_VERSION, deployment.keyring.newest_generation()),),
        signing_version=FIRST_VERSION,
        created_at_ms=now_ms(),
    )
    _check_reports(new.roles, new.mg_ids, new.for_apps)
    try:
        deployment.apps.create(new, deployment.keyring)
    except AppExists as error:
        raise AppAlreadyExists(app_id) from error
    return new_secret(deployment, new)


def directory_url(deployment: Deployment, app_id: str, secret: str) -> str:
    """Where the app's API directory is; the path is its own proof."""
    return f"{deployment.base_url}/asc/{directory_signature(secret, app_id)}"


def update_app(
    deployment: Deployment,
    app_id: str,
    *,
    name: str | None = None,
    notify_url: str | None = None,
    no_notify_url: bool = False,
    mg_ids: Iterable[str] | None = None,
    for_apps: Iterable[str] | None = None,
) -> App:
    """Replaces what is given, sets whole; the app as it is then. In force within 30 s. Raises BadInput, NoSuchApp."""
    if notify_url is not None and no_notify_url:
        raise BadInput("--notify-url and --no-notify-url exclude each other")
    changes: AppChanges = {}
    if name is not None:
        changes["name"] = _checked_text("name", name)
    if notify_url is not None or no_notify_url:
        changes["notify_url"] = None if notify_url is None else _checked_notify_url(deployment, notify_url)
    if mg_ids is not None:
        changes["mg_ids"] = _checked_mg_ids(mg_ids)
    if for_apps is not None:
        changes["for_apps"] = _checked_for_apps(for_apps)
    if not changes:
        raise BadInput("nothing to change: give --name, --notify-url, --no-notify-url, --mg-id or --for-app")
    roles = deployment.app(checked_app_id(app_id)).roles  # for ever: what is read here still holds below
    _check_reports(roles, changes.get("mg_ids"), changes.get("for_apps"))
    try:
        return deployment.apps.update(app_id, **changes)
    except AppNotFound as error:
        raise NoSuchApp(app_id) from error


def set_status(deployment: Deployment, app_id: str, status: Status) -> None:
    """In force everywhere within 30 s. Raises NoSuchApp."""
    try:
        deployment.apps.set_status(checked_app_id(app_id), status)
    except AppNotFound as error:
        raise NoSuchApp(app_id) from error


def what_a_game_server_lacks(deployment: Deployment, app: App) -> list[str]:
    """Why an app of role game could not report yet, one sentence each."""
    if "game" not in app.roles:
        return []
    lacks = [
        f"without {option} the game server {app.app_id} may report nothing"
        for option, values in (("--mg-id", app.mg_ids), ("--for-app", app.for_apps))
        if not values
    ]
    for app_id in sorted(app.for_apps):
        merchant = deployment.apps.read(app_id)
        if merchant is None:
            lacks.append(f"--for-app {app_id}: there is no such app yet")
        elif "merchant" not in merchant.roles:
            lacks.append(f"--for-app {app_id}: this app has not the role merchant")
    return lacks


def app_facts(app: App) -> dict[str, Any]:
    """An app as JSON tells it. No secret is in it."""
    return {
        "app_id": app.app_id,
        "name": app.name,
        "roles": sorted(app.roles),
        "status": app.status,
        "notify_url": app.notify_url,
        "mg_ids": sorted(app.mg_ids),
        "for_apps": sorted(app.for_apps),
        **secret_facts(app),
        "created_at_ms": app.created_at_ms,
    }


def secret_facts(app: App) -> dict[str, Any]:
    """Its versions, each with its state now: signs, accepted, ended. Accepted is what signs, too."""
    now = now_ms()
    return {
        "secret_versions": [
            {"version": v.version, "state": state_of(app, v, now), "retires_at_ms": v.retires_at_ms}
            for v in app.secret_versions
        ],
        "signing_version": app.signing_version,
    }


def secrets_text(app: App) -> str:
    """The same for people."""
    now = now_ms()
    return ", ".join(f"{v.version} {state_of(app, v, now)}{_ending(v, now)}" for v in reversed(app.secret_versions))


def checked_app_id(app_id: str, option: str = "app-id") -> str:
    if not APP_ID.fullmatch(app_id):
        raise BadInput(f"--{option} {app_id!r}: must be 1 to 64 of the characters A-Z a-z 0-9 _ -")
    return app_id


def _checked_text(option: str, text: str) -> str:
    if not (1 <= len(text.encode(errors="surrogateescape")) <= MAX_TEXT_BYTES and text.isprintable()):
        raise BadInput(f"--{option} {text!r}: must be 1 to {MAX_TEXT_BYTES} bytes of printable text")
    return text


def _checked_mg_ids(mg_ids: Iterable[str]) -> frozenset[str]:
    return frozenset(_checked_text("mg-id", mg_id) for mg_id in mg_ids)


def _checked_for_apps(for_apps: Iterable[str]) -> frozenset[str]:
    return frozenset(checked_app_id(for_app, "for-app") for for_app in for_apps)


def _check_reports(roles: frozenset[Role], mg_ids: frozenset[str] | None, for_apps: frozenset[str] | None) -> None:
    if (mg_ids or for_apps) and "game" not in roles:
        raise BadInput("--mg-id and --for-app are what a game server reports for: they need --role game")


def _checked_roles(roles: list[str]) -> list[str]:
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        raise BadInput(f"--role {' '.join(unknown) or '(none)'}: must be one of {', '.join(ROLES)}")
    return roles


def _checked_notify_url(deployment: Deployment, url: str) -> str:
    try:
        check_url(url, allow_local=deployment.allows_local_receivers)
    except UrlNotAllowed as error:
        raise BadInput(f"--notify-url {url!r}: {error}") from error
    return url


# ---------------------------------------------------------------------------------------------------- commands

commands = typer.Typer(no_args_is_help=True, help="Apps: clubs, merchants and game servers.")

AppId = Annotated[str, typer.Option("--app-id", metavar="ID", help="The app.")]
NotifyUrl = Annotated[str | None, typer.Option(metavar="URL", help="Where it is told of settlements.")]
MgIds = Annotated[list[str] | None, typer.Option(metavar="ID", help="Role game: a game it reports for.")]
ForApps = Annotated[list[str] | None, typer.Option(metavar="ID", help="Role game: a merchant it reports to.")]


@commands.command(
    "create",
    help="""
    Register an app and print its secret, once.

    The secret is derived and never stored: keep what is printed. Options that
    take several values are repeated.

        settlectl app create --app-id shop-1 --role merchant
        settlectl app create --app-id club-9 --role club \\
            --notify-url https://club.example.com/settled
        settlectl app create --app-id match-server --role game \\
            --mg-id 1461227817776713818 --for-app shop-1
    """,
)
def _create(
    context: typer.Context,
    app_id: Annotated[str, typer.Option(metavar="ID", help="Its id, for ever: 1 to 64 of A-Z a-z 0-9 _ -")],
    role: Annotated[list[str], typer.Option(metavar="|".join(ROLES), help="What it may do; repeat for several roles.")],
    name: Annotated[str, typer.Option(help="For people; else the id.")] = "",
    notify_url: NotifyUrl = None,
    mg_id: MgIds = None,
    for_app: ForApps = None,
    as_json: AsJson = False,
) -> None:
    deployment = chosen(context)
    created = create_app(
        deployment, app_id, role, name=name, notify_url=notify_url, mg_ids=mg_id or (), for_apps=for_app or ()
    )
    for lack in what_a_game_server_lacks(deployment, created.app):
        warn(lack)
    if as_json:
        facts = app_facts(created.app)
        print_value(
            created.to_json() | {name: facts[name] for name in ("name", "roles", "notify_url", "mg_ids", "for_apps")}
        )
        return
    print_facts(
        {
            "app": f"{created.app.app_id} ({', '.join(sorted(created.app.roles))})",
            **created.facts(),
            "told at": created.app.notify_url or "- (no notify_url: it asks)",
        }
    )
    note(SHOWN_ONCE)


@commands.command(
    "list",
    help="""
    All apps, by id: their roles, whether they may call, where they are told.

        settlectl app list
        settlectl app list --json | jq -r '.[] | select(.status == "disabled").app_id'

    --json: a list of what `app show --json` prints of one.
    """,
)
def _list(context: typer.Context, as_json: AsJson = False) -> None:
    apps = sorted(chosen(context).apps.all(), key=lambda app: app.app_id)
    if as_json:
        print_value([app_facts(app) for app in apps])
    elif apps:
        print_table(
            ["APP", "NAME", "ROLES", "STATUS", "TOLD AT", "CREATED"],
            [
                [a.app_id, a.name, ", ".join(sorted(a.roles)), a.status, a.notify_url or "-", _date(a.created_at_ms)]
                for a in apps
            ],
        )
    else:
        note("No apps yet; make one: settlectl app create --help")


@commands.command(
    "show",
    help="""
    One app. Never shows a secret.

    Of each version of its secret it tells whether it signs (Sud-Signature),
    is accepted as well, perhaps until an end, or has ended.

        settlectl app show --app-id shop-1
        settlectl app show --app-id shop-1 --json
    """,
)
def _show(context: typer.Context, app_id: AppId, as_json: AsJson = False) -> None:
    _print_app(chosen(context).app(checked_app_id(app_id)), as_json=as_json)


def _print_app(app: App, *, as_json: bool) -> None:
    if as_json:
        print_value(app_facts(app))
        return
    facts = {
        "app": app.app_id,
        "name": app.name,
        "roles": ", ".join(sorted(app.roles)),
        "status": app.status,
        "told at": app.notify_url or "- (no notify_url: it asks)",
        "secret versions": secrets_text(app),
        "created": _date(app.created_at_ms),
    }
    if "game" in app.roles:
        facts |= {"reports for": ", ".join(sorted(app.mg_ids)) or "-", "to": ", ".join(sorted(app.for_apps)) or "-"}
    print_facts(facts)


@commands.command(
    "update",
    help="""
    Change an app's receiver, its name, or what a game server reports for.

    What is not given stays. What is given replaces the old value; --mg-id and
    --for-app, repeated, replace the whole set. In force within 30 s.

        settlectl app update --app-id club-9 --no-notify-url
        settlectl app update --app-id match-server \\
            --for-app shop-1 --for-app shop-2
    """,
)
def _update(
    context: typer.Context,
    app_id: AppId,
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    notify_url: NotifyUrl = None,
    no_notify_url: Annotated[bool, typer.Option("--no-notify-url", help="It is told nothing more, and asks.")] = False,
    mg_id: MgIds = None,
    for_app: ForApps = None,
    as_json: AsJson = False,
) -> None:
    deployment = chosen(context)
    app = update_app(
        deployment,
        app_id,
        name=name,
        notify_url=notify_url,
        no_notify_url=no_notify_url,
        mg_ids=mg_id or None,
        for_apps=for_app or None,
    )
    for lack in what_a_game_server_lacks(deployment, app):
        warn(lack)
    note(IN_FORCE)
    if notify_url is not None:
        meet_another_receiver(deployment.ledger, app_id)
        _release(deployment, app_id)
    _print_app(app, as_json=as_json)


@commands.command(
    "disable",
    help="""
    Refuse all its calls, and hold its notifications. In force within 30 s.

        settlectl app disable --app-id shop-1

    Nothing is lost: what is held goes out after `settlectl app enable`.
    """,
)
def _disable(context: typer.Context, app_id: AppId, as_json: AsJson = False) -> None:
    _set_status(context, app_id, "disabled", as_json=as_json)


@commands.command(
    "enable",
    help="""
    Let a disabled app call again; what was held goes out. In force within 30 s.

        settlectl app enable --app-id shop-1
    """,
)
def _enable(context: typer.Context, app_id: AppId, as_json: AsJson = False) -> None:
    _set_status(context, app_id, "enabled", as_json=as_json)
    _release(chosen(context), app_id)


def _release(deployment: Deployment, app_id: str) -> None:
    if why := release_when_known(deployment.queue, app_id):
        warn(f"what was held goes out some minutes later: {why}")


def _set_status(context: typer.Context, app_id: str, status: Status, *, as_json: bool) -> None:
    set_status(chosen(context), app_id, status)
    note(IN_FORCE)
    if as_json:
        print_value({"app_id": app_id, "status": status})
    else:
        print_facts({"app": app_id, "status": status})


def _date(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _ending(version: SecretVersion, now: int) -> str:
    if version.retires_at_ms is None:
        return ""
    when = f"{datetime.fromtimestamp(version.retires_at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f" {'until' if now < version.retires_at_ms else 'at'} {when}"

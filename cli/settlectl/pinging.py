"""`settlectl app ping`: a test notification, by the code that sends the real ones."""

import secrets
import time
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from settlectl.apps import AppId, checked_app_id
from settlectl.console import AsJson, note, print_facts, print_value, warn
from settlectl.deployment import Deployment, chosen
from settlectl.failures import BadInput, CommandFailed
from settlement.apps import App
from settlement.clock import now_ms
from settlement.delivery import Delivered, GivenUp, Judgement, Retry, judge, signed_request
from settlement.notifications import ping
from settlement.sender import Sender, UrlNotAllowed, check_url


@dataclass(frozen=True, slots=True)
class Pinged:
    app: App
    url: str
    notify_id: str
    judgement: Judgement
    duration_ms: int

    @property
    def acknowledged(self) -> bool:
        return isinstance(self.judgement.outcome, Delivered)

    @property
    def outcome(self) -> str:
        """As a delivery's would be called."""
        match self.judgement.outcome:
            case Delivered():
                return "delivered"
            case Retry():
                return "retry"
            case GivenUp():
                return "given up"

    def to_json(self) -> dict[str, Any]:
        return {
            "app_id": self.app.app_id,
            "url": self.url,
            "notify_id": self.notify_id,
            "outcome": self.outcome,
            "http_status": self.judgement.http_status,
            "ret_code": self.judgement.ret_code,
            "error": self.judgement.error,
            "error_class": self.judgement.error_class,
            "duration_ms": self.duration_ms,
        }


def ping_app(deployment: Deployment, app_id: str, url: str | None = None) -> Pinged:
    """Sends one, whatever the app's status; nothing is stored. Raises BadInput, NoSuchApp, CommandFailed."""
    if url is not None:
        try:
            check_url(url, allow_local=deployment.allows_local_receivers)
        except UrlNotAllowed as error:
            raise BadInput(f"--url {url!r}: {error}") from error
    app, started_ms = deployment.app(checked_app_id(app_id)), now_ms()
    target = url or app.notify_url
    if target is None:
        raise CommandFailed(f"app {app_id} has no notify_url; name one: --url URL")
    if not app.versions_in_use(started_ms):
        raise CommandFailed(f"app {app_id}: no version of its secret is in use")
    notification = ping(app_id, secrets.token_hex(32), started_ms)
    request = signed_request(notification, app, deployment.keyring, target, started_ms, secrets.token_hex(16))
    clock = time.monotonic()
    judgement = judge(Sender(allow_local=deployment.allows_local_receivers).send(request))
    return Pinged(app, target, notification.notify_id, judgement, round((time.monotonic() - clock) * 1000))


# ---------------------------------------------------------------------------------------------------- commands

commands = typer.Typer()


@commands.command(
    "ping",
    help="""
    Send an app's receiver a signed test notification, and judge its answer.

    It is sent by the code that delivers settlements: the same headers and
    signatures, 5 s, no redirects, public addresses alone, and only HTTP 2xx
    with {"ret_code":0} acknowledges. notify_event is settlepoint.ping, data is
    {"message":"ping"}, notify_id is new each time. Nothing is stored.

    It goes from this machine, not from AWS: a firewall may tell the two apart.

        settlectl app ping --app-id shop-1
        settlectl app ping --app-id shop-1 --url https://new.example.com/told

    Exit status 0: acknowledged.

    --json: app_id, url, notify_id, outcome (delivered, retry: it would be
    tried again, given up: it would not), http_status, ret_code, error,
    error_class, duration_ms.
    """,
)
def _ping(
    context: typer.Context,
    app_id: AppId,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Another receiver than the app's notify_url; nothing is changed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    pinged = ping_app(chosen(context), app_id, url)
    if as_json:
        print_value(pinged.to_json())
    else:
        _print(pinged)
    if not pinged.app.enabled:
        warn(f"app {app_id} is disabled: its notifications are held")
    if not pinged.acknowledged:
        raise CommandFailed(f"not acknowledged: {pinged.judgement.error}")


def _print(pinged: Pinged) -> None:
    judgement = pinged.judgement
    facts = {
        "app": pinged.app.app_id,
        "sent to": pinged.url,
        "notify_id": pinged.notify_id,
        "outcome": _OUTCOMES[pinged.outcome],
        "http status": _text(judgement.http_status),
        "ret_code": _text(judgement.ret_code),
        "error": _text(judgement.error),
        "error class": _text(judgement.error_class),
        "took": f"{pinged.duration_ms} ms",
    }
    print_facts(facts)
    note("Sent from this machine, not from AWS.")


_OUTCOMES = {
    "delivered": "delivered: the receiver acknowledged it",
    "retry": "retry: a settlement's would be tried again",
    "given up": "given up: a settlement's would not be tried again",
}


def _text(value: object) -> str:
    return "-" if value is None else str(value)

"""Telling an app again, as the commands ask for it: what options mean, and how a refusal is told."""

from collections.abc import Collection
from typing import Final

from settlectl.deployment import Deployment
from settlectl.failures import BadInput, CommandFailed, NoSuchApp
from settlement import redelivery
from settlement.apps import App
from settlement.breaker import Breaker
from settlement.delivery import ERROR_CLASSES
from settlement.ledger import STATUSES, Stored
from settlement.redelivery import EVENTS, Cursor, NotRedelivered, Redelivered, Selection, WhyHeld

_WHY: Final[dict[WhyHeld, str]] = {
    "app_disabled": "app {} is disabled",
    "no_secret": "no version of app {}'s secret is in use",
    "breaker_open": "its receiver is down: the breaker is open",
}


def cursor_text(cursor: Cursor) -> str:
    """As --after takes it."""
    return f"{cursor.notify_time_ms}/{cursor.notify_id}"


def cursor_of(text: str) -> Cursor:
    """Raises BadInput."""
    time_ms, _, notify_id = text.partition("/")
    if not (time_ms.isascii() and time_ms.isdecimal() and len(time_ms) <= 15 and notify_id):
        raise BadInput(f"--after {text!r}: give what an interrupted replay printed")
    return Cursor(int(time_ms), notify_id)


def selection(
    app_id: str,
    since_ms: int,
    until_ms: int,
    statuses: Collection[str] = STATUSES,
    error_classes: Collection[str] = (),
    event: str | None = None,
    after: Cursor | None = None,
) -> Selection:
    """What the filters' options mean. Raises BadInput."""
    _check("status", statuses, STATUSES)
    _check("error-class", error_classes, ERROR_CLASSES)
    if event is not None:
        _check("event", [event], EVENTS)
    return Selection(app_id, since_ms, until_ms, statuses, error_classes, event, after)


def find(deployment: Deployment, notify_id: str) -> Stored:
    """Raises BadInput, CommandFailed."""
    _check_notify_id(notify_id)
    stored = deployment.ledger.find(notify_id)
    if stored is None:
        raise _unknown(notify_id)
    return stored


def redeliver(deployment: Deployment, notify_id: str, *, again: bool) -> Redelivered:
    """Plans the next attempt for now and sends for it. Raises BadInput, CommandFailed, NoSuchApp, BreakerContended."""
    _check_notify_id(notify_id)
    outcome = redelivery.redeliver(deployment.ledger, deployment.queue, deployment.apps, notify_id, again=again)
    match outcome:
        case Redelivered():
            return outcome
        case NotRedelivered("unknown"):
            raise _unknown(notify_id)
        case NotRedelivered("delivered"):
            raise CommandFailed("it was delivered, the receiver has acknowledged it; --again tells it once more")
        case NotRedelivered("no app", app_id):
            raise NoSuchApp(app_id)
        case NotRedelivered("no receiver", app_id):
            raise _without_url(app_id)
        case NotRedelivered(why):
            what = "is under way" if why == "under way" else "was made this moment"
            raise CommandFailed(
                f"an attempt {what}; nothing was changed. See: settlectl notifications show {notify_id}"
            )


def app_with_url(deployment: Deployment, app_id: str) -> App:
    """Raises NoSuchApp, and CommandFailed where the app is told nowhere."""
    app = deployment.app(app_id)
    if app.notify_url is None:
        raise _without_url(app_id)
    return app


def why_it_waits(app: App | None, breaker: Breaker, at_ms: int) -> str | None:
    """Why what is held for an app goes on being held; None where its turn comes by itself."""
    why = redelivery.why_held(app, breaker, at_ms)
    return None if why is None else _WHY[why].format(breaker.app_id)


def _check_notify_id(notify_id: str) -> None:
    if len(notify_id) != 64 or not set(notify_id) <= set("0123456789abcdef"):
        raise BadInput(f"{notify_id!r} is no notify_id: it has 64 hex digits, in lower case")


def _unknown(notify_id: str) -> CommandFailed:
    return CommandFailed(
        f"there is no notification {notify_id}; they are kept for 30 days once delivered, for 90 once dead"
    )


def _without_url(app_id: str) -> CommandFailed:
    return CommandFailed(
        f"app {app_id} has no notify_url; set one: settlectl app update --app-id {app_id} --notify-url URL"
    )


def _check(option: str, values: Collection[str], allowed: Collection[str]) -> None:
    for value in values:
        if value not in allowed:
            raise BadInput(f"--{option} {value!r}: must be one of {', '.join(allowed)}")

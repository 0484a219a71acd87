"""`settlectl notifications`: what apps were told, and telling them again."""

from collections import Counter, deque
from typing import Annotated, Any, Final, Literal

import typer

from settlectl.apps import AppId, checked_app_id
from settlectl.console import AsJson, note, pretty, print_facts, print_table, print_value, results, warn
from settlectl.deployment import chosen
from settlectl.moments import Since, Until, moment_text, range_ms
from settlectl.redelivery import find, redeliver, selection, why_it_waits
from settlement.apps import App
from settlement.breaker import Breaker
from settlement.clock import now_ms
from settlement.delivery import ERROR_CLASSES
from settlement.ledger import STATUSES, Attempt, Listed, Stored
from settlement.redelivery import EVENTS, selected
from settlement.strictjson import load

SWEPT: Final = "The queue did not take the message ({}); the sweep sends it within two minutes."

commands = typer.Typer(no_args_is_help=True, help="Notifications: what apps were told, and telling them again.")

StatusFilter = Annotated[
    list[str] | None, typer.Option(metavar="|".join(STATUSES), help="Of this status; repeat for several.")
]
ErrorClassFilter = Annotated[
    list[str] | None,
    typer.Option("--error-class", metavar="CLASS", help=f"Last attempt's: {', '.join(ERROR_CLASSES)}; repeatable."),
]


# ---------------------------------------------------------------------------------------------------------- list


@commands.command(
    "list",
    help="""
    An app's notifications, by when they were settled; the newest first.

        settlectl notifications list --app-id shop-1
        settlectl notifications list --app-id shop-1 --since 7d --status dead
        settlectl notifications list --app-id shop-1 --error-class http_5xx \\
            --since 2026-11-22T08:00:00Z --until 2026-11-22T09:00:00+01:00

    Statuses: pending (not tried yet), retrying, held (waits for the app to be
    enabled or its receiver to answer again; no attempt is spent), delivered,
    dead (given up; redeliver or replay it).

    The list is read from an index that may be a moment behind; `show` is exact.
    Delivered ones are kept for 30 days, dead ones for 90.

    --json: app_id, since_ms, until_ms, notifications (a list of notify_id,
    notify_event, notify_time_ms, status, attempt_count, error_class), matched,
    counts by status, breaker (state: trusted, on_trial or open; failures in a
    row; open_until_ms), held (all of the app).
    """,
)
def _list(
    context: typer.Context,
    app_id: AppId,
    since: Since = "1d",
    until: Until = None,
    status: StatusFilter = None,
    error_class: ErrorClassFilter = None,
    event: Annotated[str | None, typer.Option(metavar="EVENT", help=f"{' or '.join(EVENTS)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many, the newest; all are counted.")] = 50,
    as_json: AsJson = False,
) -> None:
    deployment, now = chosen(context), now_ms()
    since_ms, until_ms = range_ms(since, until, now)
    meant = selection(
        checked_app_id(app_id), since_ms, until_ms, tuple(status or STATUSES), tuple(error_class or ()), event
    )
    app = deployment.app(app_id)
    counts: Counter[str] = Counter()
    newest: deque[Listed] = deque(maxlen=limit)
    for listed in selected(deployment.ledger, meant):
        counts[listed.status] += 1
        newest.append(listed)
    shown = list(reversed(newest))
    breaker, held = deployment.ledger.breaker(app_id), deployment.ledger.count_held(app_id)
    if as_json:
        print_value(
            {
                "app_id": app_id,
                "since_ms": since_ms,
                "until_ms": until_ms,
                "notifications": [_listed_facts(listed) for listed in shown],
                "matched": counts.total(),
                "counts": {name: counts[name] for name in STATUSES},
                "breaker": _breaker_facts(breaker, now),
                "held": held,
            }
        )
        return
    if shown:
        print_table(
            ["SETTLED", "STATUS", "ATTEMPTS", "ERROR CLASS", "EVENT", "NOTIFY_ID"], list(map(_row, shown)), folded=False
        )
    print_facts(
        {
            "shown": f"{len(shown):,} of {counts.total():,} since {moment_text(since_ms)}",
            "by status": ", ".join(f"{counts[name]:,} {name}" for name in STATUSES if counts[name]) or "-",
            "breaker": breaker_text(breaker, now),
            "held": f"{held:,} of this app" + _waiting(app, breaker, now, held),
        }
    )


def _listed_facts(listed: Listed) -> dict[str, Any]:
    return {
        "notify_id": listed.notify_id,
        "notify_event": listed.event,
        "notify_time_ms": listed.notify_time_ms,
        "status": listed.status,
        "attempt_count": listed.attempt_count,
        "error_class": listed.error_class,
    }


def _row(listed: Listed) -> list[str]:
    return [
        moment_text(listed.notify_time_ms),
        listed.status,
        str(listed.attempt_count),
        listed.error_class or "-",
        listed.event,
        listed.notify_id,
    ]


def _breaker_facts(breaker: Breaker, now: int) -> dict[str, Any]:
    state: Literal["open", "trusted", "on_trial"] = (
        "open" if breaker.is_open(now) else "trusted" if breaker.trusted else "on_trial"
    )
    return {
        "state": state,
        "failures": breaker.failures,
        "open_until_ms": breaker.open_until_ms if state == "open" else None,
    }


def breaker_text(breaker: Breaker, now: int) -> str:
    """Whether its receiver may be sent to."""
    if breaker.is_open(now):
        return f"open until {moment_text(breaker.open_until_ms)}, after {breaker.failures} failures in a row"
    return "closed" if breaker.trusted else "on trial: one attempt at a time"


def _waiting(app: App, breaker: Breaker, now: int, held: int) -> str:
    why = why_it_waits(app, breaker, now) if held else None
    return f": {why}" if why else ""


# ---------------------------------------------------------------------------------------------------------- show


@commands.command(
    "show",
    help="""
    One notification: its status, each attempt, and what is sent.

        settlectl notifications show 7f3a...
        settlectl notifications show 7f3a... --json

    Receivers know its id as notify_id and as the header webhook-id.

    --json: notify_id, app_id, notify_event, notify_time_ms, status, attempts (a
    list of started_at_ms, duration_ms, http_status, ret_code, error,
    error_class), next_attempt_at_ms (null: none is planned), lease_until_ms (an
    attempt is under way, until then at the latest), waits_because (of held
    ones), body (the bytes that are signed and sent), payload (what they say).
    """,
)
def _show(
    context: typer.Context,
    notify_id: Annotated[str, typer.Argument(metavar="NOTIFY_ID", help="64 hex digits.")],
    as_json: AsJson = False,
) -> None:
    deployment, now = chosen(context), now_ms()
    stored = find(deployment, notify_id)
    app_id = stored.notification.app_id
    waits = None
    if stored.status == "held":
        waits = why_it_waits(deployment.apps.read(app_id), deployment.ledger.breaker(app_id), now)
    if as_json:
        print_value(_stored_facts(stored, waits))
        return
    notification = stored.notification
    print_facts(
        {
            "notification": notification.notify_id,
            "app": app_id,
            "event": notification.event,
            "settled": moment_text(notification.notify_time_ms),
            "status": stored.status + (f": {waits}" if waits else ""),
            "next attempt": _moment_or_dash(stored.next_attempt_at_ms),
            "under way": f"until {moment_text(stored.lease_until_ms)} at the latest" if stored.lease_until_ms else "-",
        }
    )
    if stored.attempts:
        print_table(
            ["ATTEMPT", "STARTED", "MS", "HTTP", "RET_CODE", "ERROR CLASS", "ERROR"],
            [[str(number), *_attempt_row(attempt)] for number, attempt in enumerate(stored.attempts, 1)],
        )
    else:
        note("No attempt was made yet.")
    results().print(pretty(load(notification.body)), soft_wrap=True)


def _stored_facts(stored: Stored, waits: str | None) -> dict[str, Any]:
    notification = stored.notification
    return {
        "notify_id": notification.notify_id,
        "app_id": notification.app_id,
        "notify_event": notification.event,
        "notify_time_ms": notification.notify_time_ms,
        "status": stored.status,
        "attempts": [attempt._asdict() for attempt in stored.attempts],
        "next_attempt_at_ms": stored.next_attempt_at_ms,
        "lease_until_ms": stored.lease_until_ms,
        "waits_because": waits,
        "body": notification.body,
        "payload": load(notification.body),
    }


def _attempt_row(attempt: Attempt) -> list[str]:
    known = (attempt.duration_ms, attempt.http_status, attempt.ret_code, attempt.error_class, attempt.error)
    return [moment_text(attempt.started_at_ms), *("-" if fact is None else str(fact) for fact in known)]


def _moment_or_dash(time_ms: int | None) -> str:
    return "-" if time_ms is None else moment_text(time_ms)


# ----------------------------------------------------------------------------------------------------- redeliver


@commands.command(
    "redeliver",
    help="""
    Tell an app one thing again, now.

    The attempt that is planned is replaced, none is added; if it fails, the
    schedule of retries begins anew. A receiver that counts as down is tried at
    once: you say that it is mended. Refused while an attempt is under way. Of
    a disabled app it is held until the app is enabled.

        settlectl notifications redeliver 7f3a...
        settlectl notifications redeliver 7f3a... --again

    --again is needed where the receiver has acknowledged it: it drops repeats
    by notify_id, unless it has lost what it knew.

    --json: notify_id, app_id, attempt (the number that it will have),
    held_because (null: it goes out now).
    """,
)
def _redeliver(
    context: typer.Context,
    notify_id: Annotated[str, typer.Argument(metavar="NOTIFY_ID", help="64 hex digits.")],
    again: Annotated[bool, typer.Option("--again", help="Although it was delivered.")] = False,
    as_json: AsJson = False,
) -> None:
    deployment = chosen(context)
    redelivered = redeliver(deployment, notify_id, again=again)
    held_because = why_it_waits(redelivered.app, Breaker(redelivered.app.app_id), now_ms())
    if redelivered.not_sent is not None:
        warn(SWEPT.format(redelivered.not_sent))
    if as_json:
        print_value(
            {
                "notify_id": notify_id,
                "app_id": redelivered.app.app_id,
                "attempt": redelivered.attempt_number,
                "held_because": held_because,
            }
        )
        return
    print_facts(
        {
            "notification": notify_id,
            "app": redelivered.app.app_id,
            "was": redelivered.stored.status,
            "attempt": f"{redelivered.attempt_number}, {'held' if held_because else 'now'}",
        }
    )
    if held_because:
        note(f"It is held, because {held_because}; it goes out when that is over.")
    note(f"See what comes of it: settlectl notifications show {notify_id}")

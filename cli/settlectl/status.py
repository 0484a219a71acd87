"""`settlectl status`: how a deployment is, once or again and again."""

import time
from dataclasses import asdict
from itertools import dropwhile
from typing import Annotated, Any, Final

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from settlectl.console import AsJson, print_value, results
from settlectl.deployment import Deployment, chosen
from settlectl.failures import BadInput
from settlectl.health import AppHealth, Health, State, Unit, health_of
from settlectl.moments import moment_text
from settlectl.tokens import seconds_of
from settlement.clock import now_ms

STYLES: Final[dict[State, str]] = {"ok": "green", "unknown": "dim", "warn": "yellow", "critical": "bold red"}
HELP: Final = """
    How the deployment is, as its alarms judge it; exit status 1 where anything is
    critical.

        settlectl status
        settlectl status --watch --interval 10s
        settlectl status --stack-name settlepoint --json | jq .state

    Thresholds are those of the deployed alarms. What tables and queues can tell
    is measured now; the rest are CloudWatch's newest values. docs/operations.md
    says what each alarm means and what to do.

    critical: an alarm is raised, or the value is beyond its limit. warn: beyond
    it for less time than the alarm waits, or more than half-way; a receiver is
    down; something is dead. unknown: nobody can say, as of the API's metrics in
    the local stack.

    --json: state, asked_at_ms, checks (a list of name, title, state, value, unit,
    threshold, why), apps of which something is held or dead or whose receiver is
    down (app_id, status, held, dead, open_until_ms), complete (false: more is
    undelivered than was counted).
    """
MOST_SECONDS: Final = 10
"""How long what is undelivered is counted at most; then it is shown as at least so much."""


def status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again and again, until Ctrl-C.")] = False,
    interval: Annotated[str, typer.Option(metavar="DURATION", help="With --watch: how often, from 2s on.")] = "5s",
    as_json: AsJson = False,
) -> None:
    interval_seconds = seconds_of(interval, "interval")
    if interval_seconds < 2:
        raise BadInput(f"--interval {interval!r}: every 2s at most")
    if watch and as_json:
        raise BadInput("--watch is for eyes; --json prints one value: leave one of them out")
    deployment = chosen(context)
    if watch:
        healthy = _watched(deployment, interval_seconds)
    else:
        health = _asked(deployment)
        healthy = health.state != "critical"
        if as_json:
            print_value(facts_of(health))
        else:
            results().print(shown(deployment.name, health))
    if not healthy:
        raise typer.Exit(1)


def _asked(deployment: Deployment) -> Health:
    ends = time.monotonic() + MOST_SECONDS
    return health_of(deployment, now_ms(), lambda: time.monotonic() < ends)


def _watched(deployment: Deployment, interval_seconds: int) -> bool:
    """Whether it was healthy when it was last asked. An error of one look is shown, and the next look is made."""
    console, healthy = results(), False
    try:
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                healthy, view = _look(deployment)
                _show(live, console, view)
                time.sleep(interval_seconds)
    except KeyboardInterrupt:
        return healthy


def _look(deployment: Deployment) -> tuple[bool, RenderableType]:
    try:
        health = _asked(deployment)
    except (BotoCoreError, ClientError) as error:
        return False, Text(f"{moment_text(now_ms())}  could not be asked: {error}", style="bold red")
    return health.state != "critical", shown(deployment.name, health)


def _show(live: Live, console: Console, view: RenderableType) -> None:
    if console.is_terminal:
        live.update(view, refresh=True)
    else:
        console.print(view)  # a file keeps each of them


# ------------------------------------------------------------------------------------------------------ as a table


def shown(name: str, health: Health) -> RenderableType:
    """The whole of it, as a terminal shows it."""
    parts: list[RenderableType] = [
        Text.assemble(
            (health.state, STYLES[health.state]), f"  {name}  ", (moment_text(health.asked_at_ms), "dim"), "\n"
        )
    ]
    table = Table(
        "STATE", "WHAT", "VALUE", "LIMIT", "", box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0)
    )
    table.columns[2].justify = table.columns[3].justify = "right"
    for check in health.checks:
        limit = "-" if check.threshold is None else quantity(check.threshold, check.unit)
        value = "-" if check.value is None else quantity(check.value, check.unit)
        table.add_row(
            Text(check.state, style=STYLES[check.state]), check.title, value, limit, Text(check.why, style="dim")
        )
    parts.append(table)
    if health.apps:
        parts += [Text(), _apps_table(health)]
    if not health.complete:
        parts.append(Text("\nMore is undelivered than was counted: there is at least so much.", style="yellow"))
    return Group(*parts)


def _apps_table(health: Health) -> Table:
    table = Table(
        "APP", "HELD", "DEAD", "RECEIVER", box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for app in health.apps:
        table.add_row(app.app_id, f"{app.held:,}", f"{app.dead:,}", receiver_of(app, health.asked_at_ms))
    return table


def receiver_of(app: AppHealth, at_ms: int) -> str:
    """Why it is told or not."""
    if app.app is None:
        return "the app is gone"
    if not app.app.enabled:
        return "the app is disabled"
    if app.breaker.is_open(at_ms):
        return f"down: tried again at {moment_text(app.breaker.open_until_ms)}"
    return "answers" if app.breaker.trusted else "on trial: one attempt at a time"


def quantity(value: float, unit: Unit) -> str:
    match unit:
        case "count":
            return f"{value:,.0f}"
        case "milliseconds":
            return f"{value:,.0f} ms"
        case "seconds":
            return duration_text(value)


def duration_text(seconds: float) -> str:
    """Two units at most: `42 s`, `5 min 3 s`, `6 h`, `3 d 4 h`."""
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    told = list(dropwhile(lambda part: not part[0], parts))[:2]
    return " ".join(f"{count} {unit}" for count, unit in told if count) or "0 s"


# ------------------------------------------------------------------------------------------------------- as JSON


def facts_of(health: Health) -> dict[str, Any]:
    return {
        "state": health.state,
        "asked_at_ms": health.asked_at_ms,
        "checks": [asdict(check) for check in health.checks],
        "apps": [
            {
                "app_id": app.app_id,
                "status": None if app.app is None else app.app.status,
                "held": app.held,
                "dead": app.dead,
                "open_until_ms": app.breaker.open_until_ms if app.breaker.is_open(health.asked_at_ms) else None,
            }
            for app in health.apps
        ],
        "complete": health.complete,
    }

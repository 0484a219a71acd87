"""`settlectl notifications replay`, `backfill`: telling an app many things, to be stopped and gone on with at will."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import replace
from typing import Annotated, Any, Final

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from settlectl.apps import AppId, checked_app_id
from settlectl.backfilling import INDEX_LAG_MS, KEPT_MS, Backfill, Backfilling, Survey
from settlectl.console import AsJson, diagnostics, note, print_facts, print_value, warn
from settlectl.deployment import Choice, Deployment, chosen
from settlectl.failures import CommandFailed, Interrupted
from settlectl.moments import Since, Until, moment_text, range_ms
from settlectl.notifications import SWEPT, ErrorClassFilter, StatusFilter, breaker_text
from settlectl.redelivery import app_with_url, cursor_of, cursor_text, selection
from settlement.apps import App
from settlement.clock import now_ms
from settlement.draining import BreakerContended
from settlement.errors import Busy
from settlement.redelivery import Count, Replay, Replaying, count

MAX_NAMED: Final = 20

commands = typer.Typer()

DryRun = Annotated[bool, typer.Option("--dry-run", help="Count, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. With --json nobody is asked.")]


# -------------------------------------------------------------------------------------------------------- replay


@commands.command(
    "replay",
    help="""
    Tell an app many things again, at the pace that its receiver takes.

    Counts first, shows the count and asks. What was chosen is held, and goes
    out at 1, 2, 4 ... 50 a second; a receiver that counts as down is tried at
    once. By default the dead ones are meant: those that were given up.

        settlectl notifications replay --app-id shop-1 --since 2d --dry-run
        settlectl notifications replay --app-id shop-1 --since 2d
        settlectl notifications replay --app-id shop-1 --since 2h \\
            --status dead --status retrying --error-class http_5xx

    A receiver that lost what it knew is told all of it again:

        settlectl notifications replay --app-id shop-1 --since 6h \\
            --status delivered --status dead

    Interrupted, it prints the command that goes on. Repeating the whole command
    does no harm either: what goes out is not dead any more. The list is read
    from an index that may be a moment behind; attempts that are under way are
    left alone, and counted.

    --json: app_id, since_ms, until_ms, matched, counts by status, error_classes
    (counts by the last attempt's), held, under_way, changed (no longer what was
    asked for), finished (false after --dry-run).
    """,
)
def _replay(
    context: typer.Context,
    app_id: AppId,
    since: Since,
    until: Until = None,
    status: StatusFilter = None,
    error_class: ErrorClassFilter = None,
    after: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on there; printed by one that ended.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    deployment = chosen(context)
    since_ms, until_ms = range_ms(since, until, now_ms())
    statuses = tuple(status or ("dead",))
    classes = tuple(error_class or ())
    cursor = None if after is None else cursor_of(after)
    meant = selection(checked_app_id(app_id), since_ms, until_ms, statuses, classes, None, cursor)
    app = app_with_url(deployment, app_id)
    counted = count(deployment.ledger, meant)
    total, replay = counted.matched, Replay()
    if not as_json:
        _print_counts(app, counted, deployment)
    if total and not dry_run:
        _confirm(f"Tell {app_id} {total:,} again?", yes=yes or as_json)
        options = [("--status", name) for name in statuses] + [("--error-class", name) for name in classes]

        def command() -> str:
            reached = replay.cursor or cursor
            more = [*options, *([("--after", cursor_text(reached))] if reached else [])]
            return _command(context, "replay", app_id, since_ms, until_ms, more, yes=yes, as_json=as_json)

        with (
            _resumable(command, lambda: f"{replay.done:,} of {total:,} are done"),
            _progress("replaying", total) as progressed,
        ):
            Replaying(deployment.ledger, deployment.queue, meant).run(replay, progressed)
        _warn_not_sent(replay.not_sent)
    if as_json:
        print_value(
            {
                "app_id": app_id,
                "since_ms": since_ms,
                "until_ms": until_ms,
                "matched": total,
                "counts": dict(counted.by_status),
                "error_classes": dict(counted.by_class),
                "held": replay.held,
                "under_way": replay.under_way,
                "changed": replay.changed,
                "finished": not dry_run,
            }
        )
    elif total:
        _print_replay(replay, app_id, since_ms, dry_run=dry_run)


def _print_replay(replay: Replay, app_id: str, since_ms: int, *, dry_run: bool) -> None:
    if dry_run:
        note("Nothing was changed (--dry-run).")
        return
    facts = {"goes out": f"{replay.held:,}"}
    if replay.under_way:
        facts["under way"] = f"{replay.under_way:,} (left alone)"
    if replay.changed:
        facts["changed"] = f"{replay.changed:,} (no longer what was asked for)"
    print_facts(facts)
    _note_where(app_id, since_ms)


def _print_counts(app: App, counted: Count, deployment: Deployment) -> None:
    if not counted.matched:
        note("There is none of these.")
        return
    facts = {
        "app": app.app_id,
        "told at": str(app.notify_url),
        "matched": f"{counted.matched:,}",
        "by status": _counted(counted.by_status),
        "by class": _counted(counted.by_class),
        "breaker": breaker_text(deployment.ledger.breaker(app.app_id), now_ms()),
    }
    print_facts(facts)
    if not app.enabled:
        warn(f"app {app.app_id} is disabled: what is replayed is held until it is enabled")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common())


# ------------------------------------------------------------------------------------------------------ backfill


@commands.command(
    "backfill",
    help="""
    Tell an app what was settled while it had no notify_url.

    Makes the notifications of the settled orders and game reports of a range of
    time that have none, just as settling would have made them: the same
    notify_id, the same bytes. They go out at 1, 2, 4 ... 50 a second. Counts
    first, shows the count and asks.

        settlectl app update --app-id shop-1 --notify-url https://...
        settlectl notifications backfill --app-id shop-1 --since 7d --dry-run
        settlectl notifications backfill --app-id shop-1 --since 7d

    Repeating it does no harm: what there is is passed over. The last 60 s are
    left out, for the index that it reads may be behind; a game report of which
    not all orders are found is named and passed over (exit status 1: repeat).
    Delivered notifications are kept for 30 days: of a range that begins
    earlier, some that were delivered are sent once more.

    --json: app_id, since_ms, until_ms, missing (club_orders, game_reports),
    there, made, incomplete (a list of notify_ids), finished (false after
    --dry-run).
    """,
)
def _backfill(
    context: typer.Context,
    app_id: AppId,
    since: Since,
    until: Until = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    deployment = chosen(context)
    since_ms, until_ms = range_ms(since, until, now_ms())
    app = app_with_url(deployment, checked_app_id(app_id))
    _tell_the_limits(since_ms, until_ms, now_ms())
    backfilling, backfill = Backfilling.of_settled(deployment, app_id, since_ms, until_ms), Backfill()
    survey = backfilling.survey()
    missing = survey.missing.total()
    if not as_json:
        _print_survey(app, survey)
    if missing and not dry_run:
        _confirm(f"Tell {app_id} of {missing:,} settlements?", yes=yes or as_json)

        def command() -> str:
            reached_ms = max(since_ms, backfill.reached_ms)
            return _command(context, "backfill", app_id, reached_ms, backfilling.until_ms, yes=yes, as_json=as_json)

        with (
            _resumable(command, lambda: f"{backfill.made:,} of {missing:,} are made"),
            _progress("backfilling", survey.total) as progressed,
        ):
            backfilling.run(backfill, progressed)
        _warn_not_sent(backfill.not_sent)
        survey = replace(survey, there=backfill.there, incomplete=backfill.incomplete)
    if as_json:
        print_value(_backfill_facts(backfilling, survey, backfill.made, dry_run=dry_run))
    elif dry_run:
        note("Nothing was changed (--dry-run).")
    elif missing:
        print_facts({"goes out": f"{backfill.made:,}"})
        _note_where(app_id, since_ms)
    _fail_of_incomplete(survey.incomplete)


def _tell_the_limits(since_ms: int, until_ms: int, now: int) -> None:
    if since_ms < now - KEPT_MS:
        warn(
            "--since is more than 30 days ago: the ledger may have forgotten notifications that were delivered since; "
            "these are sent once more, under the same notify_id"
        )
    if until_ms > now - INDEX_LAG_MS:
        note("Settlements of the last 60 s are left out.")


def _backfill_facts(backfilling: Backfilling, survey: Survey, made: int, *, dry_run: bool) -> dict[str, Any]:
    return {
        "app_id": backfilling.app_id,
        "since_ms": backfilling.since_ms,
        "until_ms": backfilling.until_ms,
        "missing": {
            "club_orders": survey.missing["club order"],
            "game_reports": survey.missing["game report"],
        },
        "there": survey.there,
        "made": made,
        "incomplete": survey.incomplete,
        "finished": not dry_run,
    }


def _fail_of_incomplete(incomplete: list[str]) -> None:
    """Raises CommandFailed where there are any."""
    for notify_id in incomplete[:MAX_NAMED]:
        warn(f"game report {notify_id}: not all of its orders were found; passed over")
    if incomplete:
        raise CommandFailed(f"{len(incomplete):,} game reports were passed over; repeat the command in a minute")


def _print_survey(app: App, survey: Survey) -> None:
    print_facts(
        {
            "app": app.app_id,
            "told at": str(app.notify_url),
            "missing": f"{survey.missing['club order']:,} club orders, {survey.missing['game report']:,} game reports",
            "there": f"{survey.there:,}",
        }
    )
    if survey.missing and not app.enabled:
        warn(f"app {app.app_id} is disabled: what is made is held until it is enabled")


# -------------------------------------------------------------------------------------------- of the long ones


def _confirm(question: str, *, yes: bool) -> None:
    if not yes and not typer.confirm(question, err=True):
        raise CommandFailed("nothing was changed")


def _warn_not_sent(reason: str | None) -> None:
    if reason is not None:
        warn(SWEPT.format(reason))


def _note_where(app_id: str, since_ms: int) -> None:
    note(f"See them go: settlectl notifications list --app-id {app_id} --since {moment_text(since_ms)}")


def _command(
    context: typer.Context,
    name: str,
    app_id: str,
    since_ms: int,
    until_ms: int,
    options: Sequence[tuple[str, str]] = (),
    *,
    yes: bool,
    as_json: bool,
) -> str:
    """What goes on where this command ended, with the very range that it had."""
    choice = context.find_object(Choice) or Choice()
    where = [("--stack-name", choice.stack_name), ("--region", choice.region), ("--profile", choice.profile)]
    what = [("--app-id", app_id), ("--since", moment_text(since_ms)), ("--until", moment_text(until_ms)), *options]
    words = [word for option, value in [*what, *where] if value is not None for word in (option, value)]
    flags = [flag for flag, given in (("--yes", yes), ("--json", as_json)) if given]
    return shlex.join(["settlectl", "notifications", name, *words, *flags])


@contextmanager
def _resumable(command: Callable[[], str], done: Callable[[], str]) -> Iterator[None]:
    """Whatever ends it before its end: how far it was, and the command that goes on."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        raise Interrupted(f"interrupted: {done()}; go on with: {command()}") from interruption
    except (BotoCoreError, ClientError, Busy, BreakerContended, CommandFailed) as failure:
        raise CommandFailed(f"stopped: {failure}. {done()}; go on with: {command()}") from failure


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal."""
    console = diagnostics()
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)

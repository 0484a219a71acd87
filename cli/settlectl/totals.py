"""`settlectl totals`: whether the running totals are what the settlements add up to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from settlectl.apps import AppId, checked_app_id
from settlectl.console import AsJson, diagnostics, note, print_facts, print_table, print_value, warn
from settlectl.deployment import Deployment, chosen
from settlectl.failures import CommandFailed
from settlectl.moments import MOMENT, moment_ms, moment_text
from settlement.audit import Audit, Auditor, Difference, Undecided, days_between
from settlement.buckets import HOUR_MS
from settlement.clock import now_ms
from settlement.points import points

MAX_LISTED: Final = 50
DAY_MS: Final = 24 * HOUR_MS

commands = typer.Typer(no_args_is_help=True, help="Running totals: verifying and rebuilding them from settlements.")

Since = Annotated[
    str | None,
    typer.Option(metavar=MOMENT, help="No settlement is older than this; else than the app."),
]


@commands.command(
    "verify",
    help="""
    Recompute every total of an app, or of one openid, from its settlements.

    May run while settlements arrive. What differs in the hour under way is
    looked at again half a minute later, for an index may be behind; of an
    account that keeps settling that hour is taken for right until it is over.
    Memory is bounded; the cost is one
    read of the app's settlements and of the totals table (with --openid: of
    the account's alone).

        settlectl totals verify --app-id club-9
        settlectl totals verify --app-id club-9 --openid user-1 --repair

    --repair adds what is missing (or takes off what is too much) to a row of
    its own beside each wrong total: nothing that is settled meanwhile is lost,
    and what was corrected stays to be seen.

    Exit status 1: differences were found and not repaired, or a total was
    written so often that it could not be judged.

    --json: app_id, openid, settlements, buckets, judged_until_ms, differences (a
    list of openid, bucket, part, expected_amt, stored_amt, expected_count,
    stored_count), undecided (a list of openid, bucket), repaired.
    """,
)
def _verify(
    context: typer.Context,
    app_id: AppId,
    openid: Annotated[str | None, typer.Option(help="Of this account alone.")] = None,
    since: Since = None,
    repair: Annotated[bool, typer.Option("--repair", help="Correct the totals that differ.")] = False,
    as_json: AsJson = False,
) -> None:
    deployment = chosen(context)
    counted = Audit()
    found = list(_audit(deployment, checked_app_id(app_id), openid, since, counted, repair=repair))
    differences = [one for one in found if isinstance(one, Difference)]
    undecided = [one for one in found if isinstance(one, Undecided)]
    if as_json:
        print_value(
            {
                "app_id": app_id,
                "openid": openid,
                "settlements": counted.settlements,
                "buckets": counted.buckets,
                "judged_until_ms": counted.judged_until_ms,
                "differences": [_facts(one) for one in differences],
                "undecided": [{"openid": one.openid, "bucket": one.row} for one in undecided],
                "repaired": repair,
            }
        )
    else:
        _print_differences(differences)
        for one in undecided[:MAX_LISTED]:
            warn(f"{one.openid} {one.row}: written without a pause, not judged")
        print_facts(
            {
                "settlements": f"{counted.settlements:,}",
                "totals": f"{counted.buckets:,}",
                "judged in any case": f"up to {moment_text(counted.judged_until_ms)}",
                "differences": f"{len(differences):,}{' (repaired)' if repair and differences else ''}",
            }
        )
    if differences and not repair:
        raise CommandFailed(f"{len(differences)} totals differ from their settlements (--repair corrects them)")
    if undecided:
        raise CommandFailed(f"{len(undecided)} totals could not be judged; verify again")


@commands.command(
    "rebuild",
    help="""
    Make the totals from the settlements, of one app or of all.

    For a TotalsTable that was restored from a backup, or lost: every total
    that differs from its settlements is corrected, as `verify --repair` does.
    Settlements may arrive meanwhile and are counted once; until it is done,
    the API's total_amt is as wrong as the table was. Interrupt and repeat it
    at will: what is right already is left alone.

        settlectl totals rebuild
        settlectl totals rebuild --app-id club-9

    Settlements must be in SettlementTable and its indexes before it starts: if
    that was restored too, wait until its indexes are ACTIVE.

    Of an account that keeps settling, the hour under way is judged when it is
    over: if its totals were lost too, repeat the command then.

    --json: apps (a list of app_id, settlements, buckets, judged_until_ms,
    corrected, undecided).
    """,
)
def _rebuild(
    context: typer.Context,
    app_id: Annotated[list[str] | None, typer.Option(help="This app's; repeat for several; else all apps'.")] = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    deployment = chosen(context)
    app_ids = [checked_app_id(one) for one in app_id] if app_id else [app.app_id for app in deployment.apps.all()]
    rebuilt: list[dict[str, Any]] = []
    for one in app_ids:
        counted = Audit()
        corrected = undecided = 0
        for found in _audit(deployment, one, None, since, counted, repair=True):
            corrected += isinstance(found, Difference)
            undecided += isinstance(found, Undecided)
        rebuilt.append(
            {
                "app_id": one,
                "settlements": counted.settlements,
                "buckets": counted.buckets,
                "judged_until_ms": counted.judged_until_ms,
                "corrected": corrected,
                "undecided": undecided,
            }
        )
    if as_json:
        print_value({"apps": rebuilt})
    else:
        print_table(
            ["app_id", "settlements", "buckets", "judged up to", "corrected", "undecided"],
            [
                [str(moment_text(value) if name == "judged_until_ms" else value) for name, value in row.items()]
                for row in rebuilt
            ],
        )
        note(
            "Later hours of accounts that kept settling are judged when they are over; rebuild then if totals were lost"
        )
    if any(row["undecided"] for row in rebuilt):
        raise CommandFailed("some totals were written so often that they could not be judged; rebuild again")


def _audit(
    deployment: Deployment, app_id: str, openid: str | None, since: str | None, counted: Audit, *, repair: bool
) -> Iterator[Difference | Undecided]:
    app = deployment.app(app_id)
    now = now_ms()
    since_ms = app.created_at_ms - DAY_MS if since is None else moment_ms(since, "since", now)
    with _progress(app_id, len(days_between(since_ms, now))) as on_day:
        auditor = Auditor(deployment.store, deployment.totals)
        yield from auditor.differences(app_id, since_ms, openid, repair=repair, counted=counted, on_day=on_day)


def _facts(one: Difference) -> dict[str, Any]:
    return {
        "openid": one.openid,
        "bucket": one.bucket.row,
        "part": one.bucket.part,
        "expected_amt": points(one.expected.hundredths),
        "stored_amt": points(one.stored.hundredths),
        "expected_count": one.expected.count,
        "stored_count": one.stored.count,
    }


def _print_differences(differences: list[Difference]) -> None:
    if not differences:
        return
    listed = [_facts(one) for one in differences[:MAX_LISTED]]
    print_table(list(listed[0]), [[str(value) for value in row.values()] for row in listed])
    if len(differences) > MAX_LISTED:
        note(f"{len(differences) - MAX_LISTED:,} more; --json has them all")


@contextmanager
def _progress(app_id: str, days: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal."""
    console = diagnostics()
    columns = (TextColumn(app_id), BarColumn(), MofNCompleteColumn(), TextColumn("days"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("days", total=days)
        yield lambda done: bar.update(task, completed=done)

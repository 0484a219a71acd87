"""`settlectl order`: orders of the club API."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from settlectl.apps import AppId
from settlectl.console import AsJson, diagnostics, note, print_facts, print_value, warn
from settlectl.deployment import chosen
from settlectl.failures import CommandFailed
from settlectl.order_import import (
    Listener,
    Rejected,
    Tally,
    import_orders,
    rejected_path,
    survey,
)

MAX_LISTED: Final = 20

commands = typer.Typer(no_args_is_help=True, help="Orders of the club API.")


@commands.callback()
def _order() -> None:
    pass  # with a callback, `import` stays a command of its own even while it is the only one


@commands.command(
    "import",
    help="""
    Create the orders of a file, several at a time.

    FILE is JSON lines of CreateClubJfOrder's fields, or CSV whose first line
    names them (the account's as account_type, account_id, account_gid):

        bill_no,openid,amt,source,jf_gid,detail,account_type,account_id
        bill-1001,user-1,1333,5,7,weekend,2,club-9

    Every row is checked before the first is sent. Sending a row twice does no
    harm: interrupt and repeat the command at will, it goes on where it stopped
    (FILE.import-state). Rows that are not accepted stand in
    FILE.rejected.jsonl, each with its line, the reason and its own text. Exit
    status 0 means that every row was accepted.

        settlectl order import orders.csv --app-id club-9
    """,
)
def _import(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="The orders.")
    ],
    app_id: AppId,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Calls at a time.")] = 8,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Send the good rows although some are faulty.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    deployment = chosen(context)
    surveyed = survey(file)
    if surveyed.faults and not keep_going:
        for row in surveyed.faults:  # all of them: nothing else tells of them
            warn(f"line {row.line}: {row.fault}")
        if as_json:
            print_value(_facts(Tally(surveyed.rows, invalid=len(surveyed.faults)), file, finished=False))
        raise CommandFailed(
            f"{len(surveyed.faults)} of {surveyed.rows} rows are faulty; nothing was sent "
            "(--keep-going sends the others)"
        )
    if not surveyed.rows:
        note("The file has no rows.")
    with _progress(surveyed.rows) as listener:
        tally = import_orders(deployment, app_id, file, surveyed.rows, concurrency=concurrency, listener=listener)
    if as_json:
        print_value(_facts(tally, file, finished=True))
    else:
        _print_tally(tally, file)
    if tally.not_accepted:
        raise CommandFailed(f"{tally.not_accepted} of {tally.rows} rows were not accepted")


def _facts(tally: Tally, file: Path, *, finished: bool) -> dict[str, Any]:
    return {
        "rows": tally.rows,
        "accepted": tally.accepted,
        "conflicts": tally.conflicts,
        "refused": tally.refused,
        "invalid": tally.invalid,
        "rejected_file": str(rejected_path(file)) if finished and tally.not_accepted else None,
        "finished": finished,
    }


def _print_tally(tally: Tally, file: Path) -> None:
    facts = {"rows": f"{tally.rows:,}", "accepted": f"{tally.accepted:,}"}
    if tally.not_accepted:
        facts |= {
            "conflicts": f"{tally.conflicts:,} (1005: the bill_no exists with other content)",
            "refused": f"{tally.refused:,} (1001)",
            "invalid": f"{tally.invalid:,} (not sent)",
            "listed in": str(rejected_path(file)),
        }
    print_facts(facts)


@contextmanager
def _progress(rows: int) -> Iterator[Listener]:
    """A bar on stderr, where that is a terminal; rejected rows are listed above it, as far as they are few."""
    console = diagnostics()
    columns = (
        TextColumn("importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[not_accepted]}", style="yellow"),
    )
    listed = 0
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("import", total=rows, not_accepted="")

        def progressed(tally: Tally) -> None:
            not_accepted = f"{tally.not_accepted} not accepted" if tally.not_accepted else ""
            bar.update(task, completed=tally.done, not_accepted=not_accepted)

        def rejected(line: int, outcome: Rejected) -> None:
            nonlocal listed
            listed += 1
            if listed <= MAX_LISTED:
                warn(f"line {line}: {outcome.kind}: {outcome.reason}")
            elif listed == MAX_LISTED + 1:
                warn("further rows that are not accepted are not listed here")

        def resumed(line: int) -> None:
            note(f"Going on after line {line}, where an earlier run stopped.")

        yield Listener(progressed, rejected, resumed)

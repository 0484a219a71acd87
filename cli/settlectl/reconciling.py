"""`settlectl reconcile`: their list of a day against our statement of it."""

import gzip
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from settlectl.apps import AppId, checked_app_id
from settlectl.console import AsJson, diagnostics, note, print_facts, print_table, print_value
from settlectl.deployment import Deployment, chosen
from settlectl.failures import BadInput, CommandFailed
from settlectl.reconciliation import DIFFERENCES, Found, Outcome, TheirLine
from settlectl.statements import Api, DayOption, day_of, find_statement, kind_of
from settlectl.their_files import AMOUNT, TheirFile, Unit
from settlement.archive import Damaged, Published
from settlement.orders import SettledClubOrder
from settlement.points import points
from settlement.statements import BOM, DETAIL, Day, Kind, csv_bytes, read_lines, text_cell

MAX_LISTED: Final = 20
_TOLD: Final = 1000
"""Lines between two steps of the bar."""


def reconcile(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="THEIR_FILE", exists=True, dir_okay=False, readable=True, help="Their list.")
    ],
    app_id: AppId,
    day: DayOption,
    api: Api = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OUR=THEIR", help="What their file calls our column; repeat for several."),
    ] = None,
    unit: Annotated[Unit, typer.Option("--amount-unit", help="What their amounts are in.")] = "points",
    encoding: Annotated[
        str | None, typer.Option(help="Of their file, such as gb18030; else UTF-8, or UTF-16 by its mark.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Against the tables as they are now, not the published statement.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="Where the differences go; else beside THEIR_FILE.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    deployment = chosen(context)
    wanted = day_of(day, "day")
    app = deployment.app(checked_app_id(app_id))
    kind = kind_of(app, api)
    theirs = TheirFile(file, kind, _mapping(names or []), unit, encoding)
    path = out or file.with_name(f"{file.name}.differences.csv")
    outcome = Outcome()
    with _progress(theirs) as advanced:
        lines = advanced(theirs.lines())
        first = next(lines, None)  # it tells by which id their file goes
        if live:
            of: dict[str, Any] = {"against": "tables"}
            ours = _settled(deployment, app.app_id, kind, wanted, theirs.key)
        else:
            published = find_statement(deployment, kind, app.app_id, wanted, None)
            of = {"against": "statement", "revision": published.revision, "sha256": published.sha256}
            ours = _stated(deployment, published, kind, theirs.key)
        found = outcome.differences(ours, _with_first(first, lines))
        shown = _write(path, theirs.key, found)
    facts = {"app_id": app.app_id, "day": day, "api": kind, **of, "compared_by": theirs.key, **_facts(outcome)}
    if as_json:
        print_value({**facts, "agrees": outcome.agrees, "differences_file": str(path)})
    else:
        _print(shown, outcome, theirs.key)
        print_facts({**{name: str(value) for name, value in facts.items()}, "differences in": str(path)})
    if not outcome.agrees:
        raise CommandFailed("; ".join(_sentence(outcome)))


HELP: Final = """
    Compare somebody's list of a day with our statement of it.

    THEIR_FILE is CSV (comma, semicolon or tab, with a first line of column
    names) or JSON lines, gzip or not. Two of its columns are read: bill_no and
    settle_amt of a club; out_order_id (or order_id) and score of games. Other
    names are told with --map:

        settlectl reconcile theirs.csv --app-id club-9 --day 2026-11-22
        settlectl reconcile theirs.csv --app-id club-9 --day 2026-11-22 \\
            --map bill_no=订单号 --map settle_amt=金额 --amount-unit hundredths

    Each line of theirs is matched, extra (not ours), differs (another amount)
    or duplicate (named before); ours that they do not name are missing. Amounts
    are compared exactly. The differences go to THEIR_FILE.differences.csv,
    which has its first line alone where all agree.

    Compared with is the published statement, which is what both sides hold and
    cannot change; --live compares with the tables, also of a day that is not over.

    Exit status: 0 all agree; 1 they differ, or it could not be done, and stderr
    says which; 2 wrong usage, or a file that cannot be read.

    --json: app_id, day, api, against (statement, tables), revision, sha256,
    compared_by, matched, missing, extra, differs, duplicate, ours, theirs
    (lines), ours_total, theirs_total (points), agrees, differences_file.
    """


def _mapping(names: list[str]) -> dict[str, str]:
    """Raises BadInput."""
    mapping: dict[str, str] = {}
    for text in names:
        ours, sign, theirs = text.partition("=")
        if not (ours and sign and theirs):
            raise BadInput(f"--map {text!r}: write our column, =, and theirs, such as bill_no=order_number")
        if ours in mapping:
            raise BadInput(f"--map {ours}=... is given twice")
        mapping[ours] = theirs
    return mapping


def _stated(deployment: Deployment, published: Published, kind: Kind, key: str) -> dict[str, Decimal]:
    """What a published statement says, by id. Raises CommandFailed."""
    with tempfile.TemporaryFile() as file:
        try:
            deployment.archive.download(published, cast("Any", file))
        except Damaged as error:
            raise CommandFailed(str(error)) from error
        file.seek(0)
        with gzip.open(file) as plain:
            lines = read_lines(cast("Any", plain))
            return {line[key]: Decimal(line[AMOUNT[kind]]) for line in lines if line["line"] == DETAIL}


def _settled(deployment: Deployment, app_id: str, kind: Kind, day: Any, key: str) -> dict[str, Decimal]:
    """What the tables say now, by id."""
    span = Day(day, deployment.statement_utc_offset_minutes)
    found: dict[str, Decimal] = {}
    for entry in deployment.store.settled_between(app_id, span.start_ms, span.end_ms):
        if isinstance(entry, SettledClubOrder):
            if kind == "club":
                found[entry.order.bill_no] = points(entry.terms.settle_hundredths)
        elif kind == "game":
            found[entry.out_order_id if key == "out_order_id" else entry.order_id] = Decimal(entry.result.score)
    return found


def _with_first(first: TheirLine | None, lines: Iterator[TheirLine]) -> Iterator[TheirLine]:
    if first is not None:
        yield first
    yield from lines


def _write(path: Path, key: str, found: Iterator[Found]) -> list[list[str]]:
    """All of them into the file, which is whole or as it was; gives back the first ones."""
    shown: list[list[str]] = []
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(BOM + csv_bytes([("what", key, "line", "our_amount", "their_amount", "difference")]))
            for one in found:
                row = _row(one)
                file.write(csv_bytes([[row[0], text_cell(row[1]), *row[2:]]]))
                if len(shown) < MAX_LISTED:
                    shown.append(row)
        part.replace(path)
    except OSError as error:
        raise CommandFailed(f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)  # where it did not come to its end
    return shown


def _row(one: Found) -> list[str]:
    difference = "" if one.ours is None or one.theirs is None else f"{one.theirs - one.ours:f}"
    return [
        one.what,
        one.key,
        "" if one.line is None else str(one.line),
        "" if one.ours is None else f"{one.ours:f}",
        "" if one.theirs is None else f"{one.theirs:f}",
        difference,
    ]


def _facts(outcome: Outcome) -> dict[str, Any]:
    return {
        "matched": outcome.matched,
        **{what: getattr(outcome, what) for what in DIFFERENCES},
        "ours": outcome.ours,
        "theirs": outcome.theirs,
        "ours_total": outcome.ours_total,
        "theirs_total": outcome.theirs_total,
    }


def _sentence(outcome: Outcome) -> Iterator[str]:
    for what in DIFFERENCES:
        if count := getattr(outcome, what):
            yield f"{count:,} {what}"


def _print(shown: list[list[str]], outcome: Outcome, key: str) -> None:
    if not shown:
        return
    rows = [["".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in cell) for cell in row] for row in shown]
    print_table(["what", key, "line", "ours", "theirs", "difference"], rows)
    count = sum(getattr(outcome, what) for what in DIFFERENCES)
    if count > len(rows):
        note(f"{count - len(rows):,} more; the file has them all")


@contextmanager
def _progress(theirs: TheirFile) -> Iterator[Any]:
    """A bar on stderr, where that is a terminal: how much of their file is read."""
    console = diagnostics()
    columns = (TextColumn("comparing"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("compare", total=theirs.path.stat().st_size)

        def advanced(lines: Iterator[TheirLine]) -> Iterator[TheirLine]:
            for number, line in enumerate(lines):
                if number % _TOLD == 0:
                    bar.update(task, completed=theirs.bytes_read)
                yield line

        yield advanced

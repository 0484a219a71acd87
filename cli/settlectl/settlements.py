"""`settlectl settlements`: what an account of a club settled."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import typer
from pydantic import ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from settlectl.apps import AppId, checked_app_id
from settlectl.console import AsJson, diagnostics, note, print_facts, print_table, print_value, warn
from settlectl.deployment import chosen
from settlectl.failures import BadInput
from settlectl.moments import MOMENT, moment_ms, moment_text
from settlement.clock import now_ms
from settlement.club_messages import ListSettlementsRequest, SettlementEntry, settlement_entry
from settlement.cursor import ListQuery, Position
from settlement.points import points
from settlement.store import Store

PAGE: Final = 1000
COLUMNS: Final = (
    "billno",
    "settle_time",
    "amt",
    "settle_amt",
    "amt_ratio",
    "source",
    "jf_gid",
    "detail",
    "account_type",
    "account_id",
    "account_gid",
)

commands = typer.Typer(no_args_is_help=True, help="Settlements of the club API.")

Format = Annotated[
    Literal["table", "csv", "jsonl"], typer.Option("--format", help="table; csv; jsonl, one entry a line.")
]


@commands.callback()
def _settlements() -> None:
    pass  # with a callback, `list` stays a command of its own while it is the only one


@commands.command(
    "list",
    help="""
    Everything that an openid settled, the newest first, with the total.

    The filters are GetClubJfSettleList's, both ends inclusive; --start and
    --end are moments, ages, or Unix seconds. All pages are fetched. Amounts
    are in points, digit for digit; settle_time is in milliseconds.

        settlectl settlements list --app-id club-9 --openid user-1
        settlectl settlements list --app-id club-9 --openid user-1 --source 5 \\
            --start 2026-11-01T00:00:00Z --format csv > november.csv

    With csv and jsonl, stdout has the entries alone and the total is on stderr.
    The list is read from an index that may be a moment behind the total.

    --json: settle_list (entries as the API gives them), total_amt, count.
    """,
)
def _list(
    context: typer.Context,
    app_id: AppId,
    openid: Annotated[str, typer.Option(help="Whose settlements.")],
    source: Annotated[int | None, typer.Option(help="Of this source alone; -1 is all.")] = None,
    start: Annotated[str | None, typer.Option(metavar=f"{MOMENT}|SECONDS", help="From this second on.")] = None,
    end: Annotated[str | None, typer.Option(metavar=f"{MOMENT}|SECONDS", help="Up to the end of this second.")] = None,
    form: Format = "table",
    as_json: AsJson = False,
) -> None:
    deployment, now = chosen(context), now_ms()
    app = deployment.app(checked_app_id(app_id))
    query = _query(app.app_id, openid, source, _seconds(start, "start", now), _seconds(end, "end", now))
    total = deployment.store.total(query, now)
    listed = Listed()
    with _progress(total.count) as advance:
        entries = listed.counting(_entries(deployment.store, query, advance))
        if as_json:
            print_value({"settle_list": list(entries), "total_amt": points(total.hundredths), "count": listed.count})
        else:
            _PRINT[form](entries)
    facts = {"total_amt": str(points(total.hundredths)), "settlements": f"{listed.count:,}"}
    if not as_json and form == "table":
        print_facts(facts)
    elif not as_json:
        note(", ".join(f"{name} {value}" for name, value in facts.items()))
    if (listed.hundredths, listed.count) != (total.hundredths, total.count):
        warn(
            f"the list adds up to {points(listed.hundredths)} in {listed.count:,} settlements, the total was "
            f"{points(total.hundredths)} in {total.count:,}: some were settled in this moment; list again"
        )


@dataclass(slots=True)
class Listed:
    """What the entries that were printed add up to."""

    hundredths: int = 0
    count: int = 0

    def counting(self, entries: Iterator[tuple[SettlementEntry, int]]) -> Iterator[SettlementEntry]:
        for entry, hundredths in entries:
            self.hundredths += hundredths
            self.count += 1
            yield entry


def _query(
    app_id: str, openid: str, source: int | None, start_seconds: int | None, end_seconds: int | None
) -> ListQuery:
    """By the API's own rules. Raises BadInput."""
    try:
        request = ListSettlementsRequest(
            openid=openid, source=source, start_time_unix_sec=start_seconds, end_time_unix_sec=end_seconds
        )
    except ValidationError as error:
        first = error.errors()[0]
        named = ".".join(map(str, first["loc"]))
        raise BadInput(f"--{named}: {first['msg']}" if named else first["msg"]) from error
    return request.query(app_id)


def _seconds(text: str | None, option: str, now: int) -> int | None:
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdecimal() else moment_ms(text, option, now) // 1000


def _entries(store: Store, query: ListQuery, advance: Any) -> Iterator[tuple[SettlementEntry, int]]:
    after: Position | None = None
    while True:
        page = store.settled_page(query, after, PAGE)
        for settled in page:
            yield settlement_entry(settled), settled.terms.settle_hundredths
        advance(len(page))
        if len(page) < PAGE:
            return
        after = Position(page[-1].settle_time_ms, page[-1].order.bill_no)


def _cells(entry: SettlementEntry) -> list[str]:
    account = entry.get("account", {})
    flat = {**entry, **{f"account_{name}": value for name, value in account.items()}}
    return [str(flat.get(name, "")) for name in COLUMNS]


def _print_csv(entries: Iterator[SettlementEntry]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_cells(entry) for entry in entries)


def _print_lines(entries: Iterator[SettlementEntry]) -> None:
    for entry in entries:
        print_value(entry)


def _print_entries(entries: Iterator[SettlementEntry]) -> None:
    rows = []
    for entry in entries:
        cells = _cells(entry)
        cells[1] = moment_text(entry["settle_time"])
        rows.append([_shown(cell) for cell in cells])
    if rows:
        print_table(list(COLUMNS), rows)


def _shown(text: str) -> str:
    """What would steer a terminal instead of being shown by it is escaped."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


_PRINT: Final = {"csv": _print_csv, "jsonl": _print_lines, "table": _print_entries}


@contextmanager
def _progress(count: int) -> Iterator[Any]:
    """A bar on stderr, where that is a terminal."""
    console = diagnostics()
    columns = (TextColumn("listing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("list", total=count)
        yield lambda number: bar.advance(task, number)

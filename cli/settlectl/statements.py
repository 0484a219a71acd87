"""`settlectl statement`: the statements of each day that are in the bucket, and making one by hand."""

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from settlectl.apps import AppId, checked_app_id
from settlectl.console import AsJson, note, print_facts, print_table, print_value
from settlectl.deployment import Deployment, chosen
from settlectl.failures import BadInput, CommandFailed
from settlectl.moments import moment_text
from settlement.apps import App
from settlement.archive import Archive, Damaged, Published, file_name
from settlement.bookkeeper import Contended, Made, Revised, Unchanged
from settlement.clock import now_ms
from settlement.statements import Day, DayNotOver, Kind, kinds_of

LISTED_DAYS: Final = 31
FIRST_YEAR: Final = 1970

commands = typer.Typer(no_args_is_help=True, help="Daily statements: listing, downloading and making them.")

DayOption = Annotated[
    str, typer.Option("--day", metavar="YYYY-MM-DD", help="In the deployment's zone, UTC+8 unless it says otherwise.")
]
Api = Annotated[
    Literal["club", "game"] | None,
    typer.Option("--api", help="Whose settlements, where the app is both a club and a merchant."),
]


@commands.command(
    "list",
    help="""
    The statements of an app, the newest day first, each with its newest revision.

        settlectl statement list --app-id club-9
        settlectl statement list --app-id club-9 --since 2026-01-01

    --json: statements (a list of day, api, revision, verified, count, total,
    size_bytes, sha256, csv_sha256, made_at in ms).
    """,
)
def _list(
    context: typer.Context,
    app_id: AppId,
    since: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help=f"From this day on; else the last {LISTED_DAYS} days.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    deployment = chosen(context)
    app = deployment.app(checked_app_id(app_id))
    today = Day.of(now_ms(), deployment.statement_utc_offset_minutes).date
    first = today - timedelta(days=LISTED_DAYS) if since is None else day_of(since, "since")
    archive = deployment.archive
    found: list[dict[str, Any]] = []
    for kind in kinds_of(app.roles):
        for day, shelf in archive.shelves(kind, app.app_id, first, today).items():
            newest = archive.find(kind, app.app_id, day, shelf.revisions[-1]) if shelf.revisions else None
            if newest is not None:
                found.append({"day": str(day), "api": kind, "verified": shelf.verified, **_facts(newest)})
    found.sort(key=lambda row: str(row["day"]), reverse=True)
    if as_json:
        print_value({"statements": found})
    elif found:
        names = ["day", "api", "revision", "verified", "count", "total", "size_bytes", "sha256"]
        print_table(names, [[str(row[name]) for name in names] for row in found], folded=False)
    else:
        note(f"No statements since {first}. A day's is made within two hours of its end.")


@commands.command(
    "get",
    help="""
    Download a day's statement, and compare it with the hash it was published with.

        settlectl statement get --app-id club-9 --day 2026-11-22
        settlectl statement get --app-id club-9 --day 2026-11-22 --out - | gunzip

    FILE is {app_id}-{api}-{day}-r{revision}.csv.gz in this folder if not said.
    docs/statements.md explains its columns.

    --json: file, day, api, revision, count, total, size_bytes, sha256,
    csv_sha256, made_at in ms, and from and until, the day's bounds in UTC.
    """,
)
def _get(
    context: typer.Context,
    app_id: AppId,
    day: DayOption,
    api: Api = None,
    revision: Annotated[int | None, typer.Option(min=1, help="An older one; else the newest.")] = None,
    out: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Where to.")] = None,
    as_json: AsJson = False,
) -> None:
    deployment = chosen(context)
    wanted = day_of(day, "day")
    app = deployment.app(checked_app_id(app_id))
    kind = kind_of(app, api)
    published = find_statement(deployment, kind, app.app_id, wanted, revision)
    path = out or Path(file_name(kind, app.app_id, wanted, published.revision))
    if as_json and str(path) == "-":
        raise BadInput("--out - and --json both want stdout")
    download(deployment.archive, published, path)
    if str(path) == "-":
        return
    facts = {"file": str(path), "day": str(wanted), "api": kind, **_facts(published)}
    if as_json:
        print_value(facts)
    else:
        print_facts({name: str(value) for name, value in facts.items() if name != "made_at"})


@commands.command(
    "make",
    help="""
    Make the statement of a day now, or look again at one that is there.

    They make themselves, every hour, for the last 31 days. By hand: an older
    day, or after somebody has reason to doubt one. What was published stays:
    where the day has other lines today, they become the next revision.

        settlectl statement make --app-id club-9 --day 2026-01-31

    --json: outcome (made, revised, unchanged), and the fields of `get`.
    """,
)
def _make(context: typer.Context, app_id: AppId, day: DayOption, api: Api = None, as_json: AsJson = False) -> None:
    deployment = chosen(context)
    app = deployment.app(checked_app_id(app_id))
    kind = kind_of(app, api)
    wanted = Day(day_of(day, "day"), deployment.statement_utc_offset_minutes)
    try:
        outcome = deployment.bookkeeper.make(app.app_id, kind, wanted)
    except (DayNotOver, Contended) as error:
        raise CommandFailed(str(error)) from error
    name = {Made: "made", Revised: "revised", Unchanged: "unchanged"}[type(outcome)]
    facts = {"outcome": name, "day": str(wanted), "api": kind, **_facts(outcome.published)}
    if as_json:
        print_value(facts)
    else:
        print_facts({name: str(value) for name, value in facts.items() if name != "made_at"})


def day_of(text: str, option: str) -> date:
    """Raises BadInput."""
    try:
        found = date.fromisoformat(text) if len(text) == len("YYYY-MM-DD") else None
    except ValueError:
        found = None
    if found is None or found.year < FIRST_YEAR:
        raise BadInput(f"--{option} {text!r}: write a day such as 2026-11-22")
    return found


def kind_of(app: App, api: str | None) -> Kind:
    """Which of an app's statements. Raises BadInput, CommandFailed."""
    kinds = kinds_of(app.roles)
    if not kinds:
        raise CommandFailed(f"app {app.app_id} is neither a club nor a merchant: it has no statements")
    if api is None and len(kinds) > 1:
        raise BadInput(f"app {app.app_id} is a club and a merchant: say --api club or --api game")
    for kind in kinds:
        if api in (None, kind):
            return kind
    raise CommandFailed(f"app {app.app_id} has no {api} statements")


def find_statement(deployment: Deployment, kind: Kind, app_id: str, day: date, revision: int | None) -> Published:
    """Raises CommandFailed."""
    archive = deployment.archive
    found = archive.newest(kind, app_id, day) if revision is None else archive.find(kind, app_id, day, revision)
    if found is None:
        asked = "" if revision is None else f" in revision {revision}"
        raise CommandFailed(f"there is no statement of {app_id} for {day}{asked}; `statement make` makes one now")
    return found


def download(archive: Archive, published: Published, path: Path) -> None:
    """To a file that is whole or not there; - is stdout. Raises CommandFailed."""
    try:
        if str(path) == "-":
            archive.download(published, sys.stdout.buffer)
            return
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                archive.download(published, file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except Damaged as error:
        raise CommandFailed(str(error)) from error
    except OSError as error:
        raise CommandFailed(f"cannot write {path}: {error.strerror}") from error


def _facts(published: Published) -> dict[str, Any]:
    return {
        "revision": published.revision,
        "from": moment_text(published.start_ms),
        "until": moment_text(published.end_ms),
        "count": published.count,
        "total": published.total,
        "size_bytes": published.size_bytes,
        "sha256": published.sha256,
        "csv_sha256": published.csv_sha256,
        "made_at": published.made_at_ms,
    }

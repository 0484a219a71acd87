"""What a command prints: results on stdout, everything about the run on stderr, colours only on a terminal."""

import sys
from typing import Annotated

import simplejson
import typer
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout, and nothing else there.")]

_WIDTH_OF_FILES = 240
"""Where stdout is no terminal there is no edge to wrap a table at."""


def results() -> Console:
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    return Console(highlight=False, markup=False, width=width)


def diagnostics() -> Console:
    return Console(stderr=True, highlight=False, markup=False)


def print_value(value: object) -> None:
    """One JSON value on one line, in ASCII whatever the terminal's encoding. Decimals are written digit for digit."""
    print(simplejson.dumps(value, use_decimal=True), flush=True)


def pretty(value: object) -> Text:
    """JSON over several lines. What would steer a terminal instead of being shown by it is escaped."""
    text = simplejson.dumps(value, use_decimal=True, indent=2, ensure_ascii=False)
    shown = "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)
    return JSONHighlighter()(Text(shown))


def print_facts(facts: dict[str, str]) -> None:
    """One fact a line, never wrapped: secrets and URLs are there to be copied."""
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        results().print(Text.assemble((name.ljust(width), "dim"), value), soft_wrap=True)


def print_table(columns: list[str], rows: list[list[str]], *, folded: bool = True) -> None:
    """`folded` keeps it within the terminal; else the terminal breaks lines, and ids stay whole for copying."""
    table = Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    console = results()
    if not folded:
        console.width = _WIDTH_OF_FILES
    console.print(table)


def note(text: str) -> None:
    diagnostics().print(Text(text, style="dim"), soft_wrap=True)


def warn(text: str) -> None:
    diagnostics().print(Text(f"warning: {text}", style="yellow"), soft_wrap=True)


def fail(text: str) -> None:
    diagnostics().print(Text(f"error: {text}", style="bold red"), soft_wrap=True)

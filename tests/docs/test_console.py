"""docs/console.md names every route of the console with what it takes and answers, and every code: no more, no less."""

import re
from typing import Any, get_type_hints

import pytest

from settlement import console_endpoint, console_errors
from settlement.console_errors import ConsoleRefusal
from settlepoint_local.in_process import World
from settlepoint_local.project import ROOT
from settlepoint_local.template import CONSOLE

TEXT = (ROOT / "docs" / "console.md").read_text(encoding="utf-8")
INHERITED = {"page_context"}
"""The club API's name for what is `cursor` here."""


def row(path: str, route: Any) -> str:
    """A route as the table has it."""
    sent = [name if field.is_required() else f"{name}?" for name, field in route.request.model_fields.items()]
    answered = get_type_hints(get_type_hints(route.answer)["return"])
    names = (
        ", ".join(f"`{name}`" for name in found) or "-"
        for found in ([s for s in sent if s.rstrip("?") not in INHERITED], answered)
    )
    return f"| {route.method} `{path}` | `{route.need}` | {' | '.join(names)} |"


def test_every_route_is_in_the_table_as_it_is(world: World) -> None:
    routes = world.function(CONSOLE).ROUTES
    assert re.findall(r"^\| (?:GET|POST) .*\|$", TEXT, re.MULTILINE) == [row(*each) for each in routes.items()]


def test_every_code_is_in_the_table_with_its_status() -> None:
    refusals = {kind.code: kind.status for kind in ConsoleRefusal.__subclasses__()}
    shared = {code: status for status, code, _ in (*console_endpoint._REFUSALS.values(), console_endpoint._FAULT)}
    told = {code: int(status) for code, status in re.findall(r"^\| `([a-z_]+)` \| ([0-9]{3}) \|", TEXT, re.MULTILINE)}
    assert told == refusals | shared


@pytest.mark.parametrize("kind", ConsoleRefusal.__subclasses__())
def test_every_refusal_stands_in_the_tree_that_the_module_draws(kind: type[ConsoleRefusal]) -> None:
    [drawn] = [line for line in (console_errors.__doc__ or "").splitlines() if f" {kind.__name__} " in line]
    assert f" {kind.status}  {kind.code} " in drawn

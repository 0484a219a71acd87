"""What the help promises is there."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from settlectl.main import app

ROOT: Any = typer.main.get_command(app)


def commands_named_in(text: str) -> list[list[str]]:
    """The words after each `settlectl` that are names of commands, or would be; options and files are none."""
    return [words.split() for words in re.findall(r"settlectl((?: [a-z]+(?:-[a-z]+)*(?![\w./-]))+)", text)]


def help_texts(command: Any) -> list[str]:
    texts = [command.help or "", *(getattr(parameter, "help", None) or "" for parameter in command.params)]
    return texts + [text for inner in getattr(command, "commands", {}).values() for text in help_texts(inner)]


def exists(words: list[str]) -> bool:
    command = ROOT
    for word in words:
        if not hasattr(command, "commands"):
            return True  # its arguments
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


def leaves(command: Any, words: list[str]) -> Iterator[tuple[str, Any]]:
    """Every command that does something: as it is typed, and itself."""
    if not hasattr(command, "commands"):
        yield " ".join(["settlectl", *words]), command
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, [*words, name])


COMMANDS = dict(leaves(ROOT, []))


@pytest.mark.parametrize("typed", COMMANDS)
def test_the_help_of_every_command_shows_how_it_is_typed(typed: str) -> None:
    command = COMMANDS[typed]
    assert re.search(rf"^ +{typed}( |$)", command.help, re.MULTILINE), "an example, on a line of its own"
    assert "--json" in [flag for parameter in command.params for flag in parameter.opts]
    untold = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert [name for name in untold if name != "help"] == []


def test_there_is_completion_for_shells() -> None:
    words = {"COMP_WORDS": "settlectl notifications re", "COMP_CWORD": "2", "_SETTLECTL_COMPLETE": "complete_bash"}
    completed = CliRunner().invoke(app, prog_name="settlectl", env=words)
    assert completed.stdout.split() == ["redeliver", "replay"]
    options = {flag for parameter in ROOT.params for flag in parameter.opts}
    assert {"--install-completion", "--show-completion"} <= options


def test_every_command_that_a_help_text_names_exists() -> None:
    named = [words for text in help_texts(ROOT) for words in commands_named_in(text)]
    assert ["app", "update"] in named
    assert ["app", "rotate-secret"] in named
    assert len(named) > 10
    assert [words for words in named if not exists(words)] == []
    assert not exists(["app", "rotate"])

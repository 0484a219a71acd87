"""What the help promises is there."""

import re
from typing import Any

import typer

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


def test_every_command_that_a_help_text_names_exists() -> None:
    named = [words for text in help_texts(ROOT) for words in commands_named_in(text)]
    assert ["app", "update"] in named
    assert ["app", "rotate-secret"] in named
    assert len(named) > 10
    assert [words for words in named if not exists(words)] == []
    assert not exists(["app", "rotate"])

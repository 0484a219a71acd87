"""The guides for callers and receivers, read as their tests need them."""

import re
import shutil
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
API_GUIDE: Final = ROOT / "docs" / "api.md"
NOTIFICATIONS_GUIDE: Final = ROOT / "docs" / "notifications.md"
EXAMPLES: Final = ROOT / "docs" / "examples"

SOURCES_BY_FENCE: Final = {
    "python": ["sign.py", "club.py", "receive.py"],
    "js": ["sign.mjs", "receive.mjs"],
    "java": ["Sign.java", "Receive.java"],
    "go": ["sign.go", "receive.go"],
    "php": ["sign.php", "receive.php"],
    "bash": ["sign.sh", "notify.sh"],
}
"""A code block of a guide in one of these languages is a piece of one of these files."""


def blocks_of(guide: Path) -> list[tuple[str, str]]:
    """The fenced blocks: language and text."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", guide.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def section_of(guide: Path, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above; raises where it stands not just once."""
    text = guide.read_text(encoding="utf-8")
    [found] = re.finditer(rf"^(#+) {re.escape(heading)}\n", text, re.MULTILINE)
    end = re.compile(rf"^#{{1,{len(found[1])}}} ", re.MULTILINE).search(text, found.end())
    return text[found.end() : end.start() if end else len(text)]


def rows_of(text: str) -> list[list[str]]:
    """The cells of every table row but the headings and the rulers."""
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    rulers = {at for at, row in enumerate(rows) if all(re.fullmatch("-+", cell) for cell in row)}
    return [row for at, row in enumerate(rows) if at not in rulers and at + 1 not in rulers]


def need(*tools: str) -> None:
    """Skips the test where one of these is not on this machine."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        pytest.skip(f"not on this machine: {', '.join(missing)}")

"""Moments on the command line: written as RFC 3339 or as an age, shown as RFC 3339 in UTC."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from settlectl.failures import BadInput
from settlectl.tokens import seconds_of

_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9:]{5})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

MOMENT: Final = "MOMENT|AGE"
Since = Annotated[
    str, typer.Option(metavar=MOMENT, help="From then on: 2026-11-22T08:00:00Z, with its zone, or an age such as 2h.")
]
Until = Annotated[str | None, typer.Option(metavar=MOMENT, help="Before then; else until now.")]


def moment_ms(text: str, option: str, now_ms: int) -> int:
    """Unix milliseconds of `2026-11-22T08:00:00Z`, or of so long ago: `90s`, `15m`, `2h`, `7d`. Raises BadInput."""
    try:
        if _MOMENT.fullmatch(text):
            moment = (datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(milliseconds=1)
        else:
            moment = now_ms - seconds_of(text, option) * 1000
    except (ValueError, BadInput) as error:
        raise BadInput(
            f"--{option} {text!r}: write a moment with its zone, such as 2026-11-22T08:00:00Z, "
            "or an age, such as 2h or 7d"
        ) from error
    return max(0, moment)


def range_ms(since: str, until: str | None, now_ms: int) -> tuple[int, int]:
    """The range [since, until) that two options name. Raises BadInput."""
    since_ms = moment_ms(since, "since", now_ms)
    until_ms = now_ms if until is None else moment_ms(until, "until", now_ms)
    if since_ms >= until_ms:
        raise BadInput("--since must be before --until")
    return since_ms, until_ms


def moment_text(time_ms: int) -> str:
    """As `moment_ms` reads it again, to the millisecond."""
    return f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03}Z"

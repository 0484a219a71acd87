"""What both APIs are asked for a statement, and answer."""

from datetime import date
from typing import Annotated, TypedDict

from pydantic import AfterValidator, Field

from settlement.archive import Published
from settlement.fields import Request, fault


def _calendar_day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise fault("no such day") from None
    return text


CalendarDay = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_calendar_day)]


class StatementRequest(Request):
    """POST /upbot/api/GetClubJfStatement and /v1/app/server/get_statement."""

    day: CalendarDay

    @property
    def date(self) -> date:
        return date.fromisoformat(self.day)


class StatementFacts(TypedDict):
    """A day's statement, and where it is for some minutes."""

    day: str
    revision: int
    url: str
    sha256: str
    csv_sha256: str
    size_bytes: int
    count: int


class ClubStatement(StatementFacts):
    """`expires_at` in seconds."""

    expires_at: int


class GameStatement(StatementFacts):
    """`expires_at` in seconds, as text."""

    expires_at: str


def statement_facts(request: StatementRequest, published: Published, url: str) -> StatementFacts:
    return StatementFacts(
        day=request.day,
        revision=published.revision,
        url=url,
        sha256=published.sha256,
        csv_sha256=published.csv_sha256,
        size_bytes=published.size_bytes,
        count=published.count,
    )

"""Who makes the statements: of one day, or of every day that lacks one.

    |--------- the day ---------|-- 15 min --|------------ a day -----------|
                                             | made                         | looked at again: the same, it is verified;
                                                                              other lines, a revision, and an alarm

A statement is read from an index that follows its table, usually within a second. Fifteen minutes are far more; the
second look makes sure, since nothing promises it. A revision stands beside what was published before.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from settlement.apps import App
from settlement.archive import Archive, Published, pack
from settlement.clock import now_ms
from settlement.statements import Contents, Day, Entry, Kind, kinds_of, statement_csv
from settlement.store import Store

CAUGHT_UP_DAYS: Final = 31
"""How far back days without a statement are made up for; older ones by hand."""
VERIFIED_AFTER_MS: Final = 24 * 3_600_000
"""From the day's end to the second look."""
_TRIES: Final = 5


class OutOfTime(Exception):
    """The deadline passed before the statement was whole; nothing was published."""


class Contended(Exception):
    """Others published revisions before us, again and again."""


@dataclass(frozen=True, slots=True)
class Made:
    """There was no statement of that day."""

    published: Published


@dataclass(frozen=True, slots=True)
class Revised:
    """What is settled is not what was published: the new revision, beside the old ones."""

    published: Published


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What was published is what is settled."""

    published: Published


type Outcome = Made | Revised | Unchanged


@dataclass(frozen=True, slots=True)
class Work:
    """One statement to make, or to look at again."""

    app_id: str
    kind: Kind
    day: Day
    published: bool


class Bookkeeper:
    def __init__(
        self, store: Store, archive: Archive, utc_offset_minutes: int, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        self._store = store
        self._archive = archive
        self._utc_offset_minutes = utc_offset_minutes
        self._clock_ms = clock_ms

    def due(self, app: App) -> list[Work]:
        """What is to be done for an app: days without a statement, then those to be looked at again; oldest first."""
        now = self._clock_ms()
        last = Day.last_ready(now, self._utc_offset_minutes)
        oldest = last.date - timedelta(days=CAUGHT_UP_DAYS - 1)
        first = max(oldest, Day.of(app.created_at_ms, self._utc_offset_minutes).date)
        if first > last.date:
            return []
        missing: list[Work] = []
        unverified: list[Work] = []
        for kind in kinds_of(app.roles):
            shelves = self._archive.shelves(kind, app.app_id, first, last.date)
            for day in _days(first, last.date, self._utc_offset_minutes):
                shelf = shelves.get(day.date)
                if shelf is None or not shelf.revisions:
                    missing.append(Work(app.app_id, kind, day, published=False))
                elif not shelf.verified and now >= day.end_ms + VERIFIED_AFTER_MS:
                    unverified.append(Work(app.app_id, kind, day, published=True))
        return missing + unverified

    def do(self, work: Work, deadline_ms: int) -> Outcome:
        """Makes a statement, or looks at it again. Raises DayNotOver, OutOfTime, Contended."""
        outcome = self.make(work.app_id, work.kind, work.day, deadline_ms)
        if isinstance(outcome, Unchanged) and self._clock_ms() >= work.day.end_ms + VERIFIED_AFTER_MS:
            self._archive.mark_verified(work.kind, work.app_id, work.day.date)
        return outcome

    def make(self, app_id: str, kind: Kind, day: Day, deadline_ms: int | None = None) -> Outcome:
        """Publishes what was settled on a day, unless just that is published.

        Memory does not grow with the number of lines: the file waits on disk. Raises DayNotOver, OutOfTime, Contended.
        """
        day.check_ready(self._clock_ms())
        contents = Contents()
        with tempfile.TemporaryFile() as file:
            entries = self._until(deadline_ms, self._store.settled_between(app_id, day.start_ms, day.end_ms))
            packed = pack(statement_csv(kind, entries, self._utc_offset_minutes, contents), file)
            for _ in range(_TRIES):
                newest = self._archive.newest(kind, app_id, day.date)
                if newest is not None and newest.csv_sha256 == packed.csv_sha256:
                    return Unchanged(newest)
                revision = 1 if newest is None else newest.revision + 1
                published = self._archive.publish(kind, app_id, day, revision, file, packed, contents, self._clock_ms())
                if published is not None:
                    return Made(published) if newest is None else Revised(published)
        raise Contended(f"{kind} statement of {app_id}, {day}")

    def _until(self, deadline_ms: int | None, entries: Iterator[Entry]) -> Iterator[Entry]:
        for number, entry in enumerate(entries):
            if deadline_ms is not None and number % 1000 == 0 and self._clock_ms() >= deadline_ms:
                raise OutOfTime
            yield entry


def _days(first: date, last: date, utc_offset_minutes: int) -> Iterator[Day]:
    for number in range((last - first).days + 1):
        yield Day(first + timedelta(days=number), utc_offset_minutes)

"""The bookkeeper on real tables: which settlements a day's statement has, when it is made, and that none is changed."""

import gzip
import io
import tracemalloc
from copy import replace
from datetime import date, timedelta
from typing import Any, cast

import pytest

from settlement.apps import App
from settlement.archive import Archive, Damaged, Published
from settlement.bookkeeper import (
    CAUGHT_UP_DAYS,
    VERIFIED_AFTER_MS,
    Bookkeeper,
    Contended,
    Made,
    OutOfTime,
    Revised,
    Unchanged,
)
from settlement.cursor import ListQuery
from settlement.orders import Account, ClubOrder, ClubTerms, GameResult, SettledClubOrder, game_order_id
from settlement.statements import READY_AFTER_MS, Day, DayNotOver, points_text, read_lines
from settlement.store import created_club_row, settled_club_facts
from settlepoint_local.template import table_definitions
from tests.paper import PaperDynamoDB
from tests.paper_s3 import PaperS3
from tests.proof import few_or_many

from .worlds import CLUB, QUIET, World, game_order, make_world

DAY = Day(date(2026, 11, 22), 480)
READY_MS = DAY.end_ms + READY_AFTER_MS


class Books:
    """A bookkeeper whose clock and files are at hand."""

    def __init__(self, world: World, utc_offset_minutes: int = 480) -> None:
        self.s3 = PaperS3()
        self.archive = Archive(cast("Any", self.s3), "statements")
        self.now_ms = READY_MS
        self.keeper = Bookkeeper(world.store(), self.archive, utc_offset_minutes, lambda: self.now_ms)

    def lines(self, published: Published) -> list[dict[str, str]]:
        return list(read_lines(io.BytesIO(gzip.decompress(self.s3.files[published.key][0]))))

    def bills(self, published: Published) -> list[str]:
        return [line["bill_no"] for line in self.lines(published) if line["line"] == "detail"]

    def make(self, day: Day = DAY) -> Made | Revised | Unchanged:
        return self.keeper.make(QUIET.app_id, "club", day)


@pytest.fixture
def books(world: World) -> Books:
    return Books(world)


# ------------------------------------------------------------------------------------------------- which and when


@pytest.mark.parametrize("offset", [480, 0, -300, 345])
def test_a_day_has_its_settlements_to_the_millisecond_in_their_order(world: World, offset: int) -> None:
    books, day = Books(world, offset), Day(date(2026, 11, 22), offset)
    books.now_ms = day.end_ms + READY_AFTER_MS
    hour = 3_600_000
    for bill_no, at_ms in (
        ("before", day.start_ms - 1),
        ("first", day.start_ms),
        *((f"hour-{number:02}", day.start_ms + number * hour + 1) for number in range(0, 24, 3)),
        ("last", day.end_ms - 1),
        ("after", day.end_ms),
    ):
        world.settle(bill_no, at_ms)
    outcome = books.make(day)
    assert isinstance(outcome, Made)
    assert books.bills(outcome.published) == ["first", *(f"hour-{number:02}" for number in range(0, 24, 3)), "last"]
    assert (outcome.published.count, outcome.published.total) == (10, "100.00")
    assert (outcome.published.start_ms, outcome.published.end_ms) == (day.start_ms, day.end_ms)


def test_game_results_are_the_merchants_statement_and_not_the_clubs(world: World, books: Books) -> None:
    world.now_ms = DAY.start_ms + 5
    store = world.store()
    results = {}
    for name in ("out-1", "=2", "3"):
        order_id = game_order_id(CLUB.app_id, name)
        assert store.create_game_order(CLUB.app_id, order_id, game_order(name))
        results[order_id] = GameResult("match-1", "", 1, -(2**31), 2**31 - 1, None, 1795305590)
    store.settle_game_orders(CLUB, "mg-1", "room-1", results)
    assert books.keeper.make(CLUB.app_id, "club", DAY).published.count == 0
    published = books.keeper.make(CLUB.app_id, "game", DAY).published
    lines = books.lines(published)
    assert [line["order_id"] for line in lines[:3]] == sorted(results)
    assert {line["out_order_id"] for line in lines[:3]} == {"out-1", "=2", "3"}
    assert (lines[0]["score"], lines[0]["remain_score"], lines[0]["uid"]) == (str(-(2**31)), str(2**31 - 1), "")
    assert (published.count, published.total) == (3, str(-3 * 2**31))


def test_a_statement_adds_up_to_the_running_totals(world: World, books: Books) -> None:
    for number in range(30):
        openid, source = f"o-{number % 4}", (5, 6, 11)[number % 3]
        at_ms = DAY.start_ms + number * 2_800_000
        world.settle(f"b-{number}", at_ms, openid=openid, source=source, amt=number - 15 or 1, ratio=33)
    world.settle("other-day", DAY.end_ms, openid="o-1")
    published = books.make().published
    seconds = DAY.start_ms // 1000, DAY.end_ms // 1000 - 1
    totals = [world.store().total(ListQuery(QUIET.app_id, f"o-{n}", None, *seconds), READY_MS) for n in range(4)]
    assert published.count == sum(total.count for total in totals) == 30
    assert published.total == points_text(sum(total.hundredths for total in totals))


def test_another_apps_settlements_are_in_its_own_statement(world: World, books: Books) -> None:
    world.settle("mine", DAY.start_ms)
    assert books.keeper.make(CLUB.app_id, "club", DAY).published.count == 0
    assert books.bills(books.make().published) == ["mine"]


def test_a_day_that_is_not_over_has_no_statement(books: Books) -> None:
    books.now_ms = READY_MS - 1
    with pytest.raises(DayNotOver):
        books.make()
    assert books.s3.files == {}
    books.now_ms = READY_MS
    assert isinstance(books.make(), Made)


# --------------------------------------------------------------------------------------------- made again, revised


def test_made_again_it_is_the_same_to_the_byte_and_nothing_is_written(world: World, books: Books) -> None:
    for number in range(20):
        world.settle(f"b-{number}", DAY.start_ms + number % 3)
    first = books.make()
    files = dict(books.s3.files)
    books.now_ms += 5_000_000
    again = books.make()
    assert isinstance(again, Unchanged)
    assert again.published == first.published
    assert books.s3.files == files

    elsewhere = Books(world)
    elsewhere.now_ms = books.now_ms + 1
    made = elsewhere.make().published
    assert (made.sha256, made.csv_sha256) == (first.published.sha256, first.published.csv_sha256)
    assert elsewhere.s3.files[made.key][0] == files[first.published.key][0]


def test_a_line_that_came_late_makes_a_revision_beside_what_was_published(world: World, books: Books) -> None:
    world.settle("early", DAY.start_ms)
    first = books.make().published
    world.settle("late", DAY.start_ms + 1)
    outcome = books.make()
    assert isinstance(outcome, Revised)
    assert (first.revision, outcome.published.revision) == (1, 2)
    assert books.bills(first) == ["early"]
    assert books.bills(outcome.published) == ["early", "late"]
    assert books.archive.newest("club", QUIET.app_id, DAY.date) == outcome.published
    assert books.archive.find("club", QUIET.app_id, DAY.date, 1) == first
    assert isinstance(books.make(), Unchanged)


def test_of_two_who_make_it_at_once_one_publishes(world: World, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    world.settle("b-1", DAY.start_ms)
    put = books.s3.put_object
    rival = Books(world)
    rival.s3.files = books.s3.files

    def meet(**arguments: Any) -> Any:
        monkeypatch.undo()
        rival.make()
        return put(**arguments)

    monkeypatch.setattr(books.s3, "put_object", meet)
    outcome = books.make()
    assert isinstance(outcome, Unchanged)
    assert list(books.s3.files) == [outcome.published.key]


def test_of_two_with_other_lines_both_are_kept(world: World, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first did not see a line yet, and publishes while the second is about to."""
    world.settle("b-1", DAY.start_ms)
    rival = Books(world)
    rival.s3.files = books.s3.files
    put = books.s3.put_object

    def meet(**arguments: Any) -> Any:
        monkeypatch.undo()
        world.settle("b-2", DAY.start_ms)
        rival.make()
        return put(**arguments)

    monkeypatch.setattr(books.s3, "put_object", meet)
    outcome = books.make()
    assert isinstance(outcome, Revised)
    assert outcome.published.revision == 2
    shelf = books.archive.shelves("club", QUIET.app_id, DAY.date, DAY.date)[DAY.date]
    assert shelf.revisions == [1, 2]


def test_who_is_always_outrun_gives_up(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books.archive, "publish", lambda *_: None)
    with pytest.raises(Contended, match="2026-11-22"):
        books.make()


def test_a_file_that_was_damaged_is_not_taken_for_the_statement(world: World, books: Books) -> None:
    world.settle("b-1", DAY.start_ms)
    published = books.make().published
    file = io.BytesIO()
    books.archive.download(published, file)
    assert file.getvalue() == books.s3.files[published.key][0]
    body, put = books.s3.files[published.key]
    books.s3.files[published.key] = (body[:-1] + b"x", put)
    with pytest.raises(Damaged, match=published.sha256):
        books.archive.download(published, io.BytesIO())


# ------------------------------------------------------------------------------------------------------ catching up


def app_of(created_ms: int, **changes: Any) -> App:
    return replace(QUIET, roles=frozenset({"club"}), created_at_ms=created_ms, **changes)


def days_due(books: Books, app: App) -> list[tuple[str, bool]]:
    return [(str(work.day), work.published) for work in books.keeper.due(app)]


def test_due_is_each_day_since_the_app_was_made_that_lacks_a_statement(books: Books) -> None:
    app = app_of(DAY.start_ms - 3 * 86_400_000 + 5)
    assert days_due(books, app) == [(f"2026-11-{day}", False) for day in (19, 20, 21, 22)]
    books.make(Day(date(2026, 11, 20), 480))
    # What is there is looked at a day after its end: after what was never made.
    assert days_due(books, app) == [
        ("2026-11-19", False),
        ("2026-11-21", False),
        ("2026-11-22", False),
        ("2026-11-20", True),
    ]
    books.now_ms = READY_MS - 1
    assert [day for day, _ in days_due(books, app)] == ["2026-11-19", "2026-11-21", "2026-11-20"]


def test_an_app_of_today_has_nothing_due_and_costs_no_call(books: Books) -> None:
    assert books.keeper.due(app_of(DAY.end_ms)) == []
    assert books.s3.calls == []


def test_an_old_app_is_caught_up_for_a_month(books: Books) -> None:
    due = days_due(books, app_of(0))
    assert len(due) == CAUGHT_UP_DAYS
    assert due[0] == (str(DAY.date - timedelta(days=CAUGHT_UP_DAYS - 1)), False)
    assert due[-1] == ("2026-11-22", False)


def test_a_club_that_is_a_merchant_too_has_two_statements(books: Books) -> None:
    due = books.keeper.due(replace(QUIET, created_at_ms=DAY.start_ms))
    assert [(work.kind, str(work.day)) for work in due] == [("club", "2026-11-22"), ("game", "2026-11-22")]


def test_a_day_is_verified_once_a_day_after_its_end(world: World, books: Books) -> None:
    app = app_of(DAY.start_ms)
    world.settle("b-1", DAY.start_ms)
    [work] = books.keeper.due(app)
    assert isinstance(books.keeper.do(work, books.now_ms + 1), Made)
    assert books.keeper.due(app) == []
    books.now_ms = DAY.end_ms + VERIFIED_AFTER_MS - 1
    assert books.keeper.due(app) == []
    books.now_ms += 1
    [work] = books.keeper.due(app)
    assert work.published
    assert isinstance(books.keeper.do(work, books.now_ms + 1), Unchanged)
    assert books.keeper.due(app) == []
    assert books.archive.shelves("club", QUIET.app_id, DAY.date, DAY.date)[DAY.date].verified


def test_a_revised_day_is_looked_at_until_it_stays(world: World, books: Books) -> None:
    app = app_of(DAY.start_ms)
    [work] = books.keeper.due(app)
    books.keeper.do(work, books.now_ms + 1)
    world.settle("late", DAY.start_ms)
    books.now_ms = DAY.end_ms + VERIFIED_AFTER_MS
    for expected in (Revised, Unchanged):
        [work] = books.keeper.due(app)
        assert isinstance(books.keeper.do(work, books.now_ms + 1), expected)
    assert books.keeper.due(app) == []


def test_beyond_the_deadline_nothing_is_published(world: World, books: Books) -> None:
    world.settle("b-1", DAY.start_ms)
    [work] = books.keeper.due(app_of(DAY.start_ms))
    with pytest.raises(OutOfTime):
        books.keeper.do(work, books.now_ms)
    assert books.s3.files == {}
    assert isinstance(books.keeper.do(work, books.now_ms + 1), Made)


# ---------------------------------------------------------------------------------------------- many, and the index


@pytest.fixture
def lagging() -> tuple[World, Books, list[float]]:
    """On paper, an index that is behind by what the list says."""
    lag = [0.0]
    paper = PaperDynamoDB(now=lambda: made[0].now_ms / 1000 if made else 0.0, lag=lambda: lag[0])
    made: list[Books] = []
    world = make_world("paper", cast("Any", paper))
    made.append(Books(world))
    return world, made[0], lag


def test_an_index_that_is_an_hour_behind_is_found_out_a_day_later(
    lagging: tuple[World, Books, list[float]],
) -> None:
    world, books, lag = lagging
    app = app_of(DAY.start_ms)
    world.settle("seen", DAY.start_ms)
    lag[0] = 3600.0
    world.settle("unseen", DAY.end_ms - 1)
    first = books.keeper.do(books.keeper.due(app)[0], books.now_ms + 1)
    assert books.bills(first.published) == ["seen"]
    books.now_ms = DAY.end_ms + VERIFIED_AFTER_MS
    second = books.keeper.do(books.keeper.due(app)[0], books.now_ms + 1)
    assert isinstance(second, Revised)
    assert books.bills(second.published) == ["seen", "unseen"]


def filled(count: int) -> Books:
    """So many settlements of one day, on paper, as the store writes them."""
    paper = PaperDynamoDB()
    for name, definition in table_definitions().items():
        paper.create_table(TableName=name, **cast("Any", definition))
    items: list[Any] = []
    for number in range(count):
        order = ClubOrder(
            f"bill-{number:09}",
            f"user-{number % 5000}",
            1000 + number % 777,
            number % 8,
            7,
            "周末活动 1/2",
            Account(2, "club-9", 9),
        )
        settled = SettledClubOrder(order, ClubTerms(order.amt * 25, 25), DAY.start_ms + number * 86_399_000 // count)
        row = created_club_row(QUIET.app_id, order, DAY.start_ms) | settled_club_facts(QUIET.app_id, settled)
        items.append(row)
    paper.tables["SettlementTable"].load(items)
    world = World("paper", cast("Any", paper), {name: name for name in table_definitions()})
    return Books(world)


def test_memory_does_not_grow_with_the_lines() -> None:
    """The paper's own answers are the rows themselves, so what is measured is what making a statement holds."""
    peaks = {}
    for count in few_or_many((4_000, 16_000), (25_000, 100_000)):
        books = filled(count)
        tracemalloc.start()
        published = books.make().published
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert published.count == count
    small, large = sorted(peaks)
    print({count: f"{peak / 1e6:.1f} MB" for count, peak in peaks.items()})
    # The file on paper is held in memory, 20 bytes a line; all the lines as objects would be a hundred times that.
    assert peaks[large] - peaks[small] < 60 * (large - small)

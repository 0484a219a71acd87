"""The breaker's rules: when an app's receiver may be sent to, and what each thing that happens makes of that."""

from copy import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.breaker import (
    FAILURES_TO_OPEN,
    FIRST_OPEN_MS,
    FIRST_PACE,
    HELD_LATELY_MS,
    LAST_PACE,
    LONGEST_OPEN_MS,
    LONGEST_PATIENCE_MS,
    PATIENCE_MS,
    SETTLED_MS,
    TRIAL_MS,
    Breaker,
)
from settlement.delivery import ATTEMPT_SECONDS
from settlement.ledger import LEASE_MS

from .fakes import NOW_MS

QUICK = 20
NEW = Breaker("a")
TRUSTED = NEW.answered(QUICK)


def failed_in_a_row(breaker: Breaker, times: int, now_ms: int = NOW_MS) -> Breaker:
    for _ in range(times):
        breaker = breaker.failed(QUICK, now_ms)
    return breaker


OPEN = failed_in_a_row(TRUSTED, FAILURES_TO_OPEN)
ON_TRIAL = NEW.on_trial(NOW_MS)


# --------------------------------------------------------------------------------------------------------- who may pass

BLOCKS: list[tuple[str, Breaker, int, bool]] = [
    ("a new one", NEW, 0, False),
    ("a new one's trial begins", ON_TRIAL, 0, True),
    ("a trial's last moment", ON_TRIAL, TRIAL_MS - 1, True),
    ("a trial that nobody ended", ON_TRIAL, TRIAL_MS, False),
    ("a trial that was answered", ON_TRIAL.answered(QUICK), 0, False),
    ("a trial that failed", ON_TRIAL.failed(QUICK, NOW_MS), 0, False),
    ("trusted", TRUSTED, 0, False),
    ("trusted, while another attempt is under way", TRUSTED.on_trial(NOW_MS), 0, False),
    ("four failures", failed_in_a_row(TRUSTED, 4), 0, False),
    ("five failures", OPEN, 0, True),
    ("open, its last moment", OPEN, 29_999, True),
    ("after an opening", OPEN, 30_000, False),
    ("the trial after an opening", OPEN.on_trial(NOW_MS + 30_000), 30_000, True),
    ("answered while it is open", OPEN.answered(QUICK), 0, False),
    ("doubted", TRUSTED.doubted(NOW_MS), 0, True),
    ("doubted, and its attempt never ended", TRUSTED.doubted(NOW_MS), TRIAL_MS, False),
    ("asked for by an operator while open", OPEN.tried_at_once(), 0, False),
    ("asked for by an operator while on trial", ON_TRIAL.tried_at_once(), 0, False),
    ("the trial that an operator asked for", OPEN.tried_at_once().on_trial(NOW_MS), 0, True),
]


@pytest.mark.parametrize(
    ("breaker", "after_ms", "blocks"), [case[1:] for case in BLOCKS], ids=[case[0] for case in BLOCKS]
)
def test_whether_no_attempt_may_begin(breaker: Breaker, after_ms: int, *, blocks: bool) -> None:
    assert breaker.blocks(NOW_MS + after_ms) is blocks


@pytest.mark.parametrize(("after_ms", "is_open"), [(0, True), (29_999, True), (30_000, False), (30_001, False)])
def test_open_lasts_to_its_end_and_no_longer(after_ms: int, *, is_open: bool) -> None:
    assert OPEN.is_open(NOW_MS + after_ms) is is_open
    assert OPEN.tried_at_once().is_open(NOW_MS + after_ms) is False


# ---------------------------------------------------------------------------------------------------------- transitions

TROUBLED = Breaker(
    "a",
    failures=3,
    openings=2,
    open_until_ms=NOW_MS - 1,
    trial_until_ms=NOW_MS + 9000,
    patience_ms=2000,
    held_at_ms=NOW_MS - 5000,
    look_at_ms=NOW_MS + 55_000,
    version=7,
)
CALM = replace(TROUBLED, failures=0, openings=0, open_until_ms=0, trial_until_ms=0)
TRANSITIONS: list[tuple[str, Breaker, Breaker]] = [
    ("a trial begins", NEW.on_trial(NOW_MS), Breaker("a", trial_until_ms=NOW_MS + TRIAL_MS)),
    ("answered", TROUBLED.answered(QUICK), replace(CALM, trusted=True)),
    ("a first failure", NEW.failed(QUICK, NOW_MS), Breaker("a", failures=1)),
    ("a quick failure of one that is trusted", TRUSTED.failed(QUICK, NOW_MS), replace(TRUSTED, failures=1)),
    ("a failure just within the patience", TRUSTED.failed(1000, NOW_MS), replace(TRUSTED, failures=1)),
    ("a failure beyond it", TRUSTED.failed(1001, NOW_MS), replace(NEW, failures=1)),
    (
        "a quick failure of one that is not",
        TROUBLED.failed(QUICK, NOW_MS),
        replace(TROUBLED, failures=4, trial_until_ms=0),
    ),
    (
        "the fifth",
        replace(TROUBLED, failures=4, openings=0, trusted=True).failed(QUICK, NOW_MS),
        replace(CALM, failures=5, openings=1, open_until_ms=NOW_MS + 30_000),
    ),
    (
        "a trial after two openings fails",
        replace(TROUBLED, failures=6).failed(QUICK, NOW_MS),
        replace(CALM, failures=7, openings=3, open_until_ms=NOW_MS + 120_000),
    ),
    ("doubted", TRUSTED.doubted(NOW_MS), Breaker("a", trial_until_ms=NOW_MS + TRIAL_MS)),
    (
        "doubted amid failures",
        replace(TROUBLED, trusted=True).doubted(NOW_MS - 1500),
        replace(TROUBLED, trial_until_ms=NOW_MS - 1500 + TRIAL_MS),
    ),
    (
        "asked for by an operator",
        replace(TROUBLED, open_until_ms=NOW_MS + 99).tried_at_once(),
        replace(TROUBLED, open_until_ms=0, trial_until_ms=0),
    ),
    ("something is held", NEW.holding(NOW_MS, NOW_MS + 5), replace(NEW, held_at_ms=NOW_MS, look_at_ms=NOW_MS + 5)),
    ("looked after later", TROUBLED.looking_again(NOW_MS + 9), replace(TROUBLED, look_at_ms=NOW_MS + 9)),
    ("nothing is held", TROUBLED.holds_nothing(), replace(TROUBLED, held_at_ms=0, look_at_ms=0)),
]


@pytest.mark.parametrize(
    ("after", "expected"), [case[1:] for case in TRANSITIONS], ids=[case[0] for case in TRANSITIONS]
)
def test_what_happens_changes_just_this(after: Breaker, expected: Breaker) -> None:
    assert after == expected


def test_a_new_app_is_on_trial_and_holds_nothing() -> None:
    assert Breaker("a", False, 0, 0, 0, 0, 1000, 0, 0, 0) == NEW


def test_five_failures_in_a_row_open_for_30_s_and_each_failing_trial_for_twice_as_long_up_to_ten_minutes() -> None:
    assert [failed_in_a_row(TRUSTED, times).is_open(NOW_MS) for times in range(1, 6)] == [False] * 4 + [True]
    breaker, now_ms, open_seconds = OPEN, NOW_MS, []
    for opening in range(1, 41):
        assert breaker.openings == opening
        open_seconds.append((breaker.open_until_ms - now_ms) / 1000)
        now_ms = breaker.open_until_ms
        breaker = breaker.on_trial(now_ms).failed(QUICK, now_ms)
    assert open_seconds == [30, 60, 120, 240, 480] + [600] * 35


def test_an_answer_between_them_makes_five_failures_four_and_one() -> None:
    assert not failed_in_a_row(failed_in_a_row(TRUSTED, 4).answered(QUICK), 4).is_open(NOW_MS)


def test_after_an_answer_the_next_opening_is_a_short_one_again() -> None:
    again = failed_in_a_row(OPEN.failed(QUICK, NOW_MS + 30_000).answered(QUICK), 5)
    assert again.open_until_ms == NOW_MS + 30_000


def test_a_dead_receiver_sees_few_requests_in_the_ten_minutes_after_it_opened() -> None:
    breaker, requests = OPEN, 0
    for now_ms in range(NOW_MS, NOW_MS + 600_000, 1000):  # somebody tries every second
        if not breaker.blocks(now_ms):
            requests += 1
            breaker = breaker.on_trial(now_ms).failed(5000, now_ms)
    assert requests <= 25
    assert requests == 4  # at 30, 90, 210 and 450 s


def test_failures_of_attempts_that_began_before_an_opening_change_nothing() -> None:
    for after_ms in (0, 1, 4999, 29_999):
        assert OPEN.failed(5000, NOW_MS + after_ms) == OPEN
    assert OPEN.failed(QUICK, NOW_MS + 30_000) != OPEN


@pytest.mark.parametrize(
    ("duration_ms", "patience_ms"),
    [(0, 1000), (500, 1000), (501, 1002), (1500, 3000), (2499, 4998), (2500, 5000), (2501, 5000), (9000, 5000)],
)
def test_patience_grows_to_twice_the_slowest_answer_at_most_5_s(duration_ms: int, patience_ms: int) -> None:
    assert NEW.answered(duration_ms).patience_ms == patience_ms
    assert NEW.answered(duration_ms).answered(QUICK).patience_ms == patience_ms
    assert NEW.answered(QUICK).answered(duration_ms).patience_ms == patience_ms


def test_the_times_fit_each_other() -> None:
    assert FAILURES_TO_OPEN == 5
    assert (FIRST_OPEN_MS, LONGEST_OPEN_MS, PATIENCE_MS) == (30_000, 600_000, 1000)
    assert LONGEST_PATIENCE_MS == ATTEMPT_SECONDS * 1000  # longer than that nobody waits
    assert ATTEMPT_SECONDS * 1000 < TRIAL_MS < FIRST_OPEN_MS  # a trial that is under way stands
    assert LEASE_MS < SETTLED_MS  # whoever was about to hold something is dead
    assert HELD_LATELY_MS < SETTLED_MS
    assert (FIRST_PACE, LAST_PACE) == (1, 50)


# --------------------------------------------------------------------------------------------------------- what is held


@pytest.mark.parametrize(
    ("after_ms", "says_it_again"), [(-1, False), (0, False), (9999, False), (10_000, True), (10**9, True)]
)
def test_that_something_is_held_is_said_again_every_ten_seconds(after_ms: int, *, says_it_again: bool) -> None:
    held = OPEN.holding(NOW_MS, NOW_MS + 35_000)
    again = held.holding(NOW_MS + after_ms, NOW_MS + 99_000)
    if says_it_again:
        assert again == replace(held, held_at_ms=NOW_MS + after_ms, look_at_ms=NOW_MS + 99_000)
    else:
        assert again is held


def test_after_nothing_was_held_it_is_said_at_once() -> None:
    emptied = OPEN.holding(NOW_MS, NOW_MS + 35_000).holds_nothing()
    assert emptied == OPEN
    assert emptied.holding(NOW_MS + 1, NOW_MS + 2).held_at_ms == NOW_MS + 1


@pytest.mark.parametrize(
    "breaker",
    [
        OPEN.holding(NOW_MS, NOW_MS + 5).answered(QUICK),
        OPEN.holding(NOW_MS, NOW_MS + 5).failed(QUICK, NOW_MS + 30_000),
        TRUSTED.holding(NOW_MS, NOW_MS + 5).doubted(NOW_MS),
        OPEN.holding(NOW_MS, NOW_MS + 5).tried_at_once(),
        NEW.holding(NOW_MS, NOW_MS + 5).on_trial(NOW_MS),
    ],
    ids=["answered", "failed", "doubted", "tried at once", "on trial"],
)
def test_nothing_that_happens_to_an_attempt_forgets_what_is_held(breaker: Breaker) -> None:
    assert (breaker.held_at_ms, breaker.look_at_ms) == (NOW_MS, NOW_MS + 5)


# ----------------------------------------------------------------------------------------------------------- invariants

MOMENTS = st.integers(0, 1_000_000)
BREAKERS = st.builds(
    Breaker,
    st.just("a"),
    trusted=st.booleans(),
    failures=st.integers(0, 40),
    openings=st.integers(0, 40),
    open_until_ms=MOMENTS,
    trial_until_ms=MOMENTS,
    patience_ms=st.integers(PATIENCE_MS, LONGEST_PATIENCE_MS),
    held_at_ms=MOMENTS,
    look_at_ms=MOMENTS,
    version=st.integers(0, 9),
)
DURATIONS = st.integers(0, 40_000)


@given(BREAKERS, MOMENTS)
def test_an_open_one_admits_nobody_and_a_trusted_one_that_is_not_everybody(breaker: Breaker, now_ms: int) -> None:
    if breaker.is_open(now_ms):
        assert breaker.blocks(now_ms)
        assert breaker.on_trial(now_ms).blocks(now_ms)
    elif breaker.trusted:
        assert not breaker.blocks(now_ms)
    else:
        assert breaker.on_trial(now_ms).blocks(now_ms)
        assert breaker.on_trial(now_ms).blocks(now_ms + TRIAL_MS - 1)
        assert not breaker.on_trial(now_ms).blocks(now_ms + TRIAL_MS)


@given(BREAKERS, DURATIONS, MOMENTS)
def test_any_answer_closes_it_whatever_it_was(breaker: Breaker, duration_ms: int, now_ms: int) -> None:
    after = breaker.answered(duration_ms)
    assert after.trusted
    assert not after.blocks(now_ms)
    assert (after.failures, after.openings) == (0, 0)
    assert after.patience_ms >= breaker.patience_ms
    assert PATIENCE_MS <= after.patience_ms <= LONGEST_PATIENCE_MS
    assert after.answered(0) == after


@given(BREAKERS, DURATIONS, MOMENTS)
def test_a_failure_never_makes_anybody_more_trusted_or_an_opening_shorter(
    breaker: Breaker, duration_ms: int, now_ms: int
) -> None:
    after = breaker.failed(duration_ms, now_ms)
    assert after.trusted <= breaker.trusted
    assert after.open_until_ms >= min(breaker.open_until_ms, now_ms)
    assert after.openings - breaker.openings in (0, 1)
    if breaker.is_open(now_ms):
        assert after == breaker
        return
    assert after.failures == breaker.failures + 1
    assert after.is_open(now_ms) == (breaker.failures + 1 >= FAILURES_TO_OPEN)
    if after.is_open(now_ms):
        assert FIRST_OPEN_MS <= after.open_until_ms - now_ms <= LONGEST_OPEN_MS
        assert not after.trusted
    else:
        assert after.trusted <= (duration_ms <= breaker.patience_ms)
        assert not after.blocks(now_ms)  # the trial that failed stands in nobody's way


@given(BREAKERS, MOMENTS)
def test_whoever_is_doubted_gets_no_second_request_before_the_first_has_ended(breaker: Breaker, at_ms: int) -> None:
    doubted = breaker.doubted(at_ms)
    assert not doubted.trusted
    assert doubted.blocks(at_ms)
    assert doubted.blocks(at_ms + int(ATTEMPT_SECONDS * 1000))


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(["tries", "answers", "fails", "holds"]), st.integers(0, 40_000))))
def test_over_any_history_it_admits_one_at_a_time_until_an_answer_and_none_while_open(
    history: list[tuple[str, int]],
) -> None:
    breaker, now_ms, in_a_row = NEW, NOW_MS, 0
    under_way: list[int] = []
    alone_since_ms = 0
    for happens, after_ms in history:
        now_ms += after_ms
        match happens:
            case "tries" if not breaker.blocks(now_ms):
                assert now_ms >= breaker.open_until_ms
                if not breaker.trusted:
                    assert now_ms - alone_since_ms >= TRIAL_MS
                    breaker, alone_since_ms = breaker.on_trial(now_ms), now_ms
                under_way.append(now_ms)
            case "answers" if under_way:
                breaker = breaker.answered(now_ms - under_way.pop(0))
                in_a_row = alone_since_ms = 0
            case "fails" if under_way:
                in_a_row += not breaker.is_open(now_ms)
                breaker = breaker.failed(now_ms - under_way.pop(0), now_ms)
                alone_since_ms = 0
            case "holds":
                breaker = breaker.holding(now_ms, now_ms + 1000)
        assert (breaker.failures, breaker.openings > 0) == (in_a_row, in_a_row >= FAILURES_TO_OPEN)
        assert bool(breaker.held_at_ms) == bool(breaker.look_at_ms)  # what is held is looked after

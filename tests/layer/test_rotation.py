"""Rotating a secret: what each step makes of each state, and what it refuses."""

from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.apps import App, SecretVersion
from settlement.rotation import (
    MAX_OVERLAP_MS,
    OVERLAP_MS,
    NotActivated,
    NothingOlder,
    NothingPending,
    RotationRefused,
    TwoInUse,
    activated,
    retired,
    rotated,
    signing_version,
    state_of,
)

from .fakes import NOW_MS, app

HOUR_MS = 3_600_000
GENERATION = 2
DAY_FROM_NOW = NOW_MS + OVERLAP_MS


def state(versions: dict[int, int | None], signing: int) -> App:
    """Versions and their ends; what this module's steps make is of generation 2."""
    return app(
        secret_versions=tuple(SecretVersion(n, GENERATION, end) for n, end in versions.items()), signing_version=signing
    )


NEW = state({1: None}, 1)
ROTATED = state({1: None, 2: None}, 1)
ACTIVATED = state({1: NOW_MS + HOUR_MS, 2: None}, 2)
LAST_MS = state({1: NOW_MS + 1, 2: None}, 2)
RUN_OUT = state({1: NOW_MS, 2: None}, 2)
RETIRED = state({2: None}, 2)
# No step of ours leads to these; a row that was mended by hand may be one.
NO_END_SET = state({1: None, 2: None}, 2)
RUN_OUT_NEVER_ACTIVATED = state({1: NOW_MS, 2: None}, 1)
ENDED_BESIDE_TWO = state({1: NOW_MS, 2: None, 3: None}, 2)
ALL_ENDED = state({4: NOW_MS, 5: NOW_MS}, 5)

STATES = {
    "new": NEW,
    "rotated": ROTATED,
    "activated": ACTIVATED,
    "the overlap's last millisecond": LAST_MS,
    "run out": RUN_OUT,
    "retired": RETIRED,
    "no end set": NO_END_SET,
    "run out, never activated": RUN_OUT_NEVER_ACTIVATED,
    "one ended beside two": ENDED_BESIDE_TWO,
    "all ended": ALL_ENDED,
}
STEPS = {
    "rotate": lambda app: rotated(app, GENERATION, NOW_MS),
    "again": lambda app: rotated(app, GENERATION, NOW_MS, again=True),
    "activate": lambda app: activated(app, NOW_MS),
    "activate for 5 h": lambda app: activated(app, NOW_MS, 5 * HOUR_MS),
    "retire": lambda app: retired(app, NOW_MS),
    "retire now": lambda app: retired(app, NOW_MS, at_once=True),
}
TABLE: dict[str, dict[str, App | type[RotationRefused]]] = {
    "new": {
        "rotate": ROTATED,
        "again": NothingPending,
        "activate": NothingOlder,
        "activate for 5 h": NothingOlder,
        "retire": NothingOlder,
        "retire now": NothingOlder,
    },
    "rotated": {
        "rotate": TwoInUse,
        "again": state({1: None, 3: None}, 1),
        "activate": state({1: DAY_FROM_NOW, 2: None}, 2),
        "activate for 5 h": state({1: NOW_MS + 5 * HOUR_MS, 2: None}, 2),
        "retire": NotActivated,
        "retire now": RETIRED,
    },
    "activated": {
        "rotate": TwoInUse,
        "again": NothingPending,
        "activate": ACTIVATED,
        "activate for 5 h": state({1: NOW_MS + 5 * HOUR_MS, 2: None}, 2),
        "retire": RETIRED,
        "retire now": RETIRED,
    },
    "the overlap's last millisecond": {
        "rotate": TwoInUse,
        "again": NothingPending,
        "activate": LAST_MS,
        "activate for 5 h": state({1: NOW_MS + 5 * HOUR_MS, 2: None}, 2),
        "retire": RETIRED,
        "retire now": RETIRED,
    },
    "run out": {
        "rotate": state({2: None, 3: None}, 2),
        "again": NothingPending,
        "activate": RUN_OUT,
        "activate for 5 h": NothingOlder,
        "retire": NothingOlder,
        "retire now": NothingOlder,
    },
    "retired": {
        "rotate": state({2: None, 3: None}, 2),
        "again": NothingPending,
        "activate": RETIRED,
        "activate for 5 h": NothingOlder,
        "retire": NothingOlder,
        "retire now": NothingOlder,
    },
    "no end set": {
        "rotate": TwoInUse,
        "again": NothingPending,
        "activate": state({1: DAY_FROM_NOW, 2: None}, 2),
        "activate for 5 h": state({1: NOW_MS + 5 * HOUR_MS, 2: None}, 2),
        "retire": RETIRED,
        "retire now": RETIRED,
    },
    "run out, never activated": {
        "rotate": state({2: None, 3: None}, 2),
        "again": NothingPending,
        "activate": RUN_OUT,
        "activate for 5 h": NothingOlder,
        "retire": NothingOlder,
        "retire now": NothingOlder,
    },
    "one ended beside two": {
        "rotate": TwoInUse,
        "again": state({2: None, 4: None}, 2),
        "activate": state({1: NOW_MS, 2: DAY_FROM_NOW, 3: None}, 3),
        "activate for 5 h": state({1: NOW_MS, 2: NOW_MS + 5 * HOUR_MS, 3: None}, 3),
        "retire": NotActivated,
        "retire now": state({3: None}, 3),
    },
    "all ended": {
        "rotate": state({6: None}, 6),
        "again": NothingPending,
        "activate": NothingOlder,
        "activate for 5 h": NothingOlder,
        "retire": NothingOlder,
        "retire now": NothingOlder,
    },
}


@pytest.mark.parametrize(("before", "step"), [(before, step) for before in STATES for step in STEPS])
def test_every_step_from_every_state(before: str, step: str) -> None:
    expected = TABLE[before][step]
    if isinstance(expected, App):
        assert STEPS[step](STATES[before]) == expected
    else:
        with pytest.raises(RotationRefused) as refused:
            STEPS[step](STATES[before])
        assert type(refused.value) is expected


ONE_IN_USE = "only version 1 of its secret is in use"
TWO_IN_USE = "versions 1 and 2 of its secret are in use"


@pytest.mark.parametrize(
    ("before", "step", "sentence"),
    [
        (NEW, "retire", f"{ONE_IN_USE}: rotate first"),
        (NEW, "activate", f"{ONE_IN_USE}: rotate first"),
        (NEW, "again", f"{ONE_IN_USE}, and the newest signs: there is none to replace"),
        (ROTATED, "rotate", f"{TWO_IN_USE}: first activate the newest, then retire the older"),
        (ACTIVATED, "rotate", f"{TWO_IN_USE}: first retire the older"),
        (ROTATED, "retire", "version 2 does not sign yet: activate it first"),
        (ALL_ENDED, "retire now", "no version of its secret is in use: rotate first"),
    ],
)
def test_a_refusal_says_what_there_is_and_what_comes_first(before: App, step: str, sentence: str) -> None:
    with pytest.raises(RotationRefused) as refused:
        STEPS[step](before)
    assert str(refused.value) == sentence


def test_the_overlap_begins_with_the_activation_however_long_the_new_secret_waited() -> None:
    waited_ms = 400 * 24 * HOUR_MS
    assert activated(ROTATED, NOW_MS + waited_ms) == state({1: DAY_FROM_NOW + waited_ms, 2: None}, 2)
    assert OVERLAP_MS == 24 * HOUR_MS


def test_a_repeated_activation_moves_the_end_only_where_an_overlap_is_named() -> None:
    once = activated(ROTATED, NOW_MS)
    assert activated(once, NOW_MS + HOUR_MS) == once
    shorter = activated(once, NOW_MS + HOUR_MS, HOUR_MS)
    assert shorter == state({1: NOW_MS + 2 * HOUR_MS, 2: None}, 2)
    longer = activated(shorter, NOW_MS + HOUR_MS, MAX_OVERLAP_MS)
    assert longer == state({1: NOW_MS + HOUR_MS + MAX_OVERLAP_MS, 2: None}, 2)


@pytest.mark.parametrize("overlap_ms", [0, -1, MAX_OVERLAP_MS + 1])
def test_an_overlap_outside_its_limits_is_a_mistake_of_the_caller(overlap_ms: int) -> None:
    with pytest.raises(ValueError, match="30 days"):
        activated(ROTATED, NOW_MS, overlap_ms)


def test_a_new_version_is_of_the_newest_generation_and_the_old_one_stays_of_its_own() -> None:
    assert rotated(NEW, 7, NOW_MS).secret_versions == (SecretVersion(1, GENERATION), SecretVersion(2, 7))


def test_nothing_but_versions_and_which_signs_is_touched() -> None:
    for name, before in STATES.items():
        for step, result in TABLE[name].items():
            if isinstance(result, App):
                made = STEPS[step](before)
                restored = replace(made, secret_versions=before.secret_versions, signing_version=before.signing_version)
                assert restored == before


@pytest.mark.parametrize(
    ("before", "states", "signing"),
    [
        (NEW, ["signs"], 1),
        (ROTATED, ["signs", "accepted"], 1),
        (ACTIVATED, ["accepted", "signs"], 2),
        (RUN_OUT, ["ended", "signs"], 2),
        (RUN_OUT_NEVER_ACTIVATED, ["ended", "signs"], 2),
        (ALL_ENDED, ["ended", "ended"], None),
    ],
)
def test_the_state_of_each_version_is_what_deliveries_do(before: App, states: list[str], signing: int | None) -> None:
    assert [state_of(before, version, NOW_MS) for version in before.secret_versions] == states
    assert signing_version(before, NOW_MS) == signing


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.sampled_from([0, 1, HOUR_MS, OVERLAP_MS - 1, OVERLAP_MS])), max_size=30
)


@given(OPERATIONS)
def test_whatever_the_operator_does_an_app_has_one_or_two_secrets_and_no_number_comes_back(
    operations: list[tuple[str, int]],
) -> None:
    now_ms, row, given_numbers = NOW_MS, NEW, {1}
    for step, wait_ms in operations:
        now_ms += wait_ms
        before = row
        try:
            match step:
                case "rotate" | "again":
                    row = rotated(row, GENERATION, now_ms, again=step == "again")
                    new = row.secret_versions[-1].version
                    assert new == max(given_numbers) + 1
                    given_numbers.add(new)
                case "activate" | "activate for 5 h":
                    row = activated(row, now_ms, 5 * HOUR_MS if "5" in step else None)
                case _:
                    row = retired(row, now_ms, at_once=step == "retire now")
        except RotationRefused:
            pass
        numbers = [version.version for version in row.secret_versions]
        in_use = [version.version for version in row.versions_in_use(now_ms)]
        assert numbers == sorted(numbers)
        assert numbers[-1] == max(given_numbers)
        assert in_use[0] == max(given_numbers)
        assert 1 <= len(in_use) <= 2
        assert row.signing_version in in_use
        # What ended once is never accepted again.
        assert not {v.version for v in before.secret_versions if v not in before.versions_in_use(now_ms)} & set(in_use)

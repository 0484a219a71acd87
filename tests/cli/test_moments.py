"""Moments as an operator writes them."""

import pytest

from settlectl.failures import BadInput
from settlectl.moments import moment_ms, moment_text, range_ms

NOW_MS = 1_795_305_600_123  # 2026-11-22T00:00:00.123Z


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("2026-11-22T00:00:00Z", 1_795_305_600_000),
        ("2026-11-22t00:00:00z", 1_795_305_600_000),
        ("2026-11-22 00:00:00Z", 1_795_305_600_000),
        ("2026-11-22T01:00:00+01:00", 1_795_305_600_000),
        ("2026-11-21T18:30:00-05:30", 1_795_305_600_000),
        ("2026-11-22T00:00:00.123Z", NOW_MS),
        ("2026-11-22T00:00:00.123999Z", NOW_MS),
        ("1969-12-31T23:59:59Z", 0),
        ("90s", NOW_MS - 90_000),
        ("2h", NOW_MS - 7_200_000),
        ("7d", NOW_MS - 7 * 86_400_000),
        ("99999999d", 0),
    ],
)
def test_a_moment_is_rfc_3339_or_an_age(text: str, expected_ms: int) -> None:
    assert moment_ms(text, "since", NOW_MS) == expected_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-22",
        "2026-11-22T00:00:00",  # whose midnight?
        "2026-11-22T24:61:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-22T00:00:00+1:000",
        "2026-11-22T00:00:00+25:00",
        "20261122T000000Z",
        "1795305600",
        "2 h",
        "-2h",
        "0h",
        "2w",
    ],
)
def test_anything_else_is_wrong_usage_and_is_told_how(text: str) -> None:
    with pytest.raises(BadInput, match=r"--until .*with its zone, such as .*an age, such as 2h"):
        moment_ms(text, "until", NOW_MS)


def test_what_is_shown_is_read_as_the_same_moment() -> None:
    assert moment_text(NOW_MS) == "2026-11-22T00:00:00.123Z"
    assert moment_ms(moment_text(NOW_MS), "since", 0) == NOW_MS


def test_a_range_ends_now_and_is_not_empty() -> None:
    assert range_ms("1s", None, NOW_MS) == (NOW_MS - 1000, NOW_MS)
    assert range_ms("2h", "1h", NOW_MS) == (NOW_MS - 7_200_000, NOW_MS - 3_600_000)
    for since, until in (("1h", "1h"), ("1h", "2h"), ("2026-11-22T00:00:00.123Z", None)):
        with pytest.raises(BadInput, match="before"):
            range_ms(since, until, NOW_MS)

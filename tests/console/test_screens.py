"""Each screen, as it is seen: in both languages, at both widths, light and dark, by axe, and with hostile data."""

from typing import Final

import pytest

from settlement.notifications import club_notify_id

from .conftest import Looking
from .furnishing import EVIL, EVIL_BILL, EVIL_OPENID, OPENID, SETTLEMENTS, Furnished
from .looking import NARROW, WIDE, Look, findings
from .serving import Gateway

RETRYING: Final = club_notify_id("club-a", "bill-1001")
SCREENS: Final[dict[str, dict[str, str]]] = {
    "": {},
    "search": {"id": "bill-1001"},
    "settlements": {"app": "club-a", "openid": OPENID},
    "notifications": {"app": "club-a", "status": "dead retrying", "range": "91d"},
    f"notifications/{RETRYING}": {},
    "apps": {},
    "apps/merchant-a": {},
}
SAID: Final = {
    "": ("Apps that need attention", "需要关注的应用"),
    "search": ("Club order bill-1001", "俱乐部订单 bill-1001"),
    "settlements": ("57 settlements", "57 笔结算"),
    "notifications": ("7 notifications", "7 条通知"),
    f"notifications/{RETRYING}": ("not acknowledged", "未确认"),
    "apps": ("game server", "游戏服务器"),
    "apps/merchant-a": ("down until", "不可用 至"),
}
MAX_BYTES: Final = 200_000


@pytest.mark.parametrize(("language", "place"), [("en", 0), ("zh", 1)])
def test_every_screen_is_told_in_both_languages_and_fits_its_window(
    shown: Gateway, looking: Looking, language: str, place: int
) -> None:
    look = looking(shown, language=language)
    for path, query in SCREENS.items():
        look.go(path, **query)
        assert SAID[path][place] in look.main(), path
        for width in (WIDE, NARROW):
            look.page.set_viewport_size({"width": width, "height": 800})
            assert look.overflow() <= 0, (path, width)


def test_axe_finds_nothing_serious_on_any_screen_light_or_dark(shown: Gateway, looking: Looking) -> None:
    look = looking(shown)
    for path, query in SCREENS.items():
        look.go(path, **query)
        look.page.evaluate("document.querySelectorAll('details').forEach((folded) => (folded.open = true))")
        look.page.emulate_media(color_scheme="light")
        assert findings(look.page) == [], path
        look.page.emulate_media(color_scheme="dark")
        assert findings(look.page, "color-contrast") == [], path


def test_the_first_screen_takes_less_than_200_kb(shown: Gateway, looking: Looking) -> None:
    look = looking(shown).go()
    answers = [answer for request in look.requests if (answer := request.response())]
    bodies = {answer.url: len(answer.body()) for answer in answers}  # unzipped
    assert f"{shown.url}/main.js" in bodies
    assert sum(bodies.values()) < MAX_BYTES, bodies


def test_what_callers_write_is_shown_and_never_run(shown: Gateway, looking: Looking) -> None:
    look = looking(shown)
    look.go("search", id=EVIL_BILL)
    assert EVIL in look.main()
    assert EVIL_OPENID in look.main()
    look.go("settlements", app="club-a", openid=EVIL_OPENID)
    assert EVIL_BILL in look.main()
    look.go(f"notifications/{club_notify_id('club-a', EVIL_BILL)}")
    assert "<svg onload=" in look.main()
    look.page.set_viewport_size({"width": NARROW, "height": 800})
    assert look.overflow() <= 0
    look.go("search", id=EVIL)
    assert f"“{EVIL}”" in look.main()
    assert look.page.locator("img, script:not([src]), svg[onload]").count() == 0


# ---------------------------------------------------------------------------------------------------- what is shown


def test_an_accounts_settlements_go_on_page_by_page(shown: Gateway, looking: Looking, furnished: Furnished) -> None:
    look = looking(shown).go("settlements", app="club-a", openid=OPENID)
    rows = look.page.locator("table", has_text="Bill number").locator("tbody tr")
    assert rows.count() == 50
    look.button("Show more").press("Enter")
    rows.nth(50).wait_for()
    bills = [text.split()[0] for text in rows.all_inner_texts()]
    assert bills == ["bill-1001", *reversed(furnished.settled)]
    assert look.button("Show more").count() == 0
    assert look.page.evaluate("document.activeElement.textContent") == bills[50]


def test_the_total_the_chart_and_its_figures_agree(shown: Gateway, looking: Looking) -> None:
    look = looking(shown).go("settlements", app="club-a", openid=OPENID)
    listed = shown.world.ask("settlements/list", {"app_id": "club-a", "openid": OPENID}, look.token).data["total"]
    total = f"{float(listed['points']):,.2f}".rstrip("0").rstrip(".")
    assert f"{listed['count']} settlements: {total}" in look.main()
    assert figures(look, "By source") == (total, str(SETTLEMENTS + 1))
    assert figures(look, "24 Oct 2026 to 22 Nov 2026, UTC") == (total, str(SETTLEMENTS + 1))
    days = look.page.get_by_role("region", name="24 Oct 2026 to 22 Nov 2026, UTC").locator("tbody tr")
    for day in days.all_inner_texts():
        added, taken, together = (round(float(cell.replace(",", "")) * 100) for cell in day.split("\t")[1:4])
        assert (added + taken, added >= 0, taken <= 0) == (together, True, True), day


def test_a_source_narrows_the_list_and_the_days(shown: Gateway, looking: Looking) -> None:
    look = looking(shown).go("settlements", app="club-a", openid=OPENID, source="6")
    asked = {"app_id": "club-a", "openid": OPENID, "source": 6}
    matches = shown.world.ask("settlements/list", asked, look.token).data["total"]
    assert f"{matches['count']} settlements" in look.main()
    assert figures(look, "24 Oct 2026 to 22 Nov 2026, UTC")[1] == str(matches["count"])


def test_days_are_chosen_in_utc_and_times_in_the_windows_zone(shown: Gateway, looking: Looking) -> None:
    look = looking(shown, width=NARROW).go("settlements", app="club-a", openid=OPENID)
    look.page.get_by_label("Days").select_option("other days …")
    look.page.get_by_label("From", exact=True).fill("2026-11-20")
    look.page.get_by_label("To", exact=True).fill("2026-11-20")
    assert look.overflow() <= 0
    look.button("Show").click()
    look.page.get_by_role("region", name="20 Nov 2026 to 20 Nov 2026, UTC").wait_for()
    whole = {"start_time_unix_sec": 1795132800, "end_time_unix_sec": 1795219199}
    day = shown.world.ask("settlements/list", {"app_id": "club-a", "openid": OPENID, **whole}, look.token).data["total"]
    assert f"{day['count']} settlements: " in look.main()

    look.go("notifications", app="club-a")
    look.page.get_by_label("Settled").select_option("other times …")
    look.page.get_by_label("From", exact=True).fill("2026-11-22T07:58:00")  # in Shanghai
    look.page.get_by_label("To", exact=True).fill("2026-11-22T07:59:00")
    look.button("Show").click()
    look.page.locator("[data-results]", has_text="1 notification").wait_for()
    assert RETRYING[:12] in look.main()


def test_more_days_than_two_months_are_summed_by_month(shown: Gateway, looking: Looking) -> None:
    look = looking(shown).go("settlements", app="club-a", openid=OPENID, range="366d")
    panel = look.page.locator("section", has=look.page.locator("svg")).first
    panel.locator("summary").click()
    assert [row.split()[0] for row in panel.locator("tbody tr").all_inner_texts()] == ["Oct", "Nov"]


def test_each_attempt_is_told_with_its_time_in_utc_too(shown: Gateway, looking: Looking) -> None:
    look = looking(shown).go(f"notifications/{RETRYING}")
    rows = [row.split("\t") for row in look.page.locator("table tbody tr").all_inner_texts()]
    assert [(row[2], row[4], row[5]) for row in rows] == [
        ("HTTP 5xx", "502", "–"),
        ("not acknowledged", "200", "1001"),
        ("timeout", "–", "–"),
    ]
    first = look.page.locator("table tbody tr time").first
    assert first.inner_text() == "22 Nov 2026, 07:58:30"  # in Shanghai, the window's zone
    assert first.get_attribute("title") == "2026-11-21 23:58:30.000 UTC"


def test_sums_keep_every_digit(shown: Gateway, looking: Looking) -> None:
    look = looking(shown).go()
    several = ["90071992547409931.25", "-0.5", "0.01", "-90071992547409931", "0.24", "7"]
    adding = "async ([url, several]) => (await import(url)).sum(several)"
    assert look.page.evaluate(adding, [f"{shown.url}/points.js", several]) == "7"
    writing = "async ([url, value]) => (await import(url)).amount(value)"
    written = look.page.evaluate(writing, [f"{shown.url}/language.js", "-90071992547409931.25"])
    assert written == "-90,071,992,547,409,931.25"


def figures(look: Look, title: str) -> tuple[str, str]:
    """The sums over a chart's table: points and settlements."""
    panel = look.page.get_by_role("region", name=title)
    panel.locator("summary").click()
    rows = [row.split("\t") for row in panel.locator("tbody tr").all_inner_texts()]
    points = sum(round(float(row[-2].replace(",", "")) * 100) for row in rows) / 100
    return f"{points:,.2f}".rstrip("0").rstrip("."), str(sum(int(row[-1]) for row in rows))

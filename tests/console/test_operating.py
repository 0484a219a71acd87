"""What operators do with it: by keyboard alone, with the count first, and what they are told when it does not work."""

from threading import Event

import pytest

from settlement import console_actions
from settlement.notifications import club_notify_id
from settlement.signing import derive_app_secret
from settlepoint_local.in_process import Row, World
from settlepoint_local.scene import Scene

from .conftest import Looking
from .furnishing import ACKNOWLEDGED, GONE, attempt, furnish, settle
from .looking import NARROW, PATIENCE_MS, Look, findings
from .serving import Gateway

NOTIFY_ID = club_notify_id("club-a", "bill-1")


def told(world: World, notify_id: str = NOTIFY_ID) -> Row:
    [row] = [row for row in world.rows("NotificationTable") if row["notify_id"] == notify_id]
    return row


def app(world: World, app_id: str = "club-a") -> Row:
    [row] = [row for row in world.rows("AppTable") if row["app_id"] == app_id]
    return row


def confirm(look: Look, button: str, words: str) -> None:
    """Presses a dialog's button, and waits for what is told above the screen that follows."""
    look.dialog().get_by_role("button", name=button, exact=True).click()
    look.page.locator("main > .notice", has_text=words).wait_for()
    assert look.dialog().count() == 0


# ------------------------------------------------------------------------------------------------------- telling again


def test_by_keyboard_alone_from_the_search_to_a_redelivery(changed: Gateway, looking: Looking) -> None:
    world = changed.world
    settle(world, "bill-1")
    attempt(world, NOTIFY_ID, GONE)
    look = looking(changed).go()
    keys = look.page.keyboard

    def tab_to(name: str) -> None:
        focused = "document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent"
        for _ in range(30):
            if look.page.evaluate(focused).startswith(name):
                assert look.page.evaluate("document.activeElement.matches(':focus-visible')")
                return
            keys.press("Tab")
        raise AssertionError(f"{name} is not reached")

    tab_to("Id")
    keys.type("bill-1")
    keys.press("Enter")
    look.page.wait_for_selector("[data-results]")
    assert look.page.evaluate("document.activeElement.tagName") == "H1"
    tab_to(NOTIFY_ID[:12])
    keys.press("Enter")
    look.page.wait_for_selector("h1:has-text('dead')")
    tab_to("Redeliver …")
    keys.press("Enter")
    assert look.page.evaluate("document.activeElement.textContent") == "Cancel"
    keys.press("Escape")
    assert look.dialog().count() == 0
    assert look.page.evaluate("document.activeElement.textContent") == "Redeliver …"
    assert told(world)["status"] == "dead"
    keys.press("Enter")
    assert "Redeliver 1 notification?" in look.dialog().inner_text()
    assert findings(look.page) == []
    tab_to("Redeliver it")
    keys.press("Enter")
    look.page.wait_for_selector("main > .notice")
    assert look.page.evaluate("document.activeElement.className") == "notice"
    assert told(world)["status"] == "retrying"
    assert [message["body"]["attempt"] for message in world.messages()] == [2]


def test_what_was_delivered_meanwhile_is_not_told_again_unasked(changed: Gateway, looking: Looking) -> None:
    settle(changed.world, "bill-1")
    look = looking(changed).go(f"notifications/{NOTIFY_ID}")
    look.button("Redeliver …").click()
    attempt(changed.world, NOTIFY_ID, ACKNOWLEDGED)
    look.button("Redeliver it").click()
    look.page.wait_for_selector("dialog .failure")
    assert "acknowledged it meanwhile" in look.dialog().inner_text()
    look.button("Cancel").click()
    look.page.reload()
    look.settled()
    look.button("Redeliver …").click()
    assert "the receiver has acknowledged it" in look.dialog().inner_text()
    confirm(look, "Redeliver it", "Attempt 2 goes out now")


def test_a_replay_is_counted_asked_and_done_in_steps(
    changed: Gateway, looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, furnished = changed.world, furnish(changed.world)
    delivered = len(furnished.settled) - len(furnished.dead)
    look = looking(changed).go("notifications", app="club-a", status="dead delivered", range="91d")
    before = world.digest()
    look.button("Redeliver all of these …").click()
    look.dialog().wait_for()
    said = look.dialog().inner_text()
    assert f"Redeliver {len(furnished.settled)} notifications?" in said
    assert f"delivered: {delivered}" in said
    assert f"dead: {len(furnished.dead)}" in said
    assert f"{delivered} of them were acknowledged before." in said
    look.button("Cancel").click()
    assert world.digest() == before
    look.button("Redeliver all of these …").click()
    look.dialog().wait_for()
    monkeypatch.setattr(console_actions, "STEP_SECONDS", 0.0)  # a step ends after the first forty
    confirm(look, f"Redeliver {len(furnished.settled)}", "56 notifications go out again.")
    steps = [request for request in look.requests if request.url.endswith("/notifications/replay")]
    assert len(steps) > 1
    held = {row["notify_id"] for row in world.rows("NotificationTable") if row.get("status") == "held"}
    assert {club_notify_id("club-a", bill_no) for bill_no in furnished.settled} <= held


def test_a_count_goes_on_until_it_is_done(changed: Gateway, looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        settle(changed.world, f"bill-{number}")
        changed.world.now_ms += 1
    monkeypatch.setattr(console_actions, "STEP_SECONDS", 0.0)  # a step ends after the first
    look = looking(changed).go("notifications", app="club-a", status="pending")
    look.button("Redeliver all of these …").click()
    look.page.locator("dialog", has_text="Redeliver 3 notifications?").wait_for()
    assert len([request for request in look.requests if request.url.endswith("/notifications/count")]) > 1


def test_a_replay_that_is_stopped_says_how_far_it_came(
    changed: Gateway, looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(changed.world)
    look = looking(changed).go("notifications", app="club-a", status="dead delivered", range="91d")
    look.button("Redeliver all of these …").click()
    look.dialog().wait_for()
    monkeypatch.setattr(console_actions, "STEP_SECONDS", 0.0)
    pressed = Event()
    with changed.world.once_before("dynamodb", "UpdateItem", lambda: pressed.wait(PATIENCE_MS / 1000)):
        look.button("Redeliver 56").click()
        look.button("Stop").click()
        pressed.set()
        look.page.locator("main > .notice", has_text="Stopped: 40 notifications go out again").wait_for()
    held = [row for row in changed.world.rows("NotificationTable") if row.get("status") == "held"]
    assert len([row for row in held if row["app_id"] == "club-a"]) == 40


def test_nothing_is_replayed_without_a_status(changed: Gateway, looking: Looking) -> None:
    settle(changed.world, "bill-1")
    look = looking(changed).go("notifications", app="club-a")
    assert "tick at least one status" in look.main()
    assert look.page.get_by_role("button", name="Redeliver").count() == 0


# ------------------------------------------------------------------------------------------------------------ apps


def test_a_secret_is_rotated_activated_and_retired(changed: Gateway, looking: Looking) -> None:
    world = changed.world
    look = looking(changed, width=NARROW).go("apps/club-a")
    look.context.grant_permissions(["clipboard-read", "clipboard-write"])
    look.button("Rotate …").click()
    look.button("Make it").click()
    shown = look.dialog().get_by_label("Secret", exact=True)
    secret = derive_app_secret(Scene().master, "club-a", 2)
    assert shown.input_value() == secret
    assert look.overflow() <= 0
    assert findings(look.page) == []
    look.page.keyboard.press("Escape")
    assert look.dialog().count() == 1
    look.button("Copy: Secret").click()
    look.page.wait_for_selector("text=Copied: Secret")
    assert look.page.evaluate("navigator.clipboard.readText()") == secret
    confirm(look, "I have stored it", "Version 2 is accepted")
    assert secret not in look.page.content()
    assert app(world)["signing_version"] == 1

    look.button("Activate …").click()
    look.page.get_by_label("Overlap").select_option("1 hour")
    confirm(look, "Sign with the newest", "The newest secret signs")
    assert app(world)["signing_version"] == 2
    assert app(world)["secret_versions"]["1"]["retires_at"] == world.now_ms + 3_600_000

    look.button("End the old one …").click()
    confirm(look, "End it", "Only the newest secret is left")
    assert list(app(world)["secret_versions"]) == ["2"]
    assert look.button("Rotate …").is_visible()


def test_a_step_that_somebody_else_made_is_refused_in_words(changed: Gateway, looking: Looking) -> None:
    look = looking(changed).go("apps/club-a")
    other = looking(changed).go("apps/club-a")
    for each in (look, other):
        each.button("Rotate …").click()
    look.button("Make it").click()
    look.button("I have stored it").click()
    other.button("Make it").click()
    other.page.wait_for_selector("dialog .failure")
    assert "the app has changed since you looked" in other.dialog().inner_text()
    assert "versions 1 and 2" in other.dialog().inner_text()
    assert list(app(changed.world)["secret_versions"]) == ["1", "2"]


def test_an_app_is_disabled_and_enabled(changed: Gateway, looking: Looking) -> None:
    look = looking(changed).go("apps/club-a")
    look.button("Disable …").click()
    assert "every call of this app is refused" in look.dialog().inner_text()
    confirm(look, "Disable it", "club-a is disabled")
    assert app(changed.world)["status"] == "disabled"
    look.button("Enable …").click()
    assert "0 notifications are held" in look.dialog().inner_text()
    confirm(look, "Enable it", "club-a is enabled")
    assert app(changed.world)["status"] == "enabled"


def test_a_screen_is_shown_anew_by_its_menu_item(changed: Gateway, looking: Looking) -> None:
    look = looking(changed).go("apps")
    assert look.page.locator("tr", has_text="club-a").inner_text().split("\t")[2] == "enabled"
    changed.world.change_app("club-a", status="disabled")
    look.page.get_by_role("link", name="Apps").click()
    look.page.locator("tr", has_text="club-a").locator("td", has_text="disabled").wait_for()


# ------------------------------------------------------------------------------------------------ what does not work


def test_a_fault_of_ours_is_told_with_a_way_on(changed: Gateway, looking: Looking) -> None:
    look = looking(changed).go("apps")
    with changed.world.failing("dynamodb", "GetItem"):
        look.go("apps/club-a")
        assert look.heading() == "That did not work"
        assert "A fault of ours" in look.main()
    look.button("Try again").click()
    look.page.wait_for_selector("h1:has-text('club-a')")


def test_a_server_that_is_not_reached_is_told_and_asked_again(changed: Gateway, looking: Looking) -> None:
    look = looking(changed).go("apps/club-a")
    look.page.route("**/api/**", lambda route: route.abort())
    look.go("apps")
    assert "cannot be reached" in look.main()
    look.page.unroute("**/api/**")
    look.button("Try again").click()
    look.page.wait_for_selector("h1:text-is('Apps')")


def test_a_screen_that_does_not_load_is_told_and_loaded_again(changed: Gateway, looking: Looking) -> None:
    look = looking(changed).go("apps")
    look.page.route("**/settlements.js", lambda route: route.abort())
    look.go("settlements")
    assert "cannot be reached" in look.main()
    look.page.unroute("**/settlements.js")
    look.button("Try again").click()
    look.page.wait_for_selector("h1:text-is('Settlements')")
    look.errors.clear()  # Chromium told of the file


def test_a_filter_that_is_refused_leaves_the_form(changed: Gateway, looking: Looking) -> None:
    look = looking(changed).go("notifications", app="no such app")
    assert "app_id" in look.page.get_by_role("alert").inner_text()
    look.page.get_by_label("App", exact=True).fill("club-b")
    look.page.keyboard.press("Enter")
    look.page.wait_for_selector("text=0 notifications")
    assert look.page.evaluate("document.activeElement.textContent") == "0 notifications"

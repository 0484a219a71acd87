"""Who gets in, with what, for how long; and which language the page speaks."""

import pytest

from settlepoint_local.scene import Scene

from .conftest import Looking
from .looking import NARROW, Look, findings
from .serving import Gateway

HOURS_MS = 3_600_000


def sign_in(look: Look, token: str) -> None:
    look.page.get_by_label("Operator token").fill(token)
    look.page.keyboard.press("Enter")


def test_without_a_token_one_is_asked_for_and_nothing_else_is_shown(changed: Gateway, looking: Looking) -> None:
    look = looking(changed, token="").go("apps")
    assert look.heading() == "Sign in"
    assert look.page.locator("nav").count() == 0
    assert findings(look.page) == []
    assert not [request.url for request in look.requests if "/api/" in request.url]
    sign_in(look, "")
    assert "This is needed." in look.main()
    sign_in(look, changed.token())
    look.page.wait_for_selector("h1:text-is('Apps')")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("x", id="no token"),
        pytest.param("令牌", id="not even sent"),
        pytest.param(Scene().token("club-a"), id="a club's"),
        pytest.param(Scene().operator_token()[:-4], id="not copied whole"),
    ],
)
def test_a_token_that_is_not_taken_is_not_kept(changed: Gateway, looking: Looking, token: str) -> None:
    look = looking(changed, token="").go()
    sign_in(look, token)
    look.page.wait_for_selector(".failure")
    assert "is not accepted" in look.page.get_by_role("alert").inner_text()
    assert look.page.evaluate("document.activeElement.name") == "token"
    assert look.page.evaluate("sessionStorage.length") == 0


def test_the_token_stays_in_this_tab_and_goes_when_one_signs_out(changed: Gateway, looking: Looking) -> None:
    look = looking(changed).go("apps/club-a")
    kept = "[sessionStorage, localStorage].map((storage) => Object.values(storage).join())"
    assert look.page.evaluate(kept) == [look.token, ""]
    assert look.context.cookies() == []
    assert not [request.url for request in look.requests if look.token in request.url]
    look.button("Sign out").click()
    assert look.heading() == "Sign in"
    assert look.page.evaluate(kept) == ["", ""]
    assert "club-a" not in look.page.inner_text("body")


def test_who_may_only_read_is_offered_no_change_and_is_refused_one(changed: Gateway, looking: Looking) -> None:
    look = looking(changed, write=False).go("apps/club-a")
    assert "read-only" in look.page.inner_text("header")
    assert look.page.locator("main button").count() == 0
    look.go("notifications", app="club-a", status="dead")
    assert look.page.locator("main button").all_inner_texts() == ["Show"]
    trying = """([url, token]) => fetch(`${url}/api/apps/disable`, {
        method: "POST", body: '{"app_id":"club-a"}', headers: { Authorization: `Bearer ${token}` },
    }).then((answer) => answer.status)"""
    assert look.page.evaluate(trying, [changed.url, look.token]) == 403


def test_a_long_name_leaves_room_for_the_rest(changed: Gateway, looking: Looking) -> None:
    claims = changed.world.scene.operator_claims(("ops",)) | {"sub": "a" * 64}
    look = looking(changed, token=changed.world.scene.operator_token(claims=claims), width=NARROW).go("apps")
    assert look.overflow() <= 0
    assert look.button("Sign out").is_visible()


def test_a_token_that_expires_meanwhile_leads_back_to_where_one_was(changed: Gateway, looking: Looking) -> None:
    look = looking(changed).go("apps/club-a")
    changed.world.now_ms += 91 * 24 * HOURS_MS
    look.button("Disable …").click()
    look.button("Disable it").click()
    look.page.wait_for_selector("h1:text-is('Sign in')")
    assert "expired or was revoked" in look.main()
    assert look.dialog().count() == 0
    sign_in(look, changed.token())
    look.page.wait_for_selector("h1:has-text('club-a')")


def test_the_language_is_the_browsers_until_another_is_chosen(changed: Gateway, looking: Looking) -> None:
    look = looking(changed, language="zh").go("apps")
    assert (look.heading(), look.page.locator("html").get_attribute("lang")) == ("应用", "zh-CN")
    look.button("English").click()
    look.page.wait_for_selector("h1:text-is('Apps')")
    look.page.reload()
    look.settled()
    assert (look.heading(), look.page.locator("html").get_attribute("lang")) == ("Apps", "en-GB")

"""A window on the console: how it was opened, what it asked for, what went wrong in it, what is seen of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, sync_playwright

CHROMIUM: Final = "chromium"
FLAGS: Final = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE: Final = 1280
NARROW: Final = 380
PATIENCE_MS: Final = 5000
TOKEN_KEY: Final = "settlepoint.console.token"  # where the page keeps it
_GO: Final = """address => new Promise((done) => {
    addEventListener("hashchange", done, { once: true });
    location.hash = address;
})"""
"""The page's own listener was there before this one: the screen is under way when it is done."""


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser of this machine's. Skips the test where there is none."""
    path = shutil.which(CHROMIUM)
    if path is None:
        pytest.skip(f"there is no {CHROMIUM} here: apt-get install {CHROMIUM}")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


class Look:
    """One window on the console at `url`, with an operator's token; "" is nobody's."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        token: str,
        *,
        width: int = WIDE,
        language: str = "en",
        scheme: Any = "light",
        patience_ms: int = PATIENCE_MS,
    ) -> None:
        self.url = url
        self.token = token
        self.requests: list[Request] = []
        self.errors: list[str] = []
        self.context = browser.new_context(
            viewport={"width": width, "height": 800},
            locale={"en": "en-US", "zh": "zh-CN"}[language],
            color_scheme=scheme,
            timezone_id="Asia/Shanghai",
            reduced_motion="reduce",
        )
        self.context.set_default_timeout(patience_ms)
        self.page: Page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108  # it names what it is given
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)
        if token:
            put = f"sessionStorage.setItem({TOKEN_KEY!r}, {token!r})"
            self.page.add_init_script(f"if (location.protocol !== 'about:' && sessionStorage.length === 0) {put}")

    def _heard(self, message: ConsoleMessage) -> None:
        """Chromium tells of each answer that says no. Those of the API are told to the operator; a file has none."""
        if message.type in {"error", "warning"} and f"{self.url}/api/" not in message.location["url"]:
            self.errors.append(f"{message.text} {message.location}")

    def go(self, path: str = "", **query: str) -> "Look":
        """Goes to a screen, and waits until it is there: by loading the page the first time, by its address later."""
        address = f"#/{path}{f'?{urlencode(query)}' if query else ''}"
        if self.page.url == "about:blank":
            self.page.goto(self.url + address)
        else:
            self.page.evaluate(_GO, address)
        self.settled()
        return self

    def settled(self) -> None:
        """Waits until nothing is under way."""
        self.page.wait_for_selector("h1")
        self.page.wait_for_selector("main:not([aria-busy])")

    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    def main(self) -> str:
        return self.page.locator("main").inner_text()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def close(self) -> None:
        """Raises AssertionError for an error in the window, and for a request to anybody but its door."""
        hit = False if self.page.is_closed() else self.page.evaluate("'hit' in window")
        self.context.close()
        assert not hit, "what a caller wrote was run"
        assert not self.errors, self.errors
        elsewhere = [each.url for each in self.requests if not each.url.startswith((self.url, "about:"))]
        assert not elsewhere, elsewhere


@dataclass(frozen=True, slots=True)
class Finding:
    """What axe says of a rule that is broken."""

    rule: str
    impact: str
    targets: list[str] = field(default_factory=list)


def findings(page: Page, *rules: str) -> list[Finding]:
    """The serious and critical ones, of all rules or of these. What axe could not judge is none."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe_script())
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    return [
        Finding(each["id"], each["impact"], [str(node["target"]) for node in each["nodes"]])
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


@cache
def _axe_script() -> str:
    return str(Axe().axe_script)

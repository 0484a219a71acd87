"""The console as it is deployed: the page's files through API Gateway, a look and a change by its API."""

import time

import pytest

from settlement.apps import AppRegistry
from settlement.callers import OPERATOR_SCOPES
from settlement.tokens import mint_operator
from tests.console.looking import Look, browsing

from .system import System

pytestmark = pytest.mark.stack

PATIENCE_MS = 60_000
"""Each call at the same time as others starts another process."""


def test_an_operator_signs_in_looks_at_an_app_and_disables_it(system: System) -> None:
    app_id = system.app("club").app_id
    token = mint_operator("ada", system.keyring, list(OPERATOR_SCOPES), int(time.time()), 3600)
    with browsing() as browser:
        look = Look(browser, f"{system.base_url}/console", "", patience_ms=PATIENCE_MS)
        look.go()
        look.page.get_by_label("Operator token").fill(token)
        look.button("Sign in").click()
        look.page.wait_for_selector("h1:text-is('Overview')")
        look.go(f"apps/{app_id}")
        assert app_id in look.heading()
        look.button("Disable …").click()
        look.button("Disable it").click()
        look.page.locator("main > .notice", has_text=f"{app_id} is disabled").wait_for()
        stored = AppRegistry(system.dynamodb, system.stack.tables["AppTable"]).read(app_id)
        assert stored is not None
        assert stored.status == "disabled"
        look.close()

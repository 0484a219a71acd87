"""A function's start: what it does for itself ends with it."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from settlement import collector
from settlepoint_local.in_process import World
from settlepoint_local.template import functions


@pytest.fixture(autouse=True)
def own_collector() -> Iterator[None]:
    """What a test sets aside is given back: this process goes on."""
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize("folder", sorted(functions()))
def test_a_function_collects_garbage_once_it_serves_and_not_what_its_start_made(
    world: World, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", folder)
    collector.pause()
    assert not gc.isenabled()
    world.function(folder)
    assert gc.isenabled()
    assert gc.get_freeze_count() > 10_000


def test_who_serves_nothing_collects_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    collector.pause()
    assert gc.isenabled()
    collector.resume()
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("in_lambda", [True, False])
def test_a_start_looks_for_no_garbage_from_its_first_import_on(in_lambda: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "AWS_LAMBDA_FUNCTION_NAME"}
    environment |= {"AWS_LAMBDA_FUNCTION_NAME": "a"} if in_lambda else {}
    asked = [sys.executable, "-c", "import settlement.sources, gc; print(gc.isenabled())"]
    told = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == str(not in_lambda)

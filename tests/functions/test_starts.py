"""A function's start: what it does for itself ends with it."""

import gc

import pytest

from settlement import collector
from settlepoint_local.in_process import World
from settlepoint_local.template import functions


@pytest.mark.parametrize("folder", sorted(functions()))
def test_a_function_that_serves_collects_garbage_as_python_does(world: World, folder: str) -> None:
    before = gc.get_threshold()
    collector.slow_down()
    try:
        assert gc.get_threshold() != collector._OWN
        world.function(folder)
        assert gc.get_threshold() == collector._OWN
    finally:
        gc.set_threshold(*before)

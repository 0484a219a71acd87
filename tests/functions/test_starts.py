"""A function's start: what it does for itself ends with it."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from settlepoint_local.in_process import World
from settlepoint_local.template import functions


@pytest.fixture(autouse=True)
def own_collector() -> Iterator[None]:
    """What a test sets aside is given back: this process goes on."""
    yield
    gc.unfreeze()
    gc.enable()


def collects_after(imports: str) -> bool:
    asked = [sys.executable, "-c", f"{imports}; import gc; print(gc.isenabled())"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    return {"True": True, "False": False}[told]


@pytest.mark.parametrize("folder", sorted(functions()))
def test_a_function_collects_garbage_once_it_serves_and_not_what_its_start_made(world: World, folder: str) -> None:
    gc.unfreeze()
    gc.disable()  # as its first import does in a process of its own
    world.function(folder)
    assert gc.isenabled()
    assert gc.get_freeze_count() > 10_000


def test_a_start_looks_for_no_garbage_and_who_serves_nothing_always_does() -> None:
    assert not collects_after("import settlement.door")
    assert collects_after("import settlectl.main")


def test_a_door_stops_the_collector_before_it_imports_anything_else() -> None:
    stopped_at = "import sys; sys.modules['settlement.collector'] = None"  # its import fails
    looked = f"{stopped_at}\ntry: import settlement.door\nexcept ImportError: print('boto3' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", looked], capture_output=True, text=True, check=True, timeout=60).stdout
    assert told.strip() == "False"

"""What every test of the functions enters by: the real handlers on the template's tables, in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from settlepoint_local import in_process
from settlepoint_local.in_process import World

TESTS = Path(__file__).parent
ONE_ENGINE = {"stack", "store"}
"""Folders whose tests share an engine that takes a while to start: one worker runs them all."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What `--dist loadgroup` keeps together: a folder of ONE_ENGINE, else a file, whose tests share their fixtures."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        item.add_marker(pytest.mark.xdist_group(folder if folder in ONE_ENGINE else str(item.path)))


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    """AWS as moto imitates it. It lasts for a module: other modules' tests talk to real sockets."""
    with in_process.aws():
        yield


@pytest.fixture
def world(aws: None) -> Iterator[World]:  # noqa: ARG001  # it lives in there
    """The fixture apps, empty tables otherwise, and a clock that stands still."""
    with in_process.world() as made:
        yield made


@pytest.fixture(scope="module")
def refusing_world(aws: None) -> Iterator[World]:  # noqa: ARG001  # it lives in there
    """A world for calls that are refused: nothing in it can change, so a module's tests share it and its warm doors."""
    with in_process.world() as made:
        before = made.digest()
        yield made
        assert made.digest() == before

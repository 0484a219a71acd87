"""What every test of the functions enters by: the real handlers on the template's tables, in this process."""

from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from settlepoint_local import in_process
from settlepoint_local.in_process import World

ONE_ENGINE = {"stack", "store"}
"""Folders whose tests share an engine that takes a while to start: one worker runs them all."""


def engine_folder(nodeid: str) -> str | None:
    folder = nodeid.split("/")[1]
    return folder if folder in ONE_ENGINE else None


class Together(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Which tests one worker runs: a folder of ONE_ENGINE, else a file, whose tests share their fixtures."""

    def _split_scope(self, nodeid: str) -> str:
        folder = engine_folder(nodeid)
        return folder or nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest begins first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: engine_folder(item.nodeid) is None)


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

"""One deployed stack for all of these tests; the one that reads what they left behind comes last."""

from collections.abc import Iterator

import pytest

from settlepoint_local.running import running_stack

from .receiver import Receiver, listening
from .system import System


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("stack") is not None and "test_afterwards" in item.nodeid)


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    with running_stack() as stack:
        yield System(stack)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as receiver:
        yield receiver

"""A browser in front of the console's real door. An error in its window fails the test, a request to others too."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from settlepoint_local import in_process
from settlepoint_local.in_process import World

from .furnishing import Furnished, furnish
from .looking import Look, browsing
from .serving import Gateway, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as launched:
        yield launched


@pytest.fixture(scope="module")
def shown_world(aws: None) -> Iterator[World]:  # noqa: ARG001  # it lives in there
    """A furnished world that a module's tests only look at."""
    with in_process.world() as made:
        yield made


@pytest.fixture(scope="module")
def furnished(shown_world: World) -> Furnished:
    return furnish(shown_world)


@pytest.fixture(scope="module")
def shown(shown_world: World, furnished: Furnished) -> Iterator[Gateway]:  # noqa: ARG001  # it is furnished first
    before = shown_world.digest()
    with serving(shown_world) as gateway:
        yield gateway
    assert shown_world.digest() == before


@pytest.fixture
def changed(world: World) -> Iterator[Gateway]:
    """In front of a world of the test's own."""
    with serving(world) as gateway:
        yield gateway


type Looking = Callable[..., Look]


@pytest.fixture
def looking(browser: Browser) -> Iterator[Looking]:
    """Opens windows on a gateway; afterwards none may have gone wrong in one of them."""
    looks: list[Look] = []

    def look(gateway: Gateway, *, token: str | None = None, write: bool = True, **how: Any) -> Look:
        given = gateway.token(write=write) if token is None else token
        looks.append(Look(browser, gateway.url, given, **how))
        return looks[-1]

    yield look
    for each in looks:
        each.close()

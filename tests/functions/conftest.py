"""The receiver that both apps are told at."""

from collections.abc import Iterator

import pytest

from settlepoint_local.in_process import World

from .receiver import Receiver, receiving


@pytest.fixture
def receiver(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("ALLOW_LOCAL_RECEIVERS", "true")
    with receiving() as made:
        for app_id in ("club-a", "merchant-a"):
            world.change_app(app_id, notify_url=made.url)
        yield made

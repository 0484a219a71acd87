"""SnapStart: what a function holds once it has started is copied into every process that is restored from it."""

import random
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from settlement import clients, door
from settlepoint_local.in_process import World
from settlepoint_local.template import functions


class Hooks(ModuleType):
    """The runtime's: what functions register, run as Lambda runs it after a restore."""

    def __init__(self) -> None:
        super().__init__("snapshot_restore_py")
        self.registered: list[Callable[[], object]] = []

    def register_after_restore(self, hook: Callable[[], object]) -> None:
        self.registered.append(hook)

    def restore(self) -> None:
        for hook in self.registered:
            hook()


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hooks]:
    made = Hooks()
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setattr(door, "register_after_restore", made.register_after_restore)
    state = random.getstate()
    yield made
    random.setstate(state)


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """What the functions' clients are asked for, by its event's name."""
    made: list[str] = []

    def note(event_name: str, **_: object) -> None:
        made.append(event_name)

    watched = [clients.dynamodb(), clients.sqs(), clients.secrets_manager()]
    for client in watched:
        client.meta.events.register_first("before-call.*", note)
    yield made
    for client in watched:
        client.meta.events.unregister("before-call.*", note)


@pytest.mark.parametrize("folder", sorted(functions()))
def test_a_start_calls_nobody_and_knows_neither_secret_nor_app(
    world: World, hooks: Hooks, calls: list[str], folder: str
) -> None:
    started = world.function(folder).door
    assert calls == []
    assert started.keyring._masters == {}
    assert started.keyring._read_at == float("-inf")
    assert started.apps._cache == {}
    assert hooks.registered


@pytest.mark.parametrize("folder", sorted(functions()))
def test_two_processes_restored_from_one_image_do_not_share_their_chances(
    world: World, hooks: Hooks, folder: str
) -> None:
    world.function(folder)
    image = random.getstate()
    chances = []
    for _ in range(2):
        random.setstate(image)
        hooks.restore()
        chances.append(random.getrandbits(64))
    assert chances[0] != chances[1]

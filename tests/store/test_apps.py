"""Apps: made once, found by id or by their directory's path, at most 30 s old."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from settlement.apps import CACHE_SECONDS, App, AppChanges, AppExists, AppNotFound, SecretVersion
from settlement.signing import derive_app_secret, directory_signature

from .worlds import CLUB, NOW_MS, World, keyring

FULL = replace(
    CLUB,
    app_id="g_1-A",
    name="游戏 1",
    roles=frozenset({"club", "merchant", "game"}),
    mg_ids=frozenset({"mg-1", "mg-2"}),
    for_apps=frozenset({"club-a"}),
    secret_versions=(SecretVersion(2, 1, NOW_MS + 5), SecretVersion(10, 1)),
    signing_version=2,
)
BARE = replace(CLUB, app_id="b", roles=frozenset({"club"}), notify_url=None)


def path_of(app: App, version: int) -> str:
    return directory_signature(derive_app_secret("master", app.app_id, version), app.app_id)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds = [1000.0]
    monkeypatch.setattr("settlement.apps.time", SimpleNamespace(monotonic=lambda: seconds[0]))
    return seconds


@pytest.mark.parametrize("app", [FULL, BARE], ids=["with everything", "with nothing"])
def test_an_app_is_found_as_it_was_made(world: World, app: App) -> None:
    world.apps.create(app, keyring())
    assert world.apps.find(app.app_id) == app
    assert world.apps.read(app.app_id) == app


def test_an_app_is_made_once_and_a_second_of_its_id_changes_nothing(world: World) -> None:
    world.apps.create(FULL, keyring())
    before = world.rows("AppTable")
    with pytest.raises(AppExists, match="g_1-A"):
        world.apps.create(replace(BARE, app_id="g_1-A", secret_versions=(SecretVersion(7, 1),)), keyring())
    assert world.rows("AppTable") == before


@pytest.mark.parametrize("app_id", ["", "unknown", "asc#" + "0" * 32, "a b", "中", "a" * 65, "b\n", "../b", "B"])
def test_nothing_else_is_an_app(world: World, app_id: str) -> None:
    world.apps.create(BARE, keyring())
    assert world.apps.find(app_id) is None
    assert world.apps.read(app_id) is None


def test_a_pointer_of_the_directory_is_no_app(world: World) -> None:
    world.apps.create(BARE, keyring())
    pointer = f"asc#{path_of(BARE, 1)}"
    assert any(row["app_id"]["S"] == pointer for row in world.rows("AppTable"))
    assert world.apps.find(pointer) is None
    assert [app.app_id for app in world.apps.all()] == ["b"]


def test_all_apps_are_listed_without_their_pointers(world: World) -> None:
    made = [replace(FULL, app_id=f"a{number}") for number in range(12)]
    for app in made:
        world.apps.create(app, keyring())
    assert sorted(world.apps.all(), key=lambda app: app.app_id) == sorted(made, key=lambda app: app.app_id)


def test_an_app_is_found_by_the_path_of_each_version_in_use(world: World) -> None:
    world.apps.create(FULL, keyring())
    for version, until in ((2, NOW_MS + 5), (10, None)):
        assert world.apps.find_by_directory(path_of(FULL, version), NOW_MS) == FULL
        if until is not None:
            assert world.apps.find_by_directory(path_of(FULL, version), until - 1) == FULL
            assert world.apps.find_by_directory(path_of(FULL, version), until) is None
    for signature in (path_of(FULL, 1), path_of(BARE, 2), "0" * 32, "", "x", "g_1-A"):
        assert world.apps.find_by_directory(signature, NOW_MS) is None


def test_a_disabled_apps_directory_is_unknown(world: World) -> None:
    world.apps.create(BARE, keyring())
    world.apps.set_status("b", "disabled")
    assert world.apps.find_by_directory(path_of(BARE, 1), NOW_MS) is None
    world.apps.set_status("b", "enabled")
    assert world.apps.find_by_directory(path_of(BARE, 1), NOW_MS) == BARE


def test_a_status_is_changed_and_nothing_else_and_not_of_an_app_that_is_not_there(world: World) -> None:
    world.apps.create(FULL, keyring())
    world.apps.set_status(FULL.app_id, "disabled")
    found = world.apps.read(FULL.app_id)
    assert found == replace(FULL, status="disabled")
    assert not found.enabled
    before = world.rows("AppTable")
    with pytest.raises(AppNotFound):
        world.apps.set_status("unknown", "enabled")
    assert world.rows("AppTable") == before


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "新"},
        {"notify_url": "https://new.example.com/"},
        {"notify_url": None},
        {"mg_ids": frozenset({"mg-9"}), "for_apps": frozenset()},
        {"name": "x", "notify_url": None, "mg_ids": frozenset(), "for_apps": frozenset({"a", "b"})},
    ],
)
def test_what_is_named_is_replaced_and_nothing_else(world: World, changes: AppChanges) -> None:
    full = replace(FULL, notify_url="https://old.example.com/")
    world.apps.create(full, keyring())
    changed = replace(full, **changes)
    assert world.apps.update(full.app_id, **changes) == changed
    assert world.apps.read(full.app_id) == changed
    assert world.apps.update(full.app_id, **changes) == changed


def test_an_app_that_is_not_there_is_not_made_by_an_update(world: World) -> None:
    before = world.rows("AppTable")
    for changes in (AppChanges(name="x"), AppChanges(notify_url=None)):
        with pytest.raises(AppNotFound, match="unknown"):
            world.apps.update("unknown", **changes)
    assert world.rows("AppTable") == before


def test_an_app_is_read_again_after_thirty_seconds(world: World, clock: list[float]) -> None:
    registry = world.apps
    registry.create(BARE, keyring())
    assert registry.find("b") == BARE
    world.apps.set_status("b", "disabled")
    clock[0] += CACHE_SECONDS - 0.1
    assert registry.find("b") == BARE
    assert world.meddled.count("get_item") == 1
    clock[0] += 0.2
    assert registry.find("b") == replace(BARE, status="disabled")
    assert world.meddled.count("get_item") == 2
    assert CACHE_SECONDS == 30


@pytest.mark.usefixtures("clock")
def test_an_app_that_is_not_there_is_asked_for_each_time_for_it_may_be_made_any_moment(world: World) -> None:
    registry = world.apps
    assert registry.find("b") is None
    registry.create(BARE, keyring())
    assert registry.find("b") == BARE


def test_an_app_that_is_gone_is_forgotten(world: World, clock: list[float]) -> None:
    registry = world.apps
    registry.create(BARE, keyring())
    assert registry.find("b") == BARE
    world.client.delete_item(TableName=world.tables["AppTable"], Key={"app_id": {"S": "b"}})
    clock[0] += CACHE_SECONDS + 1
    assert registry.find("b") is None
    assert registry.find("b") is None


@pytest.mark.usefixtures("clock")
def test_the_cache_keeps_no_more_apps_than_its_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("settlement.apps._CACHE_APPS", 3)
    registry = world.apps
    for number in range(5):
        registry.create(replace(BARE, app_id=f"a{number}"), keyring())
        assert registry.find(f"a{number}") is not None
    assert len(registry._cache) == 3
    reads = world.meddled.count("get_item")
    assert registry.find("a4") is not None
    assert world.meddled.count("get_item") == reads
    assert registry.find("a0") is not None
    assert world.meddled.count("get_item") == reads + 1


def test_versions_in_use_are_the_newest_first_without_those_that_are_retired() -> None:
    assert [version.version for version in FULL.versions_in_use(NOW_MS + 4)] == [10, 2]
    assert [version.version for version in FULL.versions_in_use(NOW_MS + 5)] == [10]

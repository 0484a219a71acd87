"""Apps: made once, found by id or by their directory's path, at most 30 s old."""

from collections.abc import Callable
from copy import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from settlement.apps import CACHE_SECONDS, App, AppChanges, AppContended, AppExists, AppNotFound, SecretVersion
from settlement.keyring import Keyring
from settlement.rotation import NothingOlder, TwoInUse, activated, retired, rotated
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


# ------------------------------------------------------------------------------------------------ changing secrets

type Decide = Callable[[App], App]


def rotate(app: App) -> App:
    return rotated(app, 1, NOW_MS)


def rotate_again(app: App) -> App:
    return rotated(app, 1, NOW_MS, again=True)


def activate(app: App) -> App:
    return activated(app, NOW_MS)


def retire(app: App) -> App:
    return retired(app, NOW_MS)


def retire_now(app: App) -> App:
    return retired(app, NOW_MS, at_once=True)


def keyring_of(masters: str) -> Keyring:
    secrets = SimpleNamespace(get_secret_value=lambda **_: {"SecretString": masters})
    return Keyring(lambda: cast("Any", secrets), "master")


def pointers(world: World) -> set[str]:
    return {row["app_id"]["S"] for row in world.rows("AppTable") if row["app_id"]["S"].startswith("asc#")}


def paths(*versions: int) -> set[str]:
    return {f"asc#{path_of(BARE, version)}" for version in versions}


@pytest.mark.parametrize(
    ("steps", "in_use", "pointed_to"),
    [
        ([rotate], [2, 1], [1, 2]),
        ([rotate, rotate_again], [3, 1], [1, 3]),
        ([rotate, activate], [2, 1], [1, 2]),
        ([rotate, activate, activate], [2, 1], [1, 2]),
        ([rotate, activate, retire], [2], [2]),
        ([rotate, retire_now], [2], [2]),
        ([rotate, retire_now, rotate], [3, 2], [2, 3]),
    ],
)
def test_what_a_step_decides_is_stored_with_the_directory_of_every_version_and_nothing_else(
    world: World, steps: list[Decide], in_use: list[int], pointed_to: list[int]
) -> None:
    world.apps.create(BARE, keyring())
    expected = BARE
    for step in steps:
        expected = step(expected)
        assert world.apps.change_secrets("b", step, keyring()) == expected
        assert world.apps.read("b") == expected
    assert [version.version for version in expected.versions_in_use(NOW_MS)] == in_use
    assert pointers(world) == paths(*pointed_to)
    for version in in_use:
        assert world.apps.find_by_directory(path_of(BARE, version), NOW_MS) == expected


def test_the_directory_of_a_version_that_ran_out_goes_with_the_next_rotation(world: World) -> None:
    world.apps.create(BARE, keyring())
    for step in (rotate, activate):
        world.apps.change_secrets("b", step, keyring())
    assert pointers(world) == paths(1, 2)
    later_ms = NOW_MS + 24 * 3_600_000
    assert world.apps.find_by_directory(path_of(BARE, 1), later_ms - 1) is not None
    assert world.apps.find_by_directory(path_of(BARE, 1), later_ms) is None
    world.apps.change_secrets("b", lambda app: rotated(app, 1, later_ms), keyring())
    assert pointers(world) == paths(2, 3)


def test_a_version_whose_master_generation_was_removed_does_not_stand_in_the_way(world: World) -> None:
    """As after the master leaked: every app is rotated to generation 2, then generation 1 goes."""
    world.apps.create(BARE, keyring())
    both, second_only = keyring_of('{"1":"master","2":"second"}'), keyring_of('{"2":"second"}')
    for step in (lambda app: rotated(app, 2, NOW_MS), activate):
        world.apps.change_secrets("b", step, both)
    later_ms = NOW_MS + 24 * 3_600_000
    app = world.apps.change_secrets("b", lambda app: rotated(app, 2, later_ms), second_only)
    assert app.secret_versions == (SecretVersion(2, 2), SecretVersion(3, 2))
    assert world.apps.find_by_directory(path_of(BARE, 1), NOW_MS) is None
    world.apps.change_secrets("b", lambda app: retired(app, later_ms, at_once=True), second_only)
    assert pointers(world) == paths(1) | {f"asc#{directory_signature(derive_app_secret('second', 'b', 3), 'b')}"}


def test_a_repeated_step_that_changes_nothing_writes_nothing(world: World) -> None:
    world.apps.create(BARE, keyring())
    for step in (rotate, activate):
        world.apps.change_secrets("b", step, keyring())
    writes = world.meddled.count("transact_write_items")
    assert world.apps.change_secrets("b", lambda app: activated(app, NOW_MS + 5), keyring()) == activate(rotate(BARE))
    assert world.meddled.count("transact_write_items") == writes


def test_what_is_refused_writes_nothing(world: World) -> None:
    world.apps.create(BARE, keyring())
    world.apps.change_secrets("b", rotate, keyring())
    before = world.rows("AppTable")
    with pytest.raises(TwoInUse):
        world.apps.change_secrets("b", rotate, keyring())
    with pytest.raises(AppNotFound, match="unknown"):
        world.apps.change_secrets("unknown", rotate, keyring())
    assert world.rows("AppTable") == before


def test_two_operators_who_rotate_at_once_make_one_version(world: World) -> None:
    world.apps.create(BARE, keyring())
    neighbour = world.apps
    world.meddled.before_first("transact_write_items", lambda: neighbour.change_secrets("b", rotate, keyring()))
    with pytest.raises(TwoInUse):
        world.apps.change_secrets("b", rotate, keyring())
    assert world.apps.read("b") == rotate(BARE)
    assert pointers(world) == paths(1, 2)


@pytest.mark.parametrize(
    ("ours", "theirs", "left"),
    [
        # Both succeed; the later one saw the earlier one's row.
        (activate, retire_now, retired(rotate(BARE), NOW_MS, at_once=True)),
        (retire_now, activate, retired(rotate(BARE), NOW_MS, at_once=True)),
        (retire_now, rotate_again, replace(BARE, secret_versions=(SecretVersion(3, 1),), signing_version=3)),
        (activate, rotate_again, activated(rotate_again(rotate(BARE)), NOW_MS)),
        (activate, activate, activated(rotate(BARE), NOW_MS)),
    ],
    ids=["activate, retire now", "retire now, activate", "retire now, again", "activate, again", "activate twice"],
)  # fmt: skip
def test_a_lost_race_reads_and_decides_again(world: World, ours: Decide, theirs: Decide, left: App) -> None:
    world.apps.create(BARE, keyring())
    world.apps.change_secrets("b", rotate, keyring())
    world.meddled.before_first("transact_write_items", lambda: world.apps.change_secrets("b", theirs, keyring()))
    assert world.apps.change_secrets("b", ours, keyring()) == left
    assert world.apps.read("b") == left
    assert pointers(world) == paths(*(version.version for version in left.secret_versions))


def test_a_race_that_leaves_nothing_to_do_is_refused_by_what_is_there_then(world: World) -> None:
    world.apps.create(BARE, keyring())
    for step in (rotate, activate):
        world.apps.change_secrets("b", step, keyring())
    world.meddled.before_first("transact_write_items", lambda: world.apps.change_secrets("b", retire, keyring()))
    with pytest.raises(NothingOlder):
        world.apps.change_secrets("b", retire, keyring())
    assert world.apps.read("b") == retire(activate(rotate(BARE)))


def test_an_update_at_the_same_moment_is_kept(world: World) -> None:
    world.apps.create(BARE, keyring())
    world.meddled.before_first("transact_write_items", lambda: world.apps.update("b", name="new"))
    world.apps.change_secrets("b", rotate, keyring())
    assert world.apps.read("b") == replace(rotate(BARE), name="new")


@pytest.mark.parametrize("codes", [("TransactionConflict", "None"), ("None", "TransactionConflict")])
def test_a_conflict_with_another_transaction_is_tried_again_and_not_for_ever(
    world: World, codes: tuple[str, str]
) -> None:
    world.apps.create(BARE, keyring())
    conflicts = 3

    def conflict(real: Callable[..., Any], **arguments: Any) -> Any:
        nonlocal conflicts
        conflicts -= 1
        if conflicts >= 0:
            raise world.meddled.cancelled(*codes)
        return real(**arguments)

    world.meddled.instead_of("transact_write_items", conflict)
    assert world.apps.change_secrets("b", rotate, keyring()) == rotate(BARE)
    conflicts = 1_000_000
    with pytest.raises(AppContended, match="b"):
        world.apps.change_secrets("b", activate, keyring())
    assert world.apps.read("b") == rotate(BARE)


@pytest.mark.parametrize("codes", [("ThrottlingError", "None"), ("None", "ValidationError"), ()])
def test_a_write_that_failed_for_another_cause_raises(world: World, codes: tuple[str, ...]) -> None:
    world.apps.create(BARE, keyring())

    def fail(_: Callable[..., Any], **__: Any) -> Any:
        raise world.meddled.cancelled(*codes)

    world.meddled.instead_of("transact_write_items", fail)
    with pytest.raises(ClientError):
        world.apps.change_secrets("b", rotate, keyring())
    assert world.meddled.count("transact_write_items") == 2  # with the creation: it was not tried again


def test_an_app_is_read_consistently_for_an_older_copy_would_be_kept_beyond_its_thirty_seconds(world: World) -> None:
    world.apps.create(BARE, keyring())
    world.apps.find("b")
    world.apps.change_secrets("b", rotate, keyring())
    reads = [arguments for name, arguments in world.meddled.calls if name == "get_item"]
    assert len(reads) == 2
    assert all(arguments["ConsistentRead"] for arguments in reads)


def test_the_thirty_seconds_count_from_before_the_read(world: World, clock: list[float]) -> None:
    world.apps.create(BARE, keyring())
    registry = world.apps

    def slowly(real: Callable[..., Any], **arguments: Any) -> Any:
        answer = real(**arguments)
        clock[0] += 4
        return answer

    world.meddled.instead_of("get_item", slowly)
    registry.find("b")
    reads = world.meddled.count("get_item")
    clock[0] += CACHE_SECONDS - 4
    registry.find("b")
    assert world.meddled.count("get_item") == reads + 1


# ------------------------------------------------------------------------------------------------ updates and cache


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

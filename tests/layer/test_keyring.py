"""The master secret: read once, again when an unknown generation is named, unusable where it is not as made."""

import json

import pytest

from settlement.keyring import Keyring, MasterSecretUnusable
from settlement.signing import derive_app_secret, derive_cursor_key

from .fakes import Secrets, keyring, namespace


def test_each_generation_makes_its_own_keys_and_the_highest_makes_new_ones() -> None:
    keys = keyring({"1": "old", "10": "newest", "2": "new"})
    assert keys.newest_generation() == 10
    assert keys.app_secret("a", 3, 2) == derive_app_secret("new", "a", 3)
    assert keys.cursor_key(1) == derive_cursor_key("old", 1)
    assert keys.newest_cursor_key() == (derive_cursor_key("newest", 10), 10)


def test_a_generation_that_is_gone_has_no_keys() -> None:
    keys = keyring({"2": "new"})
    assert keys.cursor_key(1) is None
    with pytest.raises(MasterSecretUnusable, match="generation 1 is missing"):
        keys.app_secret("a", 1, 1)


@pytest.mark.parametrize(
    "value", ["", "[]", "null", '"x"', "{}", '{"1":""}', '{"0":"x"}', '{"-1":"x"}', '{"a":"x"}', "{"]
)
def test_a_master_secret_that_is_no_object_of_generations_is_unusable_and_not_shown(value: str) -> None:
    secrets = Secrets(value)
    with pytest.raises(MasterSecretUnusable) as raised:
        Keyring(lambda: namespace(get_secret_value=secrets.get_secret_value), "m").newest_generation()
    assert raised.value.__cause__ is None  # a decoder's error quotes its input


def test_the_secret_is_read_once_and_again_at_most_every_thirty_seconds_for_an_unknown_generation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("settlement.keyring.time", namespace(monotonic=lambda: clock[0]))
    secrets = Secrets(json.dumps({"1": "old"}))
    clients_made = []

    def client() -> object:
        clients_made.append(1)
        return namespace(get_secret_value=secrets.get_secret_value)

    keys = Keyring(client, "m")  # type: ignore[arg-type]
    assert (len(clients_made), secrets.reads) == (0, 0)  # not every function reads it
    for _ in range(5):
        assert keys.app_secret("a", 1, 1)
    assert secrets.reads == 1
    secrets.value = json.dumps({"1": "old", "2": "new"})
    assert keys.cursor_key(2) is None  # read within the last 30 s
    assert secrets.reads == 1
    clock[0] += 30.5
    assert keys.cursor_key(2) == derive_cursor_key("new", 2)
    assert secrets.reads == 2
    for _ in range(100):  # made-up generations cost no reads
        assert keys.cursor_key(7) is None
    assert secrets.reads == 2

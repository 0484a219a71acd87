"""Apps and keys in memory, for rules that ask a registry and a keyring."""

import json
from copy import replace
from types import SimpleNamespace
from typing import Any, cast

from settlement.apps import App, AppRegistry, SecretVersion
from settlement.keyring import Keyring

MASTER = "master-of-the-first-generation"
NOW_MS = 1_795_000_000_000
NOW_SECONDS = NOW_MS // 1000

CLUB = App(
    app_id="club-a",
    name="Club A",
    roles=frozenset({"club"}),
    status="enabled",
    notify_url=None,
    mg_ids=frozenset(),
    for_apps=frozenset(),
    secret_versions=(SecretVersion(1, 1),),
    signing_version=1,
    created_at_ms=NOW_MS,
)


def app(app_id: str = "club-a", **changes: Any) -> App:
    return replace(CLUB, app_id=app_id, **changes)


class Apps(AppRegistry):
    """A registry of the apps that it was given."""

    def __init__(self, *apps: App) -> None:
        self._apps = {app.app_id: app for app in apps}

    def find(self, app_id: str) -> App | None:
        return self._apps.get(app_id)


class Secrets:
    """Secrets Manager's one call that the keyring makes, counted."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.reads = 0

    def get_secret_value(self, **_: str) -> dict[str, str]:
        self.reads += 1
        return {"SecretString": self.value}


def keyring(masters: dict[str, str] | None = None) -> Keyring:
    secrets = Secrets(json.dumps({"1": MASTER} if masters is None else masters))
    return Keyring(lambda: cast("Any", secrets), "master")


def namespace(**attributes: Any) -> Any:
    """Something that has these attributes, where a whole module or client is asked for."""
    return SimpleNamespace(**attributes)

"""The master secret and what is derived from it. No app's secret is stored anywhere.

The secret's value in Secrets Manager is a JSON object of master secrets by generation, {"1": "...", "2": "..."}; the
highest generation makes new keys, older ones stay for what was made with them. Source: DESIGN section 6.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import simplejson

from settlement.signing import derive_app_secret, derive_cursor_key, derive_operator_key

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_REREAD_SECONDS = 30.0


class MasterSecretUnusable(Exception):
    """The master secret is not the object of generations that it should be, or lacks one that is in use."""


class Keyring:
    """Reads the master secret once per process; again, at most every 30 s, when an unknown generation is named or an
    operator calls."""

    def __init__(self, secrets_manager: "Callable[[], SecretsManagerClient]", secret_id: str) -> None:
        """The client is made when the secret is first read: not every function reads it."""
        self._secrets_manager = secrets_manager
        self._secret_id = secret_id
        self._masters: dict[int, str] = {}
        self._read_at = float("-inf")

    def newest_generation(self) -> int:
        """What new keys are made with."""
        if not self._masters:
            self._read()
        return max(self._masters)

    def app_secret(self, app_id: str, version: int, generation: int) -> str:
        """Raises MasterSecretUnusable where the generation is gone: the app's version can no longer be used."""
        master = self._master(generation)
        if master is None:
            raise MasterSecretUnusable(f"master secret generation {generation} is missing")
        return derive_app_secret(master, app_id, version)

    def cursor_key(self, generation: int) -> str | None:
        """None where there is no such generation."""
        master = self._master(generation)
        return master and derive_cursor_key(master, generation)

    def newest_cursor_key(self) -> tuple[str, int]:
        """The key that new cursors are signed with, and its generation."""
        generation = self.newest_generation()
        return derive_cursor_key(self._masters[generation], generation), generation

    def operator_key(self) -> tuple[str, int]:
        """The key of operators' tokens, and its generation: the newest alone, of a secret read at most 30 s ago.

        So a new generation ends every operator's token within 30 s, and nothing else.
        """
        if time.monotonic() - self._read_at > _REREAD_SECONDS:
            self._read()
        generation = self.newest_generation()
        return derive_operator_key(self._masters[generation], generation), generation

    def _master(self, generation: int) -> str | None:
        if generation not in self._masters and time.monotonic() - self._read_at > _REREAD_SECONDS:
            self._read()
        return self._masters.get(generation)

    def _read(self) -> None:
        value = self._secrets_manager().get_secret_value(SecretId=self._secret_id)["SecretString"]
        try:
            masters = {int(generation): str(master) for generation, master in simplejson.loads(value).items()}
        except (ValueError, AttributeError):
            raise MasterSecretUnusable("the master secret is not a JSON object of generations") from None
        if not masters or min(masters) < 1 or not all(masters.values()):
            raise MasterSecretUnusable("the master secret has no generation, or an empty one")
        self._masters = masters
        self._read_at = time.monotonic()

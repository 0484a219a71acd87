"""Who is calling: an app that proved itself, as seen by a door."""

from dataclasses import dataclass
from typing import Final

from settlement.apps import App

CLUB_SCOPES: Final = ("orders:write", "settlements:write", "settlements:read")
"""What a club's token may carry, and what the role `club` allows: a token may do its scopes that the roles allow."""


@dataclass(frozen=True, slots=True)
class Caller:
    app: App
    scopes: frozenset[str]
    """Of a club's token; empty for the game API, whose calls need a role."""

    def may(self, need: str) -> bool:
        """Whether the caller has a scope (`settlements:read`), with the role that allows it, or a role (`merchant`)."""
        if need in CLUB_SCOPES:
            return need in self.scopes and "club" in self.app.roles
        return need in self.app.roles

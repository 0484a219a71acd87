"""Who is calling: an app or an operator that proved itself, as seen by a door."""

from typing import Final, NamedTuple

from settlement.apps import App

CLUB_SCOPES: Final = ("orders:write", "settlements:write", "settlements:read")
"""What a club's token may carry, and what the role `club` allows: a token may do its scopes that the roles allow."""
OPERATOR_READS: Final = "ops"
OPERATOR_WRITES: Final = "ops:write"
OPERATOR_SCOPES: Final = (OPERATOR_READS, OPERATOR_WRITES)
"""What an operator's token may carry: seeing everything, and doing what the console offers."""


class Caller(NamedTuple):
    app: App
    scopes: frozenset[str]
    """Of a club's token; empty for the game API, whose calls need a role."""

    def may(self, need: str) -> bool:
        """Whether the caller has a scope (`settlements:read`), with the role that allows it, or a role (`merchant`)."""
        if need in CLUB_SCOPES:
            return need in self.scopes and "club" in self.app.roles
        return need in self.app.roles


class Operator(NamedTuple):
    """A person who runs this deployment, as the console sees them."""

    name: str
    scopes: frozenset[str]
    expires_at_seconds: int

    def may(self, need: str) -> bool:
        return need in self.scopes

"""What clients asked and were told, in the order in which it happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.simulated.simulation import Process

FAULTS: Final = {1500, 10001}
"""Our fault, safe to repeat: the caller does not know whether it was done."""


@dataclass(slots=True)
class Call:
    """One request and its answer. `invoked` and `completed` number the moments of a run: no two are the same."""

    client: str
    app_id: str
    """Whose order it is about; of a game report the merchant's."""
    name: str
    """The function's folder."""
    request: Mapping[str, Any]
    invoked: int
    invoked_ms: int
    completed: int | None = None
    completed_ms: int | None = None
    status: int | None = None
    code: int | None = None
    """None: the connection broke."""
    data: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""
    process: "Process | None" = None
    signed_by: tuple[str, int] | None = None
    """App and version of its secret."""

    @property
    def answered(self) -> bool:
        """Whether the caller knows what became of it."""
        return self.code is not None and self.code not in FAULTS

    def __str__(self) -> str:
        times = f"{self.invoked_ms}..{self.completed_ms}"
        asked = f"{self.client} {self.name} of {self.app_id} {dict(self.request)}"
        met = ", ".join(self.process.met) if self.process else ""
        return f"{times} {asked} -> {self.status} {self.code} {dict(self.data)} {self.detail} [{met}]"


@dataclass(slots=True)
class Walk:
    """All pages of one list."""

    app_id: str
    query: Mapping[str, Any]
    pages: list[Call]
    """The answered ones."""
    complete: bool = False

    @property
    def entries(self) -> list[Mapping[str, Any]]:
        return [entry for page in self.pages for entry in page.data["settle_list"]]

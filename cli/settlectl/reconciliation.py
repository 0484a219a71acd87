"""Their list against ours, settlement by settlement. Pure: no file, no table.

    matched      both have it, with the same amount
    missing      ours has it, theirs has not
    extra        theirs has it, ours has not
    differs      both have it, with other amounts
    duplicate    theirs names it again: the first time counts, each later one is this

Each line of theirs is one of these, and so is each of ours that theirs does not name. Amounts are decimals, compared
exactly: 333.25 is 333.250 and is not 333.2500001.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from typing import Final, Literal, NamedTuple

type Difference = Literal["missing", "extra", "differs", "duplicate"]
DIFFERENCES: Final[tuple[Difference, ...]] = ("missing", "extra", "differs", "duplicate")
_EXACT: Final = Context(prec=100, traps=[Inexact])
"""Sums of amounts of up to 40 characters: nothing is rounded, and would not be in silence."""


class TheirLine(NamedTuple):
    line: int
    """Where it begins in their file."""
    key: str
    amount: Decimal
    """Points."""


class Found(NamedTuple):
    """One difference."""

    what: Difference
    key: str
    line: int | None
    """Of their file."""
    ours: Decimal | None
    theirs: Decimal | None


@dataclass(slots=True)
class Outcome:
    """How many of each, and what they add up to, in points."""

    matched: int = 0
    missing: int = 0
    extra: int = 0
    differs: int = 0
    duplicate: int = 0
    ours: int = 0
    theirs: int = 0
    ours_total: Decimal = Decimal(0)
    theirs_total: Decimal = Decimal(0)
    _named: set[str] = field(default_factory=set)

    @property
    def agrees(self) -> bool:
        return not (self.missing or self.extra or self.differs or self.duplicate)

    def differences(self, ours: Mapping[str, Decimal], theirs: Iterable[TheirLine]) -> Iterator[Found]:
        """Their lines in their order, then what they do not name, in ours; counts on the way."""
        self.ours = len(ours)
        self.ours_total = functools.reduce(_EXACT.add, ours.values(), Decimal(0))
        for line, key, amount in theirs:
            self.theirs += 1
            self.theirs_total = _EXACT.add(self.theirs_total, amount)
            mine = ours.get(key)
            if key in self._named:
                self.duplicate += 1
                yield Found("duplicate", key, line, mine, amount)
                continue
            self._named.add(key)
            if mine is None:
                self.extra += 1
                yield Found("extra", key, line, None, amount)
            elif mine != amount:
                self.differs += 1
                yield Found("differs", key, line, mine, amount)
            else:
                self.matched += 1
        for key, mine in ours.items():
            if key not in self._named:
                self.missing += 1
                yield Found("missing", key, None, mine, None)

"""Whether an app's receiver may be sent to now. Pure: a state and what happened in, a state out.

    on trial   one attempt at a time        a new app; one that lets an attempt wait; after an opening
    trusted    as many as come              an attempt was answered
    open       none until open_until_ms     5 failures in a row: 30 s, doubling to 10 min, then on trial

What may not be sent now is held: it spends no attempt, and is released when it may. A receiver that accepts connections
and never answers costs its neighbours most, so nobody gets a second request before the first was answered, and whoever
lets one wait longer than its patience goes back on trial before that attempt has ended.

After an opening what was held is released at a growing pace: a receiver that has just come back is not knocked over,
and the neighbours do not feel it. Source: DESIGN section 4.
"""

from copy import replace
from typing import Final, NamedTuple

FAILURES_TO_OPEN: Final = 5
"""In a row: no connection, no answer in time, 429 or 5xx. Any other answer shows that the receiver is there."""
FIRST_OPEN_MS: Final = 30_000
LONGEST_OPEN_MS: Final = 600_000
PATIENCE_MS: Final = 1000
"""How long an attempt may wait for its answer before the app goes on trial."""
LONGEST_PATIENCE_MS: Final = 5000
"""No attempt is longer."""
TRIAL_MS: Final = 10_000
"""When a trial that was begun and never ended (its function died) stands in nobody's way any more."""
HELD_LATELY_MS: Final = 10_000
"""How often a breaker's row says again that something was held."""
SETTLED_MS: Final = 60_000
"""How long after the last word of something held an empty look at the index can be believed: longer than a function
lives, and than the index is behind."""
FIRST_PACE: Final = 1
LAST_PACE: Final = 50
"""Notifications released in one round, a second apart; each round doubles it."""


class Breaker(NamedTuple):
    """One app's. Times in ms; 0 is never."""

    app_id: str
    trusted: bool = False
    failures: int = 0
    """In a row."""
    openings: int = 0
    """In a row, without an answer between them."""
    open_until_ms: int = 0
    trial_until_ms: int = 0
    """A trial is under way until then at the latest."""
    patience_ms: int = PATIENCE_MS
    held_at_ms: int = 0
    """When something was last said to be held; 0: nothing is."""
    look_at_ms: int = 0
    """When the sweep looks whether what is held can be released, if nothing else did."""
    version: int = 0
    """Counts the states stored; 0 is none."""

    def is_open(self, now_ms: int) -> bool:
        return now_ms < self.open_until_ms

    def blocks(self, now_ms: int) -> bool:
        """Whether no attempt may begin now."""
        return self.is_open(now_ms) or (not self.trusted and now_ms < self.trial_until_ms)

    def on_trial(self, now_ms: int) -> "Breaker":
        """An attempt begins that is to be the only one."""
        return replace(self, trial_until_ms=now_ms + TRIAL_MS)

    def doubted(self, started_at_ms: int) -> "Breaker":
        """An attempt waits longer than its patience: it becomes the trial."""
        return replace(self, trusted=False, trial_until_ms=started_at_ms + TRIAL_MS)

    def answered(self, duration_ms: int) -> "Breaker":
        """An attempt was answered, well or not: the receiver is there. A slow one is given more patience."""
        return replace(
            self,
            trusted=True,
            failures=0,
            openings=0,
            open_until_ms=0,
            trial_until_ms=0,
            patience_ms=max(self.patience_ms, min(2 * duration_ms, LONGEST_PATIENCE_MS)),
        )

    def passed(self) -> "Breaker":
        """An attempt that reached nobody and says nothing of the receiver: it may not be connected to."""
        return replace(self, trial_until_ms=0)

    def failed(self, duration_ms: int, now_ms: int) -> "Breaker":
        """An attempt found nobody there. One that began before an opening and ends after it changes nothing."""
        if self.is_open(now_ms):
            return self
        failures = self.failures + 1
        if failures < FAILURES_TO_OPEN:
            trusted = self.trusted and duration_ms <= self.patience_ms
            return replace(self, failures=failures, trusted=trusted, trial_until_ms=0)
        return replace(
            self,
            trusted=False,
            failures=failures,
            openings=self.openings + 1,
            open_until_ms=now_ms + min(FIRST_OPEN_MS << min(self.openings, 16), LONGEST_OPEN_MS),
            trial_until_ms=0,
        )

    def tried_at_once(self) -> "Breaker":
        """An operator asks: what is open goes on trial now."""
        return replace(self, open_until_ms=0, trial_until_ms=0)

    def of_another_receiver(self) -> "Breaker":
        """The app's URL is another: nothing is known of who is there. What is held stays held."""
        return Breaker(self.app_id, held_at_ms=self.held_at_ms, look_at_ms=self.look_at_ms, version=self.version)

    def holding(self, now_ms: int, look_at_ms: int) -> "Breaker":
        """Something is being held; the same where that was said lately."""
        if self.held_at_ms and now_ms - self.held_at_ms < HELD_LATELY_MS:
            return self
        return replace(self, held_at_ms=now_ms, look_at_ms=look_at_ms)

    def looking_again(self, at_ms: int) -> "Breaker":
        return replace(self, look_at_ms=at_ms)

    def holds_nothing(self) -> "Breaker":
        return replace(self, held_at_ms=0, look_at_ms=0)

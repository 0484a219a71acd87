"""What the console does, by the same parts as settlectl: telling again, rotating secrets, enabling and disabling.

Each action says in its call's log line which app and notification it was about, and how many.

A replay is a walk of many steps, each short enough for a function and for API Gateway. What has been done so far
travels with the page, in a ticket: first of the count, then of the replay. Where the page goes away, what was not
reached stays as it was.

    count (finished) --ticket--> replay --ticket--> replay ... finished
"""

import time
from collections import Counter
from collections.abc import Callable
from copy import replace
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from settlement.apps import App, AppContended, AppNotFound, AppRegistry, Status
from settlement.breaker import Breaker
from settlement.clock import now_ms
from settlement.console_endpoint import OperatorCall
from settlement.console_errors import (
    AlreadyDelivered,
    Contended,
    NoReceiver,
    NotCounted,
    NotFound,
    StepRefused,
    UnderWay,
)
from settlement.console_messages import (
    ActivateRequest,
    AppRequest,
    ChangedAppAnswer,
    CountAnswer,
    CountRequest,
    NewSecretAnswer,
    RedeliveredAnswer,
    RedeliverRequest,
    ReplayAnswer,
    ReplayRequest,
    RetireRequest,
    RotateRequest,
)
from settlement.console_views import Views, named_app
from settlement.door import Door
from settlement.draining import BreakerContended, release_when_known
from settlement.errors import BadRequest, Busy
from settlement.keyring import Keyring
from settlement.ledger import Ledger
from settlement.queue import NotificationQueue
from settlement.redelivery import (
    Cursor,
    NotRedelivered,
    Redelivered,
    Replay,
    Replaying,
    Selection,
    count,
    redeliver,
    why_held,
)
from settlement.rotation import RotationRefused, activated, retired, rotated
from settlement.seals import seal, unseal
from settlement.signing import directory_signature, webhook_library_secret

STEP_SECONDS: Final = 8.0
"""How long one call counts or replays."""
TICKET_MS: Final = 15 * 60_000
"""How long after it was given a ticket is taken."""

type Stage = Literal["count", "replay"]


@dataclass(frozen=True, slots=True)
class Actions:
    apps: AppRegistry
    keyring: Keyring
    ledger: Ledger
    queue: NotificationQueue
    views: Views

    @classmethod
    def connect(cls, door: Door, views: Views) -> "Actions":
        queue = NotificationQueue(views.sqs, views.queue_url)
        return cls(door.apps, door.keyring, views.ledger, queue, views)

    # ----------------------------------------------------------------------------------------------- telling again

    def redeliver(self, call: OperatorCall[RedeliverRequest]) -> RedeliveredAnswer:
        notify_id = call.facts["notify_id"] = call.request.notify_id
        try:
            outcome = redeliver(self.ledger, self.queue, self.apps, notify_id, again=bool(call.request.again))
        except BreakerContended as error:
            raise Busy(str(error)) from error
        match outcome:
            case NotRedelivered("unknown"):
                raise NotFound("notify_id: there is no such notification, or no more")
            case NotRedelivered("delivered"):
                raise AlreadyDelivered
            case NotRedelivered("no app"):
                raise NotFound("app_id: its app is gone")
            case NotRedelivered("no receiver"):
                raise NoReceiver
            case NotRedelivered():
                raise UnderWay
            case Redelivered(_, app, not_sent):
                call.facts |= {"app_id": app.app_id, "attempt": outcome.attempt_number}
                return RedeliveredAnswer(
                    notify_id=notify_id,
                    app_id=app.app_id,
                    attempt=outcome.attempt_number,
                    held_because=why_held(app, Breaker(app.app_id), now_ms()),
                    queued=not_sent is None,
                )

    def count(self, call: OperatorCall[CountRequest]) -> CountAnswer:
        """What a replay would tell again, so far; changes nothing. Raises BadRequest for a ticket that is not its."""
        request = call.request
        app_id = call.facts["app_id"] = named_app(self.apps, request.app_id).app_id
        before = _Counted(*self._carried(request, "count")) if request.ticket else _Counted({}, {}, -1)
        since_ms = max(request.since_ms, before.reached_ms + 1)
        counted = count(self.ledger, replace(_selection(app_id, request), since_ms=since_ms), _for_a_step())
        by_status, by_class = Counter(before.by_status), Counter(before.by_class)
        by_status.update(counted.by_status)
        by_class.update(counted.by_class)
        if counted.reached_ms is None:
            ticket = self._sealed(request, "replay", *_Replayed(by_status.total()))
        else:
            ticket = self._sealed(request, "count", dict(by_status), dict(by_class), counted.reached_ms)
        finished = counted.reached_ms is None
        call.facts |= {"matched": by_status.total(), "finished": finished}
        return CountAnswer(
            matched=by_status.total(),
            counts=dict(by_status),
            error_classes=dict(by_class),
            finished=finished,
            ticket=ticket,
        )

    def replay(self, call: OperatorCall[ReplayRequest]) -> ReplayAnswer:
        """One step of telling again what was counted. Never more than was counted are made held."""
        request = call.request
        app_id = call.facts["app_id"] = request.app_id
        call.facts |= {"statuses": sorted(set(request.statuses or ())), "expected": request.expected}
        if named_app(self.apps, app_id).notify_url is None:
            raise NoReceiver
        try:
            before = _Replayed(*self._carried(request, "replay"))
        except BadRequest as error:
            raise NotCounted(error.detail) from error
        if before.expected != request.expected:
            raise NotCounted(f"expected: {before.expected} were counted")
        selection = _selection(app_id, request, before.cursor)
        # The operator has said just now, and once, that the receiver is mended.
        replaying = Replaying(
            self.ledger, self.queue, selection, before.expected - before.held, mended=before.cursor is None
        )
        replay = Replay(cursor=before.cursor)
        try:
            replaying.run(replay, goes_on=_for_a_step())
        except BreakerContended as error:
            raise Busy(str(error)) from error
        after = _Replayed(
            before.expected,
            before.held + replay.held,
            before.under_way + replay.under_way,
            before.changed + replay.changed,
            None if replay.cursor is None else (replay.cursor.notify_time_ms, replay.cursor.notify_id),
        )
        done = {"held": after.held, "under_way": after.under_way, "changed": after.changed, "finished": replay.finished}
        call.facts |= done
        return ReplayAnswer(
            expected=after.expected,
            held=after.held,
            under_way=after.under_way,
            changed=after.changed,
            finished=replay.finished,
            ticket="" if replay.finished else self._sealed(request, "replay", *after),
            queued=replay.not_sent is None,
        )

    def _sealed(self, request: CountRequest, stage: Stage, *carried: object) -> str:
        return seal([stage, now_ms(), *carried], "ticket", request.bound(), *self.keyring.newest_cursor_key())

    def _carried(self, request: CountRequest, stage: Stage) -> list[Any]:
        """What its ticket carries. Raises BadRequest: it is of another filter, of another stage, or too old."""
        ticket: list[Any] = unseal(request.ticket or "", "ticket", request.bound(), self.keyring.cursor_key)
        given_at, at_ms, *carried = ticket
        if given_at != stage:
            raise BadRequest("ticket: not of this stage")
        if now_ms() - at_ms > TICKET_MS:
            raise BadRequest("ticket: more than 15 minutes old")
        return carried

    # --------------------------------------------------------------------------------------------------- the apps

    def rotate_secret(self, call: OperatorCall[RotateRequest]) -> NewSecretAnswer:
        generation = self.keyring.newest_generation()
        app = self._changed(call, lambda seen: rotated(seen, generation, now_ms(), again=bool(call.request.again)))
        newest = app.secret_versions[-1]
        call.facts["secret_version"] = newest.version
        secret = self.keyring.app_secret(app.app_id, newest.version, newest.generation)
        return NewSecretAnswer(
            app=self.views.app_answer(app),
            secret=secret,
            secret_version=newest.version,
            webhook_secret=webhook_library_secret(secret),
            directory_url=f"{call.base_url}/asc/{directory_signature(secret, app.app_id)}",
        )

    def activate_secret(self, call: OperatorCall[ActivateRequest]) -> ChangedAppAnswer:
        seconds = call.request.overlap_seconds
        overlap_ms = None if seconds is None else seconds * 1000
        app = self._changed(call, lambda seen: activated(seen, now_ms(), overlap_ms))
        call.facts |= {"signing_version": app.signing_version, "overlap_seconds": seconds}
        return ChangedAppAnswer(app=self.views.app_answer(app))

    def retire_secret(self, call: OperatorCall[RetireRequest]) -> ChangedAppAnswer:
        call.facts["at_once"] = bool(call.request.now)
        app = self._changed(call, lambda seen: retired(seen, now_ms(), at_once=bool(call.request.now)))
        return ChangedAppAnswer(app=self.views.app_answer(app))

    def enable(self, call: OperatorCall[AppRequest]) -> ChangedAppAnswer:
        """What was held for it goes out as soon as every function knows; the sweep sees to it if the queue does not."""
        answer = self._with_status(call, "enabled")
        call.facts["queued"] = release_when_known(self.queue, call.request.app_id) is None
        return answer

    def disable(self, call: OperatorCall[AppRequest]) -> ChangedAppAnswer:
        return self._with_status(call, "disabled")

    def _with_status(self, call: OperatorCall[AppRequest], status: Status) -> ChangedAppAnswer:
        app_id = call.facts["app_id"] = call.request.app_id
        try:
            self.apps.set_status(app_id, status)
        except AppNotFound as error:
            raise NotFound("app_id: there is no such app") from error
        return ChangedAppAnswer(app=self.views.app_answer(named_app(self.apps, app_id)))

    def _changed(
        self,
        call: "OperatorCall[RotateRequest] | OperatorCall[ActivateRequest] | OperatorCall[RetireRequest]",
        decide: Callable[[App], App],
    ) -> App:
        app_id = call.facts["app_id"] = call.request.app_id
        try:
            return self.apps.change_secrets(app_id, decide, self.keyring)
        except AppNotFound as error:
            raise NotFound("app_id: there is no such app") from error
        except RotationRefused as error:
            raise StepRefused(str(error)) from error
        except AppContended as error:
            raise Contended from error


class _Counted(NamedTuple):
    """What a ticket of a count that goes on carries."""

    by_status: dict[str, int]
    by_class: dict[str, int]
    reached_ms: int
    """All of settlements until then are counted."""


class _Replayed(NamedTuple):
    """What a ticket of a replay carries; a finished count gives the first."""

    expected: int
    held: int = 0
    under_way: int = 0
    changed: int = 0
    place: tuple[int, str] | None = None
    """Where the walk goes on; None: it begins."""

    @property
    def cursor(self) -> Cursor | None:
        return None if self.place is None else Cursor(*self.place)


def _selection(app_id: str, request: CountRequest, after: Cursor | None = None) -> Selection:
    return Selection(
        app_id, request.since_ms, request.until_ms, request.statuses or (), request.error_classes or (), None, after
    )


def _for_a_step() -> Callable[[], bool]:
    """Whether a step that begins now may go on."""
    deadline = time.monotonic() + STEP_SECONDS
    return lambda: time.monotonic() < deadline

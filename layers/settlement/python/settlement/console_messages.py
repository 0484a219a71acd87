"""What the console's page sends and is answered: docs/console.md.

Points are text, digit for digit, and so is every integer that may pass 2**53: a browser reads JSON's numbers as floats.
"""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Final, Literal, NotRequired, Self, TypedDict

from pydantic import AfterValidator, Field, model_validator

from settlement.apps import APP_ID, Role, Status
from settlement.buckets import FAR_FUTURE_SECONDS
from settlement.club_messages import ListSettlementsRequest
from settlement.delivery import ERROR_CLASSES
from settlement.fields import Request, Text, fault
from settlement.ledger import STATUSES
from settlement.ledger import Status as NotificationStatus
from settlement.redelivery import WhyHeld
from settlement.rotation import MAX_OVERLAP_MS, State, Step
from settlement.seals import MAX_SEAL_LENGTH

MAX_CHART_DAYS: Final = 366


def _one_of(allowed: tuple[str, ...]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in allowed:
            raise fault(f"must be one of {', '.join(allowed)}")
        return value

    return check


def _is_a_day(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text or day.year < 1970:
        raise fault("must be a day from 1970 on, such as 2026-11-22")
    return text


AppId = Annotated[str, Field(pattern=f"^{APP_ID.pattern}$")]
NotifyId = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Sealed = Annotated[str, Field(max_length=MAX_SEAL_LENGTH)]
Day = Annotated[str, AfterValidator(_is_a_day)]
Milliseconds = Annotated[int, Field(ge=0, le=FAR_FUTURE_SECONDS * 1000)]
Statuses = Annotated[list[Annotated[str, AfterValidator(_one_of(STATUSES))]], Field(max_length=len(STATUSES))]
ErrorClasses = Annotated[
    list[Annotated[str, AfterValidator(_one_of((*ERROR_CLASSES, "interrupted")))]], Field(max_length=16)
]


# ------------------------------------------------------------------------------------------------------ requests


class Nothing(Request):
    """There is nothing to say."""


class AppsRequest(Request):
    cursor: Sealed | None = None


class AppRequest(Request):
    app_id: AppId


class SearchRequest(Request):
    id: Text
    app_id: AppId | None = None


class SettlementsRequest(ListSettlementsRequest):
    """As GetClubJfSettleList, of any app."""

    app_id: AppId
    cursor: Sealed | None = None


class ChartRequest(Request):
    """UTC days, both inclusive."""

    app_id: AppId
    openid: Text
    first_day: Day
    last_day: Day

    @model_validator(mode="after")
    def _spans_a_year_at_most(self) -> Self:
        days = (date.fromisoformat(self.last_day) - date.fromisoformat(self.first_day)).days + 1
        if not 1 <= days <= MAX_CHART_DAYS:
            raise fault(f"last_day: must be first_day or later, and the {MAX_CHART_DAYS}th day at most")
        return self


class Filter(Request):
    """An app's notifications of settlements in [since, until)."""

    app_id: AppId
    since_ms: Milliseconds
    until_ms: Milliseconds
    statuses: Statuses | None = None
    error_classes: ErrorClasses | None = None

    @model_validator(mode="after")
    def _since_is_before_until(self) -> Self:
        if self.since_ms >= self.until_ms:
            raise fault("since_ms: must be before until_ms")
        return self

    def bound(self) -> list[object]:
        """What a cursor or ticket of it is bound to: the same for the same filter, however it is written."""
        statuses, classes = sorted(set(self.statuses or ())), sorted(set(self.error_classes or ()))
        return [self.app_id, self.since_ms, self.until_ms, statuses, classes]


class NotificationsRequest(Filter):
    cursor: Sealed | None = None


class NotificationRequest(Request):
    notify_id: NotifyId


class CountRequest(Filter):
    """`ticket`: of a count that has not finished."""

    ticket: Sealed | None = None

    @model_validator(mode="after")
    def _names_statuses(self) -> Self:
        if not self.statuses:
            raise fault("statuses: must have at least 1 entry")
        return self


class ReplayRequest(CountRequest):
    """`ticket`: of the finished count, or of the replay so far."""

    expected: Annotated[int, Field(ge=1)]


class RedeliverRequest(Request):
    notify_id: NotifyId
    again: bool | None = None


class RotateRequest(Request):
    app_id: AppId
    again: bool | None = None


class ActivateRequest(Request):
    app_id: AppId
    overlap_seconds: Annotated[int, Field(ge=1, le=MAX_OVERLAP_MS // 1000)] | None = None


class RetireRequest(Request):
    app_id: AppId
    now: bool | None = None


# ------------------------------------------------------------------------------------------------------- answers


class SourceAnswer(TypedDict):
    source: int
    name: str
    sign: str


class SessionAnswer(TypedDict):
    operator: str
    can_write: bool
    expires_at_seconds: int
    now_ms: int
    sources: list[SourceAnswer]
    statuses: list[str]
    error_classes: list[str]
    events: list[str]


class QueueAnswer(TypedDict):
    """SQS's own figures, which are approximate."""

    waiting: int
    in_flight: int
    delayed: int


class HealthAnswer(TypedDict):
    now_ms: int
    oldest_overdue_ms: int
    queue: QueueAnswer
    dead_letters: int


class VersionAnswer(TypedDict):
    version: int
    state: State
    retires_at_ms: int | None


class BreakerAnswer(TypedDict):
    state: Literal["trusted", "on_trial", "open"]
    failures: int
    open_until_ms: int | None


class AppAnswer(TypedDict):
    """No secret is in it. `held` and `dead` are counted up to COUNTS_UP_TO."""

    app_id: str
    name: str
    roles: list[Role]
    status: Status
    notify_url: str | None
    mg_ids: list[str]
    for_apps: list[str]
    created_at_ms: int
    secret_versions: list[VersionAnswer]
    signing_version: int | None
    rotation_step: Step
    breaker: BreakerAnswer
    held: int
    held_because: WhyHeld | None
    dead: int


class AppsAnswer(TypedDict):
    apps: list[AppAnswer]
    cursor: str
    is_end: bool
    counts_up_to: int


class RecentAnswer(TypedDict):
    since_ms: int
    until_ms: int
    counts: dict[str, int]
    complete: bool


class AppPageAnswer(TypedDict):
    app: AppAnswer
    counts_up_to: int
    recent: RecentAnswer


class ToldAnswer(TypedDict):
    notify_id: str
    status: NotificationStatus


class FoundNotificationAnswer(ToldAnswer):
    app_id: str


class AccountTextAnswer(TypedDict):
    type: NotRequired[int]
    id: NotRequired[str]
    gid: NotRequired[str]


class ClubTermsAnswer(TypedDict):
    settle_amt: str
    amt_ratio: int
    settle_time_ms: int


class FoundClubOrderAnswer(TypedDict):
    kind: Literal["club"]
    app_id: str
    bill_no: str
    openid: str
    amt: str
    source: int
    jf_gid: str
    detail: str
    account: AccountTextAnswer | None
    settled: ClubTermsAnswer | None
    notification: ToldAnswer | None


class GameTermsAnswer(TypedDict):
    match_id: str
    uid: str
    is_ai: int
    score: int
    remain_score: int
    commission_score: int | None
    settle_at_seconds: int
    settle_time_ms: int


class FoundGameOrderAnswer(TypedDict):
    kind: Literal["game"]
    app_id: str
    order_id: str
    out_order_id: str
    mg_id: str
    room_id: str
    cmd: str
    from_uid: str
    to_uid: str
    value: int
    out_group_id: str | None
    payload: str | None
    settled: GameTermsAnswer | None
    notification: ToldAnswer | None


class SearchAnswer(TypedDict):
    orders: list[FoundClubOrderAnswer | FoundGameOrderAnswer]
    notification: FoundNotificationAnswer | None
    apps_searched: int


class SettlementAnswer(ClubTermsAnswer):
    bill_no: str
    amt: str
    account: AccountTextAnswer | None
    detail: str
    source: int
    jf_gid: str


class SumAnswer(TypedDict):
    points: str
    count: int


class SettlementsAnswer(TypedDict):
    settlements: list[SettlementAnswer]
    total: SumAnswer | None
    cursor: str
    is_end: bool


class SourceSumAnswer(SumAnswer):
    source: int


class DaySumAnswer(SumAnswer):
    day: str
    by_source: list[SourceSumAnswer]


class ChartAnswer(TypedDict):
    first_day: str
    last_day: str
    total: SumAnswer
    by_source: list[SourceSumAnswer]
    by_day: list[DaySumAnswer]


class ListedAnswer(TypedDict):
    notify_id: str
    notify_event: str
    notify_time_ms: int
    status: NotificationStatus
    attempt_count: int
    error_class: str | None


class NotificationsAnswer(TypedDict):
    notifications: list[ListedAnswer]
    cursor: str
    is_end: bool
    read_back_to_ms: int


class AttemptAnswer(TypedDict):
    number: int
    started_at_ms: int
    duration_ms: int
    http_status: int | None
    ret_code: str | None
    error: str | None
    error_class: str | None


class NotificationAnswer(TypedDict):
    """`body` is what is signed and sent, `payload` the same for people."""

    notify_id: str
    app_id: str
    notify_event: str
    notify_time_ms: int
    status: NotificationStatus
    attempts: list[AttemptAnswer]
    next_attempt_at_ms: int | None
    lease_until_ms: int | None
    waits_because: WhyHeld | Literal["its_turn"] | None
    breaker: BreakerAnswer
    body: str
    payload: str


class CountAnswer(TypedDict):
    matched: int
    counts: dict[str, int]
    error_classes: dict[str, int]
    finished: bool
    ticket: str


class RedeliveredAnswer(TypedDict):
    notify_id: str
    app_id: str
    attempt: int
    held_because: WhyHeld | None
    queued: bool


class ReplayAnswer(TypedDict):
    expected: int
    held: int
    under_way: int
    changed: int
    finished: bool
    ticket: str
    queued: bool


class ChangedAppAnswer(TypedDict):
    app: AppAnswer


class NewSecretAnswer(ChangedAppAnswer):
    """The secret is nowhere stored: it is shown this once."""

    secret: str
    secret_version: int
    webhook_secret: str
    directory_url: str

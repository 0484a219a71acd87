"""What is stored, as the console's page is told of it. Pure."""

from collections.abc import Mapping
from decimal import Decimal

import simplejson

from settlement.apps import App
from settlement.breaker import Breaker
from settlement.console_messages import (
    AccountTextAnswer,
    AppAnswer,
    AttemptAnswer,
    BreakerAnswer,
    ChartAnswer,
    ClubTermsAnswer,
    DaySumAnswer,
    FoundClubOrderAnswer,
    FoundGameOrderAnswer,
    GameTermsAnswer,
    ListedAnswer,
    NotificationAnswer,
    SettlementAnswer,
    SourceSumAnswer,
    SumAnswer,
    ToldAnswer,
    VersionAnswer,
)
from settlement.ledger import Attempt, Listed, Stored
from settlement.orders import Account, ClubOrder, GameOrder, SettledClubOrder, SettledGameOrder
from settlement.points import points
from settlement.redelivery import why_held
from settlement.rotation import signing_version, state_of, step_of
from settlement.strictjson import load
from settlement.totals import NOTHING, Sum


def app_answer(app: App, breaker: Breaker, held: int, dead: int, now_ms: int) -> AppAnswer:
    return AppAnswer(
        app_id=app.app_id,
        name=app.name,
        roles=sorted(app.roles),
        status=app.status,
        notify_url=app.notify_url,
        mg_ids=sorted(app.mg_ids),
        for_apps=sorted(app.for_apps),
        created_at_ms=app.created_at_ms,
        secret_versions=[
            VersionAnswer(version=v.version, state=state_of(app, v, now_ms), retires_at_ms=v.retires_at_ms)
            for v in app.secret_versions
        ],
        signing_version=signing_version(app, now_ms),
        rotation_step=step_of(app, now_ms),
        breaker=breaker_answer(breaker, now_ms),
        held=held,
        held_because=why_held(app, breaker, now_ms) if held else None,
        dead=dead,
    )


def breaker_answer(breaker: Breaker, now_ms: int) -> BreakerAnswer:
    if breaker.is_open(now_ms):
        return BreakerAnswer(state="open", failures=breaker.failures, open_until_ms=breaker.open_until_ms)
    return BreakerAnswer(
        state="trusted" if breaker.trusted else "on_trial", failures=breaker.failures, open_until_ms=None
    )


# -------------------------------------------------------------------------------------------------------- orders


def club_order_answer(
    app_id: str, found: ClubOrder | SettledClubOrder, told: ToldAnswer | None
) -> FoundClubOrderAnswer:
    order = found.order if isinstance(found, SettledClubOrder) else found
    return FoundClubOrderAnswer(
        kind="club",
        app_id=app_id,
        bill_no=order.bill_no,
        openid=order.openid,
        amt=str(order.amt),
        source=order.source,
        jf_gid=str(order.jf_gid),
        detail=order.detail,
        account=_account_answer(order.account),
        settled=_club_terms_answer(found) if isinstance(found, SettledClubOrder) else None,
        notification=told,
    )


def game_order_answer(
    app_id: str, order_id: str, found: GameOrder | SettledGameOrder, told: ToldAnswer | None
) -> FoundGameOrderAnswer:
    order = found.order if isinstance(found, SettledGameOrder) else found
    return FoundGameOrderAnswer(
        kind="game",
        app_id=app_id,
        order_id=order_id,
        out_order_id=order.out_order_id,
        mg_id=order.mg_id,
        room_id=order.room_id,
        cmd=order.cmd,
        from_uid=order.from_uid,
        to_uid=order.to_uid,
        value=order.value,
        out_group_id=order.out_group_id,
        payload=None if order.payload is None else _indented(order.payload),
        settled=_game_terms_answer(found) if isinstance(found, SettledGameOrder) else None,
        notification=told,
    )


def settlement_answer(settled: SettledClubOrder) -> SettlementAnswer:
    order = settled.order
    return SettlementAnswer(
        bill_no=order.bill_no,
        amt=str(order.amt),
        account=_account_answer(order.account),
        detail=order.detail,
        source=order.source,
        jf_gid=str(order.jf_gid),
        **_club_terms_answer(settled),
    )


def _club_terms_answer(settled: SettledClubOrder) -> ClubTermsAnswer:
    return ClubTermsAnswer(
        settle_amt=_text(points(settled.terms.settle_hundredths)),
        amt_ratio=settled.terms.amt_ratio,
        settle_time_ms=settled.settle_time_ms,
    )


def _game_terms_answer(settled: SettledGameOrder) -> GameTermsAnswer:
    result = settled.result
    return GameTermsAnswer(
        match_id=result.match_id,
        uid=result.uid,
        is_ai=result.is_ai,
        score=result.score,
        remain_score=result.remain_score,
        commission_score=result.commission_score,
        settle_at_seconds=result.settle_at_seconds,
        settle_time_ms=settled.settle_time_ms,
    )


def _account_answer(account: Account | None) -> AccountTextAnswer | None:
    if account is None:
        return None
    answer = AccountTextAnswer()
    if account.type is not None:
        answer["type"] = account.type
    if account.id is not None:
        answer["id"] = account.id
    if account.gid is not None:
        answer["gid"] = str(account.gid)
    return answer


# ---------------------------------------------------------------------------------------------------------- sums


def sum_answer(total: Sum) -> SumAnswer:
    return SumAnswer(points=_text(points(total.hundredths)), count=total.count)


def chart_answer(first_day: str, last_day: str, sums: Mapping[str, Mapping[int, Sum]]) -> ChartAnswer:
    """`sums` by day and source, of days and sources with settlements."""
    by_source: dict[int, Sum] = {}
    for day_sums in sums.values():
        for source, part in day_sums.items():
            by_source[source] = by_source.get(source, NOTHING).plus(part)
    return ChartAnswer(
        first_day=first_day,
        last_day=last_day,
        total=sum_answer(_added(by_source)),
        by_source=_by_source(by_source),
        by_day=[
            DaySumAnswer(day=day, by_source=_by_source(day_sums), **sum_answer(_added(day_sums)))
            for day, day_sums in sorted(sums.items())
        ],
    )


def _by_source(sums: Mapping[int, Sum]) -> list[SourceSumAnswer]:
    return [SourceSumAnswer(source=source, **sum_answer(part)) for source, part in sorted(sums.items())]


def _added(sums: Mapping[int, Sum]) -> Sum:
    total = NOTHING
    for part in sums.values():
        total = total.plus(part)
    return total


# ------------------------------------------------------------------------------------------------- notifications


def listed_answer(listed: Listed) -> ListedAnswer:
    return ListedAnswer(
        notify_id=listed.notify_id,
        notify_event=listed.event,
        notify_time_ms=listed.notify_time_ms,
        status=listed.status,
        attempt_count=listed.attempt_count,
        error_class=listed.error_class,
    )


def notification_answer(stored: Stored, app: App | None, breaker: Breaker, now_ms: int) -> NotificationAnswer:
    notification = stored.notification
    return NotificationAnswer(
        notify_id=notification.notify_id,
        app_id=notification.app_id,
        notify_event=notification.event,
        notify_time_ms=notification.notify_time_ms,
        status=stored.status,
        attempts=[_attempt_answer(number, attempt) for number, attempt in enumerate(stored.attempts, 1)],
        next_attempt_at_ms=stored.next_attempt_at_ms,
        lease_until_ms=stored.lease_until_ms,
        waits_because=why_held(app, breaker, now_ms) or "its_turn" if stored.status == "held" else None,
        breaker=breaker_answer(breaker, now_ms),
        body=notification.body,
        payload=_indented(notification.body),
    )


def _attempt_answer(number: int, attempt: Attempt) -> AttemptAnswer:
    return AttemptAnswer(
        number=number,
        started_at_ms=attempt.started_at_ms,
        duration_ms=attempt.duration_ms,
        http_status=attempt.http_status,
        ret_code=None if attempt.ret_code is None else str(attempt.ret_code),
        error=attempt.error,
        error_class=attempt.error_class,
    )


def _indented(text: str) -> str:
    """JSON text for people; numbers keep their digits."""
    return simplejson.dumps(load(text), use_decimal=True, indent=2, ensure_ascii=False)


def _text(amount: Decimal) -> str:
    """Digits without an exponent."""
    return f"{amount:f}"

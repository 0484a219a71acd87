"""What clubs and their bots send and are answered. Source: DESIGN section 2."""

from decimal import Decimal
from typing import Annotated, NotRequired, Self, TypedDict

from pydantic import AfterValidator, Field, model_validator

from settlement.buckets import FAR_FUTURE_SECONDS
from settlement.cursor import ListQuery
from settlement.fields import INT64_MAX, Request, Text, fault, utf8
from settlement.orders import Account, ClubOrder, SettledClubOrder
from settlement.points import points
from settlement.sources import SOURCES, sign_allows

MAX_AMT = 10**12
ALL_SOURCES = -1

BillNo = Annotated[str, utf8(1, 64)]
Gid = Annotated[int, Field(ge=0, le=INT64_MAX)]
UnixSeconds = Annotated[int, Field(ge=0)]


def _not_zero(amt: int) -> int:
    if amt == 0:
        raise fault("must not be 0")
    return amt


class AccountFields(Request):
    type: Annotated[int, Field(ge=1, le=2)] | None = None  # a Literal would take true for 1
    id: Text | None = None
    gid: Gid | None = None

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.type is None and self.id is None and self.gid is None:
            raise fault("must hold at least one of type, id, gid")
        return self


class CreateClubOrderRequest(Request):
    """POST /upbot/api/CreateClubJfOrder; `amt` in whole points."""

    bill_no: BillNo
    openid: Text
    amt: Annotated[int, Field(ge=-MAX_AMT, le=MAX_AMT), AfterValidator(_not_zero)]
    source: Annotated[int, Field(ge=min(SOURCES), le=max(SOURCES))]
    jf_gid: Gid
    detail: Annotated[str, utf8(0, 512)]
    account: AccountFields | None = None

    @model_validator(mode="after")
    def _amt_has_the_sign_of_its_source(self) -> Self:
        if not sign_allows(self.source, self.amt):
            raise fault("amt: must have the sign that its source allows")
        return self

    def order(self) -> ClubOrder:
        account = self.account
        return ClubOrder(
            bill_no=self.bill_no,
            openid=self.openid,
            amt=self.amt,
            source=self.source,
            jf_gid=self.jf_gid,
            detail=self.detail,
            account=None if account is None else Account(account.type, account.id, account.gid),
        )


class SettleClubOrderRequest(Request):
    """POST /upbot/api/SetClubJfSettle; `settle_amt` in whole points, 0 = not given, and so is `amt_ratio` 0."""

    bill_no: BillNo
    openid: Text
    settle_amt: int | None = None
    amt_ratio: Annotated[int, Field(ge=0, le=100)] | None = None


class ListSettlementsRequest(Request):
    """POST /upbot/api/GetClubJfSettleList; both ends inclusive, the end second whole, 0 = open."""

    openid: Text
    source: Annotated[int, Field(ge=ALL_SOURCES, le=max(SOURCES))] | None = None
    start_time_unix_sec: UnixSeconds | None = None
    end_time_unix_sec: UnixSeconds | None = None
    page_context: str | None = None

    @model_validator(mode="after")
    def _start_is_not_after_end(self) -> Self:
        if self.start_time_unix_sec and self.end_time_unix_sec and self.start_time_unix_sec > self.end_time_unix_sec:
            raise fault("start_time_unix_sec: must not be after end_time_unix_sec")
        return self

    def query(self, app_id: str) -> ListQuery:
        start, end = self.start_time_unix_sec or None, self.end_time_unix_sec or None
        return ListQuery(
            app_id=app_id,
            openid=self.openid,
            source=None if self.source == ALL_SOURCES else self.source,
            start_seconds=start and min(start, FAR_FUTURE_SECONDS),
            end_seconds=None if end is None or end >= FAR_FUTURE_SECONDS else end,
        )


class AccountAnswer(TypedDict):
    type: NotRequired[int]
    id: NotRequired[str]
    gid: NotRequired[int]


class SettlementEntry(TypedDict):
    """One settled order; also the notification's data. `settle_amt` in points, `settle_time` in ms."""

    billno: str
    amt: int
    settle_amt: Decimal
    amt_ratio: int
    settle_time: int
    account: NotRequired[AccountAnswer]
    detail: str
    source: int
    jf_gid: int


class SettlementPage(TypedDict):
    """Newest first. `total_amt`, in points, is the whole query's and stands on its first page only."""

    settle_list: list[SettlementEntry]
    total_amt: NotRequired[Decimal]
    page_context: str
    is_end: bool


def settlement_entry(settled: SettledClubOrder) -> SettlementEntry:
    order = settled.order
    entry = SettlementEntry(
        billno=order.bill_no,
        amt=order.amt,
        settle_amt=points(settled.terms.settle_hundredths),
        amt_ratio=settled.terms.amt_ratio,
        settle_time=settled.settle_time_ms,
        detail=order.detail,
        source=order.source,
        jf_gid=order.jf_gid,
    )
    if order.account is not None:
        account = AccountAnswer()
        if order.account.type is not None:
            account["type"] = order.account.type
        if order.account.id is not None:
            account["id"] = order.account.id
        if order.account.gid is not None:
            account["gid"] = order.account.gid
        entry["account"] = account
    return entry

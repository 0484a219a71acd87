"""What merchants of mini games and game servers send and are answered. Source: DESIGN section 3."""

import re
from typing import Annotated, Any, Literal, NotRequired, Self, TypedDict

from pydantic import Field, PlainValidator, model_validator

from settlement import strictjson
from settlement.fields import EMPTY_IS_ABSENT, Int32, OptionalText, Request, Text, fault, utf8
from settlement.orders import GameOrder, GameResult, SettledGameOrder, game_order_id

MAX_PAYLOAD_BYTES = 8192
MAX_RESULTS = 90
"""A transaction takes 100 rows: 90 orders, the ledger's, and room to spare."""


_TEN_DIGITS = re.compile(r"[1-9][0-9]{9}")  # a leading zero would be lost: what is reported is told as it came


def _payload_text(value: object) -> str:
    if not isinstance(value, dict):
        raise fault("must be a JSON object")
    text = strictjson.dump(value)
    if len(text.encode()) > MAX_PAYLOAD_BYTES:
        raise fault(f"must be at most {MAX_PAYLOAD_BYTES} bytes as compact JSON")
    return text


def _ten_digit_seconds(value: object) -> int:
    digits = str(value) if type(value) is int else value
    if not (isinstance(digits, str) and _TEN_DIGITS.fullmatch(digits)):
        raise fault("must be Unix time in seconds, ten digits, as a string or an integer")
    return int(digits)


OutOrderId = Annotated[str, Field(min_length=1, max_length=64)]
"""In characters: what create_order took must be found again by whoever names it."""
OptionalOutOrderId = Annotated[OutOrderId | None, EMPTY_IS_ABSENT]
PayloadText = Annotated[str, PlainValidator(_payload_text)]
SettleAt = Annotated[int, PlainValidator(_ten_digit_seconds)]


class CreateOrderRequest(Request):
    """POST /v1/app/server/create_order."""

    out_order_id: OutOrderId
    mg_id: Text
    room_id: Text
    cmd: Text
    from_uid: Text
    to_uid: Text
    value: Int32
    out_group_id: Annotated[str, Field(max_length=64)] | None = None
    payload: PayloadText | None = None

    def order(self) -> GameOrder:
        return GameOrder(
            out_order_id=self.out_order_id,
            mg_id=self.mg_id,
            room_id=self.room_id,
            cmd=self.cmd,
            from_uid=self.from_uid,
            to_uid=self.to_uid,
            value=self.value,
            out_group_id=self.out_group_id or None,
            payload=self.payload,
        )


class QueryRequest(Request):
    """POST /v1/app/server/query_order and query_user_settle: `order_id` wins where both are given."""

    order_id: OptionalText = None
    out_order_id: OptionalOutOrderId = None

    @model_validator(mode="after")
    def _names_an_order(self) -> Self:
        if self.order_id is None and self.out_order_id is None:
            raise fault("order_id: it or out_order_id must be given")
        return self

    def order_id_for(self, app_id: str) -> str:
        return self.order_id or game_order_id(app_id, self.out_order_id or "")


class ReportedResult(QueryRequest):
    """One player's result in a game report; `uid` is "" exactly when `is_ai` is 1."""

    uid: Annotated[str, utf8(0, 128)]
    is_ai: Annotated[int, Field(ge=0, le=1)]  # a Literal would take true for 1
    score: Int32
    remain_score: Int32
    commission_score: Int32 | None = None

    @model_validator(mode="after")
    def _only_robots_have_no_uid(self) -> Self:
        if (self.uid == "") != (self.is_ai == 1):
            raise fault('uid: must be "" exactly when is_ai is 1')
        return self


class SettleUsersRequest(Request):
    """POST /v1/mg/server/user_settle: what the game server reports of one match, all or nothing."""

    app_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    """The merchant's."""
    mg_id: Text
    room_id: Text
    match_id: Text
    settle_at: SettleAt
    results: Annotated[list[ReportedResult], Field(min_length=1, max_length=MAX_RESULTS)]

    @model_validator(mode="after")
    def _names_each_order_once(self) -> Self:
        seen: set[str] = set()
        for position, result in enumerate(self.results):
            order_id = result.order_id_for(self.app_id)
            if result.out_order_id and game_order_id(self.app_id, result.out_order_id) != order_id:
                raise fault(f"results.{position}: order_id and out_order_id name different orders")
            if order_id in seen:
                raise fault(f"results.{position}: names an order that the report names before")
            seen.add(order_id)
        return self

    def results_by_order_id(self) -> dict[str, GameResult]:
        """In the report's order."""
        return {
            result.order_id_for(self.app_id): GameResult(
                match_id=self.match_id,
                uid=result.uid,
                is_ai=result.is_ai,
                score=result.score,
                remain_score=result.remain_score,
                commission_score=result.commission_score,
                settle_at_seconds=self.settle_at,
            )
            for result in self.results
        }


class CreatedOrder(TypedDict):
    out_order_id: str
    order_id: str


class OrderAnswer(CreatedOrder):
    """What create_order was given, and whether it is settled."""

    mg_id: str
    room_id: str
    cmd: str
    from_uid: str
    to_uid: str
    value: int
    out_group_id: NotRequired[str]
    payload: NotRequired[dict[str, Any]]
    status: Literal["CREATED", "EXECUTE_SUCCESS"]


class ResultAnswer(TypedDict):
    """One player's result as the merchant is told it."""

    uid: str
    order_id: str
    out_order_id: str
    is_ai: int
    score: int
    remain_score: int
    commission_score: NotRequired[int]


class UserSettleAnswer(ResultAnswer):
    """`settle_at` in seconds, as text."""

    mg_id: str
    room_id: str
    match_id: str
    settle_at: str


class ApiDirectory(TypedDict):
    """Absolute URLs of this deployment."""

    create_order: str
    query_order: str
    query_user_settle: str


def api_directory(base_url: str) -> ApiDirectory:
    return ApiDirectory(
        create_order=f"{base_url}/v1/app/server/create_order",
        query_order=f"{base_url}/v1/app/server/query_order",
        query_user_settle=f"{base_url}/v1/app/server/query_user_settle",
    )


def order_answer(order_id: str, order: GameOrder, *, settled: bool) -> OrderAnswer:
    answer = OrderAnswer(
        order_id=order_id,
        out_order_id=order.out_order_id,
        mg_id=order.mg_id,
        room_id=order.room_id,
        cmd=order.cmd,
        from_uid=order.from_uid,
        to_uid=order.to_uid,
        value=order.value,
        status="EXECUTE_SUCCESS" if settled else "CREATED",
    )
    if order.out_group_id is not None:
        answer["out_group_id"] = order.out_group_id
    if order.payload is not None:
        answer["payload"] = strictjson.load(order.payload)
    return answer


def result_answer(order_id: str, settled: SettledGameOrder) -> ResultAnswer:
    result = settled.result
    answer = ResultAnswer(
        uid=result.uid,
        order_id=order_id,
        out_order_id=settled.order.out_order_id,
        is_ai=result.is_ai,
        score=result.score,
        remain_score=result.remain_score,
    )
    if result.commission_score is not None:
        answer["commission_score"] = result.commission_score
    return answer


def user_settle_answer(order_id: str, settled: SettledGameOrder) -> UserSettleAnswer:
    return UserSettleAnswer(
        **result_answer(order_id, settled),
        mg_id=settled.order.mg_id,
        room_id=settled.order.room_id,
        match_id=settled.result.match_id,
        settle_at=str(settled.result.settle_at_seconds),
    )

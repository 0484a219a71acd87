"""FastAPI behind Mangum, boto3's resource API: one application for all routes, as its users have it."""

import hashlib
import logging
import time
from decimal import Decimal
from typing import Annotated

import job
import on_resource
from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from mangum import Mangum
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
logger = logging.getLogger("settlepoint")
logger.setLevel(logging.INFO)


def utf8(maximum):
    def check(value):
        if not 1 <= len(value.encode()) <= maximum:
            raise ValueError(f"must be 1 to {maximum} bytes")
        return value

    return AfterValidator(check)


class Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class SettleBody(Body):
    bill_no: Annotated[str, utf8(64)]
    openid: Annotated[str, utf8(128)]
    settle_amt: int | None = None
    amt_ratio: Annotated[int, Field(ge=0, le=100)] | None = None


class ListBody(Body):
    openid: Annotated[str, utf8(128)]
    source: Annotated[int, Field(ge=-1, le=16)] | None = None
    start_time_unix_sec: Annotated[int, Field(ge=0)] | None = None
    end_time_unix_sec: Annotated[int, Field(ge=0)] | None = None
    page_context: str | None = None


class QueryBody(Body):
    order_id: str | None = None
    out_order_id: Annotated[str, Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def names_an_order(self):
        if not (self.order_id or self.out_order_id):
            raise ValueError("order_id or out_order_id must be given")
        return self


Points = Annotated[Decimal, PlainSerializer(job.json_points, return_type=int | float)]


class Account(BaseModel):
    type: int | None = None
    id: str | None = None
    gid: int | None = None


class Entry(BaseModel):
    billno: str
    amt: int
    settle_amt: Points
    amt_ratio: int
    settle_time: int
    account: Account | None = None
    detail: str
    source: int
    jf_gid: int


class Page(BaseModel):
    settle_list: list[Entry]
    total_amt: Points | None = None
    page_context: str
    is_end: bool


class ListAnswer(BaseModel):
    ret: int = 0
    msg: str = ""
    data: Page


class SettleAnswer(BaseModel):
    ret: int = 0
    msg: str = ""


class Order(BaseModel):
    out_order_id: str
    mg_id: str
    room_id: str
    cmd: str
    from_uid: str
    to_uid: str
    value: int
    out_group_id: str | None = None
    payload: dict | None = None
    order_id: str
    status: str


class QueryAnswer(BaseModel):
    ret_code: int = 0
    ret_msg: str = ""
    data: Order


app = FastAPI(title="peer", docs_url=None, redoc_url=None, openapi_url=None)


@app.exception_handler(job.Fault)
async def on_fault(_: Request, fault: job.Fault):
    return JSONResponse({"ret": fault.code, "msg": fault.text, "detail": fault.detail}, fault.status)


@app.exception_handler(RequestValidationError)
async def on_invalid(_: Request, error: RequestValidationError):
    first = error.errors()[0]
    return JSONResponse(
        {"ret": 1001, "msg": "请求参数错误，请稍后再试", "detail": f"{first['loc'][-1]}: {first['msg']}"}
    )


@app.middleware("http")
async def log_calls(request: Request, call_next):
    started = time.perf_counter()
    answer = await call_next(request)
    context = request.scope.get("aws.context")
    ms = round((time.perf_counter() - started) * 1000, 1)
    request_id = getattr(context, "aws_request_id", "")
    logger.info("call path=%s request_id=%s status=%s ms=%s", request.url.path, request_id, answer.status_code, ms)
    return answer


def caller_with(scope):
    def caller(authorization: Annotated[str | None, Header()] = None):
        return on_resource.club_caller(authorization, scope)

    return caller


async def merchant(request: Request, authorization: Annotated[str | None, Header()] = None):
    return on_resource.merchant_caller(authorization, await request.body())


# `async` without waiting: a call of a Lambda's is alone, and a thread of FastAPI's pool costs more than it gives.
@app.post("/upbot/api/SetClubJfSettle", response_model_exclude_none=True)
async def settle(body: SettleBody, caller: Annotated[dict, Depends(caller_with("settlements:write"))]) -> SettleAnswer:
    on_resource.settle_order(caller["app_id"], body.bill_no, body.openid, body.settle_amt, body.amt_ratio)
    return SettleAnswer()


@app.post("/upbot/api/GetClubJfSettleList", response_model_exclude_none=True)
async def listing(body: ListBody, caller: Annotated[dict, Depends(caller_with("settlements:read"))]) -> ListAnswer:
    return ListAnswer(data=Page(**on_resource.page_of(caller["app_id"], body.openid)))


@app.post("/v1/app/server/query_order", response_model_exclude_none=True)
async def query(body: QueryBody, app_id: Annotated[str, Depends(merchant)]) -> QueryAnswer:
    order_id = body.order_id or hashlib.sha256(f"{app_id}\n{body.out_order_id}".encode()).hexdigest()[:32]
    return QueryAnswer(data=Order(**on_resource.order_answer(app_id, order_id)))


handler = Mangum(app, lifespan="off")

"""One Powertools resolver with validation in front of everything, boto3's resource API; deliveries by its batch processor."""

import hashlib
from typing import Annotated

import job
import on_resource
import requests
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

logger = Logger(service="powertools")
metrics = Metrics(namespace="Bench", service="powertools")
app = APIGatewayRestResolver(enable_validation=True)
processor = BatchProcessor(event_type=EventType.SQS)
http = requests.Session()


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


@app.exception_handler(job.Fault)
def on_fault(fault):
    return Response(fault.status, "application/json", {"ret": fault.code, "msg": fault.text, "detail": fault.detail})


@app.exception_handler(RequestValidationError)
def on_invalid(error):
    first = error.errors()[0]
    detail = f"{first['loc'][-1]}: {first['msg']}"
    return Response(200, "application/json", {"ret": 1001, "msg": "请求参数错误，请稍后再试", "detail": detail})


def caller(scope):
    return on_resource.club_caller(app.current_event.headers.get("Authorization"), scope)


def shown(entry):
    return {**entry, "settle_amt": job.json_points(entry["settle_amt"])}


@app.post("/upbot/api/SetClubJfSettle")
def settle(body: SettleBody) -> dict:
    app_id = caller("settlements:write")["app_id"]
    if on_resource.settle_order(app_id, body.bill_no, body.openid, body.settle_amt, body.amt_ratio):
        metrics.add_metric("OrdersSettled", MetricUnit.Count, 1)
    return {"ret": 0, "msg": ""}


@app.post("/upbot/api/GetClubJfSettleList")
def listing(body: ListBody) -> dict:
    page = on_resource.page_of(caller("settlements:read")["app_id"], body.openid)
    page |= {
        "settle_list": [shown(entry) for entry in page["settle_list"]],
        "total_amt": job.json_points(page["total_amt"]),
    }
    return {"ret": 0, "msg": "", "data": page}


@app.post("/v1/app/server/query_order")
def query(body: QueryBody) -> dict:
    app_id = on_resource.merchant_caller(
        app.current_event.headers.get("Authorization"), app.current_event.decoded_body.encode()
    )
    order_id = body.order_id or hashlib.sha256(f"{app_id}\n{body.out_order_id}".encode()).hexdigest()[:32]
    return {"ret_code": 0, "ret_msg": "", "data": on_resource.order_answer(app_id, order_id)}


def post(url, body, headers):
    answer = http.post(url, data=body, headers=headers, timeout=(3, 5), allow_redirects=False)
    return answer.status_code, answer.content


def deliver(record):
    result = on_resource.deliver(record.json_body, post)
    logger.info("attempt", extra={"result": result})
    metrics.add_metric("NotificationsDelivered", MetricUnit.Count, 1)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event, context):
    if "Records" in event:
        return process_partial_response(event, deliver, processor, context)
    answer = app.resolve(event, context)
    logger.info("call", extra={"path": event["path"], "status": answer["statusCode"]})
    return answer

"""Writes docs/openapi.yaml: the contract as tools read it, made from what the functions themselves are made of.

python -m settlepoint_local.openapi

Requests are the layer's models, answers its TypedDicts and error tree, paths and API Gateway's own answers
template.yaml's. What JSON Schema cannot say (bytes, order of checks, stored state) stands in descriptions. A model with
a rule that this module does not know is a KeyError: nothing is left out in silence.
"""

import inspect
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import simplejson
import yaml
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from settlement import endpoint, errors
from settlement.club_messages import (
    CreateClubOrderRequest,
    ListSettlementsRequest,
    SettleClubOrderRequest,
    SettlementPage,
)
from settlement.endpoint import CLUB, GAME, MAX_BODY_BYTES, Envelope
from settlement.errors import SettlepointError
from settlement.fields import INT32_MAX
from settlement.game_messages import (
    MAX_PAYLOAD_BYTES,
    ApiDirectory,
    CreatedOrder,
    CreateOrderRequest,
    OrderAnswer,
    QueryRequest,
    SettleUsersRequest,
    UserSettleAnswer,
)
from settlement.sources import SOURCES, Sign
from settlement.statement_messages import ClubStatement, GameStatement, StatementRequest
from settlepoint_local.project import ROOT
from settlepoint_local.situations import BILL, ORDER, REPORT, THIS_BILL, THIS_OPENID, THIS_ORDER, YESTERDAY
from settlepoint_local.template import endpoints, gateway_responses

type Schema = dict[str, Any]

OPENAPI = ROOT / "docs" / "openapi.yaml"
HEAD: Final = (
    "# Made by `python -m settlepoint_local.openapi`; tests/local/test_openapi.py holds it against the code.\n"
)
REF: Final = "#/components/schemas/"


class Operation(NamedTuple):
    """One endpoint: what it takes, what it answers, which errors its own state has."""

    envelope: Envelope
    summary: str
    request: type[Any] | None
    need: str
    """The scope or role that the caller must have; "" where there is no caller."""
    data: type[Any] | None
    state: tuple[type[SettlepointError], ...]
    """Of stored state, beside what every endpoint of the API answers."""
    example: Mapping[str, Any] | None = None


OPERATIONS: Final[dict[str, Operation]] = {
    "create_club_order": Operation(
        CLUB, "Registers an order", CreateClubOrderRequest, "orders:write", None, (errors.OrderExists,), BILL
    ),
    "set_club_jf_settle": Operation(
        CLUB,
        "Settles an order: the whole of it, a percentage, or an amount",
        SettleClubOrderRequest,
        "settlements:write",
        None,
        (errors.OrderNotFound, errors.OrderAlreadySettled),
        {**THIS_BILL, "amt_ratio": 25},
    ),
    "get_club_jf_settle_list": Operation(
        CLUB,
        "Lists what was settled for an openid, newest first, and the total",
        ListSettlementsRequest,
        "settlements:read",
        SettlementPage,
        (),
        THIS_OPENID,
    ),
    "create_order": Operation(
        GAME,
        "Registers an order for a player",
        CreateOrderRequest,
        "merchant",
        CreatedOrder,
        (errors.OrderExists,),
        ORDER,
    ),
    "query_order": Operation(
        GAME, "Gives an order back", QueryRequest, "merchant", OrderAnswer, (errors.OrderNotFound,), THIS_ORDER
    ),
    "query_user_settle": Operation(
        GAME,
        "Gives what a player won or lost with an order",
        QueryRequest,
        "merchant",
        UserSettleAnswer,
        (errors.OrderNotFound, errors.OrderNotSettled),
        THIS_ORDER,
    ),
    "settle_users": Operation(
        GAME,
        "Reports what each player won or lost in a match: all of its orders or none",
        SettleUsersRequest,
        "game",
        None,
        (errors.GameNotFound, errors.OrderNotFound, errors.OrderAlreadySettled),
        REPORT,
    ),
    "get_club_jf_statement": Operation(
        CLUB,
        "Tells where a day's statement can be downloaded",
        StatementRequest,
        "settlements:read",
        ClubStatement,
        (errors.StatementNotReady,),
        YESTERDAY,
    ),
    "get_statement": Operation(
        GAME,
        "Tells where a day's statement can be downloaded",
        StatementRequest,
        "merchant",
        GameStatement,
        (errors.StatementNotReady,),
        YESTERDAY,
    ),
    "get_api_directory": Operation(GAME, "Tells where the game API's calls are", None, "", ApiDirectory, ()),
}

FIELDS: Final[dict[str, str]] = {
    "account": "The account on the other side, where the order has one.",
    "amt": "Whole points; its sign is the one that `source` allows.",
    "amt_ratio": "Percentage; 0, null or absent: 100.",
    "app_id": "The merchant's app. In every other body it is ignored: the Authorization header says who calls.",
    "bill_no": "The app's own number for the order.",
    "billno": "The order's `bill_no`.",
    "commission_score": "Points that the game kept; absent where none was reported.",
    "count": "Settlements in the statement.",
    "csv_sha256": "Of the CSV in the file, hex: it tells two revisions apart whatever gzip made of them.",
    "day": "A day of the accounts, UTC+8 unless the deployment says otherwise.",
    "end_time_unix_sec": "Seconds, inclusive, the whole second; 0, null or absent: open. Compared with `settle_time`.",
    "expires_at": "Unix time in seconds: until then the link is good.",
    "is_ai": '1 for a robot, whose `uid` is "".',
    "is_end": "Whether this page is the last.",
    "openid": "Whose order it is.",
    "order_id": "Settlepoint's name for the order: opaque; wins over `out_order_id`.",
    "out_order_id": "The app's own name for the order.",
    "page_context": 'Absent, null or "": the first page; else exactly what the last page gave.',
    "payload": f"At most {MAX_PAYLOAD_BYTES} bytes as compact JSON; given back with the digits it came with.",
    "remain_score": "What is left to the player.",
    "revision": "1; more where a later look at the day found other lines.",
    "score": "Points won, or lost if negative.",
    "settle_amt": "Whole points; 0, null or absent: not given. Otherwise the order's sign, and smaller than its `amt`.",
    "settle_at": "Unix time in seconds, ten digits.",
    "settle_list": "Newest first.",
    "settle_time": "Unix time in milliseconds.",
    "sha256": "Of the file as it is downloaded, hex.",
    "size_bytes": "Of the file as it is downloaded.",
    "source": ", ".join(f"{number} {source.name} {source.sign}" for number, source in SOURCES.items())
    + ". In a list's request -1, null or absent: all.",
    "start_time_unix_sec": "Seconds, inclusive; 0, null or absent: open. Not after `end_time_unix_sec`.",
    "status": "EXECUTE_SUCCESS once the order is settled.",
    "total_amt": "Points settled in the whole query; on its first page only.",
    "type": "1 user, 2 club.",
    "uid": 'The player; "" exactly when `is_ai` is 1.',
    "url": "GET it without an Authorization header; a CSV file, gzip.",
    "value": "Whole points.",
}
"""What a field means, by its name: the two APIs give no name two meanings, but in answers amounts have decimals."""
_INT32: Final[Schema] = {"format": "int32", "minimum": -INT32_MAX - 1, "maximum": INT32_MAX}
_URL: Final[Schema] = {"format": "uri"}
_SHA256: Final[Schema] = {"pattern": "^[0-9a-f]{64}$"}
ANSWER_FIELDS: Final[dict[str, Schema]] = {
    "amt": {"format": "int64", "description": "Whole points, as ordered."},
    "amt_ratio": {
        "format": "int32",
        "minimum": 1,
        "maximum": 100,
        "description": "Percentage that was settled; 100 where an amount was.",
    },
    "commission_score": _INT32,
    "count": {"format": "int64", "minimum": 0},
    "create_order": _URL,
    "csv_sha256": _SHA256,
    "gid": {"format": "int64", "minimum": 0},
    "is_ai": {"format": "int32", "minimum": 0, "maximum": 1},
    "jf_gid": {"format": "int64", "minimum": 0},
    "order_id": {"minLength": 1},
    "page_context": {"maxLength": 128, "description": 'What asks for the next page; "" on the last.'},
    "query_order": _URL,
    "query_user_settle": _URL,
    "remain_score": _INT32,
    "revision": {"format": "int32", "minimum": 1},
    "score": _INT32,
    "settle_amt": {"description": "Points, with at most two decimals, exact."},
    "settle_at": {"pattern": "^[1-9][0-9]{9}$", "description": "Unix time in seconds, ten digits, always text."},
    "settle_time": {"format": "int64", "minimum": 0},
    "sha256": _SHA256,
    "size_bytes": {"format": "int64", "minimum": 1},
    "source": {"format": "int32", "minimum": min(SOURCES), "maximum": max(SOURCES)},
    "type": {"format": "int32", "minimum": 1, "maximum": 2},
    "url": _URL,
    "value": _INT32,
}
"""What the TypedDicts of answers do not say: what is stored was checked when it came in."""


# ------------------------------------------------------------------------------------------- rules beyond types


def _amt_by_source() -> Schema:
    """Which sign goes with which source."""

    def rule(sign: Sign, amt: Schema) -> Schema:
        sources = [number for number, source in SOURCES.items() if source.sign == sign]
        return {"if": {"properties": {"source": {"enum": sources}}}, "then": {"properties": {"amt": amt}}}

    return {"allOf": [rule("+", {"minimum": 1}), rule("-", {"maximum": -1})]}


def _one_present(*names: str, **present: Any) -> Schema:
    return {"anyOf": [{"required": [name], "properties": {name: present}} for name in names]}


_PRESENT: Final = {"not": {"enum": [None, ""]}}

MODEL_RULES: Final[dict[str, Schema]] = {
    "_holds_something": _one_present("type", "id", "gid", **{"not": {"const": None}}),
    "_amt_has_the_sign_of_its_source": _amt_by_source(),
    "_start_is_not_after_end": {},
    "_names_an_order": _one_present("order_id", "out_order_id", **_PRESENT),
    "_only_robots_have_no_uid": {
        "if": {"properties": {"is_ai": {"const": 1}}},
        "then": {"properties": {"uid": {"maxLength": 0}}},
        "else": {"properties": {"uid": {"minLength": 1}}},
    },
    "_names_each_order_once": {
        "description": "An order named twice, by whichever id, is 10002. The orders are then judged in this sequence: "
        "one is unknown, or of another game or room, 70503; all are settled with just these figures, success again; "
        "one was settled otherwise, 70505."
    },
}
"""The models' validators by name, as JSON Schema where it can say them."""
PLAIN_RULES: Final[dict[str, Schema]] = {
    "_payload_text": {"type": "object"},
    "_ten_digit_seconds": {
        "anyOf": [
            {"type": "string", "pattern": "^[1-9][0-9]{9}$"},
            {"type": "integer", "format": "int64", "minimum": 10**9, "maximum": 10**10 - 1},
        ]
    },
}


class _Schemas(GenerateJsonSchema):
    """Pydantic's, in the contract's words."""

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        made = super().int_schema(schema)
        low, high = schema.get("ge"), schema.get("le")
        if low is None or high is None:
            return made
        return {**made, "format": "int32" if low >= -INT32_MAX - 1 and high <= INT32_MAX else "int64"}

    def decimal_schema(self, _: core_schema.DecimalSchema) -> JsonSchemaValue:
        return {"type": "number", "multipleOf": 0.01}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        if isinstance(inner.get("type"), str):
            return {**inner, "type": [inner["type"], "null"]}
        return {"anyOf": [inner, {"type": "null"}]}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        function: Any = schema["function"]["function"]
        match function.__name__:
            case "check":  # fields.utf8's
                limits = inspect.getclosurevars(function).nonlocals
                shortest = {"minLength": limits["minimum"]} if limits["minimum"] else {}
                # As many characters at most; the bytes themselves are beyond JSON Schema.
                return {**inner, **shortest, "maxLength": limits["maximum"], "x-max-bytes": limits["maximum"]}
            case "_not_zero":
                return {**inner, "not": {"const": 0}}
            case "_calendar_day":
                return {**inner, "format": "date"}
        rule = MODEL_RULES[function.__name__]
        model = self.get_schema_from_definitions(inner["$ref"]) if "$ref" in inner else inner
        if model is None:
            raise KeyError(inner["$ref"])
        model |= rule
        return inner

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        function: Any = schema["function"]["function"]
        if function.__name__ != "_none_for_empty":
            raise KeyError(function.__name__)
        inner = self.generate_inner(schema["schema"])
        return {name: value for name, value in inner.items() if name != "minLength"}

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        function: Any = schema["function"]["function"]
        return dict(PLAIN_RULES[function.__name__])

    def field_title_should_be_set(self, _: Any) -> bool:
        return False


def _models() -> dict[str, Schema]:
    """Every model and TypedDict that an operation takes or answers, by its name."""
    types: dict[type[Any], JsonSchemaMode] = {}
    for operation in OPERATIONS.values():
        if operation.request is not None:
            types[operation.request] = "validation"
        if operation.data is not None:
            types[operation.data] = "serialization"
    inputs: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        (made.__name__, mode, TypeAdapter(made)) for made, mode in types.items()
    ]
    _, top = TypeAdapter.json_schemas(inputs, schema_generator=_Schemas, ref_template=REF + "{model}")
    models: dict[str, Schema] = top["$defs"]
    for name, model in models.items():
        model.pop("title", None)
        model.pop("additionalProperties", None)
        answer = not (name.endswith("Request") or name in {"AccountFields", "ReportedResult"})
        for field, schema in model["properties"].items():
            limit = schema.get("x-max-bytes")
            told = (FIELDS.get(field), f"At most {limit} bytes of UTF-8." if limit else "")
            if description := " ".join(filter(None, told)):
                schema["description"] = description
            if answer:
                schema.update(ANSWER_FIELDS.get(field, {}))
    return dict(sorted(models.items()))


# --------------------------------------------------------------------------------------------------- the answers


def _object(properties: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}


def _failure(envelope: Envelope, answer: errors.Answer, *, detail: bool) -> Schema:
    told: dict[str, Schema] = {
        "detail": {"type": "string", "minLength": 1, "description": "The field, and what was wrong with it."}
    }
    codes: dict[str, Schema] = {
        envelope.code_name: {"const": answer.code},
        envelope.text_name: {"const": answer.text},
    }
    return _object(codes | (told if detail else {}))


def _success(envelope: Envelope, data: type[Any] | None) -> Schema:
    codes: dict[str, Schema] = {envelope.code_name: {"const": 0}, envelope.text_name: {"const": ""}}
    if data is not None:
        return _object({**codes, "data": {"$ref": REF + data.__name__}})
    return (
        _object({**codes, "data": {"type": "object", "maxProperties": 0}}) if envelope.always_data else _object(codes)
    )


def _api(envelope: Envelope) -> str:
    return "Club" if envelope is CLUB else "Game"


def _answer(envelope: Envelope, error: type[SettlepointError]) -> errors.Answer:
    return error.club if envelope is CLUB else error.game


def _status(error: type[SettlepointError]) -> int:
    return endpoint._STATUS.get(error, 200)  # noqa: SLF001  # the one table of them


_COMMON: Final = (errors.BadRequest, errors.BodyTooLarge, errors.Unauthenticated, errors.Forbidden)
_WITHOUT_DETAIL: Final = (errors.Unauthenticated, errors.UnknownPath)
FAULT_STATUSES: Final = ("500", "502", "503", "504")


def _error_schemas() -> dict[str, Schema]:
    """One schema for each code of each API, named after it, and one for each body that API Gateway makes."""
    schemas: dict[str, Schema] = {}
    for operation in OPERATIONS.values():
        for error in errors_of(operation):
            answer = _answer(operation.envelope, error)
            schemas[f"{_api(operation.envelope)}{answer.code}"] = _failure(
                operation.envelope, answer, detail=not issubclass(error, _WITHOUT_DETAIL)
            )
        fault = _answer(operation.envelope, SettlepointError)
        made = _failure(operation.envelope, fault, detail=True)
        made["required"].remove("detail")
        schemas[f"{_api(operation.envelope)}{fault.code}"] = made
    for response in gateway_responses().values():
        body = _gateway_body(response)
        schemas[_gateway_name(body)] = _object({name: {"const": value} for name, value in body.items()})
    return dict(sorted(schemas.items()))


def errors_of(operation: Operation) -> tuple[type[SettlepointError], ...]:
    """What an endpoint answers by itself other than success and our own fault."""
    return (errors.UnknownPath,) if operation.request is None else (*_COMMON, *operation.state)


def _gateway_body(response: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = simplejson.loads(response["ResponseTemplates"]["application/json"])
    return body


def _gateway_name(body: Mapping[str, Any]) -> str:
    return f"Gateway{body['ret']}"


def _gateway_schemas(operation: Operation) -> dict[str, str]:
    """By HTTP status, what API Gateway answers in the place of this endpoint."""
    found = {}
    for kind, response in gateway_responses().items():
        status = str(response.get("StatusCode", ""))
        # A path that is there is no unknown path, but the directory's is unknown without its signature.
        if status == "404" and operation.request is not None:
            continue
        for each in FAULT_STATUSES if kind == "DEFAULT_5XX" else (status,):
            found[each] = _gateway_name(_gateway_body(response))
    return found


_WORDS: Final = {
    "200": "Success, or a business answer under its own code",
    "400": "API Gateway could not read the request",
    "401": "The caller did not prove who it is: one answer for every cause",
    "403": "The caller may not do this",
    "404": "No such path",
    "413": f"The body has more than {MAX_BODY_BYTES} bytes",
    "429": "Throttled: repeat later, unchanged",
    **dict.fromkeys(FAULT_STATUSES, "Our fault: repeat, unchanged; it is safe"),
}


def _responses(operation: Operation) -> Schema:
    api = _api(operation.envelope)
    success = (
        _object({"api": {"$ref": REF + "ApiDirectory"}})
        if operation.request is None
        else _success(operation.envelope, operation.data)
    )
    answers: dict[str, list[Schema]] = {"200": [success]}
    for error in errors_of(operation):
        reference = {"$ref": f"{REF}{api}{_answer(operation.envelope, error).code}"}
        answers.setdefault(str(_status(error)), []).append(reference)
    for status in FAULT_STATUSES:
        answers[status] = [{"$ref": f"{REF}{api}{_answer(operation.envelope, SettlepointError).code}"}]
    for status, name in _gateway_schemas(operation).items():
        answers.setdefault(status, []).append({"$ref": REF + name})
    return {
        status: {
            "description": _WORDS[status],
            "content": {
                "application/json": {"schema": _one_of(schemas)},
            },
        }
        for status, schemas in sorted(answers.items())
    }


def _one_of(schemas: list[Schema]) -> Schema:
    if len(schemas) == 1:
        return schemas[0]
    # API Gateway's bodies are envelopes of both APIs, so they may be ours too.
    overlap = any(schema.get("$ref", "").startswith(REF + "Gateway") for schema in schemas)
    return {"anyOf" if overlap else "oneOf": schemas}


def _operation(folder: str) -> Schema:
    operation = OPERATIONS[folder]
    made: Schema = {"operationId": folder, "tags": [_api(operation.envelope)], "summary": operation.summary}
    if operation.request is None:
        made["security"] = []
        made["parameters"] = [
            {
                "name": "signature",
                "in": "path",
                "required": True,
                "description": "Hex HMAC-MD5 with the app's secret over its `app_id`: the path itself is the proof.",
                "schema": {"type": "string", "minLength": 1},
            }
        ]
    else:
        made["security"] = [{"ClubToken" if operation.envelope is CLUB else "SudAuth": [operation.need]}]
        made["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": REF + operation.request.__name__},
                    "example": simplejson.loads(simplejson.dumps(operation.example)),
                }
            },
        }
    made["responses"] = _responses(operation)
    return made


DESCRIPTION: Final = f"""\
Settles game points. docs/api.md says the same at length, docs/notifications.md what is sent to receivers.

A business answer is HTTP 200 with its code in the envelope. Checks come in one order: size, authentication, permission,
JSON shape, single fields in the order of their schema, fields together, stored state. Every write may be repeated: the
same content gives the same success.

JSON is strict: an integer is written without a fraction (`5`, not `5.0`), names are unique, numbers have at most 40
characters, nesting at most 32 levels, a body at most {MAX_BODY_BYTES} bytes of valid UTF-8 without lone surrogates.
Unknown fields are ignored, `null` for an optional field means absent. `x-max-bytes` is a string's limit in bytes of
UTF-8; `maxLength`, in characters, is then what follows from it.

Any other path or method is HTTP 404 with the body `Gateway1404`.
"""


def document() -> Schema:
    """The OpenAPI document."""
    paths: dict[str, Schema] = {}
    for folder, address in endpoints().items():
        paths.setdefault(address.path, {})[address.method.lower()] = _operation(folder)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Settlepoint",
            "version": "1",
            "summary": "Orders, settlements and totals of game points",
            "description": DESCRIPTION,
        },
        "servers": [
            {
                "url": "{base_url}",
                "variables": {
                    "base_url": {
                        "default": "https://settlepoint.example/live",
                        "description": "What `make run` prints; on AWS the stack's output BaseUrl.",
                    }
                },
            }
        ],
        "tags": [
            {"name": "Club", "description": "Clubs and their bots: ret, msg"},
            {"name": "Game", "description": "Merchants of mini games and game servers: ret_code, ret_msg"},
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "ClubToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "HS256 with the app's secret; kid = {app_id}.{n}, sub = app_id, scope a list, iat, "
                    "exp at most 90 days later. The word Bearer may be left out. A token may do what its scopes "
                    "say, if the app has the role `club`.",
                },
                "SudAuth": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": 'Sud-Auth app_id="..",timestamp="..",nonce="..",signature="..": hex HMAC-SHA1 with '
                    "the app's secret over app_id, timestamp, nonce and the raw body, each with a newline after it; at "
                    "most 300 s off.",
                },
            },
            "schemas": {**_models(), **_error_schemas()},
        },
    }


class _Dumper(yaml.SafeDumper):
    """Lists inside mappings are indented, long texts stand in lines of their own, nothing is an alias."""

    def ignore_aliases(self, _: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def text() -> str:
    """docs/openapi.yaml, whole."""
    return HEAD + yaml.dump(document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    OPENAPI.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{OPENAPI.relative_to(ROOT)}\n")

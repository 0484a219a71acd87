"""docs/openapi.yaml: valid, what the code says today, and true of every answer that a situation gets."""

import base64
import copy
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import simplejson
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from settlepoint_local import in_process, openapi
from settlepoint_local.in_process import Reply, World
from settlepoint_local.openapi import OPERATIONS
from settlepoint_local.situations import SITUATIONS
from settlepoint_local.template import endpoints, gateway_responses

DOCUMENT: dict[str, Any] = yaml.safe_load(openapi.OPENAPI.read_text(encoding="utf-8"))


def closed(schema: Any) -> Any:
    """The same schema, in which an object has no fields but those that are named: answers grow with the document."""
    match schema:
        case {"properties": dict(properties)} if "required" in schema and schema.get("type") == "object":
            parts = {name: closed(part) for name, part in properties.items()}
            return {**schema, "properties": parts, "additionalProperties": False}
        case dict():
            return {name: closed(part) for name, part in schema.items()}
        case list():
            return [closed(part) for part in schema]
        case float():
            return Decimal(str(schema))  # as what it judges: 88888.33 is no multiple of 0.01 to a float
    return schema


CLOSED: dict[str, Any] = {"components": closed(DOCUMENT["components"])}


def operation(folder: str) -> dict[str, Any]:
    address = endpoints()[folder]
    found: dict[str, Any] = DOCUMENT["paths"][address.path][address.method.lower()]
    return found


def faults(schema: Any, value: Any) -> list[str]:
    validator = Draft202012Validator({**closed(copy.deepcopy(schema)), **CLOSED})
    return [error.message for error in validator.iter_errors(value)]


def answer_faults(folder: str, reply: Reply) -> list[str]:
    """Why an answer is not one of the document's."""
    response = operation(folder)["responses"].get(str(reply.status))
    if response is None:
        return [f"HTTP {reply.status} is not in the document"]
    if list(response["content"]) != [reply.headers["Content-Type"]]:
        return [f"another type: {reply.headers}"]
    return faults(response["content"]["application/json"]["schema"], reply.json)


def test_the_committed_document_is_what_the_code_says() -> None:
    assert openapi.OPENAPI.read_text(encoding="utf-8") == openapi.text()


def test_the_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_it_has_every_endpoint_of_the_template_and_no_other() -> None:
    assert OPERATIONS.keys() == endpoints().keys()
    paths = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert paths == {(address.method.lower(), address.path) for address in endpoints().values()}


def test_a_validator_that_nobody_described_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(openapi.MODEL_RULES, "_names_an_order")
    with pytest.raises(KeyError, match="_names_an_order"):
        openapi.document()


def test_every_body_that_api_gateway_makes_is_in_it() -> None:
    for response in gateway_responses().values():
        body = simplejson.loads(response["ResponseTemplates"]["application/json"])
        assert faults(DOCUMENT["components"]["schemas"][f"Gateway{body['ret']}"], body) == []


# --------------------------------------------------------------------------------------------- what situations get


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    with in_process.aws():
        yield


@pytest.fixture
def world(aws: None) -> Iterator[World]:  # noqa: ARG001  # it lives in there
    with in_process.world() as made:
        yield made


def sent_body(event: dict[str, Any]) -> bytes:
    return base64.b64decode(event["body"]) if event["isBase64Encoded"] else str(event["body"]).encode()


CALLS = [key for key, situation in SITUATIONS.items() if situation.folder in endpoints()]


@pytest.mark.parametrize("key", CALLS)
def test_every_answer_is_one_of_the_documents(world: World, key: str) -> None:
    reply = world.replay(key)
    assert answer_faults(SITUATIONS[key].folder, reply) == []


@pytest.mark.parametrize("key", [key for key in CALLS if not key.startswith("get_api_directory/")])
def test_a_body_is_the_documents_when_it_is_taken_and_not_when_a_field_is_wrong(world: World, key: str) -> None:
    situation = SITUATIONS[key]
    reply = world.replay(key)
    body = sent_body(situation.event(world.scene))
    try:
        value = simplejson.loads(body, use_decimal=True)
    except ValueError:
        return
    schema = operation(situation.folder)["requestBody"]["content"]["application/json"]["schema"]
    open_validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    valid = open_validator.is_valid(value)
    if reply.code not in (1001, 10002):
        assert valid or reply.status in (401, 403, 413)
    elif valid:
        assert reply.json["detail"].startswith(BEYOND_SCHEMA)


BEYOND_SCHEMA = (
    *("body:", "page_context:", "settle_amt:", "start_time_unix_sec: must not be after", "results.1: names"),
    "day: no such day",
)
"""What is told of a fault that JSON Schema cannot see: bytes, signatures, stored state, one field against another."""


def test_a_planted_lie_is_found(world: World) -> None:
    reply = world.replay("get_club_jf_settle_list/lists_all")
    assert answer_faults("get_club_jf_settle_list", reply) == []
    for honest, lie in (
        ('"settle_amt":333.25', '"settle_amt":333.255'),
        ('"settle_amt":333.25', '"settle_amt":"333.25"'),
        ('"amt":1333', '"amt":1333.5'),
        ('"is_end":true', '"is_end":1'),
        ('"ret":0', '"ret":1'),
        ('"ret":0', '"ret":"0"'),
        ('"ret":0', '"ret":0,"more":1'),
        ('"source":5', '"source":17'),
        ('"page_context":"",', ""),
        ('"type":2', '"type":null'),
    ):
        assert honest in reply.text
        lying = Reply(reply.status, reply.headers, reply.text.replace(honest, lie))
        assert answer_faults("get_club_jf_settle_list", lying) != [], lie
    assert answer_faults("get_club_jf_settle_list", Reply(204, reply.headers, reply.text)) != []

"""Schemathesis over docs/openapi.yaml: what it makes of it is sent, and each answer held against it.

Its checks are all on but three, which take a refusal to be an HTTP status: here it is a code (HTTP 200). `refusals`
says the same of codes, in both directions.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

import requests
import schemathesis
import simplejson
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError, validators
from requests.auth import AuthBase
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from settlepoint_local.openapi import OPENAPI, OPERATIONS
from settlepoint_local.template import endpoints

DOCUMENT: Final[dict[str, Any]] = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
REFUSED: Final = (1001, 10002)
BEYOND_SCHEMA: Final = (
    *("body:", "page_context:", "settle_amt:", "day: no such day", "start_time_unix_sec: must not be after"),
    *("bytes of UTF-8", "bytes as compact JSON", "names an order that", "name different orders"),
)
"""Of what is told of a fault that JSON Schema cannot see."""
NOT_OURS: Final = {
    "negative_data_rejection": "a refusal is a code, HTTP 200",
    "positive_data_acceptance": "as above: an order that is not there is no fault of the data's",
    "unsupported_method": "API Gateway answers 404 to a method that has no route, and 405 is not in its power",
}


def _matches(_: object, pattern: str, value: object, __: object) -> Iterator[ValidationError]:
    """As ECMAScript understands `$`: Python's lets a line break follow."""
    if isinstance(value, str) and not re.search(pattern.replace("$", r"\Z"), value):
        yield ValidationError(f"{value!r} does not match {pattern}")


_Validator: Final = validators.extend(Draft202012Validator, {"pattern": _matches})

type Authorize = Callable[[bytes], str | None]


def sent_body(request: requests.PreparedRequest) -> bytes | None:
    """None where there is none."""
    body = request.body
    assert body is None or isinstance(body, str | bytes)
    return body.encode() if isinstance(body, str) else body


class Signed(AuthBase):
    """Writes the Authorization of the bytes that are about to be sent."""

    def __init__(self, authorize: Authorize) -> None:
        self._authorize = authorize

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        authorization = self._authorize(sent_body(request) or b"")
        if authorization is not None:
            request.headers["Authorization"] = authorization
        return request


@dataclass(slots=True)
class Explorer:
    """Who calls, and what is there to be named."""

    base_url: str
    authorize: Mapping[str, Authorize]
    """By folder."""
    known: Mapping[str, Any]
    """Values of fields, by name, that lead to something stored."""
    signature: str
    """Of an API directory."""
    answers: dict[str, dict[int, int]] = field(default_factory=dict)
    """How often each code was answered, by folder."""

    def explore(self, folder: str, *, positive: bool, examples: int) -> None:
        """Raises what a check of Schemathesis or ours finds."""
        operation = schemathesis.openapi.from_dict(DOCUMENT)[endpoints()[folder].path][endpoints()[folder].method]
        mode = GenerationMode.POSITIVE if positive else GenerationMode.NEGATIVE
        checks = _checks()

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(operation.as_strategy(generation_mode=mode), st.sets(st.sampled_from(sorted(self.known))))
        def explore(case: Case[Any], names: set[str]) -> None:
            self._name_what_is_known(case, names)
            authorize = self.authorize.get(folder)
            signed: dict[str, Any] = {} if authorize is None else {"auth": Signed(authorize)}
            response = case.call_and_validate(base_url=self.base_url, checks=checks, **signed)
            envelope = simplejson.loads(response.content, use_decimal=True)
            code = envelope.get("ret", envelope.get("ret_code", 0))
            counts = self.answers.setdefault(folder, {})
            counts[code] = counts.get(code, 0) + 1
            if authorize is not None:
                _refusals(folder, sent_body(response.request) or b"", response.status_code, code, envelope)

        explore()

    def _name_what_is_known(self, case: Case[Any], names: set[str]) -> None:
        if isinstance(case.body, dict):
            results = case.body.get("results")
            for part in [case.body, *(results if isinstance(results, list) else [])]:
                if not isinstance(part, dict):
                    continue
                part.update({name: deepcopy(self.known[name]) for name in names if name in part})
        if "signature" in (case.path_parameters or {}) and len(names) % 2:
            case.path_parameters["signature"] = self.signature


def _checks() -> list[Any]:
    load_all_checks()
    return [CHECKS.get_one(name) for name in CHECKS.get_all_names() if name not in NOT_OURS]


def _refusals(folder: str, body: bytes, status: int, code: int, envelope: Mapping[str, Any]) -> None:
    """What the document refuses is refused, and what it allows is not, but for what it cannot say."""
    schema = _request_schema(folder)
    try:
        valid = schema.is_valid(simplejson.loads(body, use_decimal=True))  # 5.0 is a Decimal, and no integer
    except ValueError:
        valid = False
    if status == 200 and not valid:
        assert code in REFUSED, f"{folder} took what its schema refuses: {body!r}"
    if valid and code in REFUSED:
        detail = envelope["detail"]
        assert any(word in detail for word in BEYOND_SCHEMA), f"{folder} refused what its schema allows: {detail}"


def _request_schema(folder: str) -> Any:
    request = OPERATIONS[folder].request
    assert request is not None
    reference = {"$ref": f"#/components/schemas/{request.__name__}"}
    return _Validator({**reference, "components": DOCUMENT["components"]})

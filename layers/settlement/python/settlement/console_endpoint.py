"""How the console's door becomes a Lambda handler: a page's files, and what the page asks for, for operators alone.

    path -> size -> authentication -> permission -> JSON shape -> fields -> the route (stored state)

Files are everybody's: without a token they show a field to put one into. Every answer carries the headers that keep a
browser from running, framing or leaking anything. One wide log line per call, `operated` where something was to be
changed: who, what, which ids, how many; no secret, token, openid or body is in it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from settlement import strictjson
from settlement.callers import OPERATOR_READS, OPERATOR_WRITES, Operator
from settlement.clock import now_ms
from settlement.console_errors import ConsoleRefusal, NotFound
from settlement.door import Door, Event
from settlement.endpoint import Handler, Response, base_url, body_of, header_of
from settlement.errors import BadRequest, BodyTooLarge, Busy, Forbidden, SettlepointError, Unauthenticated
from settlement.fields import Request, validated
from settlement.static_files import StaticFiles
from settlement.tokens import authenticate_operator

INDEX: Final = "index.html"
API: Final = "api/"
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_JSON: Final = {"Content-Type": "application/json", "Cache-Control": "no-store"}


_REFUSALS: Final[dict[type[SettlepointError], tuple[int, str, str]]] = {
    BodyTooLarge: (413, "too_large", "The request is too large."),
    BadRequest: (400, "bad_request", "Something is wrong with the request."),
    Unauthenticated: (401, "unauthenticated", "The token is missing, wrong, expired or revoked."),
    Forbidden: (403, "forbidden", "The token does not allow this."),
    Busy: (503, "busy", "Others are writing the same; repeat it, it is safe."),
}
"""HTTP status, code and fixed text of what every door may raise; the rest of the tree is not raised here."""
_NO_PATH: Final = "path: there is no such path, or it has another method"
_FAULT: Final = (500, "fault", "Something of ours failed; repeating it is safe.")


@dataclass(slots=True)
class OperatorCall[R]:
    """One authenticated call as a route sees it. What is put into `facts` stands in the call's log line."""

    operator: Operator
    request: R
    facts: dict[str, Any]
    base_url: str
    """What this deployment's paths are appended to."""


@dataclass(frozen=True, slots=True)
class Route[R: Request]:
    """One path of the console's API: what it takes, which scope it needs, what answers."""

    method: str
    request: type[R]
    need: str
    answer: Callable[[OperatorCall[R]], Mapping[str, Any]]


def shows[R: Request](
    request: type[R], answer: Callable[[OperatorCall[R]], Mapping[str, Any]], *, method: str = "POST"
) -> Route[R]:
    """A route that changes nothing."""
    return Route(method, request, OPERATOR_READS, answer)


def does[R: Request](request: type[R], answer: Callable[[OperatorCall[R]], Mapping[str, Any]]) -> Route[R]:
    """A route that changes something: it needs the writing scope and leaves a line `operated`."""
    return Route("POST", request, OPERATOR_WRITES, answer)


def console_endpoint(door: Door, files: StaticFiles, routes: Mapping[str, Route[Any]]) -> Handler:
    """The handler of the page's address and everything below it; `routes` by their path below `api/`."""
    for route in routes.values():
        route.request.model_rebuild()  # while the function starts, not in its first call

    def handler(event: Event, context: Any) -> Response:
        started = time.perf_counter()
        facts: dict[str, Any] = {"door": door.name, "request_id": getattr(context, "aws_request_id", "")}
        path = (event.get("pathParameters") or {}).get("proxy", "")
        route = routes.get(path.removeprefix(API)) if path.startswith(API) else None
        try:
            response = _file(files, path, event) if route is None else _respond(door, route, event, facts)
        except ConsoleRefusal as refusal:
            facts |= {"code": refusal.code, "detail": refusal.detail}
            response = _failure(refusal.status, refusal.code, refusal.text, refusal.detail)
        except (BadRequest, Unauthenticated, Forbidden, Busy) as error:
            status, code, text = _REFUSALS[type(error)]
            facts |= {"code": code, "detail": error.detail}
            if isinstance(error, Unauthenticated):
                facts["cause"] = error.cause
                door.count("AuthenticationFailures")
            response = _failure(status, code, text, error.detail)
        except Exception as error:
            # Whatever it was, the operator may repeat and reads of it in the log.
            status, code, text = _FAULT
            facts |= {"code": code, "error": type(error).__name__}
            door.log.exception("fault", extra=facts)
            door.count("Faults")
            response = _failure(status, code, text)
        response["headers"] |= SECURITY_HEADERS
        facts |= {"status": response["statusCode"], "ms": round((time.perf_counter() - started) * 1000, 1)}
        door.log.info("operated" if facts.get("scope") == OPERATOR_WRITES else "call", extra=facts)
        door.flush()
        return response

    door.open()
    return handler


def _respond(door: Door, route: Route[Any], event: Event, facts: dict[str, Any]) -> Response:
    """`facts` has the operator once they are known, and the scope once it is granted."""
    if route.method != event["httpMethod"]:
        raise NotFound(_NO_PATH)
    facts["action"] = event["pathParameters"]["proxy"].removeprefix(API)
    body = body_of(event) if route.method == "POST" else b"{}"
    operator = authenticate_operator(header_of(event, "authorization"), door.keyring, now_ms())
    facts["operator"] = operator.name
    if not operator.may(route.need):
        raise Forbidden(f"needs {route.need}")
    facts["scope"] = route.need
    request = validated(route.request, strictjson.parse_object(body))
    url = base_url(event, door.settings.public_base_url)
    return _response(200, strictjson.dump(route.answer(OperatorCall(operator, request, facts, url))))


def _file(files: StaticFiles, path: str, event: Event) -> Response:
    """Raises NotFound."""
    if not path and event["path"].endswith("/"):
        # The page's links are relative to its address without the slash.
        return {"statusCode": 308, "headers": {"Location": "../console"}, "body": "", "isBase64Encoded": False}
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    answer = files.answer(path or INDEX, headers) if event["httpMethod"] == "GET" else None
    if answer is None:
        raise NotFound(_NO_PATH)
    return answer


def _response(status: int, body: str) -> Response:
    return {"statusCode": status, "headers": dict(_JSON), "body": body, "isBase64Encoded": False}


def _failure(status: int, code: str, text: str, detail: str = "") -> Response:
    error = {"code": code, "message": text} | ({"detail": detail} if detail else {})
    return _response(status, strictjson.dump({"error": error}))

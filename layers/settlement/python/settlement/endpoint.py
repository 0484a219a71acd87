"""How a door becomes a Lambda handler: bytes in, checks in the contract's order, the door's few lines, an envelope out.

    size -> authentication -> permission -> JSON shape -> single fields -> fields together -> the door (stored state)

The only module that knows envelopes, HTTP statuses and API Gateway's events. One wide log line per call; no secret,
token, openid or body is in it. Source: DESIGN sections 1 to 3.
"""

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from settlement import errors, strictjson
from settlement.apps import Role
from settlement.callers import Caller
from settlement.clock import now_ms
from settlement.door import Door, Event
from settlement.errors import BadRequest, BodyTooLarge, Forbidden, SettlepointError, Unauthenticated
from settlement.fields import Request, validated
from settlement.sudauth import authenticate_game

MAX_BODY_BYTES: Final = 64 * 1024

type Answer = Mapping[str, Any]
type Response = dict[str, Any]
type Handler = Callable[[Event, Any], Response]

_STATUS: Final[dict[type[SettlepointError], int]] = {
    errors.BodyTooLarge: 413,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.GameNotFound: 403,
    errors.UnknownPath: 404,
    errors.Busy: 503,
}
"""Every other answer of the error tree is a business answer: 200."""
_OUR_FAULT: Final = 500


class Envelope(NamedTuple):
    """How an API spells an answer."""

    code_name: str
    text_name: str
    always_data: bool
    """Whether a success without data says `"data": {}`."""

    def success(self, data: Answer | None) -> str:
        answer: dict[str, Any] = {self.code_name: 0, self.text_name: ""}
        if data is not None or self.always_data:
            answer["data"] = data or {}
        return strictjson.dump(answer)

    def failure(self, answer: errors.Answer, detail: str) -> str:
        body: dict[str, Any] = {self.code_name: answer.code, self.text_name: answer.text}
        if detail:
            body["detail"] = detail
        return strictjson.dump(body)


CLUB: Final = Envelope("ret", "msg", always_data=False)
GAME: Final = Envelope("ret_code", "ret_msg", always_data=True)


@dataclass(slots=True)
class Call[R]:
    """One authenticated call as the door sees it. What is put into `facts` stands in the call's log line."""

    caller: Caller
    request: R
    facts: dict[str, Any]

    @property
    def app_id(self) -> str:
        return self.caller.app.app_id


def club_endpoint[R: Request](
    door: Door, request: type[R], *, scope: str
) -> Callable[[Callable[[Call[R]], Answer | None]], Handler]:
    """A door of the club API: a token with `scope`, a JSON body of the model `request`."""
    from settlement.tokens import authenticate_club  # noqa: PLC0415  # only doors that read tokens pay for PyJWT

    def authenticate(authorization: str | None, _: bytes, now_ms: int) -> Caller:
        return authenticate_club(authorization, door.apps, door.keyring, now_ms)

    return _endpoint(door, CLUB, authenticate, scope, request)


def game_endpoint[R: Request](
    door: Door, request: type[R], *, role: Role
) -> Callable[[Callable[[Call[R]], Answer | None]], Handler]:
    """A door of the game API: a signature of an app with `role`, a JSON body of the model `request`."""

    def authenticate(authorization: str | None, body: bytes, now_ms: int) -> Caller:
        return authenticate_game(authorization, body, door.apps, door.keyring, now_ms)

    return _endpoint(door, GAME, authenticate, role, request)


def public_endpoint(door: Door) -> Callable[[Callable[[Event], Answer]], Handler]:
    """A door of the game API that asks for no proof, such as the directory, whose path is one. It reads the event."""

    def decorate(answer: Callable[[Event], Answer]) -> Handler:
        def respond(event: Event, _: dict[str, Any]) -> str:
            return strictjson.dump(answer(event))

        return _handler(door, GAME, respond)

    return decorate


def base_url(event: Event, public_base_url: str) -> str:
    """What this deployment's paths are appended to: as configured, or as the request came in.

    `{api_id}` and `{stage}` of the configured URL are filled from the request; a custom domain's base path is kept.
    """
    context = event["requestContext"]
    if public_base_url:
        return public_base_url.replace("{api_id}", context["apiId"]).replace("{stage}", context["stage"])
    # The event's own path has the base path too; its resource, with the parameters filled in, has not.
    path = event["resource"].replace("+}", "}").format_map(event["pathParameters"] or {})
    return f"https://{context['domainName']}{context['path'].removesuffix(path)}"


def _endpoint[R: Request](
    door: Door,
    envelope: Envelope,
    authenticate: Callable[[str | None, bytes, int], Caller],
    need: str,
    model: type[R],
) -> Callable[[Callable[[Call[R]], Answer | None]], Handler]:
    model.model_rebuild()  # while the function starts, not in its first call

    def decorate(answer: Callable[[Call[R]], Answer | None]) -> Handler:
        def respond(event: Event, facts: dict[str, Any]) -> str:
            body = body_of(event)
            caller = authenticate(header_of(event, "authorization"), body, now_ms())
            facts["app_id"] = caller.app.app_id
            if not caller.may(need):
                raise Forbidden(f"needs {need}")
            request = validated(model, strictjson.parse_object(body))
            return envelope.success(answer(Call(caller, request, facts)))

        return _handler(door, envelope, respond)

    return decorate


def _handler(door: Door, envelope: Envelope, respond: Callable[[Event, dict[str, Any]], str]) -> Handler:
    def handler(event: Event, context: Any) -> Response:
        started = time.perf_counter()
        facts: dict[str, Any] = {"door": door.name, "request_id": getattr(context, "aws_request_id", "")}
        try:
            status, body = 200, respond(event, facts)
            facts["code"] = 0
        except SettlepointError as error:
            answer = error.club if envelope is CLUB else error.game
            status, body = _STATUS.get(type(error), 200), envelope.failure(answer, error.detail)
            facts |= {"code": answer.code, "detail": error.detail}
            if isinstance(error, Unauthenticated):
                facts["cause"] = error.cause
                door.count("AuthenticationFailures")
        except Exception as error:
            # Whatever it was, the caller may repeat and learns nothing of it.
            answer = errors.SERVICE_FAULT_CLUB if envelope is CLUB else errors.SERVICE_FAULT_GAME
            status, body = _OUR_FAULT, envelope.failure(answer, "")
            facts |= {"code": answer.code, "error": type(error).__name__}
            door.log.exception("fault", extra=facts)
            door.count("Faults")
        facts |= {"status": status, "ms": round((time.perf_counter() - started) * 1000, 1)}
        door.log.info("call", extra=facts)
        door.flush()
        return {
            "statusCode": status,
            "headers": {"Content-Type": "application/json"},
            "body": body,
            "isBase64Encoded": False,
        }

    door.open()
    return handler


def body_of(event: Event) -> bytes:
    """The raw bytes as sent. Raises BodyTooLarge, BadRequest."""
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        body = text.encode(errors="surrogatepass")  # half a pair makes bytes that no JSON check lets pass
    else:
        try:
            body = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRequest("body: could not be read") from error
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"body: larger than {MAX_BODY_BYTES} bytes")
    return body


def header_of(event: Event, name: str) -> str | None:
    """One header, whatever its case: API Gateway passes names as sent, other gateways in lower case."""
    headers = event.get("headers") or {}
    return next((value for header, value in headers.items() if header.lower() == name), None)

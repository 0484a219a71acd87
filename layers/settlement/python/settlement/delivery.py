"""Delivering a notification: one attempt, its outcome, and when the next one is due. The sender is passed in.

    answer                                                  outcome     class of the error
    2xx and a JSON object whose ret_code is the integer 0   Delivered
    any other 2xx: HTML, empty, "0", too large              Retry       not_acknowledged
    410                                                     GivenUp     http_4xx            no further attempt
    an address that may not be connected to                 GivenUp     refused             no further attempt
    other statuses; a redirect is never followed            Retry       http_3xx, http_4xx
    429, 5xx                                                Retry       http_429, http_5xx  the receiver is down
    no whole answer in 5 s                                  Retry       timeout             the receiver is down
    no connection, no TLS, cut off, not HTTP                Retry       transport           the receiver is down

Receivers that are down in a row open their breaker. A receiver's fault is a value here; what raises is our own fault,
and goes back to the queue without spending one of the receiver's attempts. Source: DESIGN section 4.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from settlement.apps import App
from settlement.errors import BadRequest
from settlement.keyring import Keyring
from settlement.ledger import Attempt, Notification
from settlement.signing import sud_signature, webhook_signature
from settlement.strictjson import parse_object

ATTEMPT_SECONDS: Final = 5.0
"""The whole attempt, the answer's body included."""
CONNECT_SECONDS: Final = 3.0
MAX_ANSWER_BYTES: Final = 16 * 1024
TIMEOUT: Final = "timeout"
"""What a NoAnswer says when the attempt's time was up."""

RETRY_SECONDS: Final = (3, 15, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, *(6 * [12 * 3600]))
"""The wait after each failed attempt: 15 retries, 3.4 days; after the last one fails the notification is dead."""
JITTER: Final = 0.1
"""Waits are stretched by 0 to 10 %, never shortened."""
MAX_RETRY_AFTER_SECONDS: Final = 3600
type ErrorClass = Literal[
    "not_acknowledged", "refused", "http_1xx", "http_3xx", "http_4xx", "http_429", "http_5xx", "timeout", "transport"
]
"""Of what the receiver did. An attempt whose process ended is recorded by the ledger as `interrupted`."""
ERROR_CLASSES: Final[tuple[ErrorClass, ...]] = (
    "not_acknowledged",
    "refused",
    "http_1xx",
    "http_3xx",
    "http_4xx",
    "http_429",
    "http_5xx",
    "timeout",
    "transport",
)
DOWN: Final = frozenset[ErrorClass]({"http_429", "http_5xx", "timeout", "transport"})
"""Nobody is there, or too much is asked of them. Every other answer shows that the receiver is there."""
_MAX_KEPT_RET_CODE: Final = 2**63 - 1
_LONGEST_RETRY_AFTER: Final = 64


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, whole: the bytes that were signed."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. `body` is cut after 16 KiB, and then `complete` is False."""

    status: int
    retry_after: str | None
    body: bytes
    complete: bool


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nothing usable came back: what went wrong, such as `timeout` or `connection refused`."""

    error: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The URL may not be connected to: our own guard said so, and will say so again."""

    error: str


type Send = Callable[[Request], Response | NoAnswer | Refused]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver acknowledged it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt failed. `retry_after` is the receiver's own wish, as its header has it."""

    error: str
    error_class: ErrorClass
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """No further attempt will be made."""

    error: str
    error_class: ErrorClass


type Outcome = Delivered | Retry | GivenUp


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome, and of the answer what the ledger keeps."""

    outcome: Outcome
    http_status: int | None = None
    ret_code: int | None = None

    @property
    def error(self) -> str | None:
        return None if isinstance(self.outcome, Delivered) else self.outcome.error

    @property
    def error_class(self) -> ErrorClass | None:
        return None if isinstance(self.outcome, Delivered) else self.outcome.error_class

    def attempt(self, started_at_ms: int, duration_ms: int) -> Attempt:
        return Attempt(started_at_ms, duration_ms, self.http_status, self.ret_code, self.error, self.error_class)


def signed_request(
    notification: Notification, app: App, keyring: Keyring, url: str, now_ms: int, nonce: str
) -> Request:
    """The request of one attempt: the stored bytes under a fresh timestamp, nonce and signatures.

    `Sud-Signature` has room for one signature, the signing version's; `webhook-signature` carries one of every version
    in use, so that rotating a secret cuts nobody off.
    """
    body = notification.body.encode("ascii")
    timestamp, seconds = str(now_ms), str(now_ms // 1000)
    secrets = {
        version.version: keyring.app_secret(app.app_id, version.version, version.generation)
        for version in app.versions_in_use(now_ms)
    }
    signing = secrets.get(app.signing_version) or secrets[max(secrets)]
    headers = {
        "Content-Type": "application/json;charset=utf-8",
        "User-Agent": "Settlepoint",
        "Sud-AppId": app.app_id,
        "Sud-Timestamp": timestamp,
        "Sud-Nonce": nonce,
        "Sud-Signature": sud_signature(signing, app.app_id, timestamp, nonce, body),
        "webhook-id": notification.notify_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(
            webhook_signature(secret, notification.notify_id, seconds, body) for secret in secrets.values()
        ),
    }
    return Request(url, headers, body)


def judge(answer: Response | NoAnswer | Refused) -> Judgement:
    """What an answer means. Only a 2xx whose body says so acknowledges: proxies and login pages say 200 too."""
    match answer:
        case NoAnswer(error):
            return Judgement(Retry(error, "timeout" if error == TIMEOUT else "transport"))
        case Refused(error):
            return Judgement(GivenUp(error, "refused"))
        case Response(status=410 as status):
            return Judgement(GivenUp("http 410", "http_4xx"), status)
        case Response(status=status, retry_after=retry_after) if not 200 <= status < 300:
            return Judgement(Retry(f"http {status}", _status_class(status), retry_after), status)
        case Response(status=status, complete=False):
            return Judgement(Retry("answer too large", "not_acknowledged"), status)
        case Response(status=status, body=body):
            return _judge_body(status, body)


def retry_wait_ms(failures: int, outcome: Retry, jitter: float, now_ms: int) -> int | None:
    """Milliseconds until the next attempt, after so many failed ones (1 or more); `jitter` in [0, 1). None: no more."""
    if failures > len(RETRY_SECONDS):
        return None
    seconds = max(RETRY_SECONDS[failures - 1], _retry_after_seconds(outcome.retry_after, now_ms))
    return int(seconds * 1000 * (1 + JITTER * jitter))


def _status_class(status: int) -> ErrorClass:
    match status // 100:
        case _ if status == 429:
            return "http_429"
        case 1:
            return "http_1xx"
        case 3:
            return "http_3xx"
        case 4:
            return "http_4xx"
        case _:
            return "http_5xx"


def _judge_body(status: int, body: bytes) -> Judgement:
    try:
        ret_code = parse_object(body).get("ret_code")
    except BadRequest:
        return Judgement(Retry("answer is not a JSON object", "not_acknowledged"), status)
    if type(ret_code) is not int:
        return Judgement(Retry("answer has no integer ret_code", "not_acknowledged"), status)
    if ret_code != 0:
        # The ledger keeps what DynamoDB's numbers can hold.
        kept = ret_code if abs(ret_code) <= _MAX_KEPT_RET_CODE else None
        return Judgement(Retry("ret_code is not 0", "not_acknowledged"), status, kept)
    return Judgement(Delivered(), status, ret_code)


def _retry_after_seconds(value: str | None, now_ms: int) -> int:
    """What a Retry-After header asks for, in whole seconds, at most an hour; 0 where it asks for nothing readable.

    Either form of RFC 9110, section 10.2.3: seconds, or a date.
    """
    if value is None or len(value) > _LONGEST_RETRY_AFTER:
        return 0
    if value.isascii() and value.isdecimal():
        return min(int(value), MAX_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0
    at_seconds = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    return min(max(math.ceil(at_seconds - now_ms / 1000), 0), MAX_RETRY_AFTER_SECONDS)

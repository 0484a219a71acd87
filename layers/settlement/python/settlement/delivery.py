"""Delivering a notification: one attempt, its outcome, and when the next one is due. The sender is passed in.

    answer                                              outcome
    2xx and a JSON object whose ret_code is the integer 0   Delivered
    410, an address that may not be connected to            GivenUp    no further attempt
    anything else: other statuses, a redirect, no, cut-off  Retry      until the schedule ends
      or another body, a timeout, a refused connection

A receiver's fault is a value here; what raises is our own fault, and goes back to the queue without spending one of the
receiver's attempts. Source: DESIGN section 4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

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

RETRY_SECONDS: Final = (3, 15, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, *(6 * [12 * 3600]))
"""The wait after each failed attempt: 15 retries, 3.4 days; after the last one fails the notification is dead."""
JITTER: Final = 0.1
"""Waits are stretched by 0 to 10 %, never shortened."""
MAX_RETRY_AFTER_SECONDS: Final = 3600
_MAX_KEPT_RET_CODE: Final = 2**63 - 1


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
    """Nothing usable came back: the class of what went wrong, such as `timeout` or `connection refused`."""

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
    """The attempt failed; `wait_seconds` until the next at the earliest, where the receiver asked for a longer wait."""

    error: str
    wait_seconds: int = 0


@dataclass(frozen=True, slots=True)
class GivenUp:
    """No further attempt will be made."""

    error: str


type Outcome = Delivered | Retry | GivenUp


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome, and of the answer what the ledger keeps."""

    outcome: Outcome
    http_status: int | None = None
    ret_code: int | None = None

    def attempt(self, started_at_ms: int, duration_ms: int) -> Attempt:
        error = None if isinstance(self.outcome, Delivered) else self.outcome.error
        return Attempt(started_at_ms, duration_ms, self.http_status, self.ret_code, error)


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
            return Judgement(Retry(error))
        case Refused(error):
            return Judgement(GivenUp(error))
        case Response(status=410 as status):
            return Judgement(GivenUp("http 410"), status)
        case Response(status=status, retry_after=retry_after) if not 200 <= status < 300:
            return Judgement(Retry(f"http {status}", _retry_after_seconds(retry_after)), status)
        case Response(status=status, complete=False):
            return Judgement(Retry("answer too large"), status)
        case Response(status=status, body=body):
            return _judge_body(status, body)


def retry_wait_ms(attempt_number: int, outcome: Retry, jitter: float) -> int | None:
    """Milliseconds from a failed attempt (1 for the first) to the next; `jitter` in [0, 1). None: it was the last."""
    if attempt_number > len(RETRY_SECONDS):
        return None
    seconds = max(RETRY_SECONDS[attempt_number - 1], outcome.wait_seconds)
    return int(seconds * 1000 * (1 + JITTER * jitter))


def _judge_body(status: int, body: bytes) -> Judgement:
    try:
        ret_code = parse_object(body).get("ret_code")
    except BadRequest:
        return Judgement(Retry("answer is not a JSON object"), status)
    if type(ret_code) is not int:
        return Judgement(Retry("answer has no integer ret_code"), status)
    if ret_code != 0:
        # The ledger keeps what DynamoDB's numbers can hold.
        return Judgement(Retry("ret_code is not 0"), status, ret_code if abs(ret_code) <= _MAX_KEPT_RET_CODE else None)
    return Judgement(Delivered(), status, ret_code)


def _retry_after_seconds(value: str | None) -> int:
    """Whole seconds of a Retry-After header, at most an hour; its HTTP-date form is rare and taken as not given."""
    if value is None or not (value.isascii() and value.isdecimal() and len(value) < 10):
        return 0
    return min(int(value), MAX_RETRY_AFTER_SECONDS)

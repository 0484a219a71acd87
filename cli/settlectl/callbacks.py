"""Judging a callback as a careful merchant would: both signature families, over the raw bytes, with fresh timestamps.

The `Sud-` family is checked by our own rules, the `webhook-` family by the Standard Webhooks project's library: code
that is not ours, so that a fault of our signing cannot hide in our checking.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from settlement.errors import BadRequest, Unauthenticated
from settlement.signing import matches, sud_signature, webhook_library_secret
from settlement.strictjson import parse_object
from settlement.sudauth import MAX_CLOCK_DIFFERENCE_MS, timestamp_ms

_NO_MATCH = "no matching signature"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a callback cannot be believed, for each of the three things that must hold; None where it does."""

    sud: str | None
    webhook: str | None
    body: str | None
    notification: dict[str, Any]
    """The body; empty unless the callback is genuine."""

    @property
    def genuine(self) -> bool:
        return self.sud is None and self.webhook is None and self.body is None

    def reasons(self) -> dict[str, str]:
        given = {"Sud-Signature": self.sud, "webhook-signature": self.webhook, "body": self.body}
        return {what: why for what, why in given.items() if why is not None}


def judge_callback(headers: Mapping[str, str], body: bytes, secrets: list[str], now_ms: int) -> Verdict:
    """`headers` with names in lower case; `secrets`: those of the app that `sud-appid` names, in use."""
    sud = _sud_fault(headers, body, secrets, now_ms)
    webhook = _webhook_fault(headers, body, secrets)
    if sud is not None or webhook is not None:
        return Verdict(sud, webhook, None, {})
    try:
        notification = parse_object(body)
    except BadRequest as error:
        return Verdict(None, None, error.detail, {})
    named = (notification.get("app_id"), notification.get("notify_id"))
    if named != (headers["sud-appid"], headers["webhook-id"]):
        return Verdict(None, None, "names another app_id or notify_id than the headers", {})
    return Verdict(None, None, None, notification)


def _sud_fault(headers: Mapping[str, str], body: bytes, secrets: list[str], now_ms: int) -> str | None:
    names = ("sud-appid", "sud-timestamp", "sud-nonce", "sud-signature")
    missing = [name for name in names if name not in headers]
    if missing:
        return f"header {missing[0]} is missing"
    if not secrets:
        return "not an app that is listened for"
    app_id, timestamp, nonce, signature = (headers[name] for name in names)
    try:
        if abs(timestamp_ms(timestamp) - now_ms) > MAX_CLOCK_DIFFERENCE_MS:
            return "timestamp is more than 300 s off"
    except Unauthenticated:
        return "timestamp is malformed"
    if not any(matches(sud_signature(secret, app_id, timestamp, nonce, body), signature) for secret in secrets):
        return _NO_MATCH
    return None


def _webhook_fault(headers: Mapping[str, str], body: bytes, secrets: list[str]) -> str | None:
    fault = "not an app that is listened for"
    for secret in secrets:
        try:
            Webhook(webhook_library_secret(secret)).verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError) as error:  # ValueError: headers that the library trips over
            fault = str(error) if isinstance(error, WebhookVerificationError) else "headers are malformed"
        else:
            return None
    return fault

"""Signatures and derived keys: pure functions of bytes.

    Sud-Signature        hex HMAC-SHA1(secret, "app_id\\n timestamp\\n nonce\\n body\\n")   without the spaces
    directory path       hex HMAC-MD5(secret, app_id)
    webhook-signature    "v1," + base64 HMAC-SHA256(secret, "id.timestamp.body")            Standard Webhooks
    keys                 hex HMAC-SHA256(master, "app:{app_id}:{n}" | "ops:{n}" | "cursor:{n}")

An app's secret is text; its ASCII bytes are the key of all of them. The vendors chose SHA-1 and MD5; as HMAC both still
stand, and receivers who can choose verify webhook-signature. Source: DESIGN sections 3, 4 and 6.
"""

import base64
import hmac


def sud_signature(secret: str, app_id: str, timestamp: str, nonce: str, body: bytes) -> str:
    """Signs the raw body as sent; `timestamp` is the header's own text."""
    message = b"%s\n%s\n%s\n%s\n" % (app_id.encode(), timestamp.encode(), nonce.encode(), body)
    return hmac.digest(secret.encode(), message, "sha1").hex()


def directory_signature(secret: str, app_id: str) -> str:
    """The last part of the API directory's path."""
    return hmac.digest(secret.encode(), app_id.encode(), "md5").hex()


def webhook_signature(secret: str, webhook_id: str, timestamp: str, body: bytes) -> str:
    """One signature of the `webhook-signature` header, whose values are separated by spaces; `timestamp` in seconds."""
    message = b"%s.%s.%s" % (webhook_id.encode(), timestamp.encode(), body)
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), message, "sha256")).decode()


def webhook_library_secret(secret: str) -> str:
    """The app secret in the form that Standard Webhooks libraries take."""
    return "whsec_" + base64.b64encode(secret.encode()).decode()


def derive_app_secret(master: str, app_id: str, version: int) -> str:
    """An app's secret of version `version`: 64 hex digits."""
    return _derive(master, f"app:{app_id}:{version}")


def derive_operator_key(master: str, generation: int) -> str:
    return _derive(master, f"ops:{generation}")


def derive_cursor_key(master: str, generation: int) -> str:
    return _derive(master, f"cursor:{generation}")


def matches(expected: str, given: str) -> bool:
    """Compares in constant time; takes text beyond ASCII, which compare_digest refuses as text."""
    return hmac.compare_digest(expected.encode(), given.encode())


def _derive(master: str, purpose: str) -> str:
    return hmac.digest(master.encode(), purpose.encode(), "sha256").hex()

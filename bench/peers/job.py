"""The job that every peer does: what is left of it when the framework, its checks and its AWS client are taken away.

The standard library alone. A peer adds how a request comes in, how it is checked, and how rows are read and written.
"""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from decimal import Decimal

FULL_RATIO = 100
CACHE_SECONDS = 30
KEPT_SECONDS = 30 * 24 * 3600
LEASE_MS = 35_000


class Fault(Exception):
    """A business answer: HTTP status, code, text, detail."""

    def __init__(self, status, code, text, detail=""):
        super().__init__(detail)
        self.status, self.code, self.text, self.detail = status, code, text, detail


def bad(detail):
    return Fault(200, 1001, "请求参数错误，请稍后再试", detail)


def unauthenticated():
    return Fault(401, 1002, "鉴权失败")


def now_ms():
    return time.time_ns() // 1_000_000


def app_secret(master, app_id, version):
    return hmac.digest(master.encode(), f"app:{app_id}:{version}".encode(), "sha256").hex()


def cursor_key(master):
    return hmac.digest(master.encode(), b"cursor:1", "sha256").hex()


def sud_signature(secret, app_id, timestamp, nonce, body):
    message = b"%s\n%s\n%s\n%s\n" % (app_id.encode(), timestamp.encode(), nonce.encode(), body)
    return hmac.new(secret.encode(), message, hashlib.sha1).hexdigest()


def sud_parts(header):
    if not header.startswith("Sud-Auth "):
        raise unauthenticated()
    return {name: value.strip('"') for name, _, value in (part.partition("=") for part in header[9:].split(","))}


def check_sud(master, app, header, body):
    """`app` is the caller's row, as plain values."""
    given = sud_parts(header)
    if app is None or app["status"] != "enabled" or "merchant" not in app["roles"]:
        raise unauthenticated()
    if abs(int(given["timestamp"]) - now_ms()) > 300_000:
        raise unauthenticated()
    secret = app_secret(master, given["app_id"], app["signing_version"])
    if not hmac.compare_digest(
        sud_signature(secret, given["app_id"], given["timestamp"], given["nonce"], body), given["signature"]
    ):
        raise unauthenticated()


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jwt_parts(authorization):
    """App, version and token, unverified."""
    token = (authorization or "").removeprefix("Bearer ").strip()
    try:
        kid = json.loads(unpadded(token.split(".", 1)[0]))["kid"]
    except (ValueError, KeyError, IndexError) as error:
        raise unauthenticated() from error
    app_id, _, version = kid.partition(".")
    return app_id, version, token


def jwt_by_hand(token, secret):
    """The claims of a token whose signature is good. For peers without PyJWT."""
    head, _, rest = token.partition(".")
    payload, _, signature = rest.partition(".")
    try:
        if json.loads(unpadded(head))["alg"] != "HS256":
            raise unauthenticated()
        expected = hmac.digest(secret.encode(), f"{head}.{payload}".encode(), "sha256")
        if not hmac.compare_digest(expected, unpadded(signature)):
            raise unauthenticated()
        return json.loads(unpadded(payload))
    except ValueError as error:
        raise unauthenticated() from error


def check_claims(claims, app_id, scope):
    if claims["sub"] != app_id or claims["exp"] <= time.time():
        raise unauthenticated()
    if scope not in claims["scope"]:
        raise Fault(403, 1006, "无权限", f"needs {scope}")


def settle_terms(amt, settle_amt, amt_ratio):
    """Hundredths of a point, and the ratio."""
    if settle_amt:
        if (settle_amt > 0) != (amt > 0) or abs(settle_amt) >= abs(amt):
            raise bad("settle_amt: must be smaller than amt, with its sign")
        return settle_amt * 100, FULL_RATIO
    ratio = amt_ratio or FULL_RATIO
    return amt * ratio, ratio


def points(hundredths):
    whole, rest = divmod(abs(hundredths), 100)
    decimals = f".{rest:02d}".rstrip("0") if rest else ""
    return Decimal(f"{'-' if hundredths < 0 else ''}{whole}{decimals}")


def json_points(value):
    """For json.dumps(default=...): whole points as integers, others as the nearest float that prints the same."""
    return int(value) if value == int(value) else float(value)


def total_buckets(source, time_ms, shard):
    """Row and part of every sum that a settlement adds to."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    for only in ("", f".{source}"):
        yield f"y{only}#{moment:%Y}#{shard}", f"{moment:%m}"
        yield f"m{only}#{moment:%Y-%m}#{shard}", f"{moment:%d}"
        yield f"d{only}#{moment:%Y-%m-%d}#{shard}", f"{moment:%H}"


def day_key(app_id, time_ms, shard):
    return f"{app_id}#{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%d}#{shard}"


def entry(order, hundredths, ratio, time_ms):
    """One settled order as lists and notifications show it."""
    shown = {
        "billno": order["bill_no"],
        "amt": order["amt"],
        "settle_amt": points(hundredths),
        "amt_ratio": ratio,
        "settle_time": time_ms,
        "detail": order["detail"],
        "source": order["source"],
        "jf_gid": order["jf_gid"],
    }
    if order["account"]:
        shown["account"] = order["account"]
    return shown


def notification(app_id, order, hundredths, ratio, time_ms):
    """Id and body of what the club is told."""
    notify_id = hashlib.sha256(f"{app_id}\nupbot.club.jf.settle\n{order['bill_no']}".encode()).hexdigest()
    data = {"openid": order["openid"], **entry(order, hundredths, ratio, time_ms)}
    body = {
        "notify_id": notify_id,
        "notify_time": str(time_ms),
        "app_id": app_id,
        "notify_event": "upbot.club.jf.settle",
        "data": data,
    }
    return notify_id, json.dumps(body, separators=(",", ":"), default=json_points).replace("/", "\\/")


def encode_cursor(key, openid, time_ms, bill_no):
    place = json.dumps([time_ms, bill_no])
    mac = hmac.digest(key.encode(), f"{openid}\n{place}".encode(), "sha256")[:16]
    return base64.urlsafe_b64encode(mac + place.encode()).decode()


def delivery_headers(secret, app_id, notify_id, body):
    time_now = now_ms()
    seconds, nonce = str(time_now // 1000), hashlib.sha256(f"{notify_id}{time_now}".encode()).hexdigest()[:32]
    signed = hmac.digest(secret.encode(), b"%s.%s.%s" % (notify_id.encode(), seconds.encode(), body), "sha256")
    return {
        "Content-Type": "application/json;charset=utf-8",
        "Sud-AppId": app_id,
        "Sud-Timestamp": str(time_now),
        "Sud-Nonce": nonce,
        "Sud-Signature": sud_signature(secret, app_id, str(time_now), nonce, body),
        "webhook-id": notify_id,
        "webhook-timestamp": seconds,
        "webhook-signature": "v1," + base64.b64encode(signed).decode(),
    }

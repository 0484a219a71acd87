"""Receive Settlepoint's notifications: verify, drop repeats, acknowledge. Python 3.9 or newer, standard library only.

    SETTLEPOINT_SECRET=... python receive.py PORT

While a secret is being rotated, SETTLEPOINT_SECRET holds both, with a space between.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
import traceback
from decimal import Decimal
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

SECRETS = os.environ.get("SETTLEPOINT_SECRET", "").split()
MAX_AGE_SECONDS = 300
handled: set[str] = set()  # in your system: a table, written in the same transaction as the effect
handling = Lock()


def is_genuine(headers: Message, body: bytes) -> bool:
    """Whether one of our secrets signed these very bytes, and just now."""
    timestamp = headers.get("webhook-timestamp", "")
    signed = f"{headers.get('webhook-id', '')}.{timestamp}.".encode() + body
    received = headers.get("webhook-signature", "").encode().split(b" ")
    for secret in SECRETS:
        expected = b"v1," + base64.b64encode(hmac.digest(secret.encode(), signed, "sha256"))
        if any(hmac.compare_digest(expected, signature) for signature in received):
            return abs(time.time() - int(timestamp)) <= MAX_AGE_SECONDS
    return False


def is_genuine_sud(headers: Message, body: bytes) -> bool:
    """The alternative, by the Sud- headers. One of the two is enough."""
    timestamp = headers.get("Sud-Timestamp", "")
    parts = (headers.get("Sud-AppId", ""), timestamp, headers.get("Sud-Nonce", ""))
    signed = "".join(f"{part}\n" for part in parts).encode() + body + b"\n"
    for secret in SECRETS:
        expected = hmac.new(secret.encode(), signed, hashlib.sha1).hexdigest()
        if hmac.compare_digest(expected.encode(), headers.get("Sud-Signature", "").encode()):
            return abs(time.time() - int(timestamp) / 1000) <= MAX_AGE_SECONDS
    return False


def handle(notification: dict[str, Any]) -> None:
    """Yours. Be quick, or put it into a queue of your own; leave events that you do not know alone."""
    print(notification["notify_event"], notification["notify_id"], flush=True)


class Receiver(BaseHTTPRequestHandler):
    timeout = 10  # seconds; whoever sends slower is cut off

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        readable = length.isdecimal() and len(length) <= 6  # a notification is far below a megabyte
        body = self.rfile.read(int(length)) if readable else b""
        if not is_genuine(self.headers, body):
            self.answer(401, 1, "not genuine")
            return
        try:
            notification = json.loads(body, parse_float=Decimal)  # points have two decimals, not binary digits
            with handling:
                if notification["notify_id"] not in handled:
                    handle(notification)
                    handled.add(notification["notify_id"])
        except Exception:  # noqa: BLE001  # whatever went wrong: it comes again
            traceback.print_exc()
            self.answer(500, 1, "not handled")
        else:
            self.answer(200, 0, "")

    def answer(self, status: int, ret_code: int, ret_msg: str) -> None:
        content = json.dumps({"ret_code": ret_code, "ret_msg": ret_msg}, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    if not SECRETS:
        sys.exit("SETTLEPOINT_SECRET is not set")
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()

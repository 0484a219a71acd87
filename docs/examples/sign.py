"""Sign and send a call to the game API, and verify a received notification. Standard library only.

    python sign.py vector
    python sign.py query OUT_ORDER_ID
    python sign.py verify TIMESTAMP NONCE SIGNATURE < body

`query` and `verify` read SETTLEPOINT_APP_ID and SETTLEPOINT_SECRET, `query` also SETTLEPOINT_BASE_URL.
"""

import hashlib
import hmac
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request


def sign(secret: str, app_id: str, timestamp: str, nonce: str, body: bytes) -> str:
    signed = f"{app_id}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
    return hmac.new(secret.encode(), signed, hashlib.sha1).hexdigest()


def authorization(secret: str, app_id: str, body: bytes) -> str:
    timestamp, nonce = str(time.time_ns() // 1_000_000), secrets.token_hex(16)
    signature = sign(secret, app_id, timestamp, nonce, body)
    return f'Sud-Auth app_id="{app_id}",timestamp="{timestamp}",nonce="{nonce}",signature="{signature}"'


def is_genuine(secret: str, app_id: str, timestamp: str, nonce: str, signature: str, body: bytes) -> bool:
    expected = sign(secret, app_id, timestamp, nonce, body)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        return False
    return abs(time.time() - int(timestamp) / 1000) <= 300


def call(base_url: str, secret: str, app_id: str, path: str, fields: object) -> tuple[int, str]:
    """The HTTP status and the text of the answer."""
    body = json.dumps(fields).encode()  # serialised once: these bytes are signed, and these are sent
    request = urllib.request.Request(
        base_url + path,
        data=body,
        headers={
            "Authorization": authorization(secret, app_id, body),
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:  # 401, 403, 5xx ... carry an envelope too
        return error.code, error.read().decode()


def vector() -> str:
    body = b'{"app_id": "1461564080052506238","mg_id": "1461227817776713818","room_id": "9009"}'
    return sign("test-app-secret", "1461564080052506636", "1688464949817", "keVJLJTItd1VBtGT", body)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["vector"]:
            print(vector())
            return 0
        case ["query", out_order_id]:
            status, answer = call(
                os.environ["SETTLEPOINT_BASE_URL"],
                os.environ["SETTLEPOINT_SECRET"],
                os.environ["SETTLEPOINT_APP_ID"],
                "/v1/app/server/query_user_settle",
                {"out_order_id": out_order_id},
            )
            print(answer)
            return 0 if status == 200 else 1
        case ["verify", timestamp, nonce, signature]:
            secret, app_id = os.environ["SETTLEPOINT_SECRET"], os.environ["SETTLEPOINT_APP_ID"]
            body = sys.stdin.buffer.read()
            genuine = is_genuine(secret, app_id, timestamp, nonce, signature, body)
            print("genuine" if genuine else "not genuine")
            return 0 if genuine else 1
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

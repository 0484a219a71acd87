"""Mint a club token with the app's own secret, and walk a list of settlements page by page. Needs PyJWT.

    python club.py token SCOPE...
    python club.py walk OPENID

Both read SETTLEPOINT_APP_ID, SETTLEPOINT_SECRET and SETTLEPOINT_SECRET_VERSION, `walk` also SETTLEPOINT_BASE_URL.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import jwt


def mint_token(secret: str, app_id: str, secret_version: int, scopes: list[str]) -> str:
    now = int(time.time())
    claims = {"sub": app_id, "scope": scopes, "iat": now, "exp": now + 15 * 60}
    key_id = f"{app_id}.{secret_version}"
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": key_id})


def call(base_url: str, token: str, path: str, fields: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        base_url + path,
        data=json.dumps(fields).encode(),
        headers={"Authorization": token, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response, parse_float=Decimal)
    except urllib.error.HTTPError as error:  # 401, 403, 5xx ... carry an envelope too
        answer = json.load(error)
    if answer["ret"] != 0:
        raise RuntimeError(f"{path}: {answer['ret']} {answer['msg']} {answer.get('detail', '')}")
    data: dict[str, Any] = answer.get("data", {})
    return data


def walk(base_url: str, token: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The pages of one query; the first one has total_amt."""
    page_context = ""
    while True:
        fields = {**query, "page_context": page_context}
        page = call(base_url, token, "/upbot/api/GetClubJfSettleList", fields)
        yield page
        if page["is_end"]:
            return
        page_context = page["page_context"]


def main(arguments: list[str]) -> int:
    secret, app_id = os.environ["SETTLEPOINT_SECRET"], os.environ["SETTLEPOINT_APP_ID"]
    secret_version = int(os.environ["SETTLEPOINT_SECRET_VERSION"])
    match arguments:
        case ["token", *scopes] if scopes:
            print(mint_token(secret, app_id, secret_version, scopes))
            return 0
        case ["walk", openid]:
            token = mint_token(secret, app_id, secret_version, ["settlements:read"])
            for page in walk(os.environ["SETTLEPOINT_BASE_URL"], token, {"openid": openid}):
                if "total_amt" in page:
                    print("total", page["total_amt"])
                for entry in page["settle_list"]:
                    print(entry["settle_time"], entry["billno"], entry["settle_amt"])
            return 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

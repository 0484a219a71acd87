"""The examples of docs/examples, run as a reader of docs/api.md runs them."""

import hashlib
import hmac
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import jwt
import pytest

from .guides import API_GUIDE, EXAMPLES, NOTIFICATIONS_GUIDE, SOURCES_BY_FENCE, blocks_of, need

# Published with the game API; the body has these spaces and no others.
VECTOR_BODY = b'{"app_id": "1461564080052506238","mg_id": "1461227817776713818","room_id": "9009"}'
VECTOR_SIGNATURE = "6c83c0c0d430f987fdc903dde6ed42acc4f9a277"

COMMANDS = {
    "python": [sys.executable, "sign.py"],
    "node": ["node", "sign.mjs"],
    "java": ["java", "Sign.java"],
    "go": ["go", "run", "sign.go"],
    "php": ["php", "sign.php"],
    "bash": ["bash", "sign.sh"],
}
RECEIVERS = ["python", "node", "java", "go", "php"]

APP_ID = "example-merchant"
SECRET = "3f0c" * 16
NONCE = "b2f5ff47436671b6"


def run_example(
    language: str, *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    command = COMMANDS[language]
    need(command[0], *(["openssl", "curl"] if language == "bash" else []))
    return subprocess.run(
        [*command, *arguments],
        cwd=EXAMPLES,
        env={**os.environ, "SETTLEPOINT_APP_ID": APP_ID, "SETTLEPOINT_SECRET": SECRET, **environment},
        input=stdin,
        capture_output=True,
        timeout=180,
        check=False,
    )


def signature_of(app_id: str, secret: str, timestamp: str, nonce: str, body: bytes) -> str:
    signed = b"".join(part + b"\n" for part in (app_id.encode(), timestamp.encode(), nonce.encode(), body))
    return hmac.new(secret.encode(), signed, hashlib.sha1).hexdigest()


@contextmanager
def answering(answers: list[tuple[int, object]]) -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """A server that gives these answers one after another: its base URL, and the calls (path, headers, body) so far."""
    calls: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, answer = answers[len(calls)]
            calls.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            content = json.dumps(answer, ensure_ascii=False).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/live", calls
    finally:
        server.shutdown()
        server.server_close()


def example_module(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("language", COMMANDS)
def test_vector_mode_prints_the_published_signature(language: str) -> None:
    result = run_example(language, "vector")

    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout.decode() == f"{VECTOR_SIGNATURE}\n"


@pytest.mark.parametrize("language", COMMANDS)
def test_a_call_carries_the_signature_of_the_very_bytes_that_it_sends(language: str) -> None:
    envelope = {"ret_code": 70504, "ret_msg": "订单无关联的用户结算信息"}
    with answering([(200, envelope)]) as (base_url, calls):
        result = run_example(language, "query", "order-1/é", SETTLEPOINT_BASE_URL=base_url)

    assert result.returncode == 0, result.stderr.decode()
    assert json.loads(result.stdout) == envelope
    [(path, headers, body)] = calls
    assert path == "/live/v1/app/server/query_user_settle"
    assert json.loads(body) == {"out_order_id": "order-1/é"}
    assert headers["content-type"] == "application/json"
    scheme, _, parts = headers["authorization"].partition(" ")
    assert scheme == "Sud-Auth"
    sent = dict(re.findall(r'(\w+)="([^"]*)"', parts))
    assert sent["app_id"] == APP_ID
    milliseconds = int(sent["timestamp"]) * (1 if len(sent["timestamp"]) == 13 else 1000)
    assert abs(time.time() - milliseconds / 1000) < 60
    assert 1 <= len(sent["nonce"]) <= 128
    assert sent["signature"] == signature_of(APP_ID, SECRET, sent["timestamp"], sent["nonce"], body)


@pytest.mark.parametrize("language", ["python", "node", "java", "go", "php"])
def test_a_refused_call_shows_the_envelope_and_fails(language: str) -> None:
    envelope = {"ret_code": 10004, "ret_msg": "AppSecret非法"}
    with answering([(401, envelope)]) as (base_url, _):
        result = run_example(language, "query", "order-1", SETTLEPOINT_BASE_URL=base_url)

    assert result.returncode == 1
    assert json.loads(result.stdout) == envelope


@pytest.mark.parametrize("language", RECEIVERS)
@pytest.mark.parametrize(
    ("fault", "genuine"),
    [("none", True), ("body", False), ("secret", False), ("app_id", False), ("signature cut", False), ("stale", False)],
)
def test_a_received_notification_is_genuine_only_as_it_was_signed(language: str, fault: str, genuine: bool) -> None:
    body = rb'{"notify_id":"00","data":{"detail":"\u6d3b\u52a8 1\/2"}}'
    sent_at = time.time() - (301 if fault == "stale" else 0)
    timestamp = str(int(sent_at * 1000))
    signature = signature_of(APP_ID, SECRET, timestamp, NONCE, body)

    result = run_example(
        language,
        "verify",
        timestamp,
        NONCE,
        signature[:-1] if fault == "signature cut" else signature,
        stdin=body + b"\n" if fault == "body" else body,
        SETTLEPOINT_SECRET="0" * 64 if fault == "secret" else SECRET,
        SETTLEPOINT_APP_ID="another" if fault == "app_id" else APP_ID,
    )

    assert result.stdout.decode() == ("genuine\n" if genuine else "not genuine\n"), result.stderr.decode()
    assert result.returncode == (0 if genuine else 1)


def test_a_minted_club_token_has_the_claims_that_the_guide_asks_for() -> None:
    token = example_module("club").mint_token(SECRET, APP_ID, 3, ["settlements:read"])

    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": f"{APP_ID}.3"}
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["sub"] == APP_ID
    assert claims["scope"] == ["settlements:read"]
    assert abs(time.time() - claims["iat"]) < 60
    assert 0 < claims["exp"] - claims["iat"] <= 90 * 86_400


def test_a_walk_gives_back_each_page_context_and_keeps_the_query_and_the_decimals() -> None:
    def page(entries: list[dict[str, Any]], **rest: object) -> tuple[int, object]:
        return 200, {"ret": 0, "msg": "", "data": {"settle_list": entries, **rest}}

    answers = [
        page([{"settle_amt": 333.25}], total_amt=733.25, page_context="second", is_end=False),
        page([{"settle_amt": 400}], page_context="", is_end=True),
    ]
    with answering(answers) as (base_url, calls):
        pages = list(example_module("club").walk(base_url, "token", {"openid": "o-1", "source": 1}))

    assert [json.loads(body) for _, _, body in calls] == [
        {"openid": "o-1", "source": 1, "page_context": ""},
        {"openid": "o-1", "source": 1, "page_context": "second"},
    ]
    assert [entry["settle_amt"] for page in pages for entry in page["settle_list"]] == [Decimal("333.25"), 400]
    assert pages[0]["total_amt"] == Decimal("733.25")


@pytest.mark.parametrize("guide", [API_GUIDE, NOTIFICATIONS_GUIDE], ids=lambda guide: guide.name)
def test_every_program_snippet_of_a_guide_is_a_piece_of_an_example(guide: Path) -> None:
    snippets = [(fence, text) for fence, text in blocks_of(guide) if fence in SOURCES_BY_FENCE]

    strays = [
        text
        for fence, text in snippets
        if not any(text in (EXAMPLES / name).read_text(encoding="utf-8") for name in SOURCES_BY_FENCE[fence])
    ]

    assert snippets
    assert strays == []


@pytest.mark.parametrize("fence", SOURCES_BY_FENCE)
def test_the_guide_shows_how_to_sign_in_every_language(fence: str) -> None:
    assert any(
        language == fence and re.search(r"\bsign\(", text) and "Sud-Auth" in text
        for language, text in blocks_of(API_GUIDE)
    )


def test_the_guide_publishes_the_vector() -> None:
    guide = API_GUIDE.read_text(encoding="utf-8")

    assert VECTOR_BODY.decode() in guide
    assert VECTOR_SIGNATURE in guide


@pytest.mark.parametrize("guide", [API_GUIDE, NOTIFICATIONS_GUIDE], ids=lambda guide: guide.name)
def test_every_json_block_of_a_guide_is_json(guide: Path) -> None:
    blocks = [text for fence, text in blocks_of(guide) if fence == "json"]

    assert blocks
    for block in blocks:
        json.loads(block)

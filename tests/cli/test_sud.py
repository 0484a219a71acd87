"""`settlectl sud call`."""

from pathlib import Path

import pytest

from settlectl.apps import create_app
from settlectl.deployment import Deployment
from settlement.clock import now_ms
from settlement.sudauth import authenticate_game

from .api import Api
from .conftest import Run
from .test_apps import new_id

GOOD = b'{"ret_code":0,"ret_msg":"","data":{"rate":1.10,"order_id":"x"}}'


@pytest.fixture
def merchant(deployment: Deployment) -> str:
    return create_app(deployment, new_id(), ["merchant"]).app.app_id


@pytest.mark.parametrize("body", ['{"a": "\\/中"}', "not json at all", ""])
def test_the_bytes_of_the_body_are_signed_and_sent_as_they_are(
    run: Run, api: Api, deployment: Deployment, merchant: str, body: str, tmp_path: Path
) -> None:
    api.answer = lambda _: (200, GOOD)
    file = tmp_path / "body.json"
    file.write_text(body, encoding="utf-8", newline="")
    for arguments, stdin in (([body], None), ([f"@{file}"], None), (["-"], body)):
        ran = run("sud", "call", "/v1/x", "--app-id", merchant, "--body", *arguments, stdin=stdin)
        assert ran.exit_status == 0
        sent = api.received.pop()
        assert (sent.method, sent.path, sent.body) == ("POST", "/live/v1/x", body.encode())
        header = sent.headers["authorization"]
        caller = authenticate_game(header, sent.body, deployment.apps, deployment.keyring, now_ms())
        assert caller.app.app_id == merchant


def test_with_json_stdout_is_the_answers_body_with_its_numbers_as_they_are(run: Run, api: Api, merchant: str) -> None:
    api.answer = lambda _: (200, GOOD)
    ran = run("sud", "call", "/v1/x", "--app-id", merchant, "--body", "{}", "--json")
    assert ran.stdout == GOOD.decode() + "\n"
    assert "HTTP 200" in ran.stderr


@pytest.mark.parametrize(
    ("answer", "stdout"),
    [
        ('{"ret_code": 0,\n "rate": 1.10, "big": 1E+2, "text": "中\\/"}\n'.encode(), None),
        (b'"text"', '"text"\n'),
        (b"<html>\n", '"<html>\\n"\n'),
        (b'{"a":"\xff"}', '"{\\"a\\":\\"\\ufffd\\"}"\n'),
        (b"", '""\n'),
    ],
)
def test_with_json_a_json_body_passes_through_and_any_other_is_a_json_string(
    run: Run, api: Api, merchant: str, answer: bytes, stdout: str | None
) -> None:
    api.answer = lambda _: (200, answer)
    ran = run("sud", "call", "/v1/x", "--app-id", merchant, "--body", "{}", "--json")
    assert ran.stdout == (answer.decode() if stdout is None else stdout)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b'{"ret_code":70503,"ret_msg":"x"}'),
        (200, b'{"ret_code":"0"}'),
        (200, b'{"ret_code":false}'),
        (200, b"[]"),
        (200, b"<html>"),
        (401, b'{"ret_code":0}'),
        (302, b'{"ret_code":0}'),
        (500, b""),
    ],
)
def test_anything_but_2xx_and_ret_code_0_is_a_failure(
    run: Run, api: Api, merchant: str, status: int, answer: bytes
) -> None:
    api.answer = lambda _: (status, answer)
    ran = run("sud", "call", "/v1/x", "--app-id", merchant, "--body", "{}", "--json")
    assert ran.exit_status == 1
    assert ran.json is not None
    assert f"HTTP {status}" in ran.stderr
    assert len(api.received) == 1


def test_the_directory_is_fetched_by_the_apps_own_signature(run: Run, api: Api, deployment: Deployment) -> None:
    created = create_app(deployment, new_id(), ["merchant"])
    api.answer = lambda _: (200, b'{"api":{}}')
    for path in ("directory", created.directory_url.removeprefix(api.base_url)):
        assert run("sud", "call", path, "--app-id", created.app.app_id).exit_status == 0
        sent = api.received.pop()
        assert (sent.method, f"{api.base_url.removesuffix('/live')}{sent.path}") == ("GET", created.directory_url)


@pytest.mark.parametrize(
    "arguments",
    [["v1/x", "--body", "{}"], ["/v1/x"], ["directory", "--body", "{}"], ["/v1/x", "--body", "@/no/such/file"]],
)
def test_a_call_that_makes_no_sense_is_wrong_usage(run: Run, api: Api, merchant: str, arguments: list[str]) -> None:
    assert run("sud", "call", *arguments, "--app-id", merchant).exit_status == 2
    assert api.received == []


def test_no_answer_at_all_is_told_in_one_line(run: Run, api: Api, merchant: str) -> None:
    def hang_up(_: object) -> tuple[int, bytes]:
        raise ConnectionError

    api.answer = hang_up
    ran = run("sud", "call", "/v1/x", "--app-id", merchant, "--body", "{}")
    assert (ran.exit_status, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: POST /v1/x: no answer from")
    assert ran.stderr.count("\n") == 1

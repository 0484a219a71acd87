"""`settlectl listen`."""

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from settlectl.apps import create_app
from settlectl.callbacks import judge_callback
from settlectl.deployment import Deployment
from settlectl.failures import BadInput, CommandFailed, NoSuchApp
from settlectl.listening import REPLIES, Receiver, receiving
from settlement.apps import App
from settlement.clock import now_ms
from settlement.delivery import Delivered, GivenUp, Request, Retry, judge, signed_request
from settlement.ledger import Notification
from settlement.sender import Sender

from .conftest import Run
from .test_apps import new_id

BODY = '{"notify_id":"%s","notify_time":"1","app_id":"%s","notify_event":"upbot.club.jf.settle","data":{"x":1}}'


@pytest.fixture
def shop(deployment: Deployment) -> App:
    return create_app(deployment, new_id(), ["merchant"]).app


def signed(deployment: Deployment, app: App, url: str, notify_id: str = "ab" * 32, at_ms: int | None = None) -> Request:
    """What the deliveries send, made by their own code."""
    notification = Notification(notify_id, app.app_id, "upbot.club.jf.settle", 1, BODY % (notify_id, app.app_id))
    return signed_request(notification, app, deployment.keyring, url, at_ms or now_ms(), os.urandom(16).hex())


def send(request: Request) -> tuple[int, bytes]:
    url = urlsplit(request.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    try:
        connection.request("POST", "/", request.body, request.headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_delivery_is_verified_and_acknowledged_and_its_repeat_known(deployment: Deployment, shop: App) -> None:
    with receiving(deployment) as receiver:
        sender = Sender(allow_local=True)
        for duplicate in (False, True):
            judgement = judge(sender.send(signed(deployment, shop, receiver.url)))
            assert judgement.outcome == Delivered()
            callback = next(receiver.callbacks(5))
            assert callback.verdict.genuine
            assert callback.duplicate is duplicate
            assert callback.verdict.notification["notify_id"] == "ab" * 32


def change_header(name: str, value: str) -> Callable[[Request], Request]:
    return lambda r: Request(r.url, {**r.headers, name: value}, r.body)


@pytest.mark.parametrize(
    ("forge", "blamed"),
    [
        (lambda r: Request(r.url, r.headers, r.body.replace(b"1", b"2", 1)), "Sud-Signature"),
        (lambda r: Request(r.url, r.headers, r.body + b" "), "webhook-signature"),
        (change_header("Sud-Signature", "0" * 40), "Sud-Signature"),
        (change_header("Sud-Nonce", "x"), "Sud-Signature"),
        (change_header("Sud-AppId", "nobody"), "Sud-Signature"),
        (change_header("Sud-Timestamp", "now"), "Sud-Signature"),
        (change_header("webhook-signature", "v1,AAAA"), "webhook-signature"),
        (change_header("webhook-signature", "rubbish"), "webhook-signature"),
        (change_header("webhook-id", "x"), "webhook-signature"),
        (lambda r: Request(r.url, {}, r.body), "webhook-signature"),
        (lambda r: Request(r.url, r.headers, b"\xff"), "webhook-signature"),
    ],
)
def test_what_is_not_genuine_gets_401_and_the_reason_is_named(
    deployment: Deployment, shop: App, forge: Callable[[Request], Request], blamed: str
) -> None:
    with receiving(deployment) as receiver:
        status, body = send(forge(signed(deployment, shop, receiver.url)))
        assert (status, json.loads(body)["ret_code"]) == (401, 1)
        callback = next(receiver.callbacks(5))
        assert not callback.verdict.genuine
        assert blamed in callback.verdict.reasons()
        assert callback.verdict.notification == {}
        assert callback.to_json()["notification"] is None


@pytest.mark.parametrize("seconds_off", [-310, 310])
def test_a_stale_or_early_timestamp_is_refused_by_both(deployment: Deployment, shop: App, seconds_off: int) -> None:
    request = signed(deployment, shop, "http://x/", at_ms=now_ms() + seconds_off * 1000)
    headers = {name.lower(): value for name, value in request.headers.items()}
    secrets = list(deployment.secrets_in_use(shop, now_ms()).values())
    verdict = judge_callback(headers, request.body, secrets, now_ms())
    assert verdict.sud == "timestamp is more than 300 s off"
    assert verdict.webhook is not None
    assert "timestamp" in verdict.webhook


def test_a_body_of_another_app_or_id_than_the_headers_is_refused(deployment: Deployment, shop: App) -> None:
    other = Notification("ab" * 32, shop.app_id, "e", 1, BODY % ("cd" * 32, shop.app_id))
    request = signed_request(other, shop, deployment.keyring, "http://x/", now_ms(), "n")
    headers = {name.lower(): value for name, value in request.headers.items()}
    secrets = list(deployment.secrets_in_use(shop, now_ms()).values())
    assert judge_callback(headers, request.body, secrets, now_ms()).body is not None


def test_only_the_apps_that_are_listened_for_are_believed(deployment: Deployment, shop: App) -> None:
    other = create_app(deployment, new_id(), ["merchant"]).app
    with receiving(deployment, [other.app_id]) as receiver:
        assert send(signed(deployment, shop, receiver.url))[0] == 401
        assert send(signed(deployment, other, receiver.url))[0] == 200


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [("error", Retry), ("unavailable", Retry), ("redirect", Retry), ("gone", GivenUp), ("ok", Delivered)],
)
def test_it_answers_as_it_is_told(deployment: Deployment, shop: App, answer: str, outcome: type) -> None:
    with receiving(deployment, answer=answer) as receiver:
        assert isinstance(judge(Sender(allow_local=True).send(signed(deployment, shop, receiver.url))).outcome, outcome)


def test_slow_is_slower_than_an_attempt_may_be() -> None:
    assert REPLIES["slow"].wait_seconds > 5


def test_bodies_without_a_length_or_too_long_are_refused(deployment: Deployment) -> None:
    with receiving(deployment) as receiver:
        for header, status in ((("Content-Length", "1048577"), 413), (("Transfer-Encoding", "chunked"), 411)):
            connection = http.client.HTTPConnection("127.0.0.1", urlsplit(receiver.url).port, timeout=10)
            connection.putrequest("POST", "/")
            connection.putheader(*header)
            connection.endheaders()
            assert connection.getresponse().status == status
            connection.close()


@pytest.mark.parametrize("method", ["GET", "PUT", "BREW"])
def test_what_is_no_post_gets_405_in_json_and_is_no_callback(deployment: Deployment, method: str) -> None:
    with receiving(deployment) as receiver:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(receiver.url).port, timeout=10)
        connection.request(method, "/", b"x" * 1_000_000 if method == "PUT" else None)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Server"] == "settlectl"
        assert json.loads(body)["ret_code"] == 1
        assert list(receiver.callbacks(0)) == []


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET / rubbish HTTP/1.1", b"400", b'{"ret_code":1,"ret_msg":"not an HTTP request"}'),
        (b"HEAD / HTTP/1.1", b"405", b""),
    ],
)
def test_no_answer_is_the_standard_librarys_page(
    deployment: Deployment, request_line: bytes, status: bytes, body: bytes
) -> None:
    with (
        receiving(deployment) as receiver,
        socket.create_connection(("127.0.0.1", urlsplit(receiver.url).port or 0), timeout=10) as connection,
    ):
        connection.sendall(request_line + b"\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.split()[1] == status
    assert answer.partition(b"\r\n\r\n")[2] == body


def test_a_port_that_is_taken_an_unknown_answer_and_an_unknown_app(deployment: Deployment) -> None:
    with receiving(deployment) as receiver:
        port = urlsplit(receiver.url).port or 0
        with pytest.raises(CommandFailed, match=f"port {port}"):
            Receiver(lambda _: [], port, REPLIES["ok"])
    with pytest.raises(BadInput), receiving(deployment, answer="perhaps"):
        pass
    with pytest.raises(NoSuchApp), receiving(deployment, ["nobody"]):
        pass


def test_the_command_ends_after_count_different_notifications(run: Run, deployment: Deployment, shop: App) -> None:
    with receiving(deployment) as receiver:  # finds a port that is free
        port = urlsplit(receiver.url).port
    url = f"http://127.0.0.1:{port}/"

    def deliver() -> None:
        deadline = time.monotonic() + 10
        for notify_id in ("01" * 32, "01" * 32, "02" * 32):
            while time.monotonic() < deadline:
                try:
                    send(signed(deployment, shop, url, notify_id))
                    break
                except ConnectionError:
                    time.sleep(0.05)

    sender = threading.Thread(target=deliver)
    sender.start()
    ran = run("listen", "--port", str(port), "--count", "2", "--timeout", "10", "--json")
    sender.join()
    assert ran.exit_status == 0
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(line["notification"]["notify_id"][:2], line["duplicate"]) for line in lines] == [
        ("01", False),
        ("01", True),
        ("02", False),
    ]


def test_the_command_fails_when_the_time_is_over(run: Run) -> None:
    ran = run("listen", "--port", "0", "--count", "1", "--timeout", "0.1", "--json")
    assert (ran.exit_status, ran.stdout) == (1, "")
    assert "error: 0 genuine notifications in 0.1 s" in ran.stderr

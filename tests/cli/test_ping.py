"""`settlectl app ping`, and what was held for an app that is enabled again."""

from copy import replace
from typing import Any

import pytest

import settlectl.deployment
from settlectl.apps import create_app
from settlectl.callbacks import judge_callback
from settlectl.deployment import Deployment
from settlement.apps import SecretVersion
from settlement.clock import now_ms
from settlement.draining import release_when_known
from settlement.ledger import Message
from settlepoint_local.in_process import World
from settlepoint_local.scene import GENERATION

from .api import Api, Received
from .conftest import Run
from .ledgers import FAILED, NOW_MS, claimed, notify_id, statuses, work_off
from .test_apps import new_id

PING = ("app", "ping", "--app-id", "club-a", "--json")


@pytest.fixture
def told_there(world: World, api: Api) -> None:
    """club-a's receiver is the test's, and acknowledges."""
    world.change_app("club-a", notify_url=api.base_url)
    api.answer = lambda _: (200, b'{"ret_code":0}')


def test_a_ping_is_signed_as_a_delivery_is(run: Run, api: Api, deployment: Deployment) -> None:
    """By the real clock: the library that checks one of the two signatures knows no other."""
    app_id = create_app(deployment, new_id(), ["merchant"], notify_url=api.base_url).app.app_id
    api.answer = lambda _: (200, b'{"ret_code":0}')
    assert run("app", "ping", "--app-id", app_id, "--json").exit_status == 0
    [received] = api.received
    secrets = list(deployment.secrets_in_use(deployment.app(app_id), now_ms()).values())
    assert judge_callback(received.headers, received.body, secrets, now_ms()).genuine


@pytest.mark.usefixtures("told_there")
def test_a_ping_says_that_it_is_one_and_is_nowhere_stored(world: World, run: Run, api: Api) -> None:
    before = world.digest()
    assert run(*PING).exit_status == 0
    [received] = api.received
    key = received.headers["webhook-id"]
    assert received.body == (
        b'{"notify_id":"%s","notify_time":"%d","app_id":"club-a","notify_event":"settlepoint.ping",'
        b'"data":{"message":"ping"}}' % (key.encode(), NOW_MS)
    )
    assert len(key) == 64
    assert world.digest() == before
    assert world.messages() == []


@pytest.mark.usefixtures("told_there")
def test_a_ping_tells_what_came_of_it(run: Run, api: Api) -> None:
    facts = run(*PING).json
    assert facts | {"duration_ms": 0} == {
        "app_id": "club-a",
        "url": api.base_url,
        "notify_id": api.received[0].headers["webhook-id"],
        "outcome": "delivered",
        "http_status": 200,
        "ret_code": 0,
        "error": None,
        "error_class": None,
        "duration_ms": 0,
    }
    assert facts["notify_id"] != run(*PING).json["notify_id"]  # another each time
    assert len({received.headers["sud-nonce"] for received in api.received}) == 2
    ran = run(*PING[:-1])
    assert "outcome      delivered: the receiver acknowledged it\n" in ran.stdout
    assert "not from AWS" in ran.stderr


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, b'{"ret_code":1}'), ("retry", 200, 1, "ret_code is not 0", "not_acknowledged")),
        ((200, b"<html>"), ("retry", 200, None, "answer is not a JSON object", "not_acknowledged")),
        ((503, b""), ("retry", 503, None, "http 503", "http_5xx")),
        ((302, b""), ("retry", 302, None, "http 302", "http_3xx")),
        ((410, b""), ("given up", 410, None, "http 410", "http_4xx")),
    ],
)
@pytest.mark.usefixtures("told_there")
def test_whatever_a_delivery_would_not_take_for_an_acknowledgement_fails(
    run: Run, api: Api, answer: tuple[int, bytes], expected: tuple[Any, ...]
) -> None:
    api.answer = lambda _: answer
    ran = run(*PING)
    assert ran.exit_status == 1
    assert tuple(ran.json[name] for name in ("outcome", "http_status", "ret_code", "error", "error_class")) == expected
    assert f"error: not acknowledged: {expected[3]}" in ran.stderr
    assert len(api.received) == 1


@pytest.mark.usefixtures("told_there")
def test_a_receiver_that_hangs_up_is_told_of(run: Run, api: Api) -> None:
    def hang_up(_: Received) -> tuple[int, bytes]:
        raise ConnectionError

    api.answer = hang_up
    ran = run(*PING)
    assert (ran.exit_status, ran.json["outcome"], ran.json["error_class"]) == (1, "retry", "transport")


def test_another_url_may_be_tried(world: World, run: Run, api: Api) -> None:
    api.answer = lambda _: (200, b'{"ret_code":0}')
    before = world.digest()
    ran = run(*PING, "--url", f"{api.base_url}/new")
    assert (ran.exit_status, ran.json["url"]) == (0, f"{api.base_url}/new")
    assert [received.path for received in api.received] == ["/live/new"]
    assert world.digest() == before


@pytest.mark.usefixtures("told_there")
def test_where_local_receivers_are_not_allowed_none_is_connected_to(
    run: Run, api: Api, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_aws = replace(deployment, allows_local_receivers=False)
    monkeypatch.setattr(settlectl.deployment, "local", lambda _: on_aws)
    ran = run(*PING)
    assert (ran.exit_status, ran.json["outcome"], ran.json["error_class"]) == (1, "given up", "refused")
    ran = run(*PING, "--url", api.base_url)
    assert (ran.exit_status, ran.stdout) == (2, "")
    assert "url must be https" in ran.stderr
    ran = run(*PING, "--url", api.base_url.replace("http:", "https:"))
    assert (ran.exit_status, ran.json["error"]) == (1, "url leads to an address that is not public")
    assert api.received == []


@pytest.mark.parametrize(
    ("arguments", "exit_status", "named"),
    [
        (["--app-id", "nobody"], 1, "there is no app nobody"),
        (["--app-id", "club-b"], 1, "app club-b has no notify_url; name one: --url URL"),
        (["--app-id", "a b"], 2, "--app-id"),
        (["--app-id", "club-a", "--url", "ftp://x.example"], 2, "--url 'ftp://x.example': url must be https"),
    ],
)
def test_what_cannot_be_pinged_is_one_line(
    world: World,  # noqa: ARG001
    run: Run,
    arguments: list[str],
    exit_status: int,
    named: str,
) -> None:
    ran = run("app", "ping", *arguments, "--json")
    assert (ran.exit_status, ran.stdout) == (exit_status, "")
    assert named in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_without_a_secret_in_use_nothing_can_be_signed(world: World, run: Run, api: Api) -> None:
    ended = (SecretVersion(1, GENERATION, retires_at_ms=NOW_MS - 1),)
    world.change_app("club-a", notify_url=api.base_url, secret_versions=ended)
    ran = run(*PING)
    assert (ran.exit_status, ran.stdout) == (1, "")
    assert "no version of its secret is in use" in ran.stderr


def test_a_disabled_apps_receiver_may_be_tested(world: World, run: Run, api: Api) -> None:
    world.change_app("club-a", notify_url=api.base_url, status="disabled")
    api.answer = lambda _: (200, b'{"ret_code":0}')
    ran = run(*PING)
    assert (ran.exit_status, len(api.received)) == (0, 1)
    assert "warning: app club-a is disabled: its notifications are held" in ran.stderr


# ------------------------------------------------------------------------------------------------- enabled again


def test_what_was_held_for_a_disabled_app_goes_out_once_every_function_knows(
    world: World, deployment: Deployment, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOW_LOCAL_RECEIVERS", "true")
    world.change_app("club-a", notify_url=api.base_url, status="disabled")
    claim = claimed(deployment.ledger, 1)
    assert deployment.ledger.record_retry(claim, FAILED, NOW_MS, queued=True)
    deployment.queue.send([Message(notify_id(1), "club-a", 2)])
    work_off(world)
    assert statuses(world) == {notify_id(1): "held"}

    world.change_app("club-a", notify_url=api.base_url)
    world.cold_start()
    api.answer = lambda _: (200, b'{"ret_code":0}')
    assert release_when_known(deployment.queue, "club-a") is None
    [message] = world.messages()
    assert (message["body"], message["delay_seconds"]) == ({"release": "club-a", "pace": 1}, 31)
    work_off(world)
    assert statuses(world) == {notify_id(1): "delivered"}


def test_a_release_that_the_queue_does_not_take_is_told(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment.queue, "_url", "https://sqs.us-east-1.amazonaws.com/123456789012/none")
    assert release_when_known(deployment.queue, "club-a") is not None

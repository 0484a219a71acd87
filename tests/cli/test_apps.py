"""`settlectl app`."""

import copy
import json
import uuid
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sqs.models import sqs_backends

from settlectl.apps import create_app
from settlectl.deployment import Deployment
from settlectl.failures import BadInput
from settlement.breaker import Breaker
from settlement.signing import directory_signature, webhook_library_secret
from settlepoint_local.lambda_events import REGION

from .conftest import Run


def new_id() -> str:
    return f"app-{uuid.uuid4().hex[:12]}"


def test_a_new_app_is_stored_and_its_secret_is_the_derived_one(run: Run, deployment: Deployment) -> None:
    app_id = new_id()
    ran = run(
        "app", "create", "--app-id", app_id, "--role", "club", "--role", "merchant",
        "--notify-url", "http://127.0.0.1:9/", "--json",
    )  # fmt: skip
    assert ran.exit_status == 0
    secret = deployment.keyring.app_secret(app_id, 1, 1)
    assert ran.json == {
        "app_id": app_id,
        "secret": secret,
        "secret_version": 1,
        "webhook_secret": webhook_library_secret(secret),
        "directory_url": f"{deployment.base_url}/asc/{directory_signature(secret, app_id)}",
        "name": app_id,
        "roles": ["club", "merchant"],
        "notify_url": "http://127.0.0.1:9/",
        "mg_ids": [],
        "for_apps": [],
    }
    stored = deployment.app(app_id)
    assert stored.roles == {"club", "merchant"}
    assert stored.enabled


def test_without_json_the_secret_stands_whole_on_one_line(run: Run, deployment: Deployment) -> None:
    app_id = new_id()
    ran = run("app", "create", "--app-id", app_id, "--role", "club")
    secret = deployment.keyring.app_secret(app_id, 1, 1)
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert ["secret", secret] in lines
    assert ["webhook", "secret", webhook_library_secret(secret)] in lines


def test_an_id_that_is_taken_is_refused_and_nothing_changes(run: Run, deployment: Deployment) -> None:
    app_id = new_id()
    run("app", "create", "--app-id", app_id, "--role", "club")
    ran = run("app", "create", "--app-id", app_id, "--role", "merchant", "--json")
    assert (ran.exit_status, ran.stdout) == (1, "")
    assert ran.stderr == f"error: app {app_id} exists already; nothing was changed\n"
    assert deployment.app(app_id).roles == {"club"}


def test_another_url_is_another_receiver_and_what_is_held_goes_there(run: Run, deployment: Deployment) -> None:
    app_id = new_id()
    run("app", "create", "--app-id", app_id, "--role", "club", "--notify-url", "http://127.0.0.1:9/")
    known = Breaker(app_id, trusted=True, failures=9, openings=3, open_until_ms=2**50, patience_ms=4000, held_at_ms=5)
    stored = deployment.ledger.change_breaker(deployment.ledger.breaker(app_id), known)
    run("app", "update", "--app-id", app_id, "--name", "x")
    assert deployment.ledger.breaker(app_id) == stored
    run("app", "update", "--app-id", app_id, "--notify-url", "http://127.0.0.1:10/")
    assert deployment.ledger.breaker(app_id) == Breaker(app_id, held_at_ms=5, version=2)
    [message] = waiting(app_id)
    assert message == {"release": app_id, "pace": 1}


def test_an_app_that_is_enabled_is_released_once_every_function_knows_of_it(run: Run) -> None:
    app_id = new_id()
    run("app", "create", "--app-id", app_id, "--role", "club")
    run("app", "disable", "--app-id", app_id)
    assert waiting(app_id) == []
    run("app", "enable", "--app-id", app_id)
    assert waiting(app_id) == [{"release": app_id, "pace": 1}]


def waiting(app_id: str) -> list[dict[str, Any]]:
    """The queue's messages of one app."""
    messages = sqs_backends[DEFAULT_ACCOUNT_ID][REGION].queues["NotificationQueue"]._messages
    return [json.loads(message.body) for message in messages if message.group_id == app_id]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--app-id", "a b", "--role", "club"], "--app-id"),
        (["--app-id", "x" * 65, "--role", "club"], "--app-id"),
        (["--app-id", "a#b", "--role", "club"], "--app-id"),
        (["--app-id", "ok", "--role", "clubs"], "--role clubs"),
        (["--app-id", "ok"], "--role"),
        (["--role", "club"], "--app-id"),
        (["--app-id", "ok", "--role", "club", "--notify-url", "ftp://example.com"], "--notify-url"),
        (["--app-id", "ok", "--role", "club", "--mg-id", "1"], "--role game"),
        (["--app-id", "ok", "--role", "merchant", "--for-app", "m"], "--role game"),
        (["--app-id", "ok", "--role", "game", "--for-app", "m m"], "--for-app"),
        (["--app-id", "ok", "--role", "game", "--mg-id", "x" * 129], "--mg-id"),
        (["--app-id", "ok", "--role", "club", "--name", "a\x1b[31m"], "--name"),
    ],
)
def test_what_cannot_be_right_is_wrong_usage(
    run: Run, deployment: Deployment, arguments: list[str], named: str
) -> None:
    ran = run("app", "create", *arguments)
    assert (ran.exit_status, ran.stdout) == (2, "")
    assert named in ran.stderr
    assert deployment.apps.read("ok") is None


def test_http_receivers_are_for_deployments_that_allow_them(deployment: Deployment) -> None:
    strict = copy.replace(deployment, allows_local_receivers=False)
    with pytest.raises(BadInput, match="https"):
        create_app(strict, new_id(), ["club"], notify_url="http://127.0.0.1/")


def test_a_game_server_that_can_report_nothing_is_warned_of(run: Run) -> None:
    club = new_id()
    run("app", "create", "--app-id", club, "--role", "club")
    ran = run("app", "create", "--app-id", new_id(), "--role", "game", "--for-app", "nobody", "--for-app", club)
    assert ran.exit_status == 0
    assert "without --mg-id" in ran.stderr
    assert "--for-app nobody: there is no such app yet" in ran.stderr
    assert f"--for-app {club}: this app has not the role merchant" in ran.stderr


def test_show_and_list_tell_of_an_app_without_its_secret(run: Run, deployment: Deployment) -> None:
    app_id = new_id()
    run("app", "create", "--app-id", app_id, "--role", "game", "--name", "对战", "--mg-id", "g1", "--for-app", "m1")
    shown = run("app", "show", "--app-id", app_id, "--json")
    facts = shown.json
    assert facts["created_at_ms"] == deployment.app(app_id).created_at_ms
    del facts["created_at_ms"]
    assert facts == {
        "app_id": app_id,
        "name": "对战",
        "roles": ["game"],
        "status": "enabled",
        "notify_url": None,
        "mg_ids": ["g1"],
        "for_apps": ["m1"],
        "secret_versions": [{"version": 1, "state": "signs", "retires_at_ms": None}],
        "signing_version": 1,
    }
    listed = run("app", "list", "--json").json
    assert [one["app_id"] for one in listed] == sorted(one["app_id"] for one in listed)
    assert app_id in [one["app_id"] for one in listed]
    secret = deployment.keyring.app_secret(app_id, 1, 1)
    for arguments in (["app", "show", "--app-id", app_id], ["app", "list"]):
        ran = run(*arguments)
        assert "对战" in ran.stdout
        assert ("1 signs" in ran.stdout) == ("show" in arguments)
        assert secret not in ran.stdout + ran.stderr


def test_disabling_and_enabling_say_when_they_are_in_force(run: Run, deployment: Deployment) -> None:
    app_id = new_id()
    run("app", "create", "--app-id", app_id, "--role", "club")
    for command, status in (("disable", "disabled"), ("enable", "enabled")):
        ran = run("app", command, "--app-id", app_id, "--json")
        assert (ran.exit_status, ran.json) == (0, {"app_id": app_id, "status": status})
        assert "30 s" in ran.stderr
        assert deployment.app(app_id).status == status


def test_what_is_given_is_replaced_and_the_rest_stays(run: Run, deployment: Deployment) -> None:
    app_id = new_id()
    run(
        "app", "create", "--app-id", app_id, "--role", "game", "--name", "old", "--notify-url", "http://127.0.0.1:9/",
        "--mg-id", "g1", "--mg-id", "g2", "--for-app", "m1",
    )  # fmt: skip
    made = deployment.app(app_id)
    for arguments, changed in (
        (["--mg-id", "g2", "--mg-id", "g3"], {"mg_ids": frozenset({"g2", "g3"})}),
        (["--for-app", "m2"], {"for_apps": frozenset({"m2"})}),
        (
            ["--notify-url", "http://127.0.0.1:10/", "--name", "新"],
            {"notify_url": "http://127.0.0.1:10/", "name": "新"},
        ),
        (["--no-notify-url"], {"notify_url": None}),
    ):
        ran = run("app", "update", "--app-id", app_id, *arguments, "--json")
        assert ran.exit_status == 0
        assert "30 s" in ran.stderr
        made = copy.replace(made, **changed)
        assert deployment.app(app_id) == made
        assert ran.json == run("app", "show", "--app-id", app_id, "--json").json
    assert "--for-app m2: there is no such app yet" in run("app", "update", "--app-id", app_id, "--name", "x").stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "nothing to change"),
        (["--notify-url", "http://127.0.0.1:9/", "--no-notify-url"], "exclude each other"),
        (["--notify-url", "ftp://example.com"], "--notify-url"),
        (["--name", ""], "--name"),
        (["--mg-id", "x" * 129], "--mg-id"),
        (["--for-app", "m m"], "--for-app"),
        (["--mg-id", "1"], "--role game"),
        (["--for-app", "m"], "--role game"),
    ],
)
def test_an_update_that_cannot_be_right_is_wrong_usage(
    run: Run, deployment: Deployment, arguments: list[str], named: str
) -> None:
    made = create_app(deployment, new_id(), ["club"]).app
    ran = run("app", "update", "--app-id", made.app_id, *arguments, "--json")
    assert (ran.exit_status, ran.stdout) == (2, "")
    assert named in ran.stderr
    assert deployment.app(made.app_id) == made


def test_an_update_of_an_unknown_app_is_a_failure_and_makes_none(run: Run, deployment: Deployment) -> None:
    ran = run("app", "update", "--app-id", "nobody", "--name", "x", "--json")
    assert (ran.exit_status, ran.stdout, ran.stderr) == (1, "", "error: there is no app nobody\n")
    assert deployment.apps.read("nobody") is None


@pytest.mark.parametrize("command", ["show", "disable", "enable"])
def test_an_unknown_app_is_a_failure_and_a_malformed_id_wrong_usage(run: Run, command: str) -> None:
    unknown = run("app", command, "--app-id", "nobody")
    assert (unknown.exit_status, unknown.stderr) == (1, "error: there is no app nobody\n")
    assert run("app", command, "--app-id", "no body").exit_status == 2

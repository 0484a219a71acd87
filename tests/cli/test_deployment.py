"""Which deployment a command works on, and the command line's root."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError
from typer.testing import CliRunner

from settlectl.deployment import local, local_session, on_aws
from settlectl.failures import NoStack
from settlectl.main import app, with_global_options_first

STACK = {
    "base_url": "http://127.0.0.1:1/x/",
    "endpoint_url": "http://127.0.0.1:1",
    "region": "us-east-1",
    "stack_name": "settlepoint",
    "tables": {"AppTable": "apps"},
    "queue_url": "q",
    "master_secret_id": "m",
    "pid": os.getpid(),
}


def write_stack(project: Path, **changes: Any) -> None:
    (project / ".local").mkdir()
    (project / ".local" / "stack.json").write_text(json.dumps(STACK | changes))


def test_the_local_stack_is_the_one_of_the_project_around_the_folder(tmp_path: Path) -> None:
    write_stack(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = local(below)
    assert (found.base_url, found.tables["AppTable"], found.master_secret_id) == ("http://127.0.0.1:1/x", "apps", "m")
    assert found.queue_url == "q"
    assert found.allows_local_receivers
    assert found.endpoint_url == "http://127.0.0.1:1"


def test_without_a_local_stack_it_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(NoStack, match="make run"):
        local(tmp_path)
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").symlink_to("run-1/stack.json")  # as a killed run leaves it
    with pytest.raises(NoStack, match="make run"):
        local(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"pid": 1}', "\xff"])
def test_a_stack_file_that_is_not_one_is_told_of(tmp_path: Path, content: str) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text(content, encoding="latin-1")
    with pytest.raises(NoStack, match="cannot be read"):
        local(tmp_path)


def test_a_stack_whose_process_is_gone_is_told_of(tmp_path: Path) -> None:
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    write_stack(tmp_path, pid=gone)
    with pytest.raises(NoStack, match="has ended"):
        local(tmp_path)


def test_the_users_own_aws_settings_do_not_reach_the_local_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "theirs")
    credentials = local_session("us-east-1").get_credentials()
    assert credentials is not None
    assert (credentials.access_key, credentials.secret_key, credentials.token) == ("test", "test", None)


OUTPUTS = {
    "BaseUrl": "https://api.example.com/live",
    "SettlementTableName": "orders-1",
    "TotalsTableName": "totals-1",
    "NotificationTableName": "ledger-1",
    "AppTableName": "apps-1",
    "NotificationQueueUrl": "https://sqs.example.com/1/queue-1",
    "MasterSecretId": "master-1",
}


class Session:
    """boto3.Session, as far as CloudFormation is asked."""

    def __init__(self, **arguments: Any) -> None:
        assert arguments == {"region_name": "eu-central-1", "profile_name": "ops"}

    def client(self, name: str, **_: Any) -> Any:
        assert name == "cloudformation"
        return SimpleNamespace(describe_stacks=self.describe)

    def describe(self, **arguments: str) -> Any:
        name = arguments["StackName"]
        if name == "none":
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "Stack none does not exist"}}, "D")
        outputs = {} if name == "half" else OUTPUTS
        return {
            "Stacks": [
                {
                    "StackStatus": "CREATE_COMPLETE",
                    "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
                    "Parameters": [{"ParameterKey": "AllowLocalReceivers", "ParameterValue": "false"}],
                }
            ]
        }


def test_on_aws_the_stacks_outputs_say_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boto3.Session", Session)
    found = on_aws("prod", "eu-central-1", "ops")
    assert found.base_url == "https://api.example.com/live"
    assert found.tables == {
        "SettlementTable": "orders-1",
        "TotalsTable": "totals-1",
        "NotificationTable": "ledger-1",
        "AppTable": "apps-1",
    }
    assert found.queue_url == "https://sqs.example.com/1/queue-1"
    assert found.master_secret_id == "master-1"
    assert found.endpoint_url is None
    assert not found.allows_local_receivers
    with pytest.raises(NoStack, match="stack none: Stack none does not exist"):
        on_aws("none", "eu-central-1", "ops")
    with pytest.raises(NoStack, match="no output BaseUrl"):
        on_aws("half", "eu-central-1", "ops")


@pytest.mark.parametrize(
    ("error", "exit_status", "told"),
    [(NoRegionError(), 2, "--region"), (NoCredentialsError(), 1, "--profile")],
)
def test_what_aws_needs_to_know_first_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, error: Exception, exit_status: int, told: str
) -> None:
    def client(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("boto3.Session.client", client)
    result = CliRunner().invoke(app, ["app", "list", "--stack-name", "x"])
    assert (result.exit_code, result.stdout) == (exit_status, "")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--stack-name", "none", "--region", "eu-central-1", "--profile", "ops", "app", "list"],
        ["app", "list", "--stack-name=none", "--region", "eu-central-1", "--profile=ops"],
        ["app", "--region", "eu-central-1", "list", "--profile", "ops", "--stack-name", "none"],
    ],
)
def test_the_global_options_may_stand_anywhere(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setattr("boto3.Session", Session)
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: stack none: Stack none does not exist\n"


def test_what_follows_two_dashes_stays_where_it_is() -> None:
    assert with_global_options_first(["x", "--region", "a", "--", "--profile", "b"]) == [
        *("--region", "a", "x", "--", "--profile", "b")
    ]
    assert with_global_options_first(["x", "--region"]) == ["--region", "x"]


def test_region_and_profile_without_a_stack_are_wrong_usage() -> None:
    for option in ("--region", "--profile"):
        result = CliRunner().invoke(app, ["app", "list", option, "x"])
        assert result.exit_code == 2
        assert "--stack-name" in result.stderr


def test_an_aws_error_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_stack(tmp_path)  # of a stack that lives and does not answer
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["app", "list", "--json"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: Could not connect to the endpoint URL")
    assert result.stderr.count("\n") == 1


COMMANDS = [
    *([group, name] for group, names in {
        "app": [
            "create", "list", "show", "update", "disable", "enable",
            "rotate-secret", "activate-secret", "retire-secret",
        ],
        "token": ["mint"],
        "sud": ["call"],
        "order": ["import"],
        "notifications": ["list", "show", "redeliver", "replay", "backfill"],
    }.items() for name in names),
    ["listen"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_json(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_the_exit_statuses_stand_in_the_help() -> None:
    text = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert "Exit status: 0 done; 1 refused or failed" in text
    assert "2 wrong usage" in text

"""A deployment on the template's tables, and commands that run against it as if it were the local stack."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

import settlectl.deployment
from settlectl.deployment import Deployment
from settlectl.main import app
from settlepoint_local import in_process
from settlepoint_local.scene import Scene
from settlepoint_local.template import table_definitions

from .api import Api, serving


@dataclass(frozen=True, slots=True)
class Ran:
    exit_status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one value that stdout is."""
        return json.loads(self.stdout)


SHOW_A_SECRET = {("app", "create"), ("app", "rotate-secret")}

type Run = Callable[..., Ran]


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as api:
        yield api


@pytest.fixture
def deployment(aws: None, api: Api) -> Deployment:  # noqa: ARG001  # it lives in there
    return Deployment(
        name="the test's",
        stack_name="test",
        base_url=api.base_url,
        tables={name: name for name in table_definitions()},
        queue_url=os.environ["NOTIFICATION_QUEUE_URL"],
        master_secret_id=in_process.MASTER_SECRET_ID,
        allows_local_receivers=True,
        session=boto3.Session(),
        statement_bucket=in_process.STATEMENT_BUCKET,
        statement_utc_offset_minutes=480,
    )


@pytest.fixture
def run(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(settlectl.deployment, "local", lambda _: deployment)

    def run(*arguments: str, stdin: str | None = None) -> Ran:
        result = CliRunner().invoke(app, list(arguments), input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        # A secret is printed by what makes it, on stdout, and by nothing else anywhere.
        for text in [result.stderr] if arguments[:2] in SHOW_A_SECRET else [result.stderr, result.stdout]:
            assert [secret for secret in in_process.keys(Scene().master) if secret in text] == []
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run

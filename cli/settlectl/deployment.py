"""Which Settlepoint a command works on, and how it is reached.

nothing said        the local stack: .local/stack.json of the project around the current folder, as `make run` wrote it
--stack-name        AWS: the CloudFormation stack's outputs, as template.yaml names them
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.session
import typer
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError
from pydantic import BaseModel, ValidationError

from settlectl.failures import BadInput, CommandFailed, NoStack, NoSuchApp
from settlement.apps import App, AppRegistry
from settlement.archive import Archive
from settlement.bookkeeper import Bookkeeper
from settlement.keyring import Keyring
from settlement.ledger import Ledger
from settlement.queue import NotificationQueue
from settlement.store import Store
from settlement.totals import Totals

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STACK_FILE: Final = Path(".local", "stack.json")
LOCAL_KEY: Final = "test"
"""Access key and secret of the local stack's root: it enforces IAM, and the user's own keys are never sent to it."""
NEEDED_OUTPUTS: Final = (
    "BaseUrl",
    "SettlementTableName",
    "TotalsTableName",
    "NotificationTableName",
    "AppTableName",
    "NotificationQueueUrl",
    "MasterSecretId",
)
_CALLS: Final = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})


class StackFile(BaseModel):
    """What of .local/stack.json is needed here."""

    base_url: str
    endpoint_url: str
    region: str
    stack_name: str
    tables: dict[str, str]
    queue_url: str
    master_secret_id: str
    statement_bucket: str | None = None
    statement_utc_offset_minutes: int = 0
    pid: int


@dataclass(frozen=True)
class Deployment:
    name: str
    """As messages call it."""
    stack_name: str
    """As CloudFormation calls it."""
    base_url: str
    """What every path of the two APIs is appended to, without a slash at the end."""
    tables: Mapping[str, str]
    """Logical names of template.yaml, such as AppTable, to the names that were given."""
    queue_url: str
    """Of the notifications'."""
    master_secret_id: str
    allows_local_receivers: bool
    """Whether a notify_url may be http and lead to a private address here."""
    session: boto3.Session
    endpoint_url: str | None = None
    """Of a local stack's AWS services; None is AWS."""
    statement_bucket: str | None = None
    """None: what is deployed there is older than statements."""
    statement_utc_offset_minutes: int = 0
    """Where a statement's day begins."""

    @cached_property
    def apps(self) -> AppRegistry:
        return AppRegistry(self._dynamodb, self.tables["AppTable"])

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self._dynamodb, self.tables["NotificationTable"])

    @cached_property
    def totals(self) -> Totals:
        # How many shards a deployment writes is nothing to who settles nothing: all that there are are read.
        return Totals(self._dynamodb, self.tables["TotalsTable"], shards=1)

    @cached_property
    def store(self) -> Store:
        return Store(self._dynamodb, self.tables["SettlementTable"], self.totals, self.ledger)

    @cached_property
    def archive(self) -> Archive:
        """Raises CommandFailed."""
        if self.statement_bucket is None:
            raise CommandFailed(f"{self.name} has no statements: deploy it anew")
        s3 = self.session.client("s3", endpoint_url=self.endpoint_url, config=self._calls)
        return Archive(s3, self.statement_bucket)

    @property
    def bookkeeper(self) -> Bookkeeper:
        return Bookkeeper(self.store, self.archive, self.statement_utc_offset_minutes)

    @cached_property
    def queue(self) -> NotificationQueue:
        sqs = self.session.client("sqs", endpoint_url=self.endpoint_url, config=self._calls)
        return NotificationQueue(sqs, self.queue_url)

    @cached_property
    def keyring(self) -> Keyring:
        return Keyring(
            lambda: self.session.client("secretsmanager", endpoint_url=self.endpoint_url, config=self._calls),
            self.master_secret_id,
        )

    @cached_property
    def _dynamodb(self) -> "DynamoDBClient":
        return self.session.client("dynamodb", endpoint_url=self.endpoint_url, config=self._calls)

    @property
    def _calls(self) -> Config:
        return _CALLS if self.endpoint_url is None else _CALLS.merge(Config(proxies={}))

    def client(self, service: str) -> Any:
        """Of a service that only operators ask."""
        return self.session.client(service, endpoint_url=self.endpoint_url, config=self._calls)  # type: ignore[call-overload]

    def app(self, app_id: str) -> App:
        """The app as it is stored now. Raises NoSuchApp."""
        app = self.apps.read(app_id)
        if app is None:
            raise NoSuchApp(app_id)
        return app

    def secrets_in_use(self, app: App, now_ms: int) -> dict[int, str]:
        """Its secrets by version, the newest first."""
        return {
            version.version: self.keyring.app_secret(app.app_id, version.version, version.generation)
            for version in app.versions_in_use(now_ms)
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """The global options."""

    stack_name: str | None = None
    region: str | None = None
    profile: str | None = None


def chosen(context: typer.Context) -> Deployment:
    """The deployment that the command line names. Raises NoStack, BadInput."""
    choice: Choice = context.find_object(Choice) or Choice()
    if choice.stack_name is not None:
        return on_aws(choice.stack_name, choice.region, choice.profile)
    if choice.region is not None or choice.profile is not None:
        raise BadInput("--region and --profile are for a stack on AWS: name it with --stack-name")
    return local(Path.cwd())


def local(folder: Path) -> Deployment:
    """The stack that `make run` keeps for the project that `folder` is in. Raises NoStack."""
    for project in (folder, *folder.parents):
        path = project / STACK_FILE
        if path.is_file():
            return _of_file(path)
    raise NoStack(
        "no local stack runs for this folder; start one with `make run`, or name one on AWS: --stack-name NAME"
    )


def on_aws(stack_name: str, region: str | None = None, profile: str | None = None) -> Deployment:
    """The stack that CloudFormation knows by this name. Raises NoStack, and botocore's own errors."""
    session = boto3.Session(region_name=region, profile_name=profile)
    try:
        stacks = session.client("cloudformation", config=_CALLS).describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        raise NoStack(f"stack {stack_name}: {error.response['Error'].get('Message', error)}") from error
    except NoRegionError as error:
        raise BadInput(
            f"stack {stack_name}: in which region? Give --region, or set one with `aws configure`"
        ) from error
    except NoCredentialsError as error:
        raise NoStack(f"stack {stack_name}: no AWS credentials; `aws configure`, AWS_PROFILE or --profile") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}
    parameters = {
        parameter["ParameterKey"]: parameter.get("ParameterValue") for parameter in stacks[0].get("Parameters", [])
    }
    missing = [name for name in NEEDED_OUTPUTS if name not in outputs]
    if missing:
        raise NoStack(
            f"stack {stack_name} ({stacks[0]['StackStatus']}) has no output {', '.join(missing)}: not Settlepoint's, "
            "or not deployed to its end"
        )
    return Deployment(
        name=stack_name,
        stack_name=stack_name,
        base_url=outputs["BaseUrl"].rstrip("/"),
        tables={name.removesuffix("Name"): value for name, value in outputs.items() if name.endswith("TableName")},
        queue_url=outputs["NotificationQueueUrl"],
        master_secret_id=outputs["MasterSecretId"],
        allows_local_receivers=parameters.get("AllowLocalReceivers") == "true",
        session=session,
        statement_bucket=outputs.get("StatementBucketName"),
        statement_utc_offset_minutes=int(outputs.get("StatementUtcOffsetMinutes", 0)),
    )


def _of_file(path: Path) -> Deployment:
    try:
        stack = StackFile.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise NoStack(f"{path} cannot be read; start the local stack anew with `make run`") from error
    if not _lives(stack.pid):
        raise NoStack(f"the local stack of {path} has ended; start another with `make run`")
    return Deployment(
        name="the local stack",
        stack_name=stack.stack_name,
        base_url=stack.base_url.rstrip("/"),
        tables=stack.tables,
        queue_url=stack.queue_url,
        master_secret_id=stack.master_secret_id,
        allows_local_receivers=True,
        session=local_session(stack.region),
        endpoint_url=stack.endpoint_url,
        statement_bucket=stack.statement_bucket,
        statement_utc_offset_minutes=stack.statement_utc_offset_minutes,
    )


def local_session(region: str) -> boto3.Session:
    """With the local stack's keys, and blind to the user's profiles: a profile that is broken must not matter here."""
    nowhere: dict[str, Any] = {
        "profile": (None, [], None, None),
        "config_file": (None, [], os.devnull, None),
        "credentials_file": (None, [], os.devnull, None),
    }
    return boto3.Session(
        botocore_session=botocore.session.Session(session_vars=nowhere),
        aws_access_key_id=LOCAL_KEY,
        aws_secret_access_key=LOCAL_KEY,
        region_name=region,
    )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True

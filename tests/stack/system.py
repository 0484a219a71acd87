"""The deployed stack as its operator sees it: apps, rows, functions, roles."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from settlectl.deployment import local_session
from settlement.apps import App, AppRegistry, Role, SecretVersion
from settlement.club_messages import CreateClubOrderRequest
from settlement.game_messages import CreateOrderRequest
from settlement.keyring import Keyring
from settlement.ledger import Ledger
from settlement.orders import ClubOrder, GameResult, game_order_id
from settlement.signing import directory_signature
from settlement.store import Store
from settlement.tokens import mint
from settlement.totals import Totals
from settlepoint_local.stack import Stack

from .wire import Club, SudParty

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

CLUB_SCOPES = ["orders:write", "settlements:write", "settlements:read"]
TOTALS_SHARDS = 4
type Rows = dict[tuple[str, ...], dict[str, Any]]

CONFIDENTIAL = "confidential"
"""Stands in every openid, uid and free text that the tests send: no log line may hold it."""


class System:
    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.base_url = stack.base_url
        session = local_session(stack.region)
        config = Config(read_timeout=60, retries={"total_max_attempts": 1}, max_pool_connections=16)
        self.dynamodb: DynamoDBClient = session.client("dynamodb", endpoint_url=stack.endpoint_url, config=config)
        self.sqs: SQSClient = session.client("sqs", endpoint_url=stack.endpoint_url, config=config)
        self.lambdas: LambdaClient = session.client("lambda", endpoint_url=stack.endpoint_url, config=config)
        self.iam: IAMClient = session.client("iam", endpoint_url=stack.endpoint_url, config=config)
        self.api_gateway: APIGatewayClient = session.client(
            "apigateway", endpoint_url=stack.endpoint_url, config=config
        )
        self._cloudformation = session.client("cloudformation", endpoint_url=stack.endpoint_url, config=config)
        self._secrets_manager = session.client("secretsmanager", endpoint_url=stack.endpoint_url, config=config)
        self.keyring = Keyring(lambda: self._secrets_manager, stack.master_secret_id)
        self.registry = AppRegistry(self.dynamodb, stack.tables["AppTable"])
        self.known_secrets: list[str] = []
        """Every app secret and token that was given out."""
        self._numbers = itertools.count(time.time_ns() // 1_000_000)

    def master_secret(self) -> str:
        value = self._secrets_manager.get_secret_value(SecretId=self.stack.master_secret_id)["SecretString"]
        return str(json.loads(value)["1"])

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    # ---------------------------------------------------------------------------------------------- customers

    def unique(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"

    def confidential(self, kind: str) -> str:
        return f"{self.unique(kind)}-{CONFIDENTIAL}"

    def app(self, *roles: Role, notify_url: str | None = None, mg_id: str = "", for_app: str = "") -> App:
        app = App(
            app_id=self.unique("-".join(roles)),
            name="A customer",
            roles=frozenset(roles),
            status="enabled",
            notify_url=notify_url,
            mg_ids=frozenset({mg_id} - {""}),
            for_apps=frozenset({for_app} - {""}),
            secret_versions=(SecretVersion(1, self.keyring.newest_generation()),),
            signing_version=1,
            created_at_ms=self.now_ms(),
        )
        self.registry.create(app, self.keyring)
        return app

    def secret(self, app: App) -> str:
        secret = self.keyring.app_secret(app.app_id, 1, 1)
        self.known_secrets.append(secret)
        return secret

    def token(self, app: App, scopes: list[str]) -> str:
        token = mint(app, self.keyring, scopes, int(time.time()), 3600)
        self.known_secrets.append(token)
        return token

    def club(self, notify_url: str | None = None) -> Club:
        return self.club_of(self.app("club", notify_url=notify_url))

    def club_of(self, app: App, scopes: list[str] = CLUB_SCOPES) -> Club:
        return Club(self.base_url, app.app_id, self.secret(app), self.token(app, scopes))

    def sud_party(self, app: App) -> SudParty:
        return SudParty(self.base_url, app.app_id, self.secret(app))

    def merchant(self, notify_url: str | None = None) -> SudParty:
        return self.sud_party(self.app("merchant", notify_url=notify_url))

    def directory_signature(self, party: SudParty) -> str:
        """The last part of its API directory's path."""
        signature = directory_signature(party.secret, party.app_id)
        self.known_secrets.append(signature)
        return signature

    def game_server(self, merchant: SudParty, mg_id: str) -> SudParty:
        return self.sud_party(self.app("game", mg_id=mg_id, for_app=merchant.app_id))

    def club_order(self, **changes: Any) -> dict[str, Any]:
        """The body of a CreateClubJfOrder."""
        return {
            "bill_no": self.unique("bill"),
            "openid": self.confidential("openid"),
            "amt": 1333,
            "source": 5,
            "jf_gid": 7,
            "detail": self.confidential("周末活动 1/2"),
            **changes,
        }

    def game_order(self, **changes: Any) -> dict[str, Any]:
        """The body of a create_order."""
        return {
            "out_order_id": self.unique("out"),
            "mg_id": "mg-1",
            "room_id": "room-1",
            "cmd": "gift",
            "from_uid": self.confidential("uid"),
            "to_uid": self.confidential("uid"),
            "value": 120,
            **changes,
        }

    def report(self, merchant: SudParty, *out_order_ids: str, **changes: Any) -> dict[str, Any]:
        """The body of a user_settle."""
        return {
            "app_id": merchant.app_id,
            "mg_id": "mg-1",
            "room_id": "room-1",
            "match_id": "match-1",
            "settle_at": str(int(time.time())),
            "results": [
                {"out_order_id": out, "uid": self.confidential("uid"), "is_ai": 0, "score": 10, "remain_score": 90}
                for out in out_order_ids
            ],
            **changes,
        }

    # --------------------------------------------------------------------------------------------------- rows

    def store(self, clock_ms: Callable[[], int]) -> Store:
        """The layer's own, with the operator's permissions."""
        tables = self.stack.tables
        totals = Totals(self.dynamodb, tables["TotalsTable"], TOTALS_SHARDS)
        ledger = Ledger(self.dynamodb, tables["NotificationTable"])
        return Store(self.dynamodb, tables["SettlementTable"], totals, ledger, clock_ms)

    def settled_order(self, app: App, settle_time_ms: int) -> str:
        """An order that was created and settled as of then; its bill_no."""
        bill_no, openid = self.unique("bill"), self.confidential("openid")
        store = self.store(lambda: settle_time_ms)
        store.create_club_order(app.app_id, ClubOrder(bill_no, openid, 100, 5, 1, "", None))
        store.settle_club_order(app, bill_no, openid, None, None)
        return bill_no

    def stored_club_order(self, app: App, body: dict[str, Any]) -> None:
        """Past the API: needs no function."""
        order = CreateClubOrderRequest.model_validate(body).order()
        self.store(self.now_ms).create_club_order(app.app_id, order)

    def stored_game_order(self, app: App, body: dict[str, Any], *, settled: bool = False) -> None:
        """Past the API: needs no function."""
        order = CreateOrderRequest.model_validate(body).order()
        order_id = game_order_id(app.app_id, order.out_order_id)
        store = self.store(self.now_ms)
        store.create_game_order(app.app_id, order_id, order)
        if settled:
            result = GameResult("match-1", "", 1, 10, 90, None, self.now_ms() // 1000)
            store.settle_game_orders(app, order.mg_id, order.room_id, {order_id: result})

    def app_ids(self) -> list[str]:
        """Keys of AppTable: apps, and the pointers of their directories."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.stack.tables["AppTable"])
        return [item["app_id"]["S"] for page in pages for item in page["Items"]]

    def rows(self, app_id: str) -> Rows:
        """Every fact of an app: its orders, totals and ledger, by table and key."""
        found: Rows = {}
        for table, keys, condition in (
            ("SettlementTable", ("billno",), "begins_with(billno, :club) OR begins_with(billno, :game)"),
            ("TotalsTable", ("app_openid", "bucket"), "begins_with(app_openid, :account)"),
            ("NotificationTable", ("notify_id",), "app_id = :app"),
        ):
            values = {":club": f"club#{app_id}#", ":game": f"game#{app_id}#", ":account": f"{app_id}#", ":app": app_id}
            pages = self.dynamodb.get_paginator("scan").paginate(
                TableName=self.stack.tables[table],
                ConsistentRead=True,
                FilterExpression=condition,
                ExpressionAttributeValues={name: {"S": text} for name, text in values.items() if name in condition},
            )
            for page in pages:
                for item in page["Items"]:
                    row = {name: _plain(value) for name, value in item.items()}
                    found[table, *(row[key] for key in keys)] = row
        return found

    def ledger(self, app_id: str) -> list[dict[str, Any]]:
        return [row for key, row in self.rows(app_id).items() if key[0] == "NotificationTable"]

    def wait_for_status(self, app_id: str, status: str, seconds: float = 20.0) -> dict[str, Any]:
        """The app's only ledger row, once it has that status."""

        def look() -> dict[str, Any] | None:
            [row] = self.ledger(app_id)
            return row if row["status"] == status else None

        return until(look, f"the notification of {app_id} is {status}", seconds)

    # ---------------------------------------------------------------------------------------------- functions

    @cached_property
    def resources(self) -> dict[str, str]:
        """Logical names of the deployed template to the names or ARNs that were given."""
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.stack.stack_name)
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
        }

    def arn(self, resource: str) -> str:
        """Of a table, an index of one (`.../index/...`), a queue, the secret, the bucket or files (`.../*`) of it."""
        name, _, rest = resource.partition("/")
        match name:
            case "MasterSecret":
                return self.stack.master_secret_id
            case "StatementBucket":
                bucket = f"arn:aws:s3:::{self.stack.statement_bucket}"
                return f"{bucket}/{rest}" if rest else bucket
            case "NotificationQueue" | "DeadLetterQueue":
                url = self.stack.queue_url if name == "NotificationQueue" else self.stack.dead_letter_queue_url
                return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
                    "QueueArn"
                ]
            case _:
                table = self.dynamodb.describe_table(TableName=self.stack.tables[name])["Table"]["TableArn"]
                return f"{table}/{rest}" if rest else table

    def invoke(self, function: str, event: Any) -> Any:
        """What the function answers, by its logical name. Raises FunctionFailed."""
        answer = self.lambdas.invoke(FunctionName=self.resources[function], Payload=json.dumps(event).encode())
        payload = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            raise FunctionFailed(payload)
        return payload

    def recycle(self, function: str) -> None:
        """Ends the function's warm processes, and what they remember."""
        name = self.resources[function]
        memory = self.lambdas.get_function_configuration(FunctionName=name)["MemorySize"]
        self.lambdas.update_function_configuration(FunctionName=name, MemorySize=memory)

    @contextmanager
    def paused(self, function: str) -> Iterator[None]:
        """Its queue or stream feeds the function nothing meanwhile."""
        [mapping] = self.lambdas.list_event_source_mappings(FunctionName=self.resources[function])[
            "EventSourceMappings"
        ]
        self.lambdas.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            self.lambdas.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    def take_dead_letters(self) -> list[Any]:
        """What is in the dead-letter queue, which is empty then."""
        url = self.stack.dead_letter_queue_url
        answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        taken = answer.get("Messages", [])
        for message in taken:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return list(taken)

    def waiting_messages(self, queue_url: str) -> int:
        attributes = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])


class FunctionFailed(Exception):
    """A function raised; carries what Lambda says of it."""


def until[T](look: Callable[[], T | None], condition: str, seconds: float = 20.0) -> T:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        assert time.monotonic() < deadline, f"after {seconds} s it is still not so that {condition}"
        time.sleep(0.1)


def _plain(value: Any) -> Any:
    [(kind, content)] = value.items()
    match kind:
        case "N":
            return int(content)
        case "M":
            return {name: _plain(inner) for name, inner in content.items()}
        case "L":
            return [_plain(inner) for inner in content]
        case _:
            return content

"""AppTable: who may call, with which secret, and where they want to be told. The only module that knows its keys.

    app_id              {app_id}                 an app
                        asc#{signature}          a pointer of the API directory: app and version of the secret
    roles               club, merchant, game
    status              enabled | disabled
    secret_versions     {"1": {"generation": 1, "retires_at": ms, where it is being retired}}; the highest number ever
                        given is always among them
    signing_version     the version that Sud-Signature is made with
    notify_url          absent: the app is told nothing and asks
    mg_ids, for_apps    the games a game server reports of, and the merchants it reports to

What is empty is left out. Source: DESIGN sections 5 and 6.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypedDict, Unpack

from settlement.keyring import Keyring, MasterSecretUnusable
from settlement.signing import directory_signature

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef, UpdateItemInputTypeDef

    type Item = dict[str, AttributeValueTypeDef]

type Role = Literal["club", "merchant", "game"]
type Status = Literal["enabled", "disabled"]

ROLES: Final[tuple[Role, ...]] = ("club", "merchant", "game")
APP_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
CACHE_SECONDS: Final = 30.0
_CACHE_APPS = 1024
_TRIES = 10
_POINTER = "asc#"
_DIRECTORY_SIGNATURE = re.compile(r"[0-9a-f]{32}")


class AppExists(Exception):
    """There is an app of this id already."""


class AppNotFound(Exception):
    """There is no app of this id."""


class AppContended(Exception):
    """Others wrote the app's secret versions before us, again and again; we wrote nothing."""


class SecretVersion(NamedTuple):
    """One version of an app's secret: derived from the master of `generation`, accepted until `retires_at_ms`."""

    version: int
    generation: int
    retires_at_ms: int | None = None


class App(NamedTuple):
    app_id: str
    name: str
    roles: frozenset[Role]
    status: Status
    notify_url: str | None
    mg_ids: frozenset[str]
    for_apps: frozenset[str]
    secret_versions: tuple[SecretVersion, ...]
    signing_version: int
    created_at_ms: int

    @property
    def enabled(self) -> bool:
        return self.status == "enabled"

    def versions_in_use(self, now_ms: int) -> list[SecretVersion]:
        """What is accepted from the app now, the newest first."""
        in_use = [v for v in self.secret_versions if v.retires_at_ms is None or now_ms < v.retires_at_ms]
        return sorted(in_use, key=lambda v: -v.version)


class AppChanges(TypedDict, total=False):
    """What may be changed of an app. Sets are replaced whole; None or an empty set takes the value away."""

    name: str
    notify_url: str | None
    mg_ids: frozenset[str]
    for_apps: frozenset[str]


class AppRegistry:
    """Reads apps through a cache of 30 s: what an operator changes is in force everywhere after that."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._cache: dict[str, tuple[float, App]] = {}

    def find(self, app_id: str) -> App | None:
        """The app, at most 30 s old. One that is not there is asked for again each time: it may be made any moment."""
        cached, asked_at = self._cache.get(app_id), time.monotonic()
        if cached is not None and asked_at - cached[0] < CACHE_SECONDS:
            return cached[1]
        app = self.read(app_id)
        self._cache.pop(app_id, None)
        if app is not None:
            if len(self._cache) >= _CACHE_APPS:
                del self._cache[next(iter(self._cache))]  # the one read longest ago
            self._cache[app_id] = (asked_at, app)
        return app

    def read(self, app_id: str) -> App | None:
        """The app as it is stored now: an older copy, kept for 30 s, would outlast them."""
        if not APP_ID.fullmatch(app_id):
            return None
        key: Item = {"app_id": {"S": app_id}}
        item = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return None if item is None else _app(item)

    def find_by_directory(self, signature: str, now_ms: int) -> App | None:
        """The enabled app whose directory path this is, by a version of its secret that is in use."""
        if not _DIRECTORY_SIGNATURE.fullmatch(signature):
            return None  # DynamoDB refuses a key beyond 2048 bytes: a long path would be our fault
        key = f"{_POINTER}{signature}"
        pointer = self._dynamodb.get_item(TableName=self._table, Key={"app_id": {"S": key}}).get("Item")
        if pointer is None:
            return None
        app = self.find(pointer["points_to"]["S"])
        version = int(pointer["secret_version"]["N"])
        if app is None or not app.enabled or version not in {v.version for v in app.versions_in_use(now_ms)}:
            return None
        return app

    def create(self, app: App, keyring: Keyring) -> None:
        """Stores a new app and its directory pointers, all or nothing. Raises AppExists."""
        pointers: list[TransactWriteItemTypeDef] = [
            {"Put": {"TableName": self._table, "Item": _pointer_item(app, version, keyring)}}
            for version in app.secret_versions
        ]
        try:
            self._dynamodb.transact_write_items(
                TransactItems=[
                    {
                        "Put": {
                            "TableName": self._table,
                            "Item": _item(app),
                            "ConditionExpression": "attribute_not_exists(app_id)",  # the id is free
                        }
                    },
                    *pointers,
                ]
            )
        except self._dynamodb.exceptions.TransactionCanceledException as error:
            reasons = error.response.get("CancellationReasons", [])
            if reasons and reasons[0].get("Code") == "ConditionalCheckFailed":
                raise AppExists(app.app_id) from error
            raise

    def set_status(self, app_id: str, status: Status) -> None:
        """In force everywhere within 30 s. Raises AppNotFound."""
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"app_id": {"S": app_id}},
                UpdateExpression="SET #status = :status",
                ConditionExpression="attribute_exists(app_id)",  # the app is there
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={":status": {"S": status}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            raise AppNotFound(app_id) from error

    def update(self, app_id: str, **changes: Unpack[AppChanges]) -> App:
        """Replaces what is named, one thing at least; returns the app. In force within 30 s. Raises AppNotFound."""
        texts = {"name": changes.get("name"), "notify_url": changes.get("notify_url")}
        sets = {"mg_ids": changes.get("mg_ids"), "for_apps": changes.get("for_apps")}
        values: Item = {name: {"S": text} for name, text in texts.items() if text is not None}
        values |= {name: {"SS": sorted(ids)} for name, ids in sets.items() if ids}
        replaced = ", ".join(f"#{name} = :{name}" for name in values)
        removed = ", ".join(f"#{name}" for name in changes if name not in values)
        clauses = [f"{verb} {what}" for verb, what in (("SET", replaced), ("REMOVE", removed)) if what]
        request: UpdateItemInputTypeDef = {
            "TableName": self._table,
            "Key": {"app_id": {"S": app_id}},
            "UpdateExpression": " ".join(clauses),
            "ConditionExpression": "attribute_exists(app_id)",  # the app is there
            "ExpressionAttributeNames": {f"#{name}": name for name in changes},
            "ReturnValues": "ALL_NEW",
        }
        if values:
            request["ExpressionAttributeValues"] = {f":{name}": value for name, value in values.items()}
        try:
            return _app(self._dynamodb.update_item(**request)["Attributes"])
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            raise AppNotFound(app_id) from error

    def change_secrets(self, app_id: str, decide: Callable[[App], App], keyring: Keyring) -> App:
        """Stores the secret versions and the signing version that `decide` makes of the app; returns the app.

        A write that lost a race reads and decides again. In force within 30 s. Raises AppNotFound, AppContended, and
        what `decide` raises.
        """
        for _ in range(_TRIES):
            seen = self.read(app_id)
            if seen is None:
                raise AppNotFound(app_id)
            wanted = decide(seen)
            if wanted == seen or self._replace_secrets(seen, wanted, keyring):
                return wanted
        raise AppContended(app_id)

    def _replace_secrets(self, seen: App, wanted: App, keyring: Keyring) -> bool:
        """Versions, which signs, and directory pointers, all or nothing; False where the row is not what was seen."""
        pointers: list[TransactWriteItemTypeDef] = [
            {"Put": {"TableName": self._table, "Item": _pointer_item(wanted, version, keyring)}}
            for version in _without(wanted, seen)
        ]
        for version in _without(seen, wanted):
            try:
                key = _pointer_item(seen, version, keyring)["app_id"]
            except MasterSecretUnusable:
                continue  # its generation was removed: the pointer stays, and leads to a version that is not in use
            pointers.append({"Delete": {"TableName": self._table, "Key": {"app_id": key}}})
        try:
            self._dynamodb.transact_write_items(
                TransactItems=[
                    {
                        "Update": {
                            "TableName": self._table,
                            "Key": {"app_id": {"S": seen.app_id}},
                            "UpdateExpression": "SET secret_versions = :versions, signing_version = :signing",
                            # 1. the versions are those that the decision saw, which also means that the app is there
                            # 2. and so is the one that signs
                            "ConditionExpression": "secret_versions = :seen AND signing_version = :seen_signing",
                            "ExpressionAttributeValues": {
                                ":versions": _versions_item(wanted),
                                ":signing": {"N": str(wanted.signing_version)},
                                ":seen": _versions_item(seen),
                                ":seen_signing": {"N": str(seen.signing_version)},
                            },
                        }
                    },
                    *pointers,
                ]
            )
        except self._dynamodb.exceptions.TransactionCanceledException as error:
            codes = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])}
            if codes and codes <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
                return False
            raise
        return True

    def all(self) -> Iterator[App]:
        """Every app, in no order: the whole table is the answer, so a scan is the cheapest way to it. For operators."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="NOT begins_with(app_id, :pointer)",
            ExpressionAttributeValues={":pointer": {"S": _POINTER}},
        )
        for page in pages:
            yield from map(_app, page["Items"])


def _app(item: "Item") -> App:
    return App(
        app_id=item["app_id"]["S"],
        name=item["name"]["S"],
        roles=frozenset(role for role in ROLES if role in item["roles"]["SS"]),
        status="enabled" if item["status"]["S"] == "enabled" else "disabled",
        notify_url=item["notify_url"]["S"] if "notify_url" in item else None,
        mg_ids=frozenset(item["mg_ids"]["SS"]) if "mg_ids" in item else frozenset(),
        for_apps=frozenset(item["for_apps"]["SS"]) if "for_apps" in item else frozenset(),
        secret_versions=tuple(
            SecretVersion(
                int(version),
                int(value["M"]["generation"]["N"]),
                int(value["M"]["retires_at"]["N"]) if "retires_at" in value["M"] else None,
            )
            for version, value in sorted(item["secret_versions"]["M"].items(), key=lambda pair: int(pair[0]))
        ),
        signing_version=int(item["signing_version"]["N"]),
        created_at_ms=int(item["created_at"]["N"]),
    )


def _item(app: App) -> "Item":
    item: Item = {
        "app_id": {"S": app.app_id},
        "name": {"S": app.name},
        "roles": {"SS": sorted(app.roles)},
        "status": {"S": app.status},
        "secret_versions": _versions_item(app),
        "signing_version": {"N": str(app.signing_version)},
        "created_at": {"N": str(app.created_at_ms)},
    }
    # An empty set is not a value in DynamoDB: what is empty is left out.
    if app.notify_url is not None:
        item["notify_url"] = {"S": app.notify_url}
    if app.mg_ids:
        item["mg_ids"] = {"SS": sorted(app.mg_ids)}
    if app.for_apps:
        item["for_apps"] = {"SS": sorted(app.for_apps)}
    return item


def _pointer_item(app: App, version: SecretVersion, keyring: Keyring) -> "Item":
    secret = keyring.app_secret(app.app_id, version.version, version.generation)
    return {
        "app_id": {"S": _POINTER + directory_signature(secret, app.app_id)},
        "points_to": {"S": app.app_id},
        "secret_version": {"N": str(version.version)},
    }


def _without(app: App, other: App) -> list[SecretVersion]:
    """The versions of one state of an app that another has not."""
    others = {version.version for version in other.secret_versions}
    return [version for version in app.secret_versions if version.version not in others]


def _versions_item(app: App) -> "AttributeValueTypeDef":
    return {"M": {str(version.version): _version_item(version) for version in app.secret_versions}}


def _version_item(version: SecretVersion) -> "AttributeValueTypeDef":
    value: Item = {"generation": {"N": str(version.generation)}}
    if version.retires_at_ms is not None:
        value["retires_at"] = {"N": str(version.retires_at_ms)}
    return {"M": value}

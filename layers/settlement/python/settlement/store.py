"""SettlementTable: orders and how they were settled. The only module that knows its keys and attributes.

    billno               club#{app_id}#{bill_no} | game#{app_id}#{order_id}
    app_openid           {app_id}#{openid}             of a settled club order
    app_openid_source    {app_id}#{openid}#{source}    likewise
    app_day              {app_id}#{UTC day}#{0..7}     of every settled order
    settle_time          ms, with the three above: only settled orders are in the indexes
    account, result      maps; what is absent or "" is left out

Every key starts with the authenticated app's id: no argument can name another app's row. A write stands under the
condition that the row is still what the rule saw; when it is not, or a neighbour is being written, the row is read and
decided on again, with growing jittered pauses, until the deadline.
"""

import heapq
import random
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import batched
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from settlement import clients
from settlement.apps import App
from settlement.buckets import cover, moment_of
from settlement.clock import now_ms
from settlement.cursor import ListQuery, Position
from settlement.errors import Busy, OrderNotFound
from settlement.ledger import Ledger
from settlement.notifications import club_notification, game_notification, game_notify_id
from settlement.orders import (
    Account,
    ClubOrder,
    ClubTerms,
    GameOrder,
    GameResult,
    ReportedOrder,
    SettledClubOrder,
    SettledGameOrder,
    game_order_id,
)
from settlement.settings import Settings
from settlement.settling import (
    ReadAgain,
    Repeated,
    Settle,
    SettleGame,
    check_same_club_order,
    check_same_game_order,
    decide_club_settlement,
    decide_game_report,
)
from settlement.totals import Sum, Totals, account_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, QueryInputTypeDef, TransactWriteItemTypeDef

    type Item = dict[str, AttributeValueTypeDef]

DEADLINE_SECONDS: Final = 10.0
"""How long a write contends with its neighbours before the caller is told to repeat it."""
CLOCK_SKEW_MS: Final = 60_000
"""How far the clocks of two hosts may be apart."""
DAY_SHARDS: Final = 8
INDEX_PAGE: Final = 500
"""Entries of a day's shard that are read at a time."""
_DAY_MS = 24 * 3_600_000
_MAX_BATCH = 100
_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.5
_CREATED = "attribute_exists(billno)"
_UNSETTLED = "attribute_not_exists(settle_time)"
# A cancelled transaction's reasons that pass: a neighbour in the same rows, or more writes than a partition takes.
_PASSING = {"ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}


class Entry(NamedTuple):
    """What of a settled club order its totals are made of."""

    openid: str
    source: int
    settle_hundredths: int
    settle_time_ms: int


class FoundOrder(NamedTuple):
    """An order of either API, by the id that its row has: the bill_no, or the order_id."""

    app_id: str
    own_id: str
    order: ClubOrder | SettledClubOrder | GameOrder | SettledGameOrder


class Store:
    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        table: str,
        totals: Totals,
        ledger: Ledger,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._totals = totals
        self._ledger = ledger
        self._clock_ms = clock_ms

    @classmethod
    def connect(cls, settings: Settings) -> "Store":
        dynamodb = clients.dynamodb()
        totals = Totals(dynamodb, settings.totals_table, settings.totals_shards)
        return cls(dynamodb, settings.settlement_table, totals, Ledger(dynamodb, settings.notification_table))

    # ------------------------------------------------------------------------------------------------ club orders

    def create_club_order(self, app_id: str, order: ClubOrder) -> bool:
        """Stores a new order; False where it was there already, the same. Raises OrderExists where it differs."""
        if self._create(created_club_row(app_id, order, self._clock_ms())):
            return True
        stored = self.find_club_order(app_id, order.bill_no)
        if stored is None:
            raise RuntimeError("an order that exists was not found")
        check_same_club_order(stored.order if isinstance(stored, SettledClubOrder) else stored, order)
        return False

    def find_club_order(self, app_id: str, bill_no: str) -> ClubOrder | SettledClubOrder | None:
        item = self._get(_club_key(app_id, bill_no))
        return None if item is None else _club_order(item)

    def settle_club_order(
        self, app: App, bill_no: str, openid: str, settle_amt: int | None, amt_ratio: int | None
    ) -> SettledClubOrder | Repeated:
        """Settles an order: the order, its total buckets and its ledger row in one transaction.

        Amounts in whole points. Raises OrderNotFound, BadRequest, OrderAlreadySettled (see settling), Busy.
        """
        contended = False
        for _ in tries():
            found = self.find_club_order(app.app_id, bill_no)
            match decide_club_settlement(found, openid, settle_amt, amt_ratio):
                case Repeated() as repeated:
                    return repeated
                case Settle(order, terms):
                    settled = SettledClubOrder(order, terms, self._clock_ms())
                    if self._commit(self._club_settlement(app, settled, contended=contended)):
                        return settled
                    contended = True
        raise Busy("the order is contended; nothing was written")

    def settled_page(self, query: ListQuery, after: Position | None, limit: int) -> list[SettledClubOrder]:
        """Up to `limit` settled orders of the query, the newest first, after a position."""
        start_ms = (query.start_seconds or 0) * 1000
        end_ms = None if query.end_seconds is None else (query.end_seconds + 1) * 1000
        request = self._index_query(query, start_ms, end_ms)
        request["Limit"] = limit
        if after is not None:
            request["ExclusiveStartKey"] = {
                "billno": {"S": _club_key(query.app_id, after.bill_no)},
                "settle_time": {"N": str(after.settle_time_ms)},
                **_index_key(query),
            }
        settled: list[SettledClubOrder] = []
        while True:  # a page of the index may end at 1 MB before the limit
            answer = self._dynamodb.query(**request)
            settled += map(_settled_club_order, answer["Items"])
            if len(settled) >= limit or "LastEvaluatedKey" not in answer:
                return settled[:limit]
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
            request["Limit"] = limit - len(settled)

    def total(self, query: ListQuery, now_ms: int) -> Sum:
        """What the whole query settled: whole buckets, and entry by entry the ragged ends."""
        start_ms = None if query.start_seconds is None else query.start_seconds * 1000
        end_ms = None if query.end_seconds is None else (query.end_seconds + 1) * 1000
        if end_ms is not None and end_ms > now_ms + CLOCK_SKEW_MS:
            end_ms = None  # nothing is settled there yet, by any host's clock: an open end needs no ragged edge
        parts = cover(start_ms, end_ms)
        total = self._totals.sum(query.app_id, query.openid, query.source, parts)
        for edge in parts.edges:
            for entry in self._entries(self._index_query(query, edge.start_ms, edge.end_ms)):
                total = total.plus(Sum(entry.settle_hundredths, 1))
        return total

    # ------------------------------------------------------------------------------------- what totals are made of

    def entries_of_day(self, app_id: str, day: str, before_ms: int) -> Iterator[Entry]:
        """An app's settled club orders of one UTC day, up to a moment, exclusive, in no order."""
        for day_shard in range(DAY_SHARDS):
            yield from self._entries(
                {
                    "TableName": self._table,
                    "IndexName": "app_day-settle_time-index",
                    "KeyConditionExpression": "app_day = :day AND settle_time < :before",
                    "ExpressionAttributeValues": {
                        ":day": {"S": f"{app_id}#{day}#{day_shard}"},
                        ":before": {"N": str(before_ms)},
                    },
                }
            )

    def entries_between(
        self, app_id: str, openid: str, source: int | None, start_ms: int, end_ms: int
    ) -> Iterator[Entry]:
        """An account's settled orders in [start, end), the newest first."""
        if start_ms < end_ms:
            query = ListQuery(app_id, openid, source, None, None)
            yield from self._entries(self._index_query(query, start_ms, end_ms))

    def _entries(self, request: "QueryInputTypeDef") -> Iterator[Entry]:
        request["ProjectionExpression"] = "openid, #source, settle_hundredths, settle_time"
        request["ExpressionAttributeNames"] = {"#source": "source"}  # a reserved word
        while True:  # a page of the index ends at 1 MB
            answer = self._dynamodb.query(**request)
            for item in answer["Items"]:
                if "settle_hundredths" in item:  # a game order has none
                    yield Entry(
                        item["openid"]["S"],
                        int(item["source"]["N"]),
                        int(item["settle_hundredths"]["N"]),
                        int(item["settle_time"]["N"]),
                    )
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    # ------------------------------------------------------------------------------------------------ game orders

    def create_game_order(self, app_id: str, order_id: str, order: GameOrder) -> bool:
        """Stores a new order; False where it was there already, the same. Raises OrderExists where it differs."""
        if self._create(_created_row(_game_key(app_id, order_id), _game_item(order), self._clock_ms())):
            return True
        stored = self.find_game_order(app_id, order_id)
        check_same_game_order(stored.order if isinstance(stored, SettledGameOrder) else stored, order)
        return False

    def find_game_order(self, app_id: str, order_id: str) -> GameOrder | SettledGameOrder:
        """Raises OrderNotFound."""
        item = self._get(_game_key(app_id, order_id))
        if item is None:
            raise OrderNotFound("order_id: no such order of this app")
        return _game_order(item)

    def settle_game_orders(
        self, merchant: App, mg_id: str, room_id: str, results: Mapping[str, GameResult]
    ) -> Mapping[str, SettledGameOrder] | Repeated:
        """Settles a report's orders (results by order_id) and stores its ledger row: one transaction, all or nothing.

        Raises OrderNotFound, OrderAlreadySettled (see settling), Busy.
        """
        notify_id = game_notify_id(merchant.app_id, list(results))
        for _ in tries():
            found = self._find_game_orders(merchant.app_id, results)
            match decide_game_report(results, found, mg_id, room_id, notify_id):
                case Repeated() as repeated:
                    return repeated
                case ReadAgain():
                    continue
                case SettleGame(orders):
                    time_ms = self._clock_ms()
                    settled = {
                        order_id: SettledGameOrder(order, results[order_id], notify_id, position, time_ms)
                        for position, (order_id, order) in enumerate(orders.items())
                    }
                    if self._commit(self._game_settlement(merchant, settled)):
                        return settled
        raise Busy("the orders are contended; nothing was written")

    def _find_game_orders(self, app_id: str, order_ids: Iterable[str]) -> dict[str, GameOrder | SettledGameOrder]:
        items = self._batch([_game_key(app_id, order_id) for order_id in order_ids])
        return {item["billno"]["S"].split("#", 2)[2]: _game_order(item) for item in items}

    def find_report(self, app_id: str, order_ids: Iterable[str]) -> dict[str, SettledGameOrder]:
        """The settled ones of a report's orders by order_id, in the report's sequence."""
        found = self._find_game_orders(app_id, order_ids)
        settled = {order_id: order for order_id, order in found.items() if isinstance(order, SettledGameOrder)}
        return dict(sorted(settled.items(), key=lambda entry: entry[1].position))

    # ---------------------------------------------------------------- what an app is told of, and its statements list

    def settled_between(self, app_id: str, start_ms: int, end_ms: int) -> Iterator[SettledClubOrder | ReportedOrder]:
        """An app's settled orders of both APIs in [start, end), the longest settled first, as the index has them."""
        if start_ms >= end_ms:
            return
        for day_ms in range(start_ms - start_ms % _DAY_MS, end_ms, _DAY_MS):
            day = moment_of(day_ms).day
            shards = [
                self._settled_of(f"{app_id}#{day}#{day_shard}", start_ms, end_ms) for day_shard in range(DAY_SHARDS)
            ]
            yield from heapq.merge(*shards, key=lambda settled: settled.settle_time_ms)

    def _settled_of(self, app_day: str, start_ms: int, end_ms: int) -> Iterator[SettledClubOrder | ReportedOrder]:
        request: QueryInputTypeDef = {
            "TableName": self._table,
            "IndexName": "app_day-settle_time-index",
            "KeyConditionExpression": "app_day = :day AND settle_time BETWEEN :start AND :last",
            "ExpressionAttributeValues": {
                ":day": {"S": app_day},
                ":start": {"N": str(start_ms)},
                ":last": {"N": str(end_ms - 1)},
            },
            # A page of each shard is held at a time; a whole megabyte of each would be a hundred as objects.
            "Limit": INDEX_PAGE,
        }
        while True:
            answer = self._dynamodb.query(**request)
            for item in answer["Items"]:
                yield _reported_order(item) if "result" in item else _settled_club_order(item)
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    # ------------------------------------------------------------------------------------------------- operators

    def find_called(self, apps: Iterable[App], name: str) -> list[FoundOrder]:
        """The orders of these apps that `name` is a bill_no, an order_id or an out_order_id of; by app.

        A hundred keys a read, at most three an app: nothing is searched through. Raises Busy.
        """
        keys: list[str] = []
        for app in apps:
            if "club" in app.roles:
                keys.append(_club_key(app.app_id, name))
            if "merchant" in app.roles:
                keys += [_game_key(app.app_id, order_id) for order_id in (name, game_order_id(app.app_id, name))]
        found = []
        for batch in batched(keys, _MAX_BATCH, strict=False):
            for item in self._batch(list(batch)):
                api, app_id, own_id = item["billno"]["S"].split("#", 2)
                order = _club_order(item) if api == "club" else _game_order(item)
                found.append(FoundOrder(app_id, own_id, order))
        return sorted(found, key=lambda each: (each.app_id, each.own_id))

    # -------------------------------------------------------------------------------------------------- the table

    def _batch(self, keys: list[str]) -> "list[Item]":
        """The rows of up to a hundred keys that are there. Raises Busy."""
        wanted = [{"billno": {"S": key}} for key in keys]
        items: list[Item] = []
        for _ in tries():  # DynamoDB may leave keys of a batch unread when it is busy
            answer = self._dynamodb.batch_get_item(RequestItems={self._table: {"Keys": wanted, "ConsistentRead": True}})
            items += answer["Responses"].get(self._table, [])
            unread = answer.get("UnprocessedKeys", {}).get(self._table)
            if not unread:
                return items
            wanted = list(unread["Keys"])  # type: ignore[arg-type]
        raise Busy("the orders could not be read in time")

    def _get(self, key: str) -> "Item | None":
        # Consistent: whoever was told of a write reads it.
        return self._dynamodb.get_item(TableName=self._table, Key={"billno": {"S": key}}, ConsistentRead=True).get(
            "Item"
        )

    def _create(self, row: "Item") -> bool:
        """False where the id is taken. Optimistic: most orders are new, and then this is the only call."""
        for _ in tries():
            try:
                self._dynamodb.put_item(
                    TableName=self._table,
                    Item=row,
                    ConditionExpression="attribute_not_exists(billno)",  # the id is free
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                return False
            except self._dynamodb.exceptions.TransactionConflictException:
                continue  # an order of this id is being settled at this moment
            return True
        raise Busy("the order is contended; nothing was written")

    def _commit(self, items: "list[TransactWriteItemTypeDef]") -> bool:
        """False where nothing was written because a row is no longer what was read, or is being written by others.

        botocore sends one token with all its tries: a reply that is lost after the commit repeats as success.
        """
        try:
            self._dynamodb.transact_write_items(TransactItems=items)
        except self._dynamodb.exceptions.TransactionCanceledException as error:
            codes = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])}
            if codes - {"None"} and codes <= _PASSING | {"None"}:
                return False
            raise
        except self._dynamodb.exceptions.TransactionInProgressException:
            return False
        return True

    def _club_settlement(
        self, app: App, settled: SettledClubOrder, *, contended: bool
    ) -> "list[TransactWriteItemTypeDef]":
        order = settled.order
        items = [
            self._settle_update(_club_key(app.app_id, order.bill_no), settled_club_facts(app.app_id, settled)),
            *self._totals.additions(
                app.app_id,
                order.openid,
                order.source,
                settled.terms.settle_hundredths,
                settled.settle_time_ms,
                spread=random.getrandbits(32),  # not a secret: which of an account's rows is added to
                contended=contended,
            ),
        ]
        if app.notify_url is not None:
            items.append(self._ledger.addition(club_notification(app.app_id, settled)))
        return items

    def _game_settlement(
        self, merchant: App, settled_orders: Mapping[str, SettledGameOrder]
    ) -> "list[TransactWriteItemTypeDef]":
        items = [
            self._settle_update(
                key := _game_key(merchant.app_id, order_id),
                {"result": {"M": _result_item(settled)}, **_day_facts(merchant.app_id, key, settled.settle_time_ms)},
            )
            for order_id, settled in settled_orders.items()
        ]
        if merchant.notify_url is not None:
            items.append(self._ledger.addition(game_notification(merchant.app_id, settled_orders)))
        return items

    def _settle_update(self, key: str, facts: "Item") -> "TransactWriteItemTypeDef":
        return {
            "Update": {
                "TableName": self._table,
                "Key": {"billno": {"S": key}},
                "UpdateExpression": "SET " + ", ".join(f"#{i} = :{i}" for i in range(len(facts))),
                # The order is there and nobody settled it: all that the rule saw, for nothing else of a row changes.
                "ConditionExpression": f"{_CREATED} AND {_UNSETTLED}",
                "ExpressionAttributeNames": {f"#{i}": name for i, name in enumerate(facts)},
                "ExpressionAttributeValues": {f":{i}": value for i, value in enumerate(facts.values())},
            }
        }

    def _index_query(self, query: ListQuery, start_ms: int, end_ms: int | None) -> "QueryInputTypeDef":
        """Newest first; `end_ms` exclusive, None for open."""
        [(attribute, value)] = _index_key(query).items()
        values: Item = {":key": value, ":start": {"N": str(start_ms)}}
        condition = f"{attribute} = :key AND settle_time >= :start"
        if end_ms is not None:
            condition = f"{attribute} = :key AND settle_time BETWEEN :start AND :last"
            values[":last"] = {"N": str(end_ms - 1)}
        return {
            "TableName": self._table,
            "IndexName": "openid-settle_time-index" if query.source is None else "openid_source-settle_time-index",
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": False,
        }


def tries() -> Iterator[None]:
    """Once at once, then after growing pauses with full jitter, until the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    pause = _FIRST_PAUSE_SECONDS
    yield
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(random.uniform(0, pause), left))  # noqa: S311  # not a secret: keeps neighbours apart
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        yield


def _club_key(app_id: str, bill_no: str) -> str:
    return f"club#{app_id}#{bill_no}"


def _game_key(app_id: str, order_id: str) -> str:
    return f"game#{app_id}#{order_id}"


def _index_key(query: ListQuery) -> "Item":
    account = account_key(query.app_id, query.openid)
    if query.source is None:
        return {"app_openid": {"S": account}}
    return {"app_openid_source": {"S": f"{account}#{query.source}"}}


def created_club_row(app_id: str, order: ClubOrder, created_at_ms: int) -> "Item":
    """An order's row before it is settled."""
    return _created_row(_club_key(app_id, order.bill_no), _club_item(order), created_at_ms)


def _created_row(key: str, item: "Item", created_at_ms: int) -> "Item":
    return {"billno": {"S": key}, "created_at": {"N": str(created_at_ms)}, **item}


def settled_club_facts(app_id: str, settled: SettledClubOrder) -> "Item":
    """What settling sets on an order's row."""
    account = account_key(app_id, settled.order.openid)
    return {
        "app_openid": {"S": account},
        "app_openid_source": {"S": f"{account}#{settled.order.source}"},
        "settle_hundredths": {"N": str(settled.terms.settle_hundredths)},
        "amt_ratio": {"N": str(settled.terms.amt_ratio)},
        **_day_facts(app_id, _club_key(app_id, settled.order.bill_no), settled.settle_time_ms),
    }


def _day_facts(app_id: str, key: str, time_ms: int) -> "Item":
    day_shard = zlib.crc32(key.encode()) % DAY_SHARDS
    return {
        "app_day": {"S": f"{app_id}#{moment_of(time_ms).day}#{day_shard}"},
        "settle_time": {"N": str(time_ms)},
    }


def _club_item(order: ClubOrder) -> "Item":
    item: Item = {
        "openid": {"S": order.openid},
        "amt": {"N": str(order.amt)},
        "source": {"N": str(order.source)},
        "jf_gid": {"N": str(order.jf_gid)},
    }
    if order.detail:
        item["detail"] = {"S": order.detail}
    if order.account is not None:
        account: Item = {}
        if order.account.type is not None:
            account["type"] = {"N": str(order.account.type)}
        if order.account.id is not None:
            account["id"] = {"S": order.account.id}
        if order.account.gid is not None:
            account["gid"] = {"N": str(order.account.gid)}
        item["account"] = {"M": account}
    return item


def _club_order(item: "Item") -> ClubOrder | SettledClubOrder:
    return _settled_club_order(item) if "settle_time" in item else _created_club_order(item)


def _created_club_order(item: "Item") -> ClubOrder:
    account = item["account"]["M"] if "account" in item else None
    return ClubOrder(
        bill_no=item["billno"]["S"].split("#", 2)[2],
        openid=item["openid"]["S"],
        amt=int(item["amt"]["N"]),
        source=int(item["source"]["N"]),
        jf_gid=int(item["jf_gid"]["N"]),
        detail=_text(item, "detail") or "",
        account=None
        if account is None
        else Account(_integer(account, "type"), _text(account, "id"), _integer(account, "gid")),
    )


def _settled_club_order(item: "Item") -> SettledClubOrder:
    return SettledClubOrder(
        _created_club_order(item),
        ClubTerms(int(item["settle_hundredths"]["N"]), int(item["amt_ratio"]["N"])),
        int(item["settle_time"]["N"]),
    )


def _game_item(order: GameOrder) -> "Item":
    item: Item = {
        "out_order_id": {"S": order.out_order_id},
        "mg_id": {"S": order.mg_id},
        "room_id": {"S": order.room_id},
        "cmd": {"S": order.cmd},
        "from_uid": {"S": order.from_uid},
        "to_uid": {"S": order.to_uid},
        "value": {"N": str(order.value)},
    }
    if order.out_group_id is not None:
        item["out_group_id"] = {"S": order.out_group_id}
    if order.payload is not None:
        item["payload"] = {"S": order.payload}
    return item


def _game_order(item: "Item") -> GameOrder | SettledGameOrder:
    order = GameOrder(
        out_order_id=item["out_order_id"]["S"],
        mg_id=item["mg_id"]["S"],
        room_id=item["room_id"]["S"],
        cmd=item["cmd"]["S"],
        from_uid=item["from_uid"]["S"],
        to_uid=item["to_uid"]["S"],
        value=int(item["value"]["N"]),
        out_group_id=_text(item, "out_group_id"),
        payload=_text(item, "payload"),
    )
    if "settle_time" not in item:
        return order
    result = item["result"]["M"]
    return SettledGameOrder(
        order,
        _game_result(result),
        notify_id=result["notify_id"]["S"],
        position=int(result["position"]["N"]),
        settle_time_ms=int(item["settle_time"]["N"]),
    )


def _game_result(result: Mapping[str, Any]) -> GameResult:
    return GameResult(
        match_id=result["match_id"]["S"],
        uid=_text(result, "uid") or "",
        is_ai=int(result["is_ai"]["N"]),
        score=int(result["score"]["N"]),
        remain_score=int(result["remain_score"]["N"]),
        commission_score=_integer(result, "commission_score"),
        settle_at_seconds=int(result["settle_at"]["N"]),
    )


def _reported_order(item: "Item") -> ReportedOrder:
    """Of the index: it has not the whole order."""
    return ReportedOrder(
        order_id=item["billno"]["S"].split("#", 2)[2],
        out_order_id=item["out_order_id"]["S"],
        mg_id=item["mg_id"]["S"],
        room_id=item["room_id"]["S"],
        result=_game_result(item["result"]["M"]),
        notify_id=item["result"]["M"]["notify_id"]["S"],
        settle_time_ms=int(item["settle_time"]["N"]),
    )


def _result_item(settled: SettledGameOrder) -> "Item":
    result = settled.result
    item: Item = {
        "match_id": {"S": result.match_id},
        "is_ai": {"N": str(result.is_ai)},
        "score": {"N": str(result.score)},
        "remain_score": {"N": str(result.remain_score)},
        "settle_at": {"N": str(result.settle_at_seconds)},
        "notify_id": {"S": settled.notify_id},
        "position": {"N": str(settled.position)},
    }
    if result.uid:
        item["uid"] = {"S": result.uid}
    if result.commission_score is not None:
        item["commission_score"] = {"N": str(result.commission_score)}
    return item


def _text(item: Mapping[str, Any], name: str) -> str | None:
    return item[name]["S"] if name in item else None


def _integer(item: Mapping[str, Any], name: str) -> int | None:
    return int(item[name]["N"]) if name in item else None

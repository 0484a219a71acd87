"""DynamoDB on paper: what the store and the totals use of it, in a hundredth of the engines' time.

For proofs by the ten thousand, and for what no engine does: an index that follows its table late. That it behaves as
DynamoDB does is not taken on trust: the same proofs run on the engines, less often.
"""

import re
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

type Item = dict[str, dict[str, Any]]
type Key = tuple[Any, ...]


class ClientFault(Exception):
    def __init__(self, response: dict[str, Any], _: str = "") -> None:
        super().__init__(response["Error"]["Code"])
        self.response = response


class Exceptions:
    class ConditionalCheckFailedException(ClientFault): ...

    class TransactionCanceledException(ClientFault): ...

    class TransactionConflictException(ClientFault): ...

    class TransactionInProgressException(ClientFault): ...


class Table:
    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.key = [part["AttributeName"] for part in definition["KeySchema"]]
        self.indexes = {
            index["IndexName"]: [part["AttributeName"] for part in index["KeySchema"]]
            for index in definition.get("GlobalSecondaryIndexes", [])
        }
        self.items: dict[Key, Item] = {}
        self.by_hash: dict[Key, list[tuple[Any, Key, float]]] = defaultdict(list)
        """Of the table and of each index: range, key, and from when on it is seen there; sorted."""

    def put(self, item: Item, seen_at: float) -> None:
        key = self.key_of(item)
        before = self.items.get(key, {})
        self.items[key] = item
        for name, attributes in {"": self.key, **self.indexes}.items():
            if len(attributes) > 1 and all(a in item for a in attributes) and not all(a in before for a in attributes):
                place = (name, _plain(item[attributes[0]]))
                insort(self.by_hash[place], (_plain(item[attributes[1]]), key, seen_at))

    def key_of(self, item: Item) -> Key:
        return tuple(_plain(item[name]) for name in self.key)


class PaperDynamoDB:
    """In the place of boto3's client. What it does not know it refuses."""

    exceptions = Exceptions()

    def __init__(self, now: Callable[[], float] = lambda: 0.0, lag: Callable[[], float] = lambda: 0.0) -> None:
        """`lag` tells, for each write, how much later than `now` the indexes have it."""
        self._tables: dict[str, Table] = {}
        self._now = now
        self._lag = lag

    # --------------------------------------------------------------------------------------------------- tables

    def create_table(self, TableName: str, **definition: Any) -> None:  # noqa: N803
        self._tables[TableName] = Table(definition)

    def delete_table(self, TableName: str) -> None:  # noqa: N803
        del self._tables[TableName]

    # --------------------------------------------------------------------------------------------------- writes

    def put_item(self, **put: Any) -> None:
        self._write_all([{"Put": put}], Exceptions.ConditionalCheckFailedException)

    def update_item(self, **update: Any) -> None:
        self._write_all([{"Update": update}], Exceptions.ConditionalCheckFailedException)

    def transact_write_items(self, TransactItems: list[dict[str, Any]]) -> None:  # noqa: N803
        assert len(TransactItems) <= 100
        self._write_all(TransactItems, Exceptions.TransactionCanceledException)

    def _write_all(self, writes: list[dict[str, Any]], refusal: type[ClientFault]) -> None:
        after: dict[tuple[str, Key], Item] = {}
        codes: list[str] = []
        for write in writes:
            [(kind, request)] = write.items()
            table = self._tables[request["TableName"]]
            key = table.key_of(request["Item" if kind == "Put" else "Key"])
            before = table.items.get(key, {})
            codes.append("None" if _holds(request, before) else "ConditionalCheckFailed")
            assert (request["TableName"], key) not in after, "two writes of one item"
            after[request["TableName"], key] = (
                dict(request["Item"]) if kind == "Put" else _updated(request, before or dict(request["Key"]))
            )
        if set(codes) != {"None"}:
            code = refusal.__name__.removesuffix("Exception")
            raise refusal({"Error": {"Code": code}, "CancellationReasons": [{"Code": code} for code in codes]})
        seen_at = self._now() + self._lag()
        for (name, _), item in after.items():
            self._tables[name].put(item, seen_at)

    # ---------------------------------------------------------------------------------------------------- reads

    def get_item(self, TableName: str, Key: Item, **_: Any) -> dict[str, Any]:  # noqa: N803
        table = self._tables[TableName]
        item = table.items.get(table.key_of(Key))
        return {} if item is None else {"Item": item}

    def transact_get_items(self, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert len(TransactItems) <= 100
        return {"Responses": [self.get_item(**get["Get"]) for get in TransactItems]}

    def query(self, **request: Any) -> dict[str, Any]:
        table = self._tables[request["TableName"]]
        index = request.get("IndexName", "")
        assert not (index and request.get("ConsistentRead"))
        hash_value, first, last = _span(request)
        entries = table.by_hash[index, hash_value]
        start = bisect_left(entries, first, key=lambda entry: entry[0])
        stop = bisect_right(entries, last, key=lambda entry: entry[0])
        backward = not request.get("ScanIndexForward", True)
        if (after := request.get("ExclusiveStartKey")) is not None:
            range_name = (table.indexes[index] if index else table.key)[1]
            place = (_plain(after[range_name]), table.key_of(after))
            if backward:
                stop = min(stop, bisect_left(entries, place, key=lambda entry: entry[:2]))
            else:
                start = max(start, bisect_right(entries, place, key=lambda entry: entry[:2]))
        now, limit = self._now(), request.get("Limit", 10**9)
        places = range(stop - 1, start - 1, -1) if backward else range(start, stop)
        keys: list[Key] = []
        for place_number in places:
            if not index or entries[place_number][2] <= now:
                keys.append(entries[place_number][1])
                if len(keys) == limit:
                    break
        items = [table.items[key] for key in keys]
        answer: dict[str, Any] = {"Items": items}
        if len(items) == limit:  # as DynamoDB: it does not look whether there is more
            attributes = {*table.key, *(table.indexes[index] if index else ())}
            answer["LastEvaluatedKey"] = {name: items[-1][name] for name in attributes}
        return answer

    def scan(self, TableName: str, **request: Any) -> dict[str, Any]:  # noqa: N803
        items = list(self._tables[TableName].items.values())
        if "FilterExpression" in request:
            [(name, value)] = re.findall(r"^begins_with\((\w+), (:\w+)\)$", request["FilterExpression"])
            start = request["ExpressionAttributeValues"][value]["S"]
            items = [item for item in items if item[name]["S"].startswith(start)]
        return {"Items": items}

    def get_paginator(self, name: str) -> "Pages":
        return Pages(getattr(self, name))


class Pages:
    def __init__(self, call: Callable[..., dict[str, Any]]) -> None:
        self._call = call

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        while True:
            answer = self._call(**request)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _plain(value: Mapping[str, Any]) -> Any:
    [(kind, plain)] = value.items()
    return int(plain) if kind == "N" else plain


def _named(name: str, request: Mapping[str, Any]) -> str:
    named: str = request.get("ExpressionAttributeNames", {}).get(name, name)
    return named


def _holds(request: Mapping[str, Any], item: Item) -> bool:
    for clause in filter(None, request.get("ConditionExpression", "").split(" AND ")):
        if found := re.fullmatch(r"attribute_(not_)?exists\((#?\w+)\)", clause):
            if (_named(found[2], request) in item) == bool(found[1]):
                return False
        elif found := re.fullmatch(r"(#?\w+) = (:\w+)", clause):
            if item.get(_named(found[1], request)) != request["ExpressionAttributeValues"][found[2]]:
                return False
        else:
            raise NotImplementedError(clause)
    return True


def _updated(request: Mapping[str, Any], before: Item) -> Item:
    item = dict(before)
    verb, _, rest = request["UpdateExpression"].partition(" ")
    for clause in rest.split(", "):
        name, _, value_name = clause.partition(" = " if verb == "SET" else " ")
        attribute, value = _named(name, request), request["ExpressionAttributeValues"][value_name]
        if verb == "ADD":
            value = {"N": str(int(item.get(attribute, {"N": "0"})["N"]) + int(value["N"]))}
        elif verb != "SET":
            raise NotImplementedError(verb)
        item[attribute] = value
    return item


def _span(request: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """A key condition's hash value, and the first and last range value that it takes."""
    condition = request["KeyConditionExpression"]
    values = {name: _plain(value) for name, value in request["ExpressionAttributeValues"].items()}
    hash_clause, _, rest = condition.partition(" AND ")
    hash_value = values[hash_clause.split(" = ")[1]]
    if found := re.fullmatch(r"#?\w+ BETWEEN (:\w+) AND (:\w+)", rest):
        return hash_value, values[found[1]], values[found[2]]
    if found := re.fullmatch(r"\w+ >= (:\w+)", rest):
        return hash_value, values[found[1]], 10**18
    if found := re.fullmatch(r"\w+ < (:\w+)", rest):
        return hash_value, 0, values[found[1]] - 1
    raise NotImplementedError(condition)

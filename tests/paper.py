"""DynamoDB on paper: what the bundle uses of it, in a hundredth of the engines' time.

For proofs by the thousand, and for what no engine does: an index that follows its table late. That it behaves as
DynamoDB does is not taken on trust: the store's tests run on it beside moto and Amazon's own DynamoDB Local.
"""

import re
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, cast

from botocore.exceptions import ClientError

type Value = Mapping[str, Any]
type Item = dict[str, Value]
type Key = tuple[Any, ...]
type Entry = tuple[Any, Key, float]
"""Of an index: range value, the table's key, and from when on it is seen there."""


class Exceptions:
    """As a boto3 client has them."""

    class ConditionalCheckFailedException(ClientError): ...

    class TransactionCanceledException(ClientError): ...

    class TransactionConflictException(ClientError): ...

    class TransactionInProgressException(ClientError): ...


class Table:
    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.key = [part["AttributeName"] for part in definition["KeySchema"]]
        self.items: dict[Key, Item] = {}
        self.indexes = {"": Index(self, definition["KeySchema"], {"ProjectionType": "ALL"})}
        for index in definition.get("GlobalSecondaryIndexes", []):
            self.indexes[index["IndexName"]] = Index(self, index["KeySchema"], index["Projection"])

    def put(self, item: Item, seen_at: float) -> None:
        key = self.key_of(item)
        before = self.items.get(key)
        self.items[key] = item
        for index in self.indexes.values():
            index.move(key, before, item, seen_at)

    def load(self, items: list[Item]) -> None:
        """Many at once, new ones and others: sorted when all are there."""
        new = {}
        for item in items:
            if (key := self.key_of(item)) in self.items:
                self.put(item, 0.0)
            else:
                new[key] = item
        self.items |= new
        for key, item in new.items():
            for index in self.indexes.values():
                index.append(key, item)
        for index in self.indexes.values():
            for entries in index.entries.values():
                entries.sort()

    def remove(self, key: Key, seen_at: float) -> None:
        before = self.items.pop(key, None)
        for index in self.indexes.values():
            index.move(key, before, None, seen_at)

    def key_of(self, item: Mapping[str, Value]) -> Key:
        return tuple(_plain(item[name]) for name in self.key)


class Index:
    """A table, or one of its indexes: items in their order, by hash key."""

    def __init__(self, table: Table, schema: list[dict[str, str]], projection: Mapping[str, Any]) -> None:
        self.table = table
        self.key = [part["AttributeName"] for part in schema]
        self.projected: set[str] | None = None
        if projection["ProjectionType"] != "ALL":
            self.projected = {*table.key, *self.key, *projection.get("NonKeyAttributes", [])}
        self.entries: dict[Any, list[Entry]] = defaultdict(list)
        """Sorted, by hash value."""

    def move(self, key: Key, before: Item | None, after: Item | None, seen_at: float) -> None:
        old, new = self._place(before), self._place(after)
        if old == new:
            return
        if old is not None:
            entries = self.entries[old[0]]
            del entries[bisect_left(entries, (old[1], key))]
        if new is not None:
            insort(self.entries[new[0]], (new[1], key, seen_at))

    def append(self, key: Key, item: Item) -> None:
        """Out of its order; the caller sorts."""
        if (place := self._place(item)) is not None:
            self.entries[place[0]].append((place[1], key, 0.0))

    def _place(self, item: Item | None) -> tuple[Any, Any] | None:
        if item is None or not all(name in item for name in self.key):
            return None
        return _plain(item[self.key[0]]), _plain(item[self.key[1]]) if len(self.key) > 1 else 0

    def show(self, key: Key) -> Item:
        item = self.table.items[key]
        return item if self.projected is None else {n: v for n, v in item.items() if n in self.projected}


class PaperDynamoDB:
    """In the place of boto3's client. What it does not know it refuses."""

    exceptions = Exceptions()

    def __init__(self, now: Callable[[], float] = lambda: 0.0, lag: Callable[[], float] = lambda: 0.0) -> None:
        """`lag` tells, for each write, how much later than `now` the indexes have it."""
        self.tables: dict[str, Table] = {}
        self._now = now
        self._lag = lag

    # --------------------------------------------------------------------------------------------------- tables

    def create_table(self, TableName: str, **definition: Any) -> None:  # noqa: N803
        self.tables[TableName] = Table(definition)

    def delete_table(self, TableName: str) -> None:  # noqa: N803
        del self.tables[TableName]

    # --------------------------------------------------------------------------------------------------- writes

    def put_item(self, **put: Any) -> dict[str, Any]:
        self._write_all([{"Put": put}], Exceptions.ConditionalCheckFailedException)
        return {}

    def update_item(self, **update: Any) -> dict[str, Any]:
        [after] = self._write_all([{"Update": update}], Exceptions.ConditionalCheckFailedException)
        return {"Attributes": dict(after)} if update.get("ReturnValues") == "ALL_NEW" else {}

    def delete_item(self, **delete: Any) -> dict[str, Any]:
        self._write_all([{"Delete": delete}], Exceptions.ConditionalCheckFailedException)
        return {}

    def transact_write_items(self, TransactItems: list[dict[str, Any]], **_: Any) -> dict[str, Any]:  # noqa: N803
        assert len(TransactItems) <= 100
        self._write_all(TransactItems, Exceptions.TransactionCanceledException)
        return {}

    def _write_all(self, writes: list[dict[str, Any]], refusal: type[ClientError]) -> list[Item]:
        """All or none; the items as they are then."""
        codes: list[str] = []
        after: dict[tuple[str, Key], Item | None] = {}
        for write in writes:
            [(kind, request)] = write.items()
            table = self.tables[request["TableName"]]
            key = table.key_of(request["Item" if kind == "Put" else "Key"])
            assert (request["TableName"], key) not in after, "two writes of one item"
            before = table.items.get(key, {})
            codes.append("None" if _holds(request, before) else "ConditionalCheckFailed")
            match kind:
                case "Put":
                    after[request["TableName"], key] = dict(request["Item"])
                case "Update":
                    after[request["TableName"], key] = _updated(request, before or dict(request["Key"]))
                case "Delete":
                    after[request["TableName"], key] = None
                case "ConditionCheck":
                    after[request["TableName"], key] = before or None
        if set(codes) != {"None"}:
            raise fault(refusal, CancellationReasons=[{"Code": code} for code in codes])
        seen_at = self._now() + self._lag()
        for (name, key), item in after.items():
            if item is None:
                self.tables[name].remove(key, seen_at)
            else:
                self.tables[name].put(item, seen_at)
        return [item or {} for item in after.values()]

    # ---------------------------------------------------------------------------------------------------- reads

    def get_item(self, TableName: str, Key: Item, **_: Any) -> dict[str, Any]:  # noqa: N803
        table = self.tables[TableName]
        item = table.items.get(table.key_of(Key))
        return {} if item is None else {"Item": dict(item)}

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        found: dict[str, list[Item]] = {}
        for name, request in RequestItems.items():
            assert len(request["Keys"]) <= 100
            found[name] = [a["Item"] for key in request["Keys"] if (a := self.get_item(TableName=name, Key=key))]
        return {"Responses": found, "UnprocessedKeys": {}}

    def transact_get_items(self, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert len(TransactItems) <= 100
        return {"Responses": [self.get_item(**get["Get"]) for get in TransactItems]}

    def query(self, **request: Any) -> dict[str, Any]:
        index = self.tables[request["TableName"]].indexes[request.get("IndexName", "")]
        secondary = index.projected is not None or bool(request.get("IndexName"))
        assert not (secondary and request.get("ConsistentRead"))
        condition = _parsed(request["KeyConditionExpression"])
        hash_value = _plain(_only(condition.equal_to(index.key[0], request)))
        entries = index.entries.get(hash_value, [])
        start, stop = condition.span(index.key[-1], request, entries)
        backward = not request.get("ScanIndexForward", True)
        if (after := request.get("ExclusiveStartKey")) is not None:
            place = (_plain(after[index.key[1]]), index.table.key_of(after))
            if backward:
                stop = min(stop, bisect_left(entries, place, key=_place))
            else:
                start = max(start, bisect_right(entries, place, key=_place))
        now, limit = self._now(), request.get("Limit", 10**9)
        keys: list[Key] = []
        for number in range(stop - 1, start - 1, -1) if backward else range(start, stop):
            if not secondary or entries[number][2] <= now:
                keys.append(entries[number][1])
                if len(keys) == limit:
                    break
        answer: dict[str, Any] = {"Count": len(keys), "Items": [index.show(key) for key in keys]}
        if len(keys) == limit:  # as DynamoDB: it does not look whether there is more
            last = index.table.items[keys[-1]]
            answer["LastEvaluatedKey"] = {name: last[name] for name in {*index.table.key, *index.key}}
        if request.get("Select") == "COUNT":
            del answer["Items"]
        return answer

    def scan(self, TableName: str, **request: Any) -> dict[str, Any]:  # noqa: N803
        items = list(self.tables[TableName].items.values())
        if "FilterExpression" in request:
            condition = _parsed(request["FilterExpression"])
            items = [item for item in items if condition.holds(item, request)]
        return {"Count": len(items), "Items": items}

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


def fault(kind: type[ClientError], **more: Any) -> ClientError:
    return kind(cast("Any", {"Error": {"Code": kind.__name__, "Message": "on paper"}, **more}), "on paper")


def _plain(value: Value) -> Any:
    [(kind, plain)] = value.items()
    if kind != "N":
        return plain
    return int(plain) if plain.removeprefix("-").isdecimal() else Decimal(plain)


def _only(values: list[Value]) -> Value:
    [value] = values
    return value


# ------------------------------------------------------------------------------------------------------- expressions

_TOKEN = re.compile(r"\s*([A-Za-z_]\w*|#\w+|:\w+|<>|<=|>=|[=<>(),+-])")


class Condition:
    """A parsed condition: nested tuples, as `_Parser` makes them."""

    def __init__(self, tree: tuple[Any, ...]) -> None:
        self._tree = tree

    def holds(self, item: Mapping[str, Value], request: Mapping[str, Any]) -> bool:
        return _truth(self._tree, item, request)

    def equal_to(self, attribute: str, request: Mapping[str, Any]) -> list[Value]:
        """What an attribute must be equal to."""

        def look(tree: tuple[Any, ...]) -> list[Value]:
            if tree[0] == "AND":
                return look(tree[1]) + look(tree[2])
            if tree[0] == "=" and _name(tree[1], request) == attribute:
                return [request["ExpressionAttributeValues"][tree[2]]]
            return []

        return look(self._tree)

    def span(self, attribute: str, request: Mapping[str, Any], entries: list[Entry]) -> tuple[int, int]:
        """Which of an index's entries, from and up to, its range key lets through."""
        values = request["ExpressionAttributeValues"]

        def look(tree: tuple[Any, ...], start: int, stop: int) -> tuple[int, int]:
            if tree[0] == "AND":
                return look(tree[2], *look(tree[1], start, stop))
            if _name(tree[1], request) != attribute or len(entries) == 0:
                return start, stop
            bounds = [_plain(values[name]) for name in tree[2:]]
            from_ = bisect_left(entries, bounds[0], key=_range) if tree[0] in ("=", ">=", "BETWEEN") else start
            if tree[0] == ">":
                from_ = bisect_right(entries, bounds[0], key=_range)
            to = bisect_right(entries, bounds[-1], key=_range) if tree[0] in ("=", "<=", "BETWEEN") else stop
            if tree[0] == "<":
                to = bisect_left(entries, bounds[0], key=_range)
            return max(start, from_), min(stop, to)

        return look(self._tree, 0, len(entries))


def _range(entry: Entry) -> Any:
    return entry[0]


def _place(entry: Entry) -> tuple[Any, Key]:
    return entry[:2]


@cache
def _parsed(text: str) -> Condition:
    return Condition(_Parser(text).whole())


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        if "".join(self._tokens) != re.sub(r"\s", "", text):
            raise NotImplementedError(text)
        self._tokens.append("")
        self._next = 0

    def whole(self) -> tuple[Any, ...]:
        tree = self._or()
        self._expect("")
        return tree

    def _take(self) -> str:
        self._next += 1
        token: str = self._tokens[self._next - 1]
        return token

    def _is(self, token: str) -> bool:
        if self._tokens[self._next] == token:
            self._next += 1
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._is(token):
            raise NotImplementedError(f"{self._tokens[self._next]!r}, not {token!r}, in {self._tokens}")

    def _or(self) -> tuple[Any, ...]:
        tree = self._and()
        while self._is("OR"):
            tree = ("OR", tree, self._and())
        return tree

    def _and(self) -> tuple[Any, ...]:
        tree = self._not()
        while self._is("AND"):
            tree = ("AND", tree, self._not())
        return tree

    def _not(self) -> tuple[Any, ...]:
        if self._is("NOT"):
            return ("NOT", self._not())
        if self._is("("):
            tree = self._or()
            self._expect(")")
            return tree
        first = self._take()
        if self._is("("):
            arguments = [self._take()]
            while self._is(","):
                arguments.append(self._take())
            self._expect(")")
            return (first, *arguments)
        if self._is("BETWEEN"):
            low = self._take()
            self._expect("AND")
            return ("BETWEEN", first, low, self._take())
        return (self._take(), first, self._take())


def _name(name: str, request: Mapping[str, Any]) -> str:
    named: str = request["ExpressionAttributeNames"][name] if name.startswith("#") else name
    return named


def _value(operand: str, item: Mapping[str, Value], request: Mapping[str, Any]) -> Value | None:
    if operand.startswith(":"):
        value: Value = request["ExpressionAttributeValues"][operand]
        return value
    return item.get(_name(operand, request))


def _truth(tree: tuple[Any, ...], item: Mapping[str, Value], request: Mapping[str, Any]) -> bool:
    match tree:
        case ("AND", left, right):
            return _truth(left, item, request) and _truth(right, item, request)
        case ("OR", left, right):
            return _truth(left, item, request) or _truth(right, item, request)
        case ("NOT", inner):
            return not _truth(inner, item, request)
        case ("attribute_exists", name):
            return _name(name, request) in item
        case ("attribute_not_exists", name):
            return _name(name, request) not in item
        case ("begins_with", name, start):
            text, begin = _value(name, item, request), _value(start, item, request)
            return text is not None and begin is not None and _plain(text).startswith(_plain(begin))
        case ("BETWEEN", name, low, high):
            return _compared(">=", name, low, item, request) and _compared("<=", name, high, item, request)
        case (operator, left, right):
            return _compared(operator, left, right, item, request)
    raise NotImplementedError(tree)


def _compared(operator: str, left: str, right: str, item: Mapping[str, Value], request: Mapping[str, Any]) -> bool:
    first, second = _value(left, item, request), _value(right, item, request)
    if first is None or second is None:
        return False
    if operator == "=":
        return _same(first, second)
    if operator == "<>":
        return not _same(first, second)
    if first.keys() != second.keys():
        return False
    one, other = _plain(first), _plain(second)
    return bool({"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[operator])


def _same(first: Value, second: Value) -> bool:
    return first == second or (first.keys() == second.keys() == {"N"} and _plain(first) == _plain(second))


def _holds(request: Mapping[str, Any], item: Mapping[str, Value]) -> bool:
    condition = request.get("ConditionExpression")
    return condition is None or _parsed(condition).holds(item, request)


_CLAUSE = re.compile(r"\b(SET|ADD|REMOVE|DELETE)\b")
_APPEND = re.compile(r"list_append\((#?\w+), (:\w+)\)")


@cache
def _clauses(text: str) -> list[tuple[str, list[str]]]:
    parts = _CLAUSE.split(text)
    # No clause has a comma but between its parts, list_append's own apart.
    return [
        (verb, [part.strip() for part in re.split(r",(?![^(]*\))", rest)])
        for verb, rest in zip(parts[1::2], parts[2::2], strict=True)
    ]


def _updated(request: Mapping[str, Any], before: Mapping[str, Value]) -> Item:
    item = dict(before)
    for verb, parts in _clauses(request["UpdateExpression"]):
        for part in parts:
            if verb == "REMOVE":
                item.pop(_name(part, request), None)
                continue
            name, _, operand = part.partition(" = " if verb == "SET" else " ")
            attribute = _name(name.strip(), request)
            if found := _APPEND.fullmatch(operand):
                old = before[_name(found[1], request)]["L"]
                item[attribute] = {"L": [*old, *request["ExpressionAttributeValues"][found[2]]["L"]]}
                continue
            value = request["ExpressionAttributeValues"][operand.strip()]
            if verb == "ADD":
                value = {"N": str(_plain(before.get(attribute, {"N": "0"})) + _plain(value))}
            elif verb != "SET":
                raise NotImplementedError(verb)
            item[attribute] = value
    return item

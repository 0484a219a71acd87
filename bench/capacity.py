"""What DynamoDB bills, from the sizes of items: its documented rules, where no engine can hold or tell it.

Reads are checked against DynamoDB Local's own figures (bench/scale.py). Writes are not: of transactions Local
tells less than they take (one write per table), so they stand on these rules alone.
"""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from tests.paper import PaperDynamoDB

from settlepoint_local.template import table_definitions

type Item = Mapping[str, Mapping[str, Any]]

PAGE_BYTES: Final = 2**20
READ_UNIT_BYTES: Final = 4096
WRITE_UNIT_BYTES: Final = 1024
TRANSACTION_FACTOR: Final = 2
"""A transaction prepares and commits each item; what follows in an index is written once."""


def item_bytes(item: Item) -> int:
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Mapping[str, Any]) -> int:
    [(kind, plain)] = value.items()
    match kind:
        case "S":
            return len(str(plain).encode())
        case "N":
            digits = str(plain).lstrip("-").rstrip("0") or "0"
            return math.ceil(len(digits) / 2) + 1 + int(plain.startswith("-"))
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_bytes(part) for name, part in plain.items())
        case "L":
            return 3 + sum(1 + value_bytes(part) for part in plain)
    raise NotImplementedError(kind)


_definitions = cache(table_definitions)


def index_entries(table: str, item: Item) -> dict[str, int]:
    """Bytes of an item's entry in each index that it is in."""
    definition = _definitions()[table]
    table_key = [part["AttributeName"] for part in definition["KeySchema"]]
    entries = {}
    for index in definition.get("GlobalSecondaryIndexes", []):
        key = [part["AttributeName"] for part in index["KeySchema"]]
        if all(name in item for name in key):
            shown = {*table_key, *key, *index["Projection"].get("NonKeyAttributes", [])}
            entries[index["IndexName"]] = item_bytes({name: item[name] for name in shown if name in item})
    return entries


def transaction_units(table: str, items: list[Item]) -> dict[str, int]:
    """Write units of items that a transaction leaves in a table, by component; all are new in their indexes."""
    units = {table: sum(TRANSACTION_FACTOR * math.ceil(item_bytes(item) / WRITE_UNIT_BYTES) for item in items)}
    for item in items:
        for name, size in index_entries(table, item).items():
            units[f"{table} {name}"] = units.get(f"{table} {name}", 0) + math.ceil(size / WRITE_UNIT_BYTES)
    return units


class BilledPaper(PaperDynamoDB):
    """Paper that ends a page at 1 MB and tells what a read consumed, as DynamoDB does."""

    def __init__(self) -> None:
        super().__init__()
        self._entry_bytes: dict[tuple[str, str], int] = {}

    def _entry_size(self, table: str, index: str, item: Item) -> int:
        place = (index, item["billno"]["S"])
        if place not in self._entry_bytes:
            self._entry_bytes[place] = index_entries(table, item)[index]
        return self._entry_bytes[place]

    def query(self, **request: Any) -> dict[str, Any]:
        table, index = request["TableName"].partition("-")[0], request.get("IndexName")
        answer = super().query(**{**request, "Limit": min(request.get("Limit", 10**9), 6000)})
        size = 0
        for number, item in enumerate(answer["Items"]):
            size += item_bytes(item) if index is None else self._entry_size(table, index, item)
            if size >= PAGE_BYTES and number + 1 < len(answer["Items"]):
                again = {**request, "Limit": number + 1}
                answer = super().query(**again)
                break
        units = max(1, math.ceil(size / READ_UNIT_BYTES)) * (1 if request.get("ConsistentRead") else 0.5)
        capacity = {"TableName": table, "CapacityUnits": units}
        return {**self._filtered(request, answer), "ConsumedCapacity": capacity, "ReadBytes": size}

    def _filtered(self, request: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if "FilterExpression" not in request:
            return answer
        wanted = request["ExpressionAttributeValues"][":source"]
        return {**answer, "Items": [item for item in answer["Items"] if item["source"] == wanted]}

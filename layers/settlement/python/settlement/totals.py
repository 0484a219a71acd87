"""TotalsTable: running sums of what an account settled. The only module that knows its keys and attributes.

    app_openid  {app_id}#{openid}
    bucket      y#2026#{shard} | m#2026-11#{shard} | d#2026-11-22#{shard}          UTC; all sources
                y.5#2026#{shard} | m.5#2026-11#{shard} | d.5#2026-11-22#{shard}    source 5 alone
    h07, n07    settled hundredths, and count of settlements, of the row's part 07: a year's month, a month's day,
                a day's hour
    shard       0, 1, ...: a hot account is spread over them; r: what corrections added, the only row with
    v           count of corrections

A row has at most 31 parts, so it stays below the kilobyte that a write is paid by, and a range of any account is a few
rows, whatever its history, its rate and its sources.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from settlement.buckets import HOUR_MS, Cover, Moment, MonthRange, moment_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        QueryInputTypeDef,
        TransactWriteItemTypeDef,
        UpdateTypeDef,
    )

    type Item = dict[str, AttributeValueTypeDef]

MAX_SHARDS: Final = 32
"""A row's shards, and those of the two days that are under way, are read in one transaction of at most 100 rows."""
_CORRECTIONS = "r"
_AFTER_SHARDS = "~"
"""Sorts behind every shard."""


@dataclass(frozen=True, slots=True)
class Sum:
    hundredths: int
    count: int

    def plus(self, other: "Sum") -> "Sum":
        return Sum(self.hundredths + other.hundredths, self.count + other.count)

    def minus(self, other: "Sum") -> "Sum":
        return Sum(self.hundredths - other.hundredths, self.count - other.count)


NOTHING: Final = Sum(0, 0)


class Bucket(NamedTuple):
    """A row's part, over all shards of the row."""

    row: str
    """Such as m.5#2026-11."""
    part: int
    """Such as 22."""


class Snapshot(NamedTuple):
    """One row and the hours that are still added to, all at one instant."""

    stored: Mapping[int, Sum]
    """By part, over all shards."""
    under_way: Mapping[int, Sum]
    """Likewise: what hours from a moment on hold of it."""
    correction_count: int


def account_key(app_id: str, openid: str) -> str:
    """One account's rows; app_id has no '#', so no two accounts share a key."""
    return f"{app_id}#{openid}"


def buckets_of(moment: Moment, source: int | None) -> list[Bucket]:
    """The buckets of one instant: its month, day and hour, of a source or of all."""
    only = "" if source is None else f".{source}"
    return [
        Bucket(f"y{only}#{moment.year}", int(moment.month[5:])),
        Bucket(f"m{only}#{moment.month}", int(moment.day[8:])),
        Bucket(f"d{only}#{moment.day}", moment.hour),
    ]


def source_of(row: str) -> int | None:
    """None for a row of all sources."""
    _, _, source = row.partition("#")[0].partition(".")
    return int(source) if source else None


def span_ms(row: str) -> tuple[int, int]:
    """When a row's period starts, and when it ends, exclusive."""
    level, period = row[0], row.partition("#")[2]
    year, month, day = (int(number) for number in f"{period}-01-01"[:10].split("-"))
    start = datetime(year, month, day, tzinfo=UTC)
    match level:
        case "y":
            end = datetime(year + 1, 1, 1, tzinfo=UTC)
        case "m":
            end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        case _:
            end = datetime.fromtimestamp(start.timestamp() + 86_400, UTC)
    return int(start.timestamp()) * 1000, int(end.timestamp()) * 1000


class Totals:
    def __init__(self, dynamodb: "DynamoDBClient", table: str, shards: int) -> None:
        """`shards` rows per bucket are written without contention; all that were ever written are read."""
        self._dynamodb = dynamodb
        self._table = table
        self._shards = shards

    def additions(
        self, app_id: str, openid: str, source: int, hundredths: int, time_ms: int, spread: int, *, contended: bool
    ) -> "list[TransactWriteItemTypeDef]":
        """The part of a settlement's transaction that adds it to its buckets.

        `spread`, any number, picks the shard; one that met a neighbour before has all to pick from: an account is
        spread as far as it is hot, and the others' rows stay few.
        """
        shard = spread % (max(self._shards, MAX_SHARDS) if contended else self._shards)
        moment = moment_of(time_ms)
        return [
            {"Update": self._addition(account_key(app_id, openid), bucket, shard, hundredths)}
            for only in (None, source)
            for bucket in buckets_of(moment, only)
        ]

    def sum(self, app_id: str, openid: str, source: int | None, cover: Cover) -> Sum:
        """What was settled in the whole buckets of `cover`; its edges are not in it. At most five range queries."""
        account = account_key(app_id, openid)
        only = "" if source is None else f".{source}"
        total = NOTHING
        if cover.months is not None:
            total = self._sum_months(account, only, cover.months)
        for days in cover.days:
            if days.whole_days:
                total = total.plus(self._sum_row(account, f"m{only}#{days.first[:7]}", days.whole_days))
            for day in days.partial_days:
                total = total.plus(self._sum_row(account, f"d{only}#{day}", days.hours_of(day)))
        return total

    def days(self, app_id: str, openid: str, source: int | None, first_day: str, last_day: str) -> dict[str, Sum]:
        """What each UTC day from the first to the last, both inclusive, settled; days without are left out.

        One range query, of at most a row for each month and shard, whatever was settled.
        """
        only = "" if source is None else f".{source}"
        first, last = f"m{only}#{first_day[:7]}#", f"m{only}#{last_day[:7]}#{_AFTER_SHARDS}"
        sums: dict[str, Sum] = {}
        for item in self._rows(account_key(app_id, openid), first, last):
            month = item["bucket"]["S"].split("#")[1]
            for part, part_sum in _parts(item).items():
                if first_day <= (day := f"{month}-{part:02d}") <= last_day:
                    sums[day] = sums.get(day, NOTHING).plus(part_sum)
        return {day: total for day, total in sorted(sums.items()) if total != NOTHING}

    def every_sum(self, app_id: str, openid: str | None = None) -> Iterator[tuple[str, Bucket, Sum]]:
        """What the table holds of an account, or of all of an app's: openid, bucket, and one shard's part of it."""
        items = self._scan(f"{app_id}#") if openid is None else self._rows(account_key(app_id, openid), "d", "z")
        for item in items:
            row = item["bucket"]["S"].rpartition("#")[0]
            for part, total in _parts(item).items():
                yield item["app_openid"]["S"].partition("#")[2], Bucket(row, part), total

    def snapshot(self, app_id: str, openid: str, row: str, from_hour_ms: int, now_ms: int) -> Snapshot | None:
        """A row, and what the hours from `from_hour_ms` to the present one hold of it.

        None where one of the rows was being written meanwhile. A shard that appears between the two reads here is
        missed in the row and in its hours alike.
        """
        account, source = account_key(app_id, openid), source_of(row)
        start_ms, end_ms = span_ms(row)
        hours: dict[Bucket, int] = {}
        for hour_ms in range(max(from_hour_ms, start_ms), min(now_ms, end_ms), HOUR_MS):
            path = buckets_of(moment_of(hour_ms), source)
            hours[path[-1]] = next(bucket.part for bucket in path if bucket.row == row)
        names = [
            item["bucket"]["S"]
            for name in sorted({row, *(hour.row for hour in hours)})
            for item in self._rows(account, f"{name}#", f"{name}#{_AFTER_SHARDS}")
        ]
        items = self._items_at_once(account, names)
        if items is None:
            return None
        stored: dict[int, Sum] = {}
        under_way: dict[int, Sum] = {}
        for name, item in items.items():
            item_row = name.rpartition("#")[0]
            for part, part_sum in _parts(item).items():
                if item_row == row:
                    stored[part] = stored.get(part, NOTHING).plus(part_sum)
                if (into := hours.get(Bucket(item_row, part))) is not None:
                    under_way[into] = under_way.get(into, NOTHING).plus(part_sum)
        corrections = items.get(f"{row}#{_CORRECTIONS}", {})
        return Snapshot(stored, under_way, int(corrections["v"]["N"]) if corrections else 0)

    def _items_at_once(self, account: str, names: list[str]) -> "dict[str, Item] | None":
        if not names:
            return {}
        try:
            answer = self._dynamodb.transact_get_items(
                TransactItems=[{"Get": {"TableName": self._table, "Key": _key(account, name)}} for name in names]
            )
        except self._dynamodb.exceptions.TransactionCanceledException:
            return None
        return {name: response["Item"] for name, response in zip(names, answer["Responses"], strict=True)}

    def correct(self, app_id: str, openid: str, row: str, additions: Mapping[int, Sum], correction_count: int) -> bool:
        """Adds to a row's parts; False where another correction, or this one in an earlier try, came first.

        It has a shard of its own: nothing that is settled meanwhile waits for it or is overwritten by it.
        """
        names = {"#v": "v"}
        values: Item = {":one": {"N": "1"}, ":seen": {"N": str(correction_count)}}
        sums = ["#v :one"]
        for part, addition in additions.items():
            for kind, number in (("h", addition.hundredths), ("n", addition.count)):
                names[f"#{kind}{part}"] = f"{kind}{part:02d}"
                values[f":{kind}{part}"] = {"N": str(number)}
                sums.append(f"#{kind}{part} :{kind}{part}")
        if not correction_count:
            del values[":seen"]
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(account_key(app_id, openid), f"{row}#{_CORRECTIONS}"),
                UpdateExpression="ADD " + ", ".join(sums),
                # No correction since the row was read.
                ConditionExpression="#v = :seen" if correction_count else "attribute_not_exists(#v)",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _addition(self, account: str, bucket: Bucket, shard: int, hundredths: int) -> "UpdateTypeDef":
        return {
            "TableName": self._table,
            "Key": _key(account, f"{bucket.row}#{shard}"),
            "UpdateExpression": "ADD #h :hundredths, #n :one",
            "ExpressionAttributeNames": {"#h": f"h{bucket.part:02d}", "#n": f"n{bucket.part:02d}"},
            "ExpressionAttributeValues": {":hundredths": {"N": str(hundredths)}, ":one": {"N": "1"}},
        }

    def _sum_months(self, account: str, only: str, months: MonthRange) -> Sum:
        total = NOTHING
        first, last = (months.first or "")[:4], (months.last or _AFTER_SHARDS)[:4]
        for item in self._rows(account, f"y{only}#{first}", f"y{only}#{last}#{_AFTER_SHARDS}"):
            counted = months.months_of(item["bucket"]["S"].split("#")[1])
            for part, part_sum in _parts(item).items():
                if part in counted:
                    total = total.plus(part_sum)
        return total

    def _sum_row(self, account: str, row: str, counted: range) -> Sum:
        total = NOTHING
        for item in self._rows(account, f"{row}#", f"{row}#{_AFTER_SHARDS}"):
            for part, part_sum in _parts(item).items():
                if part in counted:
                    total = total.plus(part_sum)
        return total

    def _rows(self, account: str, first: str, last: str) -> "Iterator[Item]":
        request: QueryInputTypeDef = {
            "TableName": self._table,
            "ConsistentRead": True,  # a total right after an acknowledged settlement has it
            "KeyConditionExpression": "app_openid = :account AND #bucket BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#bucket": "bucket"},  # a reserved word
            "ExpressionAttributeValues": {":account": {"S": account}, ":first": {"S": first}, ":last": {"S": last}},
        }
        while True:  # a paginator of botocore's is a class of its own each time
            answer = self._dynamodb.query(**request)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _scan(self, key_start: str) -> "Iterator[Item]":
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="begins_with(app_openid, :start)",
            ExpressionAttributeValues={":start": {"S": key_start}},
        )
        for page in pages:
            yield from page["Items"]


def _key(account: str, name: str) -> "Item":
    return {"app_openid": {"S": account}, "bucket": {"S": name}}


def _parts(item: "Item") -> dict[int, Sum]:
    return {
        int(name[1:]): Sum(int(value["N"]), int(item[f"n{name[1:]}"]["N"]))
        for name, value in item.items()
        if name[0] == "h"
    }

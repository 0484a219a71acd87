"""TotalsTable: running sums of what an account settled. The only module that knows its keys and attributes.

    app_openid  {app_id}#{openid}
    bucket      all#{shard} | m#2026-11#{shard} | d#2026-11-22#{shard}      UTC; a hot account is spread over shards
    h, n        settled hundredths and count of settlements
    h.3, n.3    the same of source 3 alone
    07h, 07n, 07h.3, 07n.3                                                  a day's row: of the hour from 07:00

Names are short because a row is written with every settlement and paid for by the kilobyte.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from settlement.buckets import Cover, DayRange, MonthRange, moment_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef, UpdateTypeDef

_AFTER_SHARDS = "~"
"""Sorts behind every shard number."""


def account_key(app_id: str, openid: str) -> str:
    """One account's rows; app_id has no '#', so no two accounts share a key."""
    return f"{app_id}#{openid}"


class Totals:
    def __init__(self, dynamodb: "DynamoDBClient", table: str, shards: int) -> None:
        """`shards` rows per bucket are written; all that were ever written are read."""
        self._dynamodb = dynamodb
        self._table = table
        self._shards = shards

    def additions(
        self, app_id: str, openid: str, source: int, hundredths: int, time_ms: int, spread: int
    ) -> "list[TransactWriteItemTypeDef]":
        """The part of a settlement's transaction that adds it to its buckets; `spread`, any number, picks the shard."""
        moment = moment_of(time_ms)
        shard = spread % self._shards
        row_figures = ["h", "n", f"h.{source}", f"n.{source}"]
        hour_figures = [f"{moment.hour:02d}{figure}" for figure in row_figures]
        return [
            {"Update": self._addition(app_id, openid, f"{bucket}#{shard}", figures, hundredths)}
            for bucket, figures in (
                ("all", row_figures),
                (f"m#{moment.month}", row_figures),
                (f"d#{moment.day}", row_figures + hour_figures),
            )
        ]

    def sum_hundredths(self, app_id: str, openid: str, source: int | None, cover: Cover) -> int:
        """Settled hundredths in the whole buckets of `cover`; its edges are not in it. At most three range queries."""
        figure = "h" if source is None else f"h.{source}"
        account = account_key(app_id, openid)
        total = 0
        if cover.months is not None:
            for row in self._rows(account, *_month_keys(cover.months)):
                total += _number(row, figure)
        for days in cover.days:
            for row in self._rows(account, f"d#{days.first}#", f"d#{days.last}#{_AFTER_SHARDS}"):
                total += _number_of_day(row, figure, days)
        return total

    def _addition(self, app_id: str, openid: str, bucket: str, figures: list[str], hundredths: int) -> "UpdateTypeDef":
        return {
            "TableName": self._table,
            "Key": {"app_openid": {"S": account_key(app_id, openid)}, "bucket": {"S": bucket}},
            "UpdateExpression": "ADD "
            + ", ".join(f"#{i} {':one' if 'n' in figure else ':hundredths'}" for i, figure in enumerate(figures)),
            "ExpressionAttributeNames": {f"#{i}": figure for i, figure in enumerate(figures)},
            "ExpressionAttributeValues": {":hundredths": {"N": str(hundredths)}, ":one": {"N": "1"}},
        }

    def _rows(self, account: str, first: str, last: str) -> "Iterator[dict[str, AttributeValueTypeDef]]":
        # Consistent: a total right after an acknowledged settlement has it.
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="app_openid = :account AND #bucket BETWEEN :first AND :last",
            ExpressionAttributeNames={"#bucket": "bucket"},  # a reserved word
            ExpressionAttributeValues={":account": {"S": account}, ":first": {"S": first}, ":last": {"S": last}},
        )
        for page in pages:
            yield from page["Items"]


def _month_keys(months: MonthRange) -> tuple[str, str]:
    if months.first is None and months.last is None:
        return "all#", f"all#{_AFTER_SHARDS}"
    return f"m#{months.first or ''}", f"m#{months.last or _AFTER_SHARDS}#{_AFTER_SHARDS}"


def _number(row: "dict[str, AttributeValueTypeDef]", attribute: str) -> int:
    return int(row[attribute]["N"]) if attribute in row else 0


def _number_of_day(row: "dict[str, AttributeValueTypeDef]", figure: str, days: DayRange) -> int:
    day = row["bucket"]["S"].split("#")[1]
    hours = days.hours_of(day)
    if len(hours) == 24:
        return _number(row, figure)
    return sum(_number(row, f"{hour:02d}{figure}") for hour in hours)

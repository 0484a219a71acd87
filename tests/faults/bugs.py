"""Bugs as people make them, each planted in the real code: what the invariants are worth is how soon they see them."""

from collections.abc import Callable
from copy import replace
from decimal import Decimal
from typing import Any, Final

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from settlement import apps, club_messages, store
from settlement.apps import App
from settlement.courier import Courier, Trip
from settlement.errors import OrderAlreadySettled, OrderExists
from settlement.ledger import Ledger
from settlement.orders import SettledClubOrder
from settlement.settling import Repeated, Settle, decide_club_settlement
from settlement.store import Store
from settlement.totals import Totals

from .invariants import (
    Invariant,
    a_repeat_succeeds,
    a_report_is_settled_whole,
    acknowledged_answers_are_true,
    credentials_decide,
    each_order_is_settled_once,
    each_settlement_has_its_ledger_row,
    errors_change_nothing,
    every_notification_is_delivered,
    faults_have_a_cause,
    nothing_crosses_between_apps,
    settled_as_some_client_was_told,
    settled_facts_never_change,
    the_history_can_be_explained,
    totals_are_what_was_settled,
    totals_of_lists_are_exact,
    walks_have_no_repeats_and_no_holes,
)

type Plant = Callable[[pytest.MonkeyPatch], None]


def lost_write(patch: pytest.MonkeyPatch) -> None:
    """A transaction that was cancelled counts as done."""
    real = Store._commit
    patch.setattr(Store, "_commit", lambda self, items: real(self, items) or True)


def double_apply(patch: pytest.MonkeyPatch) -> None:
    """The write does not ask whether somebody else was first."""
    patch.setattr(store, "_UNSETTLED", store._CREATED)


def wrong_winner(patch: pytest.MonkeyPatch) -> None:
    """Whoever asks for other terms is told that they were settled on them."""
    real = decide_club_settlement

    def decide(*arguments: Any) -> Settle | Repeated:
        try:
            return real(*arguments)
        except OrderAlreadySettled:
            return Repeated()

    patch.setattr(store, "decide_club_settlement", decide)


def moving_time(patch: pytest.MonkeyPatch) -> None:
    """A repeat settles anew, on the same terms, at a later time."""
    real = decide_club_settlement

    def decide(found: Any, *arguments: Any) -> Settle | Repeated:
        decided = real(found, *arguments)
        again = isinstance(found, SettledClubOrder) and isinstance(decided, Repeated)
        return Settle(found.order, found.terms) if again else decided

    patch.setattr(store, "decide_club_settlement", decide)
    patch.setattr(store, "_UNSETTLED", store._CREATED)


def swallowed_error(patch: pytest.MonkeyPatch) -> None:
    """A call to AWS that failed counts as done."""
    real = Store.settle_club_order

    def settle(self: Store, *arguments: Any) -> Any:
        try:
            return real(self, *arguments)
        except (BotoCoreError, ClientError):
            return Repeated()

    patch.setattr(Store, "settle_club_order", settle)


def overwriting_create(patch: pytest.MonkeyPatch) -> None:
    """Creating an order does not ask whether its id is free."""

    def create(self: Store, row: Any) -> bool:
        self._dynamodb.put_item(TableName=self._table, Item=row)
        return True

    patch.setattr(Store, "_create", create)


def half_a_report(patch: pytest.MonkeyPatch) -> None:
    """A report's first order is settled in a transaction of its own."""
    real = Store._commit

    def commit(self: Store, items: Any) -> bool:
        first = items[0].get("Update", {}).get("Key", {}).get("billno", {}).get("S", "")
        if first.startswith("game#") and len(items) > 2:
            return real(self, items[:1]) and real(self, items[1:])
        return real(self, items)

    patch.setattr(Store, "_commit", commit)


def unread_orders(patch: pytest.MonkeyPatch) -> None:
    """What a busy DynamoDB leaves unread of a report's orders is taken for unknown."""

    def find(self: Store, app_id: str, order_ids: Any) -> Any:
        keys: Any = [{"billno": {"S": store._game_key(app_id, order_id)}} for order_id in order_ids]
        answer = self._dynamodb.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
        items = answer["Responses"][self._table]
        return {item["billno"]["S"].split("#", 2)[2]: store._game_order(item) for item in items}

    patch.setattr(Store, "_find_game_orders", find)


def stale_read(patch: pytest.MonkeyPatch) -> None:
    """An order is read as DynamoDB reads by default."""

    def get(self: Store, key: str) -> Any:
        return self._dynamodb.get_item(TableName=self._table, Key={"billno": {"S": key}}).get("Item")

    patch.setattr(Store, "_get", get)


def total_beside_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """The totals are added to once the order is settled."""
    real = Store._commit

    def commit(self: Store, items: Any) -> bool:
        totals = [item for item in items if item.get("Update", {}).get("TableName") == "TotalsTable"]
        done = real(self, [item for item in items if item not in totals])
        return done and (not totals or real(self, totals))

    patch.setattr(Store, "_commit", commit)


def lost_total(patch: pytest.MonkeyPatch) -> None:
    """Of a settlement that met a neighbour one bucket is forgotten."""
    real = Totals.additions

    def additions(self: Totals, *arguments: Any, **named: Any) -> Any:
        return real(self, *arguments, **named)[: -1 if named["contended"] else None]

    patch.setattr(Totals, "additions", additions)


def stale_total(patch: pytest.MonkeyPatch) -> None:
    """A query's total is remembered."""
    real, remembered = Store.total, {}

    def total(self: Store, query: Any, now_ms: int) -> Any:
        key = (query, now_ms // 60_000)
        if key not in remembered:
            remembered[key] = real(self, query, now_ms)
        return remembered[key]

    patch.setattr(Store, "total", total)


def lost_notification(patch: pytest.MonkeyPatch) -> None:
    """The ledger row is written once the order is settled."""
    real = Store._commit

    def commit(self: Store, items: Any) -> bool:
        rows = [item for item in items if item.get("Put", {}).get("TableName") == "NotificationTable"]
        if not real(self, [item for item in items if item not in rows]):
            return False
        for row in rows:
            self._dynamodb.put_item(**row["Put"])
        return True

    patch.setattr(Store, "_commit", commit)


def no_sweep(patch: pytest.MonkeyPatch) -> None:
    """What the stream or the queue lost is not sent again."""
    patch.setattr(Ledger, "due", lambda *_, **__: [])


def held_for_ever(patch: pytest.MonkeyPatch) -> None:
    """What was held while a receiver was on trial stays held."""
    patch.setattr(Courier, "release", lambda _, app_id, __: Trip("released", app_id, released=0))


def leak_of_orders(patch: pytest.MonkeyPatch) -> None:
    """An order's key is its number alone."""
    patch.setattr(store, "_club_key", lambda _, bill_no: f"club##{bill_no}")


def leak_of_lists(patch: pytest.MonkeyPatch) -> None:
    """A list's key is the openid alone."""
    patch.setattr(store, "account_key", lambda _, openid: f"#{openid}")


def cursor_skip(patch: pytest.MonkeyPatch) -> None:
    """A page begins after the one more that was read to see whether there is one."""
    real = Store.settled_page

    def page(self: Store, query: Any, after: Any, limit: int) -> Any:
        return real(self, query, after, limit) if after is None else real(self, query, after, limit + 1)[1:]

    patch.setattr(Store, "settled_page", page)


def cursor_by_time(patch: pytest.MonkeyPatch) -> None:
    """A page begins at the second of the last entry: what is of the same second comes again."""
    real = Store.settled_page

    def page(self: Store, query: Any, after: Any, limit: int) -> Any:
        if after is not None:
            after = replace(after, settle_time_ms=after.settle_time_ms + 1)
        return real(self, query, after, limit)

    patch.setattr(Store, "settled_page", page)


def rounded_amounts(patch: pytest.MonkeyPatch) -> None:
    """Points pass through a float, and one decimal of them is shown."""
    patch.setattr(club_messages, "points", lambda hundredths: Decimal(str(round(hundredths / 100, 1))))


def cached_for_ever(patch: pytest.MonkeyPatch) -> None:
    """A process never reads an app again."""
    patch.setattr(apps, "CACHE_SECONDS", 10**9)


def served_though_disabled(patch: pytest.MonkeyPatch) -> None:
    """An app that is disabled is served."""
    patch.setattr(App, "enabled", True)


def retired_secret(patch: pytest.MonkeyPatch) -> None:
    """A secret whose overlap has ended is accepted."""
    patch.setattr(App, "versions_in_use", lambda app, _: sorted(app.secret_versions, key=lambda each: -each.version))


def unsafe_repeat(patch: pytest.MonkeyPatch) -> None:
    """Who asks again for what was done is told that it was done before."""
    real = decide_club_settlement

    def decide(*arguments: Any) -> Settle | Repeated:
        decided = real(*arguments)
        if isinstance(decided, Repeated):
            raise OrderAlreadySettled("bill_no: settled")
        return decided

    patch.setattr(store, "decide_club_settlement", decide)


def refused_and_written(patch: pytest.MonkeyPatch) -> None:
    """An order of another content is refused, and taken."""
    real = Store.create_club_order

    def create(self: Store, app_id: str, order: Any) -> bool:
        try:
            return real(self, app_id, order)
        except OrderExists:
            row = store.created_club_row(app_id, order, self._clock_ms())
            self._dynamodb.put_item(TableName=self._table, Item=row)
            raise

    patch.setattr(Store, "create_club_order", create)


def impatient(patch: pytest.MonkeyPatch) -> None:
    """A neighbour in the same rows is a fault of ours."""
    patch.setattr(store, "_PASSING", {"ConditionalCheckFailed"})


BUGS: Final[dict[Plant, Invariant]] = {
    lost_write: acknowledged_answers_are_true,
    swallowed_error: acknowledged_answers_are_true,
    double_apply: each_order_is_settled_once,
    moving_time: settled_facts_never_change,
    wrong_winner: settled_as_some_client_was_told,
    unsafe_repeat: a_repeat_succeeds,
    refused_and_written: errors_change_nothing,
    impatient: faults_have_a_cause,
    overwriting_create: the_history_can_be_explained,
    unread_orders: the_history_can_be_explained,
    stale_read: the_history_can_be_explained,
    half_a_report: a_report_is_settled_whole,
    total_beside_the_transaction: totals_are_what_was_settled,
    lost_total: totals_are_what_was_settled,
    stale_total: totals_of_lists_are_exact,
    lost_notification: each_settlement_has_its_ledger_row,
    no_sweep: every_notification_is_delivered,
    held_for_ever: every_notification_is_delivered,
    leak_of_orders: nothing_crosses_between_apps,
    leak_of_lists: walks_have_no_repeats_and_no_holes,
    cursor_skip: walks_have_no_repeats_and_no_holes,
    cursor_by_time: walks_have_no_repeats_and_no_holes,
    rounded_amounts: each_settlement_has_its_ledger_row,
    cached_for_ever: credentials_decide,
    served_though_disabled: credentials_decide,
    retired_secret: credentials_decide,
}
"""Each with the invariant that is there to notice it; others may do so before."""

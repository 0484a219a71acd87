"""What the console shows. It reads what the other functions wrote, and writes nothing.

Every look is bounded, however long the history: lists by pages, searches by keys, counts and walks by a limit that the
answer tells, sums by running totals.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from settlement import clients
from settlement.apps import App, AppRegistry
from settlement.callers import OPERATOR_WRITES
from settlement.clock import now_ms
from settlement.console_answers import (
    app_answer,
    chart_answer,
    club_order_answer,
    game_order_answer,
    listed_answer,
    notification_answer,
    settlement_answer,
    sum_answer,
)
from settlement.console_endpoint import OperatorCall
from settlement.console_errors import NotFound
from settlement.console_messages import (
    AppAnswer,
    AppPageAnswer,
    AppRequest,
    AppsAnswer,
    AppsRequest,
    ChartAnswer,
    ChartRequest,
    FoundClubOrderAnswer,
    FoundGameOrderAnswer,
    FoundNotificationAnswer,
    HealthAnswer,
    Nothing,
    NotificationAnswer,
    NotificationRequest,
    NotificationsAnswer,
    NotificationsRequest,
    QueueAnswer,
    RecentAnswer,
    SearchAnswer,
    SearchRequest,
    SessionAnswer,
    SettlementsAnswer,
    SettlementsRequest,
    SourceAnswer,
    ToldAnswer,
)
from settlement.cursor import Position
from settlement.delivery import ERROR_CLASSES
from settlement.door import Door
from settlement.errors import BadRequest
from settlement.keyring import Keyring
from settlement.ledger import DUE_SHARDS, STATUSES, Due, Ledger, Listed
from settlement.notifications import club_notify_id
from settlement.orders import ClubOrder, SettledClubOrder, SettledGameOrder
from settlement.queue import depth
from settlement.redelivery import EVENTS, Cursor, Selection
from settlement.seals import seal, unseal
from settlement.sources import SOURCES
from settlement.store import FoundOrder, Store
from settlement.totals import Sum, Totals

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PAGE: Final = 50
COUNTS_UP_TO: Final = 10_000
"""Held and dead notifications of an app."""
MAX_APPS_SEARCHED: Final = 2000
"""Beyond, a search names its app."""
ROWS_A_LOOK: Final = 5000
"""Rows of the ledger that one call walks through."""
_ROWS_A_READ = 500
_RECENT_MS = 24 * 3_600_000
_OVERDUE_A_SHARD = 20
_AT_ONCE = 8
_CURSOR = "cursor"


@dataclass(frozen=True, slots=True)
class Views:
    apps: AppRegistry
    keyring: Keyring
    store: Store
    totals: Totals
    ledger: Ledger
    sqs: "SQSClient"
    queue_url: str
    dead_letter_queue_url: str

    @classmethod
    def connect(cls, door: Door) -> "Views":
        dynamodb, settings = clients.dynamodb(), door.settings
        totals = Totals(dynamodb, settings.totals_table, settings.totals_shards)
        ledger = Ledger(dynamodb, settings.notification_table)
        return cls(
            door.apps,
            door.keyring,
            Store(dynamodb, settings.settlement_table, totals, ledger),
            totals,
            ledger,
            clients.sqs(),
            settings.notification_queue_url,
            settings.dead_letter_queue_url,
        )

    # ---------------------------------------------------------------------------------------------- the deployment

    def session(self, call: OperatorCall[Nothing]) -> SessionAnswer:
        operator = call.operator
        return SessionAnswer(
            operator=operator.name,
            can_write=operator.may(OPERATOR_WRITES),
            expires_at_seconds=operator.expires_at_seconds,
            now_ms=now_ms(),
            sources=[SourceAnswer(source=number, name=row.name, sign=row.sign) for number, row in SOURCES.items()],
            statuses=list(STATUSES),
            error_classes=list(ERROR_CLASSES),
            events=list(EVENTS),
        )

    def health(self, _: OperatorCall[Nothing]) -> HealthAnswer:
        at_ms = now_ms()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            shards = pool.map(lambda shard: self.ledger.due(shard, at_ms, _OVERDUE_A_SHARD), range(DUE_SHARDS))
            depths = pool.map(lambda url: depth(self.sqs, url), (self.queue_url, self.dead_letter_queue_url))
            planned_ms = [due.next_attempt_at_ms for shard in shards for due in shard if isinstance(due, Due)]
            queue, dead_letters = depths
        return HealthAnswer(
            now_ms=at_ms,
            oldest_overdue_ms=at_ms - min(planned_ms, default=at_ms),
            queue=QueueAnswer(waiting=queue.waiting, in_flight=queue.in_flight, delayed=queue.delayed),
            dead_letters=dead_letters.waiting,
        )

    # ---------------------------------------------------------------------------------------------------- the apps

    def list_apps(self, call: OperatorCall[AppsRequest]) -> AppsAnswer:
        after = self._unsealed(call.request.cursor, ["apps"]) or ""
        apps = sorted((app for app in self.apps.all() if app.app_id > after), key=lambda app: app.app_id)
        shown, is_end = apps[:PAGE], len(apps) <= PAGE
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(self.app_answer, shown))
        cursor = "" if is_end else self._sealed(shown[-1].app_id, ["apps"])
        return AppsAnswer(apps=answers, cursor=cursor, is_end=is_end, counts_up_to=COUNTS_UP_TO)

    def show_app(self, call: OperatorCall[AppRequest]) -> AppPageAnswer:
        app, until_ms = self._app(call.request.app_id, call.facts), now_ms() + 1
        walk = Walk(self.ledger, app.app_id, until_ms - _RECENT_MS, until_ms)
        counts = Counter(listed.status for listed in walk)
        recent = RecentAnswer(
            since_ms=walk.since_ms,
            until_ms=until_ms,
            counts={status: counts[status] for status in STATUSES},
            complete=walk.ended,
        )
        return AppPageAnswer(app=self.app_answer(app), counts_up_to=COUNTS_UP_TO, recent=recent)

    def app_answer(self, app: App) -> AppAnswer:
        return app_answer(
            app,
            self.ledger.breaker(app.app_id),
            self.ledger.count_held(app.app_id, COUNTS_UP_TO),
            self.ledger.count_dead(app.app_id, COUNTS_UP_TO),
            now_ms(),
        )

    # ------------------------------------------------------------------------------------------------------ search

    def search(self, call: OperatorCall[SearchRequest]) -> SearchAnswer:
        name, app_id = call.request.id, call.request.app_id
        apps = list(self.apps.all()) if app_id is None else [named_app(self.apps, app_id)]
        if len(apps) > MAX_APPS_SEARCHED:
            raise BadRequest(f"app_id: is needed, there are more than {MAX_APPS_SEARCHED} apps")
        stored = self.ledger.find(name)
        told = None
        if stored is not None and app_id in {None, stored.notification.app_id}:
            told = FoundNotificationAnswer(notify_id=name, app_id=stored.notification.app_id, status=stored.status)
        orders = [self._found_order(found) for found in self.store.find_called(apps, name)]
        call.facts |= {"apps": len(apps), "orders": len(orders)}
        return SearchAnswer(orders=orders, notification=told, apps_searched=len(apps))

    def _found_order(self, found: FoundOrder) -> FoundClubOrderAnswer | FoundGameOrderAnswer:
        match found.order:
            case SettledClubOrder() as order:
                told = self._told(club_notify_id(found.app_id, found.own_id))
                return club_order_answer(found.app_id, order, told)
            case ClubOrder() as order:
                return club_order_answer(found.app_id, order, None)
            case SettledGameOrder(notify_id=notify_id) as order:
                return game_order_answer(found.app_id, found.own_id, order, self._told(notify_id))
            case order:
                return game_order_answer(found.app_id, found.own_id, order, None)

    def _told(self, notify_id: str) -> ToldAnswer | None:
        stored = self.ledger.find(notify_id)
        return None if stored is None else ToldAnswer(notify_id=notify_id, status=stored.status)

    # ------------------------------------------------------------------------------------------------- settlements

    def list_settlements(self, call: OperatorCall[SettlementsRequest]) -> SettlementsAnswer:
        query = call.request.query(self._app(call.request.app_id, call.facts).app_id)
        bound = [query.app_id, query.openid, query.source, query.start_seconds, query.end_seconds]
        place = self._unsealed(call.request.cursor, bound)
        after = None if place is None else Position(*place)
        settled = self.store.settled_page(query, after, limit=PAGE + 1)
        shown, is_end = settled[:PAGE], len(settled) <= PAGE
        call.facts["entries"] = len(shown)
        return SettlementsAnswer(
            settlements=list(map(settlement_answer, shown)),
            total=sum_answer(self.store.total(query, now_ms())) if after is None else None,
            cursor="" if is_end else self._sealed([shown[-1].settle_time_ms, shown[-1].order.bill_no], bound),
            is_end=is_end,
        )

    def chart(self, call: OperatorCall[ChartRequest]) -> ChartAnswer:
        request, app_id = call.request, self._app(call.request.app_id, call.facts).app_id

        def days_of(source: int) -> dict[str, Sum]:
            return self.totals.days(app_id, request.openid, source, request.first_day, request.last_day)

        sums: dict[str, dict[int, Sum]] = {}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for source, days in zip(SOURCES, pool.map(days_of, SOURCES), strict=True):
                for day, total in days.items():
                    sums.setdefault(day, {})[source] = total
        return chart_answer(request.first_day, request.last_day, sums)

    # ----------------------------------------------------------------------------------------------- notifications

    def list_notifications(self, call: OperatorCall[NotificationsRequest]) -> NotificationsAnswer:
        request, app_id = call.request, self._app(call.request.app_id, call.facts).app_id
        place = self._unsealed(request.cursor, request.bound())
        walk = Walk(self.ledger, app_id, request.since_ms, request.until_ms, None if place is None else Cursor(*place))
        meant = Selection(
            app_id, request.since_ms, request.until_ms, request.statuses or STATUSES, request.error_classes or ()
        )
        shown: list[Listed] = []
        reached, is_end = None, False
        for listed in filter(meant.takes, walk):
            if len(shown) == PAGE:  # this one begins the next page
                reached = Cursor.of(shown[-1])
                break
            shown.append(listed)
        else:
            reached, is_end = walk.reached, walk.ended
        call.facts["entries"] = len(shown)
        return NotificationsAnswer(
            notifications=list(map(listed_answer, shown)),
            cursor="" if is_end else self._sealed(list(reached or ()), request.bound()),
            is_end=is_end,
            read_back_to_ms=request.since_ms if is_end or reached is None else reached.notify_time_ms,
        )

    def show_notification(self, call: OperatorCall[NotificationRequest]) -> NotificationAnswer:
        notify_id = call.facts["notify_id"] = call.request.notify_id
        stored = self.ledger.find(notify_id)
        if stored is None:
            raise NotFound("notify_id: there is no such notification, or no more")
        app_id = call.facts["app_id"] = stored.notification.app_id
        return notification_answer(stored, self.apps.read(app_id), self.ledger.breaker(app_id), now_ms())

    # ------------------------------------------------------------------------------------------------------ places

    def _app(self, app_id: str, facts: dict[str, Any]) -> App:
        facts["app_id"] = app_id
        return named_app(self.apps, app_id)

    def _sealed(self, place: object, bound: object) -> str:
        return seal(place, _CURSOR, bound, *self.keyring.newest_cursor_key())

    def _unsealed(self, cursor: str | None, bound: object) -> Any:
        """None for the first page. Raises BadRequest."""
        return unseal(cursor, _CURSOR, bound, self.keyring.cursor_key) if cursor else None


def named_app(apps: AppRegistry, app_id: str) -> App:
    """As it is stored now. Raises NotFound."""
    app = apps.read(app_id)
    if app is None:
        raise NotFound("app_id: there is no such app")
    return app


class Walk:
    """An app's notifications in [since, until), the newest first, so many rows and no further."""

    def __init__(self, ledger: Ledger, app_id: str, since_ms: int, until_ms: int, after: Cursor | None = None) -> None:
        self.since_ms = since_ms
        self.reached = after
        """The last that was read."""
        self.ended = False
        """Whether there is none further."""
        self._read: Callable[[], tuple[list[Listed], bool]] = lambda: ledger.listed_back(
            app_id, since_ms, until_ms, self.reached, _ROWS_A_READ
        )

    def __iter__(self) -> Iterator[Listed]:
        rows = 0
        while not self.ended and rows < ROWS_A_LOOK:
            page, self.ended = self._read()
            rows += len(page)
            if page:
                self.reached = Cursor.of(page[-1])
            yield from page

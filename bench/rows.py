"""The rows that the stub answers with, made by the layer's own code; and the events that the functions are given."""

from collections.abc import Mapping
from copy import replace
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import simplejson

from settlement import apps as registry
from settlement import ledger as ledger_rows
from settlement import store as store_rows
from settlement.breaker import Breaker
from settlement.ledger import Ledger
from settlement.notifications import club_notification
from settlement.orders import Account, ClubOrder, ClubTerms, SettledClubOrder
from settlement.totals import account_key
from settlepoint_local.lambda_events import Event, api_event, schedule_event, sqs_event, stream_event
from settlepoint_local.scene import APPS, Scene
from settlepoint_local.situations import ORDER, REPORT, THIS_BILL, THIS_ORDER, WINNER, json_bytes
from settlepoint_local.template import endpoints, table_definitions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = dict[str, Any]

PAGE: Final = 20
YEARS: Final = (2025, 2026)
SHARDS: Final = 4


@dataclass(frozen=True, slots=True)
class Rows:
    master: str
    """The master secret's value."""
    apps: Mapping[str, Item]
    page: list[Item]
    totals: list[Item]
    notification: Item
    breaker: Item
    club_order: Item
    game_order: Item

    def find(self, table: str, name: str, key: str) -> Item | None:
        match table:
            case "AppTable":
                return self.apps.get(key)
            case "NotificationTable":
                return {**self.breaker, name: {"S": key}}
            case "SettlementTable":
                return {**(self.club_order if key.startswith("club#") else self.game_order), name: {"S": key}}
        raise KeyError(table)


def rows(scene: Scene, url: str) -> Rows:
    """`url` is where the receiver listens: the apps' notify_url leads there."""
    found: dict[str, Item] = {}
    for app in APPS.values():
        told = replace(app, notify_url=f"{url}/receiver") if app.notify_url else app
        found[app.app_id] = registry._item(told)  # noqa: SLF001  # the layer's own rows
    pointer = scene.directory_signature("merchant-a")
    found[f"asc#{pointer}"] = {"points_to": {"S": "merchant-a"}, "secret_version": {"N": "1"}}
    settled = [_settled(scene, number) for number in range(PAGE + 1)]
    breaker = replace(Breaker("club-a"), trusted=True, version=1)
    return Rows(
        master=simplejson.dumps({"1": scene.master}),
        apps=found,
        page=[_projected(s) for s in settled],
        totals=[_total(year, shard) for year in YEARS for shard in range(SHARDS)],
        notification=notification_row(settled[0]),
        breaker=cast("Item", ledger_rows._breaker_item(breaker)),  # noqa: SLF001
        club_order=cast("Item", store_rows.created_club_row("club-a", _order(1001), scene.now_ms - 60_000)),
        game_order={
            **{name: {"S": str(ORDER[name])} for name in ("mg_id", "room_id", "cmd", "from_uid", "to_uid")},
            "out_order_id": {"S": "order-1001"},
            "value": {"N": "120"},
            "out_group_id": {"S": "group-1"},
            "payload": {"S": '{"rate":1.10,"note":"礼物 1/2"}'},
            "created_at": {"N": str(scene.now_ms - 60_000)},
        },
    )


def notification_row(settled: SettledClubOrder) -> Item:
    ledger = Ledger(cast("DynamoDBClient", None), "NotificationTable")
    addition: Any = ledger.addition(club_notification("club-a", settled))
    row: Item = addition["Put"]["Item"]
    return row


def events(scene: Scene) -> dict[str, Event]:
    """One event for each door, by its folder, as AWS hands it over."""

    def api(folder: str, body: Mapping[str, Any], app_id: str) -> Event:
        sent = json_bytes(body)
        club = endpoints()[folder].path.startswith("/upbot/")
        authorization = f"Bearer {scene.token(app_id)}" if club else str(scene.sud_auth(app_id, sent))
        headers = {"Content-Type": "application/json", "Authorization": authorization}
        return api_event(f"{folder}/bench", endpoints()[folder], scene.now_ms, body=sent, headers=headers)

    row = notification_row(_settled(scene, 0))
    message = simplejson.dumps({"notify_id": row["notify_id"]["S"], "attempt": 1})
    bill = {
        **THIS_BILL,
        "bill_no": "bill-2001",
        "amt": 1333,
        "source": 5,
        "jf_gid": 7,
        "detail": "周末活动 1/2",
        "account": {"type": 2, "id": "club-9", "gid": 9},
    }
    report = {**REPORT, "results": [WINNER]}
    return {
        "create_club_order": api("create_club_order", bill, "club-a"),
        "set_club_jf_settle": api("set_club_jf_settle", {**THIS_BILL, "amt_ratio": 25}, "club-a"),
        "get_club_jf_settle_list": api("get_club_jf_settle_list", {"openid": "openid-of-li"}, "club-a"),
        "create_order": api("create_order", ORDER, "merchant-a"),
        "query_order": api("query_order", THIS_ORDER, "merchant-a"),
        "query_user_settle": api("query_user_settle", THIS_ORDER, "merchant-a"),  # not settled yet: the same read
        "settle_users": api("settle_users", report, "game-a"),
        "get_api_directory": api_event(
            "get_api_directory/bench",
            endpoints()["get_api_directory"],
            scene.now_ms,
            parameters={"signature": scene.directory_signature("merchant-a")},
        ),
        "queue_notifications": stream_event([("INSERT", {"notify_id": row["notify_id"]}, row)], scene.now_ms),
        "deliver_notification": sqs_event([message], scene.now_ms),
        "requeue_notifications": schedule_event(scene.now_ms),
    }


def _order(number: int) -> ClubOrder:
    return ClubOrder(f"bill-{number}", "openid-of-li", 1333, 5, 7, "周末活动 1/2", Account(2, "club-9", 9))


def _settled(scene: Scene, number: int) -> SettledClubOrder:
    return SettledClubOrder(_order(5000 + number), ClubTerms(33325, 25), scene.now_ms - 10_000 - number * 1000)


def _projected(settled: SettledClubOrder) -> Item:
    """What the index openid-settle_time-index shows of an order."""
    table = table_definitions()["SettlementTable"]
    [index] = [i for i in table["GlobalSecondaryIndexes"] if i["IndexName"] == "openid-settle_time-index"]
    shown = {"billno", "app_openid", "settle_time", *index["Projection"]["NonKeyAttributes"]}
    row = store_rows.created_club_row("club-a", settled.order, settled.settle_time_ms)
    row |= store_rows.settled_club_facts("club-a", settled)
    return {name: value for name, value in row.items() if name in shown}


def _total(year: int, shard: int) -> Item:
    months = [(f"h{month:02d}", f"n{month:02d}") for month in range(1, 12)]
    sums = {name: {"N": "4711"} for pair in months for name in pair}
    return {
        "app_openid": {"S": account_key("club-a", "openid-of-li")},
        "bucket": {"S": f"y#{year}#{shard}"},
        **sums,
    }

"""Every file of events/console/, replayed: its whole answer, or its status, code and what `detail` names."""

import base64
from typing import Any

import pytest
import simplejson

from settlement.signing import directory_signature
from settlepoint_local import events
from settlepoint_local.in_process import World
from settlepoint_local.scene import OPERATOR, Scene
from settlepoint_local.situations import ORDER_ID, SITUATIONS, club_settlement, game_settlement
from settlepoint_local.template import CONSOLE

NOW_MS = Scene().now_ms
LEDGER, APPS = "NotificationTable", "AppTable"
CLUB_NOTIFY_ID = club_settlement(Scene()).notify_id

# situation: HTTP status, code, what `detail` begins with
FAULTS: dict[str, tuple[int, str, str]] = {
    "400_not_an_object": (400, "bad_request", "body:"),
    "400_no_app_id": (400, "bad_request", "app_id:"),
    "400_foreign_cursor": (400, "bad_request", "cursor:"),
    "400_chart_of_two_years": (400, "bad_request", "last_day:"),
    "400_since_after_until": (400, "bad_request", "since_ms:"),
    "400_count_of_no_status": (400, "bad_request", "statuses:"),
    "401_no_token": (401, "unauthenticated", ""),
    "401_expired_token": (401, "unauthenticated", ""),
    "401_a_clubs_token": (401, "unauthenticated", ""),
    "403_reader_redelivers": (403, "forbidden", "needs ops:write"),
    "403_no_scope": (403, "forbidden", "needs ops"),
    "404_no_such_path": (404, "not_found", "path:"),
    "404_no_such_app": (404, "not_found", "app_id:"),
    "404_no_such_notification": (404, "not_found", "notify_id:"),
    "409_rotation_refused": (409, "rotation_refused", "only version 1 of its secret is in use"),
    "409_no_receiver": (409, "no_receiver", ""),
    "409_not_counted": (409, "not_counted", "ticket:"),
    "409_another_count": (409, "not_counted", "expected:"),
    "413_too_large": (413, "too_large", "body:"),
    "two_faults_size_before_token": (413, "too_large", "body:"),
    "two_faults_token_before_json": (401, "unauthenticated", ""),
    "two_faults_scope_before_json": (403, "forbidden", "needs ops:write"),
}

CLUB_A = {
    "app_id": "club-a",
    "name": "club-a",
    "roles": ["club"],
    "status": "enabled",
    "notify_url": "https://club-a.example/settled",
    "mg_ids": [],
    "for_apps": [],
    "created_at_ms": NOW_MS - 365 * 24 * 3_600_000,
    "secret_versions": [{"version": 1, "state": "signs", "retires_at_ms": None}],
    "signing_version": 1,
    "rotation_step": "none",
    "breaker": {"state": "on_trial", "failures": 0, "open_until_ms": None},
    "held": 0,
    "held_because": None,
    "dead": 0,
}
CLUB_ORDER = {
    "kind": "club",
    "app_id": "club-a",
    "bill_no": "bill-1001",
    "openid": "openid-of-li",
    "amt": "1333",
    "source": 5,
    "jf_gid": "7",
    "detail": "周末活动 1/2",
    "account": {"type": 2, "id": "club-9", "gid": "9"},
    "settled": {"settle_amt": "1333", "amt_ratio": 100, "settle_time_ms": NOW_MS - 4000},
    "notification": {"notify_id": CLUB_NOTIFY_ID, "status": "pending"},
}
GAME_ORDER = {
    "kind": "game",
    "app_id": "merchant-a",
    "order_id": ORDER_ID,
    "out_order_id": "order-1001",
    "mg_id": "mg-1",
    "room_id": "room-9",
    "cmd": "gift",
    "from_uid": "player-1",
    "to_uid": "player-2",
    "value": 120,
    "out_group_id": "group-1",
    "payload": '{\n  "rate": 1.10,\n  "note": "礼物 1/2"\n}',
    "settled": {
        "match_id": "match-7",
        "uid": "player-1",
        "is_ai": 0,
        "score": 120,
        "remain_score": 880,
        "commission_score": 6,
        "settle_at_seconds": 1795305590,
        "settle_time_ms": NOW_MS - 1000,
    },
    "notification": {"notify_id": game_settlement(Scene()).notify_id, "status": "pending"},
}
PLAIN = {
    "bill_no": "bill-1003",
    "amt": "50",
    "settle_amt": "50",
    "amt_ratio": 100,
    "settle_time_ms": NOW_MS - 1000,
    "account": None,
    "detail": "recharge",
    "source": 1,
    "jf_gid": "0",
}
NEGATIVE = {
    "bill_no": "bill-1002",
    "amt": "-200",
    "settle_amt": "-150",
    "amt_ratio": 100,
    "settle_time_ms": NOW_MS - 2000,
    "account": {"id": "u-3"},
    "detail": "",
    "source": 8,
    "jf_gid": "7",
}
RATIO = {
    "bill_no": "bill-1001",
    "amt": "1333",
    "settle_amt": "333.25",
    "amt_ratio": 25,
    "settle_time_ms": NOW_MS - 3000,
    "account": {"type": 2, "id": "club-9", "gid": "9"},
    "detail": "周末活动 1/2",
    "source": 5,
    "jf_gid": "7",
}
DAY_BEFORE = "2026-11-21"
"""The scene's now is midnight: three settlements of the second before."""
BY_SOURCE = [
    {"source": 1, "points": "50", "count": 1},
    {"source": 5, "points": "333.25", "count": 1},
    {"source": 8, "points": "-150", "count": 1},
]
LISTED = {
    "notify_id": CLUB_NOTIFY_ID,
    "notify_event": "upbot.club.jf.settle",
    "notify_time_ms": NOW_MS - 4000,
    "status": "pending",
    "attempt_count": 0,
    "error_class": None,
}
SECRET = Scene().secret("club-a", 2)


def rotated(*versions: tuple[int, str, int | None], signs: int, step: str) -> dict[str, Any]:
    return {
        **CLUB_A,
        "secret_versions": [
            {"version": version, "state": state, "retires_at_ms": end_ms} for version, state, end_ms in versions
        ],
        "signing_version": signs,
        "rotation_step": step,
    }


# situation: its whole answer, and the tables that it changed
SUCCESSES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "tells_the_health": (
        {
            "now_ms": NOW_MS,
            "oldest_overdue_ms": 0,
            "queue": {"waiting": 0, "in_flight": 0, "delayed": 0},
            "dead_letters": 0,
        },
        set(),
    ),
    "shows_an_app": (
        {
            "app": CLUB_A,
            "counts_up_to": 10_000,
            "recent": {
                "since_ms": NOW_MS + 1 - 24 * 3_600_000,
                "until_ms": NOW_MS + 1,
                "counts": {"pending": 1, "retrying": 0, "held": 0, "delivered": 0, "dead": 0},
                "complete": True,
            },
        },
        set(),
    ),
    "finds_a_club_order": ({"orders": [CLUB_ORDER], "notification": None, "apps_searched": 10}, set()),
    "finds_a_game_order": ({"orders": [GAME_ORDER], "notification": None, "apps_searched": 1}, set()),
    "finds_a_notification": (
        {
            "orders": [],
            "notification": {"notify_id": CLUB_NOTIFY_ID, "app_id": "club-a", "status": "pending"},
            "apps_searched": 10,
        },
        set(),
    ),
    "lists_settlements": (
        {
            "settlements": [PLAIN, NEGATIVE, RATIO],
            "total": {"points": "233.25", "count": 3},
            "cursor": "",
            "is_end": True,
        },
        set(),
    ),
    "lists_settlements_of_a_source": (
        {"settlements": [NEGATIVE], "total": {"points": "-150", "count": 1}, "cursor": "", "is_end": True},
        set(),
    ),
    "charts_settlements": (
        {
            "first_day": "2026-11-01",
            "last_day": "2026-11-30",
            "total": {"points": "233.25", "count": 3},
            "by_source": BY_SOURCE,
            "by_day": [{"day": DAY_BEFORE, "points": "233.25", "count": 3, "by_source": BY_SOURCE}],
        },
        set(),
    ),
    "lists_notifications": (
        {"notifications": [LISTED], "cursor": "", "is_end": True, "read_back_to_ms": NOW_MS - 60_000},
        set(),
    ),
    "shows_a_notification": (
        {
            **{name: value for name, value in LISTED.items() if name not in ("attempt_count", "error_class")},
            "app_id": "club-a",
            "attempts": [],
            "next_attempt_at_ms": NOW_MS - 4000,
            "lease_until_ms": None,
            "waits_because": None,
            "breaker": {"state": "on_trial", "failures": 0, "open_until_ms": None},
            "body": club_settlement(Scene()).body,
            "payload": simplejson.dumps(
                simplejson.loads(club_settlement(Scene()).body, use_decimal=True), indent=2, ensure_ascii=False
            ),
        },
        set(),
    ),
    "redelivers": (
        {"notify_id": CLUB_NOTIFY_ID, "app_id": "club-a", "attempt": 1, "held_because": None, "queued": True},
        {LEDGER},
    ),
    "replays": (
        {
            "expected": 1,
            "held": 1,
            "under_way": 0,
            "changed": 0,
            "finished": True,
            "ticket": "",
            "queued": True,
        },
        {LEDGER},
    ),
    "rotates_a_secret": (
        {
            "app": rotated((1, "signs", None), (2, "accepted", None), signs=1, step="rotated"),
            "secret": SECRET,
            "secret_version": 2,
            "webhook_secret": "whsec_"
            "MTE4ZGQ1OTM3MjBkOGQyMzIyZWNjZjNlZWU0M2I4ZmU0NDY4YjUxMGNiZjVhNDM0ODhmM2ZiZDE4NmE0OTk5Mg==",
            "directory_url": "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/live/asc/"
            + directory_signature(SECRET, "club-a"),
        },
        {APPS},
    ),
    "activates_a_secret": (
        {"app": rotated((1, "accepted", NOW_MS + 3_600_000), (2, "signs", None), signs=2, step="activated")},
        {APPS},
    ),
    "retires_a_secret": ({"app": rotated((2, "signs", None), signs=2, step="none")}, {APPS}),
    "disables_an_app": ({"app": {**CLUB_A, "status": "disabled"}}, {APPS}),
}
IN_PART = {"serves_the_page", "tells_the_session", "lists_apps", "counts_notifications", "enables_an_app"}
"""Of these a part is compared, below."""


def event_file(name: str) -> dict[str, Any]:
    event: dict[str, Any] = simplejson.loads((events.EVENTS / CONSOLE / f"{name}.json").read_text(encoding="utf-8"))
    return event


def test_every_situation_of_the_console_has_an_expectation() -> None:
    named = {key.partition("/")[2] for key, situation in SITUATIONS.items() if situation.folder == CONSOLE}
    assert named == FAULTS.keys() | SUCCESSES.keys() | IN_PART


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gets_its_whole_answer(world: World, name: str) -> None:
    status, code, names = FAULTS[name]
    reply = world.replay(f"console/{name}", event_file(name))
    assert (reply.status, reply.error["code"]) == (status, code)
    assert reply.json.keys() == {"error"}
    assert reply.error.keys() == {"code", "message"} | ({"detail"} if names else set())
    assert reply.error["message"].endswith(".")
    assert reply.error.get("detail", "").startswith(names)
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", SUCCESSES)
def test_a_success_gets_its_whole_answer_and_changes_its_tables_only(world: World, name: str) -> None:
    expected, changed_tables = SUCCESSES[name]
    world.prepare(f"console/{name}")
    before = {table: world.rows(table) for table in ("SettlementTable", "TotalsTable", LEDGER, APPS)}
    reply = world.invoke(CONSOLE, event_file(name))
    assert reply.status == 200
    assert reply.json == expected
    assert {table for table, rows in before.items() if world.rows(table) != rows} == changed_tables


def test_the_page_is_everybodys(world: World) -> None:
    reply = world.invoke(CONSOLE, event_file("serves_the_page"))
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert reply.text.lower().startswith("<!doctype html>")


def test_a_session_says_who_one_is_and_what_there_is_to_choose_from(world: World) -> None:
    session = world.replay("console/tells_the_session", event_file("tells_the_session")).json
    claims = Scene().operator_claims()
    assert (session["operator"], session["can_write"], session["now_ms"]) == (OPERATOR, False, NOW_MS)
    assert session["expires_at_seconds"] == claims["exp"]
    assert [source["source"] for source in session["sources"]] == list(range(17))
    assert session["sources"][8] == {"source": 8, "name": "兑换", "sign": "-"}
    assert session["statuses"] == ["pending", "retrying", "held", "delivered", "dead"]
    assert "timeout" in session["error_classes"]
    assert session["events"] == ["sud.mg.merchant.user.settle", "upbot.club.jf.settle"]


def test_all_apps_are_listed_by_id_and_none_with_a_secret(world: World) -> None:
    reply = world.replay("console/lists_apps", event_file("lists_apps"))
    listed = [app["app_id"] for app in reply.json["apps"]]
    assert listed == sorted(listed)
    assert len(listed) == 10
    assert reply.json["apps"][0] == CLUB_A
    [disabled] = [app for app in reply.json["apps"] if app["app_id"] == "club-disabled"]
    assert disabled["status"] == "disabled"
    [game] = [app for app in reply.json["apps"] if app["app_id"] == "game-a"]
    assert (game["mg_ids"], game["for_apps"], game["notify_url"]) == (["mg-1", "mg-2"], ["merchant-a"], None)
    assert (reply.json["cursor"], reply.json["is_end"], reply.json["counts_up_to"]) == ("", True, 10_000)


def test_a_count_gives_the_ticket_that_a_replay_takes(world: World) -> None:
    counted = world.replay("console/counts_notifications", event_file("counts_notifications")).json
    ticket = counted.pop("ticket")
    assert counted == {"matched": 1, "counts": {"pending": 1}, "error_classes": {"none": 1}, "finished": True}
    sent = simplejson.loads(base64.b64decode(event_file("replays")["body"]))
    assert world.ask("notifications/replay", {**sent, "ticket": ticket}, world.scene.operator_token()).json["held"] == 1


def test_what_was_held_for_an_app_that_is_enabled_goes_out_when_all_know_it(world: World) -> None:
    reply = world.replay("console/enables_an_app", event_file("enables_an_app"))
    assert reply.json["app"]["status"] == "enabled"
    [message] = world.messages()
    assert (message["body"], message["delay_seconds"]) == ({"release": "club-disabled", "pace": 1}, 31)

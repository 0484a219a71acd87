"""The console's door: its walls, its pages, what operators do and what is left of it in the log."""

import base64
import itertools
from collections.abc import Callable
from copy import replace
from typing import Any

import pytest
import simplejson

from settlement import clients, console_actions, console_views, redelivery
from settlement.apps import AppRegistry
from settlement.breaker import Breaker
from settlement.keyring import Keyring
from settlement.ledger import Attempt, Ledger, Notification
from settlement.notifications import CLUB_SETTLED
from settlement.orders import ClubOrder
from settlement.signing import derive_operator_key
from settlement.static_files import StaticFiles
from settlement.store import Store
from settlement.tokens import authenticate_club
from settlement.totals import Totals
from settlepoint_local.in_process import MASTER_SECRET_ID, World
from settlepoint_local.lambda_events import console_event
from settlepoint_local.project import ROOT
from settlepoint_local.scene import APPS, Scene
from settlepoint_local.situations import SITUATIONS
from settlepoint_local.template import CONSOLE, functions, routes

NOW_MS = Scene().now_ms
HOUR_MS = 3_600_000
WRITER = Scene().operator_token()
READER = Scene().operator_token(("ops",))
OK = Attempt(NOW_MS - HOUR_MS, 12, 200, 0, None)
FAILED = Attempt(NOW_MS - HOUR_MS, 34, 503, None, "http 503", "http_5xx")


def ledger() -> Ledger:
    return Ledger(clients.dynamodb(), "NotificationTable")


def notify_id(number: int) -> str:
    return f"{number:064x}"


def attempted(number: int, attempt: Attempt, app_id: str = "club-a", settled_ms: int = NOW_MS - HOUR_MS) -> str:
    """A notification of which one attempt was made: delivered, or dead where it failed."""
    body = f'{{"notify_id":"{notify_id(number)}","data":{{"n":{2**60 + number}}}}}'
    assert ledger().add_held(Notification(notify_id(number), app_id, CLUB_SETTLED, settled_ms, body), NOW_MS - HOUR_MS)
    claim = ledger().claim(notify_id(number), 1, NOW_MS - HOUR_MS)
    assert claim is not None
    record = ledger().record_delivered if attempt.error is None else ledger().record_dead
    assert record(claim, attempt, NOW_MS - HOUR_MS)
    return notify_id(number)


def statuses(world: World) -> dict[str, str]:
    return {row["notify_id"]: row["status"] for row in world.rows("NotificationTable") if "status" in row}


def operated(world: World) -> list[dict[str, Any]]:
    """The lines of what was to be changed."""
    lines = [simplejson.loads(line) for line in world.log if line.startswith("{")]
    return [line for line in lines if line.get("message") == "operated"]


FILTER = {"app_id": "club-a", "since_ms": NOW_MS - 2 * HOUR_MS, "until_ms": NOW_MS, "statuses": ["dead"]}


def counted(world: World, **changes: Any) -> dict[str, Any]:
    """The body of a replay, once the count has finished."""
    asked: dict[str, Any] = {**FILTER, **changes}
    for _ in range(10):
        count = world.ask("notifications/count", asked, READER).json
        asked["ticket"] = count["ticket"]
        if count["finished"]:
            return {**asked, "expected": count["matched"]}
    raise AssertionError("the count does not finish")


# --------------------------------------------------------------------------------------------------------- walls


def api_paths(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.function(CONSOLE).ROUTES
    return found


def bodies(world: World, path: str) -> list[bytes | None]:
    """What a route might be sent: of each route the same, so that it tells nothing."""
    if api_paths(world)[path].method == "GET":
        return [None]
    return [b"{}", b'{"app_id":"club-a","notify_id":"' + b"0" * 64 + b'"}', b"[]", b"\xff", b""]


STRANGERS: dict[str, Callable[[Scene], str | None]] = {
    "nobody": lambda _: None,
    "nonsense": lambda _: "x",
    "a club's token": lambda scene: scene.token("club-a"),
    "a club's token with operators' scopes": lambda scene: scene.token("club-a", ("ops", "ops:write")),
    "a club's secret under an operator's kid": lambda scene: scene.operator_token(key=scene.secret("club-a")),
    "a club's kid under the operators' key": lambda scene: scene.operator_token(headers={"kid": "club-a.1"}),
    "the master secret": lambda scene: scene.operator_token(key=scene.master),
    "another generation": lambda scene: scene.operator_token(
        key=derive_operator_key(scene.master, 2), headers={"kid": "ops.2"}
    ),
    "expired": lambda scene: scene.operator_token(
        claims={**scene.operator_claims(), "iat": scene.now_seconds - 9, "exp": scene.now_seconds}
    ),
    "from the future": lambda scene: scene.operator_token(
        claims={**scene.operator_claims(), "iat": scene.now_seconds + 310}
    ),
    "alg none": lambda scene: scene.operator_token().rpartition(".")[0] + ".",
    "cut": lambda scene: scene.operator_token()[:-1],
    "padded": lambda scene: scene.operator_token() + "=",
    "a game server's signature": lambda scene: str(scene.sud_auth("game-a", b"{}")),
}


def test_every_stranger_gets_one_answer_at_every_path(refusing_world: World) -> None:
    world = refusing_world
    for path, (case, stranger) in itertools.product(api_paths(world), STRANGERS.items()):
        for body in bodies(world, path):
            reply = world.ask(path, body, stranger(world.scene))
            assert (reply.status, reply.json) == (
                401,
                {"error": {"code": "unauthenticated", "message": "The token is missing, wrong, expired or revoked."}},
            ), (path, case)


def test_a_reader_may_look_and_change_nothing_and_without_a_scope_nothing_is_seen(refusing_world: World) -> None:
    world = refusing_world
    writes = {path for path, route in api_paths(world).items() if route.need == "ops:write"}
    assert writes == {
        "notifications/redeliver",
        "notifications/replay",
        *(f"apps/{action}" for action in ("rotate-secret", "activate-secret", "retire-secret", "enable", "disable")),
    }
    for path in api_paths(world):
        for body in bodies(world, path):
            reply = world.ask(path, body, READER)
            assert (reply.status == 403) is (path in writes), path
            for token in (Scene().operator_token(()), Scene().operator_token(("OPS", "*", "orders:write"))):
                assert world.ask(path, body, token).error["detail"] == f"needs {api_paths(world)[path].need}"
        if path in writes:  # it may write and not read: each scope is one
            assert world.ask(path, b"[]", Scene().operator_token(("ops:write",))).status == 400


def test_no_club_or_game_door_opens_to_an_operator(refusing_world: World) -> None:
    for key in ("create_club_order/creates", "set_club_jf_settle/settles_in_full", "create_order/creates"):
        event = SITUATIONS[key].event(refusing_world.scene)
        event["headers"]["Authorization"] = f"Bearer {WRITER}"
        assert refusing_world.invoke(SITUATIONS[key].folder, event).status == 401


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
def test_another_method_is_no_path(refusing_world: World, method: str) -> None:
    for path in api_paths(refusing_world):
        event = console_event("x", f"api/{path}", NOW_MS, body=b"{}", token=WRITER) | {"httpMethod": method}
        found = api_paths(refusing_world)[path].method == method
        assert (refusing_world.invoke(CONSOLE, event).status == 404) is not found


PLACES = ["", "/", "x", "../app.py", "static/index.html", "index.html/", ".env", "%2e%2e/app.py", "api", "api/",
          "api//session", "api/../session", "API/session", "api/session/", "api/apps", "\x00", "a" * 5000]  # fmt: skip


@pytest.mark.parametrize("place", PLACES[1:], ids=lambda place: place[:20])
def test_whatever_else_is_below_the_page_is_not_there(refusing_world: World, place: str) -> None:
    for method in ("GET", "POST"):
        event = console_event("x", "x", NOW_MS, token=WRITER) | {"httpMethod": method}
        event["pathParameters"] = {"proxy": place}
        reply = refusing_world.invoke(CONSOLE, event)
        assert (reply.status, reply.error["code"]) == (404, "not_found")


# ------------------------------------------------------------------------------------------------------ the files


def test_every_file_is_served_whole_zipped_and_as_it_is(refusing_world: World) -> None:
    folder = ROOT / "functions" / CONSOLE / "static"
    zipped = 0
    for name, file in StaticFiles.of(folder).files.items():
        plain = refusing_world.invoke(CONSOLE, console_event("x", name, NOW_MS))
        headers = {"Accept": "*/*", "Accept-Encoding": "gzip, br"}
        event = console_event("x", name, NOW_MS, headers=headers)
        assert refusing_world.invoke(CONSOLE, event).text == plain.text == file.text
        assert plain.headers["Cache-Control"] == "no-cache"
        again = console_event("x", name, NOW_MS, headers={"If-None-Match": plain.headers["ETag"]})
        assert refusing_world.invoke(CONSOLE, again).status == 304
        zipped += len(base64.b64decode(file.zipped))
    assert zipped < 200_000


def test_a_slash_too_many_leads_back_to_the_page(refusing_world: World) -> None:
    event = console_event("x", "", NOW_MS)
    event["path"] += "/"
    reply = refusing_world.invoke(CONSOLE, event)
    assert (reply.status, reply.headers["Location"], reply.text) == (308, "../console", "")


def test_the_page_may_load_its_own_files_alone(refusing_world: World) -> None:
    policy = refusing_world.invoke(CONSOLE, console_event("x", "", NOW_MS)).headers["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives.pop("img-src") == "'self' data:"
    assert {name: value for name, value in directives.items() if value == "'self'"}.keys() == {
        "script-src",
        "style-src",
        "connect-src",
    }
    assert {value for name, value in directives.items() if not name.endswith("-src") or name == "default-src"} == {
        "'none'"
    }


def test_the_template_lets_exactly_two_methods_through() -> None:
    assert routes(CONSOLE) == [("GET", "/console"), ("GET", "/console/{proxy+}"), ("POST", "/console/{proxy+}")]
    assert functions()[CONSOLE] == "ConsoleFunction"


# ---------------------------------------------------------------------------------------------------------- pages


def test_apps_are_walked_by_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_views, "PAGE", 4)
    seen: list[str] = []
    pages, cursor, is_end = 0, "", False
    while not is_end:
        answer = world.ask("apps/list", {"cursor": cursor}, READER).json
        seen += [app["app_id"] for app in answer["apps"]]
        pages, cursor, is_end = pages + 1, answer["cursor"], answer["is_end"]
        assert (cursor == "") is is_end
    assert (seen, pages) == (sorted(APPS), 3)


def settle(number: int, time_ms: int, source: int = 5) -> None:
    """A settled order of club-a, of `number` points."""
    totals = Totals(clients.dynamodb(), "TotalsTable", shards=2)
    store = Store(clients.dynamodb(), "SettlementTable", totals, ledger(), lambda: time_ms)
    store.create_club_order("club-a", ClubOrder(f"bill-{number:03}", "openid-of-li", number, source, 2**60, "", None))
    store.settle_club_order(replace(APPS["club-a"], notify_url=None), f"bill-{number:03}", "openid-of-li", None, None)


def test_settlements_are_walked_by_pages_and_the_first_has_the_total(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_views, "PAGE", 3)
    account = {"app_id": "club-a", "openid": "openid-of-li"}
    for number in range(1, 8):
        settle(number, NOW_MS - number * 1000)
    seen: list[tuple[str, str]] = []
    totals: list[Any] = []
    cursor = ""
    while len(totals) < 9:
        answer = world.ask("settlements/list", {**account, "cursor": cursor}, READER).json
        seen += [(entry["bill_no"], entry["jf_gid"]) for entry in answer["settlements"]]
        totals.append(answer["total"])
        if answer["is_end"]:
            break
        cursor = answer["cursor"]
        stolen = world.ask("settlements/list", {**account, "openid": "openid-of-wu", "cursor": cursor}, READER)
        assert (stolen.status, stolen.error["detail"]) == (400, "cursor: not one that this query was given")
    assert seen == [(f"bill-{number:03}", str(2**60)) for number in range(1, 8)]
    assert totals == [{"points": "28", "count": 7}, None, None]


def test_a_chart_has_each_day_and_source_of_its_range_and_their_sums(world: World) -> None:
    day_ms = 24 * HOUR_MS
    settle(1, NOW_MS - 1, source=5)
    settle(2, NOW_MS - 2, source=6)
    settle(4, NOW_MS - day_ms - 1, source=5)
    settle(8, NOW_MS - 2 * day_ms - 1, source=5)  # before the first day
    settle(16, NOW_MS, source=5)  # midnight: the day after the last
    account = {"app_id": "club-a", "openid": "openid-of-li", "first_day": "2026-11-20", "last_day": "2026-11-21"}
    chart = world.ask("settlements/chart", account, READER).json
    assert chart["total"] == {"points": "7", "count": 3}
    assert chart["by_source"] == [
        {"source": 5, "points": "5", "count": 2},
        {"source": 6, "points": "2", "count": 1},
    ]
    assert [(day["day"], day["points"], day["count"]) for day in chart["by_day"]] == [
        ("2026-11-20", "4", 1),
        ("2026-11-21", "3", 2),
    ]
    assert chart["by_day"][0]["by_source"] == [{"source": 5, "points": "4", "count": 1}]
    reply = world.ask("settlements/chart", {**account, "openid": "nobody"}, READER)
    assert (reply.json["total"], reply.json["by_day"]) == ({"points": "0", "count": 0}, [])


def test_notifications_are_walked_newest_first_under_a_filter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_views, "PAGE", 2)
    monkeypatch.setattr(console_views, "_ROWS_A_READ", 3)
    monkeypatch.setattr(console_views, "ROWS_A_LOOK", 6)
    dead = [attempted(number, FAILED, settled_ms=NOW_MS - number * 1000) for number in range(1, 20, 4)]
    for number in range(1, 20):
        if notify_id(number) not in dead:
            attempted(number, OK, settled_ms=NOW_MS - number * 1000)
    attempted(99, FAILED, app_id="club-b", settled_ms=NOW_MS - 1000)
    for asked, expected in (
        (FILTER, dead),
        ({**FILTER, "statuses": []}, [notify_id(number) for number in range(1, 20)]),
        ({**FILTER, "statuses": ["delivered", "dead"], "error_classes": ["http_5xx"]}, dead),
        ({**FILTER, "error_classes": ["timeout"]}, []),
    ):
        seen, cursor, looks = [], "", 0
        while looks < 30:
            answer = world.ask("notifications/list", {**asked, "cursor": cursor}, READER).json
            seen += [entry["notify_id"] for entry in answer["notifications"]]
            assert len(answer["notifications"]) <= 2
            looks += 1
            if answer["is_end"]:
                assert (answer["cursor"], answer["read_back_to_ms"]) == ("", FILTER["since_ms"])
                break
            cursor = answer["cursor"]
            assert answer["read_back_to_ms"] > FILTER["since_ms"]
        assert seen == expected
        assert looks >= 4


def test_a_cursor_is_of_its_filter_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_views, "PAGE", 1)
    for number in (1, 2):
        attempted(number, FAILED)
    cursor = world.ask("notifications/list", FILTER, READER).json["cursor"]
    assert world.ask("notifications/list", {**FILTER, "cursor": cursor}, READER).status == 200
    changes: list[dict[str, Any]] = [
        {"app_id": "club-b"},
        {"statuses": []},
        {"until_ms": NOW_MS - 1},
        {"error_classes": ["timeout"]},
    ]
    for change in changes:
        reply = world.ask("notifications/list", {**FILTER, **change, "cursor": cursor}, READER)
        assert (reply.status, reply.error["code"]) == (400, "bad_request")


# --------------------------------------------------------------------------------------------------------- search


def test_a_search_finds_what_every_app_calls_so_and_an_app_named_its_own_alone(world: World) -> None:
    world.happen("create_club_order/creates", "create_club_order/creates_of_another_app", "create_order/creates")

    def found(name: str, **more: Any) -> list[tuple[str, str]]:
        answer = world.ask("search", {"id": name, **more}, READER).json
        return [(order["app_id"], order.get("bill_no") or order["order_id"]) for order in answer["orders"]]

    assert found("bill-1001") == [("club-a", "bill-1001"), ("club-b", "bill-1001")]
    assert found("bill-1001", app_id="club-b") == [("club-b", "bill-1001")]
    [(app_id, order_id)] = found("order-1001")
    assert app_id == "merchant-a"
    assert found(order_id) == [("merchant-a", order_id)]
    for nobodys in ("bill-1002", "club-a#bill-1001", "#", "breaker#club-a", "0" * 64, "中" * 40, "x" * 128):
        assert found(nobodys) == []
    assert found("order-1001", app_id="merchant-b") == []
    assert world.ask("search", {"id": "x", "app_id": "nobody"}, READER).error["detail"].startswith("app_id:")
    for wrong in ("", "x" * 129, None, 5):
        assert world.ask("search", {"id": wrong}, READER).error["detail"].startswith("id:")


def test_beyond_so_many_apps_a_search_names_its_app(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_views, "MAX_APPS_SEARCHED", 9)
    assert world.ask("search", {"id": "x"}, READER).error["detail"].startswith("app_id: is needed")
    assert world.ask("search", {"id": "x", "app_id": "club-a"}, READER).json["apps_searched"] == 1


# ---------------------------------------------------------------------------------------------------------- apps


def test_an_apps_breaker_its_held_and_its_dead_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        attempted(number, FAILED)
    attempted(7, OK)
    for number in (8, 9):
        assert ledger().add_held(Notification(notify_id(number), "club-a", CLUB_SETTLED, NOW_MS, "{}"), NOW_MS)
    down = Breaker("club-a", failures=5, openings=1, open_until_ms=NOW_MS + 1)
    assert ledger().change_breaker(Breaker("club-a"), down)
    app = world.ask("apps/show", {"app_id": "club-a"}, READER).json["app"]
    assert app["breaker"] == {"state": "open", "failures": 5, "open_until_ms": NOW_MS + 1}
    assert (app["held"], app["held_because"], app["dead"]) == (2, "breaker_open", 3)
    world.now_ms += 1
    app = world.ask("apps/show", {"app_id": "club-a"}, READER).json["app"]
    assert (app["breaker"]["state"], app["held_because"]) == ("on_trial", None)
    monkeypatch.setattr(console_views, "COUNTS_UP_TO", 2)
    answer = world.ask("apps/show", {"app_id": "club-a"}, READER).json
    assert (answer["app"]["held"], answer["app"]["dead"], answer["counts_up_to"]) == (2, 2, 2)


def test_a_rotation_is_walked_from_step_to_step_and_its_secret_is_the_apps(world: World) -> None:
    app = {"app_id": "club-a"}

    def step(action: str, **more: Any) -> dict[str, Any]:
        reply = world.ask(f"apps/{action}", {**app, **more}, WRITER)
        assert reply.status == 200, reply.text
        return reply.json

    lost = step("rotate-secret")
    made = step("rotate-secret", again=True)
    assert (lost["secret_version"], made["secret_version"]) == (2, 3)
    assert (made["secret"], made["app"]["rotation_step"]) == (world.scene.secret("club-a", 3), "rotated")
    assert world.ask("apps/rotate-secret", app, WRITER).error["code"] == "rotation_refused"
    assert world.ask("apps/retire-secret", app, WRITER).error["detail"].startswith("version 3 does not sign yet")
    assert step("activate-secret")["app"]["rotation_step"] == "activated"
    assert step("activate-secret", overlap_seconds=60)["app"]["secret_versions"][0]["retires_at_ms"] == NOW_MS + 60_000
    assert step("retire-secret")["app"]["rotation_step"] == "none"
    world.cold_start()
    keyring = Keyring(clients.secrets_manager, MASTER_SECRET_ID)
    registry = AppRegistry(clients.dynamodb(), "AppTable")
    signed = world.scene.token("club-a", key=made["secret"], headers={"kid": "club-a.3"})
    assert authenticate_club(signed, registry, keyring, NOW_MS).app.app_id == "club-a"
    directory = made["directory_url"].rpartition("/")[2]
    assert registry.find_by_directory(directory, NOW_MS) is not None
    lines = [line for line in operated(world) if line["status"] == 200]
    assert [line["action"] for line in lines] == [
        *("apps/rotate-secret", "apps/rotate-secret", "apps/activate-secret", "apps/activate-secret"),
        "apps/retire-secret",
    ]
    assert {(line["operator"], line["app_id"]) for line in lines} == {("ada", "club-a")}


def test_an_emergency_retires_at_once(world: World) -> None:
    world.ask("apps/rotate-secret", {"app_id": "club-a"}, WRITER)
    app = world.ask("apps/retire-secret", {"app_id": "club-a", "now": True}, WRITER).json["app"]
    assert [version["version"] for version in app["secret_versions"]] == [2]


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("apps/activate-secret", {"overlap_seconds": 0}),
        ("apps/activate-secret", {"overlap_seconds": 30 * 24 * 3600 + 1}),
        ("apps/activate-secret", {"overlap_seconds": True}),
        ("apps/rotate-secret", {"again": 1}),
        ("apps/retire-secret", {"now": "true"}),
        ("apps/disable", {"app_id": "club-a\n"}),
        ("apps/disable", {"app_id": "asc#" + "0" * 32}),
    ],
)
def test_a_field_that_cannot_be_right_is_named(world: World, path: str, more: dict[str, Any]) -> None:
    reply = world.ask(path, {"app_id": "club-a", **more}, WRITER)
    assert (reply.status, reply.error["detail"].partition(":")[0]) == (400, next(iter(more)))


# --------------------------------------------------------------------------------------------------- telling again


def test_what_was_delivered_is_told_again_where_that_is_meant(world: World) -> None:
    one = {"notify_id": attempted(1, OK)}
    assert world.ask("notifications/redeliver", one, WRITER).error["code"] == "already_delivered"
    assert world.messages() == []
    answer = world.ask("notifications/redeliver", {**one, "again": True}, WRITER).json
    assert (answer["attempt"], answer["held_because"], answer["queued"]) == (2, None, True)
    [message] = world.messages()
    assert message["body"] == {"notify_id": notify_id(1), "attempt": 2}
    [refused, done] = operated(world)
    assert (refused["code"], done["notify_id"], done["attempt"], done["operator"]) == (
        "already_delivered",
        notify_id(1),
        2,
        "ada",
    )


def test_an_attempt_that_is_under_way_is_left_alone(world: World) -> None:
    one = {"notify_id": attempted(1, FAILED)}
    assert world.ask("notifications/redeliver", one, WRITER).status == 200
    assert ledger().claim(notify_id(1), 2, NOW_MS) is not None
    assert world.ask("notifications/redeliver", one, WRITER).error["code"] == "under_way"
    shown = world.ask("notifications/show", one, READER).json
    assert shown["lease_until_ms"] > NOW_MS
    assert '"n": 1152921504606846977' in shown["payload"]
    assert shown["attempts"] == [
        {
            "number": 1,
            "started_at_ms": NOW_MS - HOUR_MS,
            "duration_ms": 34,
            "http_status": 503,
            "ret_code": None,
            "error": "http 503",
            "error_class": "http_5xx",
        }
    ]


def test_of_a_disabled_app_it_waits_and_without_a_receiver_it_is_refused(world: World) -> None:
    one = {"notify_id": attempted(1, FAILED)}
    world.change_app("club-a", status="disabled")
    assert world.ask("notifications/redeliver", one, WRITER).json["held_because"] == "app_disabled"
    world.change_app("club-a", notify_url=None)
    assert world.ask("notifications/redeliver", one, WRITER).error["code"] == "no_receiver"


def test_what_the_queue_does_not_take_is_told_and_the_sweep_brings_it(world: World) -> None:
    one = {"notify_id": attempted(1, FAILED)}
    with world.failing("sqs", "SendMessageBatch"):
        assert world.ask("notifications/redeliver", one, WRITER).json["queued"] is False
    assert ledger().due(int(world.rows("NotificationTable")[0]["due_shard"]), NOW_MS + 60_000, 9)


def test_a_replay_of_many_steps_tells_each_once_and_loses_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_actions, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(redelivery, "CHUNK", 7)
    dead = {attempted(number, FAILED) for number in range(20)}  # of one moment: the cursor parts them
    attempted(50, OK)
    attempted(51, FAILED, app_id="merchant-a")
    replay = counted(world)
    assert replay["expected"] == 20
    before = world.digest()
    sums = []
    for _ in range(4):
        answer = world.ask("notifications/replay", replay, WRITER).json
        sums.append((answer["held"], answer["under_way"], answer["changed"], answer["finished"]))
        replay["ticket"] = answer["ticket"]
    assert sums == [(7, 0, 0, False), (14, 0, 0, False), (20, 0, 0, False), (20, 0, 0, True)]
    assert world.digest() != before
    assert {key for key, status in statuses(world).items() if status == "held"} == dead
    assert [line["held"] for line in operated(world)] == [7, 14, 20, 20]
    assert {"release": "club-a", "pace": 1} in [message["body"] for message in world.messages()]


def test_a_step_that_failed_is_repeated_with_its_ticket(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redelivery, "AT_ONCE", 1)
    for number in range(10):
        attempted(number, FAILED)
    replay = counted(world)
    world.watches = False  # what was done before the fault stays done: each row is a write of its own
    with world.failing("dynamodb", "UpdateItem", where=notify_id(6)) as calls:
        assert world.ask("notifications/replay", replay, WRITER).error["code"] == "fault"
    assert calls
    assert 0 < list(statuses(world).values()).count("held") < 10
    answer = world.ask("notifications/replay", replay, WRITER).json
    assert answer["finished"]
    assert set(statuses(world).values()) == {"held"}


def test_never_more_than_was_counted_is_told_again(world: World) -> None:
    for number in range(3):
        attempted(number, FAILED)
    replay = counted(world)
    attempted(9, FAILED, settled_ms=NOW_MS - 1)  # died since
    answer = world.ask("notifications/replay", replay, WRITER).json
    assert (answer["held"], answer["finished"]) == (3, True)
    assert statuses(world)[notify_id(9)] == "dead"


def test_what_is_no_longer_what_was_counted_is_passed_over(world: World) -> None:
    for number in range(3):
        attempted(number, FAILED)
    replay = counted(world)
    world.ask("notifications/redeliver", {"notify_id": notify_id(1)}, WRITER)
    assert ledger().claim(notify_id(1), 2, NOW_MS) is not None
    answer = world.ask("notifications/replay", replay, WRITER).json
    assert (answer["held"], answer["finished"]) == (2, True)
    assert statuses(world)[notify_id(1)] == "retrying"


def test_an_open_breaker_is_tried_once_when_a_replay_begins_and_not_at_each_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_actions, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(redelivery, "CHUNK", 1)
    for number in range(2):
        attempted(number, FAILED)
    down = Breaker("club-a", failures=5, openings=1, open_until_ms=NOW_MS + HOUR_MS)
    assert ledger().change_breaker(Breaker("club-a"), down)
    replay = counted(world)
    replay["ticket"] = world.ask("notifications/replay", replay, WRITER).json["ticket"]
    tried = ledger().breaker("club-a")
    assert not tried.is_open(NOW_MS)
    assert ledger().change_breaker(tried, replace(tried, open_until_ms=NOW_MS + HOUR_MS))
    assert world.ask("notifications/replay", replay, WRITER).json["held"] == 2
    assert ledger().breaker("club-a").is_open(NOW_MS)


def test_a_count_goes_on_where_it_stopped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_actions, "STEP_SECONDS", 0.0)
    for number in range(5):
        attempted(number, FAILED, settled_ms=NOW_MS - HOUR_MS + number // 2)
    first = world.ask("notifications/count", FILTER, READER).json
    assert (first["matched"], first["finished"]) == (2, False)
    replay = {**FILTER, "ticket": first["ticket"], "expected": 2}
    assert world.ask("notifications/replay", replay, WRITER).error["code"] == "not_counted"
    assert counted(world)["expected"] == 5


def test_a_ticket_is_of_its_filter_and_ends_after_a_quarter_of_an_hour(world: World) -> None:
    attempted(1, FAILED)
    replay = counted(world)
    for change in (
        {"statuses": ["dead", "delivered"]},
        {"app_id": "merchant-a"},
        {"since_ms": 0},
        {"error_classes": ["http_5xx"]},
        {"expected": 2},
        {"ticket": ""},
        {"ticket": replay["ticket"][:-1]},
    ):
        reply = world.ask("notifications/replay", {**replay, **change}, WRITER)
        assert (reply.status, reply.error["code"]) == (409, "not_counted"), change
    world.now_ms += 15 * 60_000 + 1
    assert world.ask("notifications/replay", replay, WRITER).error["code"] == "not_counted"
    world.now_ms -= 1
    assert world.ask("notifications/replay", replay, WRITER).json["held"] == 1


# --------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("path", "body", "operation"),
    [
        ("apps/list", {}, "Scan"),
        ("apps/show", {"app_id": "club-a"}, "GetItem"),
        ("search", {"id": "x"}, "BatchGetItem"),
        ("settlements/list", {"app_id": "club-a", "openid": "o"}, "Query"),
        ("notifications/list", FILTER, "Query"),
        ("apps/disable", {"app_id": "club-a"}, "UpdateItem"),
        ("apps/rotate-secret", {"app_id": "club-a"}, "TransactWriteItems"),
    ],
)
def test_a_broken_table_is_our_fault_and_nothing_of_it_is_told(
    world: World, path: str, body: dict[str, Any], operation: str
) -> None:
    with world.failing("dynamodb", operation, "AccessDeniedException"):
        reply = world.ask(path, body, WRITER)
    assert (reply.status, reply.json) == (
        500,
        {"error": {"code": "fault", "message": "Something of ours failed; repeating it is safe."}},
    )
    assert [line for line in world.log if '"message":"fault"' in line and "AccessDeniedException" in line]
    assert world.ask(path, body, WRITER).status == 200


def test_a_rotation_that_others_win_again_and_again_changes_nothing(world: World) -> None:
    reasons: dict[str, Any] = {"CancellationReasons": [{"Code": "TransactionConflict"}]}
    with world.failing("dynamodb", "TransactWriteItems", "TransactionCanceledException", **reasons):
        assert world.ask("apps/rotate-secret", {"app_id": "club-a"}, WRITER).error["code"] == "contended"


def test_the_health_tells_what_waits_too_long_and_what_is_dead(world: World) -> None:
    notification = Notification(notify_id(1), "club-a", CLUB_SETTLED, NOW_MS, "{}")
    clients.dynamodb().put_item(**ledger().addition(notification)["Put"])
    dead_letters = world.function("deliver_notification").dead_letters
    dead_letters.bury("{", "m-1", "x")
    world.invoke("queue_notifications", SITUATIONS["queue_notifications/new_notifications"].event(world.scene))
    world.now_ms += 90_000
    health = world.ask("health", {}, READER).json
    assert health["oldest_overdue_ms"] == 90_000
    assert (health["queue"]["waiting"], health["dead_letters"]) == (2, 1)

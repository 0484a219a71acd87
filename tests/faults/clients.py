"""Who calls: clubs' bots, merchants, game servers, an operator. All at once, on few orders, with terms that differ."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from settlement import rotation
from settlement.apps import App, AppContended, AppRegistry
from settlement.rotation import RotationRefused

from .checker import game_order_id
from .history import Call, Walk
from .run import CLUBS, MERCHANTS, FaultyRun

BILLS: Final = [f"bill-{number}" for number in range(5)]
"""Of both clubs: what leaks is seen."""
ORDERS: Final = [f"order-{number}" for number in range(4)]
OPENIDS: Final = ("openid-1", "openid-2")
_AMOUNTS: Final = (1, -1, 7, 1333, -1333, 10**12, -(10**12))
_SOURCES: Final = (0, 5, 16)
_REPEATS: Final = 25
_ENOUGH_PAGES: Final = 200


class Clients:
    def __init__(self, run: FaultyRun) -> None:
        self._run = run
        self._dice = run.random
        choice = self._dice.choice
        self._bills = {(club, bill_no): [self._bill(bill_no) for _ in range(2)] for club in CLUBS for bill_no in BILLS}
        self._terms: list[dict[str, Any]] = [
            {},
            {"amt_ratio": choice([0, 100, None])},
            {"amt_ratio": choice([1, 33, 99])},
            {"settle_amt": choice([-3, 1, 5, 400]), "amt_ratio": choice([None, 25])},
            {"settle_amt": choice([-3, 1, 5, 400]), "amt_ratio": choice([None, 25])},
        ]
        self._orders = {
            (merchant, order): [self._order(order) for _ in range(2)] for merchant in MERCHANTS for order in ORDERS
        }
        self._reports = {merchant: [self._report(merchant) for _ in range(4)] for merchant in MERCHANTS}

    def start(self) -> None:
        acts: list[tuple[str, str, list[Callable[[str, str], object]]]] = []
        for number in range(self._dice.randint(2, 5)):
            club = self._dice.choice([CLUBS[0], CLUBS[0], CLUBS[1]])
            acts.append(
                (f"bot {number}", club, [self._create, self._settle, self._settle_new, self._settle_new, self._list])
            )
        for number in range(self._dice.randint(1, 3)):
            merchant = self._dice.choice([MERCHANTS[0], MERCHANTS[0], MERCHANTS[1]])
            acts.append((f"merchant {number}", merchant, [self._create_order, self._create_order, self._query]))
            acts.append((f"game server {number}", merchant, [self._tell]))
        for client, app_id, choices in acts:
            self._begin(client, app_id, choices, self._dice.randint(3, 8))
        if self._dice.random() < 0.5:
            self._begin("operator", self._dice.choice([*CLUBS, *MERCHANTS]), [self._operate], self._dice.randint(2, 8))

    def ask_until_answered(self, client: str, app_id: str, name: str, request: Mapping[str, Any]) -> Call:
        """Again and again, as clients do after a fault of ours; now and then one gives up."""
        call = self._run.call(client, app_id, name, request)
        repeats = _REPEATS if self._dice.random() > 0.1 else 0
        while not call.answered and repeats:
            repeats -= 1
            self._run.time.sleep(self._dice.randint(5, 400))
            call = self._run.call(client, app_id, name, request)
        return call

    def walk(self, client: str, app_id: str, query: Mapping[str, Any]) -> Walk:
        walk = Walk(app_id, query, [])
        self._run.walks.append(walk)
        context = ""
        for _ in range(_ENOUGH_PAGES):
            page = self.ask_until_answered(
                client, app_id, "get_club_jf_settle_list", {**query, "page_context": context}
            )
            if page.code != 0:
                break
            walk.pages.append(page)
            context = page.data["page_context"]
            if page.data["is_end"]:
                walk.complete = True
                break
        return walk

    def some_query(self, openid: str) -> dict[str, Any]:
        query: dict[str, Any] = {"openid": openid, "source": self._dice.choice([None, None, -1, *_SOURCES])}
        now = self._run.time.now_ms // 1000
        if self._dice.random() < 0.4:
            query["start_time_unix_sec"] = now - self._dice.choice([0, 1, 5, 40, 3_600, 90_000, 40 * 86_400])
        if self._dice.random() < 0.4:
            query["end_time_unix_sec"] = now + self._dice.choice([0, 1, 5, 30, 3_600, 90_000])
        return query

    # ------------------------------------------------------------------------------------------------ their calls

    def _begin(self, client: str, app_id: str, acts: list[Callable[[str, str], object]], count: int) -> None:
        dice, run = self._dice, self._run

        def live() -> None:
            for _ in range(count):
                dice.choice(acts)(client, app_id)
                run.time.sleep(dice.choice([0, 0, 1, 5, 30, 200, 2_000]))
            run.living -= 1

        run.living += 1
        run.time.after(dice.choice([0, 1, 20]), live)

    def _create(self, client: str, app_id: str) -> None:
        variants = self._bills[app_id, self._dice.choice(BILLS)]
        self.ask_until_answered(client, app_id, "create_club_order", self._first_mostly(variants))

    def _settle(self, client: str, app_id: str, bill_no: str = "") -> None:
        bill = self._bills[app_id, bill_no or self._dice.choice(BILLS)][0]
        openid = bill["openid"] if self._dice.random() < 0.95 else self._dice.choice(OPENIDS)
        request = {"bill_no": bill["bill_no"], "openid": openid, **self._first_mostly(self._terms)}
        self.ask_until_answered(client, app_id, "set_club_jf_settle", request)

    def _settle_new(self, client: str, app_id: str) -> None:
        bill = self._bills[app_id, self._dice.choice(BILLS)][0]
        if self.ask_until_answered(client, app_id, "create_club_order", bill).answered:
            self._settle(client, app_id, bill["bill_no"])

    def _list(self, client: str, app_id: str) -> None:
        self.walk(client, app_id, self.some_query(self._dice.choice(OPENIDS)))

    def _create_order(self, client: str, app_id: str) -> None:
        variants = self._orders[app_id, self._dice.choice(ORDERS)]
        self.ask_until_answered(client, app_id, "create_order", self._first_mostly(variants))

    def _query(self, client: str, app_id: str) -> None:
        order = self._dice.choice(ORDERS)
        names = [{}, {"order_id": game_order_id(app_id, order)}]
        request = {"out_order_id": order, **self._dice.choice(names)}
        self.ask_until_answered(client, app_id, self._dice.choice(["query_order", "query_user_settle"]), request)

    def _tell(self, client: str, app_id: str) -> None:
        report = self._dice.choice(self._reports[app_id])
        if self._dice.random() < 0.5:  # the game is played on orders that are there
            for result in report["results"]:
                self.ask_until_answered(client, app_id, "create_order", self._orders[app_id, result["out_order_id"]][0])
        self.ask_until_answered(client, app_id, "settle_users", report)

    def _operate(self, _: str, app_id: str) -> None:
        """As settlectl does; what fails is done again another time."""
        run, dice = self._run, self._dice
        registry = AppRegistry(run.dynamodb, "AppTable")

        def decide(app: App) -> App:
            now_ms = run.time.now_ms
            step = dice.choice(["next", "next", "next", "rotate", "activate", "retire", "retire now"])
            if step == "next":
                step = "rotate" if len(app.versions_in_use(now_ms)) < 2 else "activate"
            match step:
                case "rotate":
                    return rotation.rotated(app, 1, now_ms)
                case "activate":
                    return rotation.activated(app, now_ms, dice.choice([None, 45_000, 45_000]))
                case "retire":
                    return rotation.retired(app, now_ms)
            return rotation.retired(app, now_ms, at_once=True)

        def operate() -> None:
            with suppress(ClientError, BotoCoreError, RotationRefused, AppContended):
                if dice.random() < 0.25:
                    registry.set_status(app_id, dice.choice(["disabled", "enabled"]))
                else:
                    registry.change_secrets(app_id, decide, run.keyring)

        run.as_process(operate)
        run.time.sleep(dice.choice([1, 500, 31_000]))

    # ------------------------------------------------------------------------------------------------ what they send

    def _first_mostly(self, variants: list[dict[str, Any]]) -> dict[str, Any]:
        return variants[0] if self._dice.random() < 0.6 else self._dice.choice(variants)

    def _bill(self, bill_no: str) -> dict[str, Any]:
        choice = self._dice.choice
        bill = {
            "bill_no": bill_no,
            "openid": choice(OPENIDS),
            "amt": choice(_AMOUNTS),
            "source": choice(_SOURCES),
            "jf_gid": choice([0, 7]),
            "detail": choice(["", "周末活动 1/2"]),
        }
        return bill | choice([{}, {"account": {"type": 2, "id": "club-9", "gid": 9}}])

    def _order(self, order: str) -> dict[str, Any]:
        choice = self._dice.choice
        return {
            "out_order_id": order,
            "mg_id": "mg-1",
            "room_id": choice(["room-1", "room-1", "room-1", "room-2"]),
            "cmd": "gift",
            "from_uid": "player-1",
            "to_uid": choice(["player-2", "player-3"]),
            "value": choice([120, -120, 0]),
        }

    def _report(self, merchant: str) -> dict[str, Any]:
        choice = self._dice.choice
        orders = self._dice.sample(ORDERS, self._dice.randint(1, 3))
        results = []
        for order in orders:
            result = {"out_order_id": order, "uid": "player-1", "is_ai": 0, "score": choice([1, -1]), "remain_score": 0}
            results.append(result | choice([{}, {"commission_score": 6}]))
        return {
            "app_id": merchant,
            "mg_id": "mg-1",
            "room_id": "room-1",
            "match_id": choice(["match-1", "match-2"]),
            "settle_at": "1795305590",
            "results": results,
        }

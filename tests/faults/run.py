"""One seed's run: the doors on three hosts, clients, operators, receivers, and everything that can go wrong."""

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from unittest.mock import patch

import jwt
import simplejson

from settlement.apps import App, AppRegistry, _app
from settlement.delivery import NoAnswer, Response
from settlement.signing import derive_app_secret, sud_signature
from settlement.sudauth import SudAuth
from settlepoint_local.in_process import LambdaContext, Reply
from settlepoint_local.in_process import World as Doors
from settlepoint_local.lambda_events import api_event
from settlepoint_local.scene import APPS, MASTER, NONCE, Scene
from settlepoint_local.situations import json_bytes
from settlepoint_local.template import Endpoint, endpoints
from tests.simulated.aws import KINDS, Commit
from tests.simulated.simulation import OK, Answer, Behaviour, Faults, Process, Simulation, prompt
from tests.simulated.virtual_time import VirtualTime

from .history import Call, Walk

CLUBS: Final = ("club-a", "club-b")
MERCHANTS: Final = ("merchant-a", "merchant-b")
GAME_OF: Final = {"merchant-a": "game-a", "merchant-b": "game-b"}
INDEX_LAG_MS: Final = 1_500
SKEW_MS: Final = 29_000
FUNCTION_MS: Final = 25_000
"""A function lives no longer."""
_START_SECONDS: Final = (1795305600, 1796083200, 1798761600, 1835395200, 1795307111)
"""Midnight, and of a month, a year and a leap day; and no such moment."""
_MORE: Final = {"unprocessed": 6, "in_progress": 3, "conflict": 3}
"""Of what few calls can meet."""
_SIZES: Final = ((1, 1), (2, 4), (3, 2))
"""PAGE_SIZE and TOTALS_SHARDS of each host: both may be changed at any time."""


class Wire:
    """The client that a loaded function keeps, whichever run it serves."""

    def __init__(self) -> None:
        self.target: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.target, name)


@dataclass(slots=True)
class Host:
    doors: Doors
    skew_ms: int = 0

    def cold_start(self) -> None:
        """What its functions remember is gone."""
        for module in self.doors._modules.values():
            module.door.apps._cache.clear()
            module.door.keyring._masters.clear()
            module.door.keyring._read_at = float("-inf")


WIRES: Final = {name: Wire() for name in ("dynamodb", "sqs", "secrets_manager")}


@cache
def hosts() -> list[Host]:
    """Loaded once: it takes a tenth of a second, and they remember nothing from one run to the next."""
    return [Host(Doors()) for _ in _SIZES]


@cache
def endpoint(folder: str) -> Endpoint:
    return endpoints()[folder]


class FaultyRun(Simulation):
    def __init__(self, seed: int) -> None:
        super().__init__(seed, slots=8, hold_ms=25)
        dice = self.random
        self.time = VirtualTime(dice.choice(_START_SECONDS) * 1000 - dice.choice([0, 40, 1_000, 20_000]))
        self.started_ms = self.time.now_ms
        self.history: list[Call] = []
        self.walks: list[Walk] = []
        self.app_states: dict[str, list[tuple[int, App]]] = {}
        """Each app's row since when."""
        self.moments = itertools.count()
        self.living = 0
        """Clients that are not done."""
        self.lag_ms = dice.choice([0, INDEX_LAG_MS])
        for name, wire in WIRES.items():
            wire.target = getattr(self, name)
            setattr(self, name, wire)
        self._doors = hosts()[0].doors
        self._registry = AppRegistry(self.dynamodb, "AppTable")
        for host in hosts():
            host.skew_ms = dice.choice([0, 0, -SKEW_MS, SKEW_MS, dice.randint(-SKEW_MS, SKEW_MS)])
            host.cold_start()

    @classmethod
    @contextmanager
    def seeded(cls, seed: int) -> Iterator["FaultyRun"]:
        with Simulation.of.__func__(cls, seed) as made:  # type: ignore[attr-defined]
            for app_id in (*CLUBS, *MERCHANTS, *GAME_OF.values()):
                made.apps.create(APPS[app_id], made.keyring)
                made.app_states[app_id] = [(0, APPS[app_id])]
            yield made

    # -------------------------------------------------------------------------------------------------- what fails

    def begin_faults(self) -> None:
        dice = self.random
        match dice.choice(["none", "some", "many", "one kind", "one kind", "only killed"]):
            case "none":
                calls, kill = dict.fromkeys(KINDS, 0.0), 0.0
            case "some":
                calls, kill = {kind: 0.01 * _MORE.get(kind, 1) for kind in KINDS}, 0.002
            case "many":
                calls, kill = {kind: 0.04 * _MORE.get(kind, 1) for kind in KINDS}, 0.01
            case "only killed":
                calls, kill = dict.fromkeys(KINDS, 0.0), 0.03
            case _:
                calls, kill = {dice.choice(KINDS): 0.3}, 0.0
        lost = dice.choice([0.0, 0.3])
        self.faults = Faults(
            kill=kill,
            lose_stream_batch=lost,
            double_stream_batch=0.2,
            lose_message=lost,
            double_message=0.2,
            overtake_ms=dice.choice([0, 2_000]),
            calls={kind: chance for kind, chance in calls.items() if chance},
        )
        for app_id in APPS:
            self.receivers[app_id] = self._moody()

    def end_faults(self) -> None:
        self.faults = Faults()
        for app_id in APPS:
            self.receivers[app_id] = prompt

    def _moody(self) -> Behaviour:
        answers: list[Answer] = [
            (20, OK),
            (20, OK),
            (900, OK),
            (5000, NoAnswer("timeout")),
            (1, NoAnswer("connection refused")),
            (15, Response(500, None, b"", complete=True)),
        ]
        return lambda _, __: self.random.choice(answers)

    def latency_ms(self) -> int:
        return self.random.randint(1, 12) if self.living else 2

    def index_lag_ms(self) -> int:
        return self.random.randint(0, self.lag_ms)

    def new_process(self) -> Process:
        return Process(skew_ms=self.random.choice(hosts()).skew_ms, ends_ms=self.time.now_ms + FUNCTION_MS)

    def forget_doors(self) -> None:
        """The next run's hosts are these."""

    def registry(self) -> AppRegistry:
        return self._registry

    def wrote(self, commit: Commit) -> None:
        super().wrote(commit)
        if commit.table == "AppTable" and commit.after is not None and "roles" in commit.after:
            self.app_states[commit.after["app_id"]["S"]].append((commit.time_ms, _app(dict(commit.after))))  # type: ignore[arg-type]

    # --------------------------------------------------------------------------------------------------- one call

    def call(self, client: str, app_id: str, name: str, request: Mapping[str, Any], version: int | None = None) -> Call:
        """Over the real door, on any host. `app_id` is whose order it is about; `version`, of its secret."""
        body = json_bytes(request)
        caller = GAME_OF[app_id] if name == "settle_users" else app_id
        version = version or self._some_version(caller)
        event = api_event(
            "x", endpoint(name), self.time.now_ms, body=body, headers=self._headers(caller, version, name, body)
        )
        host = self.random.choice(hosts())
        process = Process(skew_ms=host.skew_ms, ends_ms=self.time.now_ms + FUNCTION_MS)
        call = Call(client, app_id, name, request, next(self.moments), self.time.now_ms)
        call.process, call.signed_by = process, (caller, version)
        self.history.append(call)
        answers: list[dict[str, Any]] = []
        if self.as_process(lambda: answers.append(self._door(host, name)(event, LambdaContext(name))), process):
            reply = Reply(answers[0]["statusCode"], answers[0]["headers"], answers[0]["body"])
            call.status, call.code, envelope = reply.status, reply.code, reply.json
            call.data, call.detail = envelope.get("data", {}), envelope.get("detail", "")
        else:
            host.cold_start()
        call.completed, call.completed_ms = next(self.moments), self.time.now_ms
        return call

    def _door(self, host: Host, name: str) -> Any:
        if name not in host.doors._modules:
            size, shards = _SIZES[hosts().index(host)]
            with patch.dict(os.environ, {"PAGE_SIZE": str(size), "TOTALS_SHARDS": str(shards)}):
                host.doors.function(name)
        return host.doors.function(name).handler

    def _some_version(self, app_id: str) -> int:
        """One in use, most of the time."""
        app = self.app_states[app_id][-1][1]
        in_use = [version.version for version in app.versions_in_use(self.time.now_ms)]
        if not in_use or self.random.random() < 0.02:
            return self.random.randint(1, max(version.version for version in app.secret_versions) + 1)
        return self.random.choice(in_use)

    def _headers(self, app_id: str, version: int, name: str, body: bytes) -> dict[str, str]:
        scene = Scene(now_ms=self.time.now_ms)
        secret = derive_app_secret(MASTER, app_id, version)
        if "club" in name:
            token = jwt.encode(scene.claims(app_id), secret, algorithm="HS256", headers={"kid": f"{app_id}.{version}"})
            return {"Authorization": token}
        timestamp = str(self.time.now_ms)
        signature = sud_signature(secret, app_id, timestamp, NONCE, body)
        return {"Authorization": str(SudAuth(app_id, timestamp, NONCE, signature))}

    # ------------------------------------------------------------------------------------------------ what is stored

    def settled(self, app_id: str, prefix: str = "club") -> dict[str, dict[str, Any]]:
        """The settled orders of an app, by bill_no or order_id."""
        start = f"{prefix}#{app_id}#"
        return {
            row["billno"].removeprefix(start): row
            for row in self.table("SettlementTable")
            if row["billno"].startswith(start) and "settle_time" in row
        }

    def enable_all(self) -> None:
        registry = AppRegistry(self.dynamodb, "AppTable")
        for app_id in self.app_states:
            if not self.app_states[app_id][-1][1].enabled:
                registry.set_status(app_id, "enabled")

    def body_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What a ledger row tells."""
        body: dict[str, Any] = simplejson.loads(row["body"], use_decimal=True)
        return body

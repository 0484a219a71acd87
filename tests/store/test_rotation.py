"""Must hold: receivers that know the old secret, the new one, or both reject nothing in their stated windows.

Deliveries come from processes that each remember the app for up to 30 s, each from another moment on. The windows:

                 Sud-Signature                          webhook-signature
    old          until the activation                   until the end: of the overlap, or by retire-secret
    new          from 30 s after the activation         from 30 s after the rotation
    both         always                                 always

Between an activation and 30 s later Sud-Signature is the old one's or the new one's, as the delivering process knows.
The end by the clock needs no cache to notice it. 30 s after the end nothing is the old one's any more.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from copy import replace
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import SimpleNamespace
from typing import Self

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from settlement.apps import App, AppRegistry
from settlement.delivery import Request, signed_request
from settlement.ledger import Notification
from settlement.rotation import MAX_OVERLAP_MS, OVERLAP_MS, activated, retired, rotated
from settlement.signing import derive_app_secret, sud_signature, webhook_library_secret

from .worlds import CLUB, NOW_MS, World, chance, keyring

CACHE_MS = 30_000
HOUR_MS = 3_600_000
DELIVERIES = 10_000
RUNS = 20
PROCESSES = 6
KEYS = keyring()
NOTIFICATION = Notification(
    notify_id="ab" * 32, app_id="club-a", event="test", body='{"notify_id":"00"}', notify_time_ms=NOW_MS
)


@dataclass
class Clock:
    """The wall's and the caches' at once."""

    now_ms: int = NOW_MS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Everybody's: the registries' caches, and what the Standard Webhooks library takes for now."""
    made = Clock()

    class Virtual(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(made.now_ms / 1000, tz)

    monkeypatch.setattr("settlement.apps.time", SimpleNamespace(monotonic=lambda: (made.now_ms - NOW_MS) / 1000))
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", Virtual)
    return made


@dataclass(frozen=True)
class Receiver:
    """Knows one secret or two; verifies each family of headers by itself."""

    secrets: tuple[str, ...]

    def takes_sud(self, request: Request) -> bool:
        headers = request.headers
        return any(
            headers["Sud-Signature"]
            == sud_signature(secret, headers["Sud-AppId"], headers["Sud-Timestamp"], headers["Sud-Nonce"], request.body)
            for secret in self.secrets
        )

    def takes_webhook(self, request: Request) -> bool:
        return any(_verifies(secret, request) for secret in self.secrets)


def _verifies(secret: str, request: Request) -> bool:
    try:
        Webhook(webhook_library_secret(secret)).verify(request.body, request.headers)
    except WebhookVerificationError:
        return False
    return True


@dataclass(frozen=True)
class Plan:
    """When the operator takes each step, in ms; `end_ms` is the old secret's."""

    rotate_ms: int
    activate_ms: int
    end_ms: int
    steps: list[tuple[int, Callable[[App], App]]]


def make_plan(chance: random.Random, kind: str) -> Plan:
    """One way through a rotation; the app's merchant takes from no time at all to three days to install its secret."""
    rotate = NOW_MS + chance.randrange(2 * 60_000, 5 * 60_000)
    activate = rotate + chance.choice([0, 1, 5_000, chance.randrange(60_000), chance.randrange(72 * HOUR_MS)])
    first = (rotate, lambda app: rotated(app, 1, rotate))
    overlap = chance.choice([None, 1_000, chance.randrange(1_000, HOUR_MS), chance.randrange(1_000, MAX_OVERLAP_MS)])
    second = (activate, lambda app: activated(app, activate, overlap))
    end = activate + (OVERLAP_MS if overlap is None else overlap)
    match kind:
        case "runs out":
            return Plan(rotate, activate, end, [first, second])
        case "retired":
            retire = activate + chance.choice([0, chance.randrange(end - activate)])
            third = (retire, lambda app: retired(app, retire))
            return Plan(rotate, activate, retire, [first, second, third])
        case "emergency at once":
            return Plan(
                rotate, activate, activate, [first, (activate, lambda app: retired(app, activate, at_once=True))]
            )
        case _:
            now = activate + chance.randrange(end - activate)
            third = (now, lambda app: retired(app, now, at_once=True))
            return Plan(rotate, activate, now, [first, second, third])


KINDS = ("runs out", "retired", "emergency at once", "emergency in the overlap")


def moments(chance: random.Random, plan: Plan, count: int) -> Iterator[int]:
    """Most deliveries crowd around the steps, where the caches differ; the others are anywhere."""
    steps = (plan.rotate_ms, plan.activate_ms, plan.end_ms)
    for _ in range(count):
        if chance.random() < 0.85:
            yield chance.choice(steps) + chance.randrange(-40_000, 80_000)
        else:
            yield chance.randrange(NOW_MS, plan.end_ms + 600_000)


def test_no_receiver_rejects_anything_in_its_window_over_ten_thousand_deliveries(world: World, clock: Clock) -> None:
    counted: Counter[str] = Counter()
    for run in range(RUNS):
        luck = chance(run)
        plan = make_plan(luck, KINDS[run % len(KINDS)])
        app_id = f"app-{run}"
        clock.now_ms = NOW_MS
        world.apps.create(replace(CLUB, app_id=app_id), keyring())
        old, new = (derive_app_secret("master", app_id, version) for version in (1, 2))
        receivers = {"old": Receiver((old,)), "new": Receiver((new,)), "both": Receiver((old, new))}
        processes = [world.apps for _ in range(PROCESSES)]
        operator = list(plan.steps)
        for now_ms in sorted(moments(luck, plan, DELIVERIES // RUNS)):
            while operator and operator[0][0] <= now_ms:
                clock.now_ms, step = operator.pop(0)
                world.apps.change_secrets(app_id, step, keyring())
            clock.now_ms = now_ms
            request = delivery(luck.choice(processes), app_id, now_ms)
            check_windows(plan, now_ms, receivers, request, counted)
    assert counted["deliveries"] == DELIVERIES
    # Each window was looked into, and processes that knew less than the table were among the senders.
    assert all(counted[name] > 500 for name in ("old sud", "new sud", "old webhook", "new webhook", "old gone")), (
        counted
    )
    assert counted["stale"] > 100, counted


def delivery(process: AppRegistry, app_id: str, now_ms: int) -> Request:
    app = process.find(app_id)
    assert app is not None
    return signed_request(NOTIFICATION, app, KEYS, "https://club-a.example/", now_ms, "nonce")


def check_windows(
    plan: Plan, now_ms: int, receivers: dict[str, Receiver], request: Request, counted: Counter[str]
) -> None:
    old, new, both = receivers["old"], receivers["new"], receivers["both"]
    counted["deliveries"] += 1
    assert both.takes_sud(request)
    assert both.takes_webhook(request)
    if now_ms < plan.activate_ms:
        counted["old sud"] += 1
        assert old.takes_sud(request)
    if now_ms >= plan.activate_ms + CACHE_MS:
        counted["new sud"] += 1
        assert new.takes_sud(request)
    if now_ms < plan.end_ms:
        counted["old webhook"] += 1
        assert old.takes_webhook(request)
    if now_ms >= plan.rotate_ms + CACHE_MS:
        counted["new webhook"] += 1
        assert new.takes_webhook(request)
    if now_ms >= plan.end_ms + CACHE_MS:
        counted["old gone"] += 1
        assert not old.takes_sud(request)
        assert not old.takes_webhook(request)
    if plan.activate_ms <= now_ms < plan.activate_ms + CACHE_MS and old.takes_sud(request):
        counted["stale"] += 1

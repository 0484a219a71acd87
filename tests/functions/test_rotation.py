"""A secret's three steps, and the emergency, as the app sees them at every door. Functions stay warm throughout."""

from collections.abc import Callable, Iterator

import pytest
import simplejson

from settlement import clients
from settlement.apps import App, AppRegistry
from settlement.keyring import Keyring
from settlement.rotation import OVERLAP_MS, activated, retired, rotated
from settlement.signing import directory_signature, sud_signature, webhook_signature
from settlepoint_local.in_process import MASTER_SECRET_ID, World
from settlepoint_local.lambda_events import api_event, sqs_event
from settlepoint_local.scene import GENERATION, Scene
from settlepoint_local.situations import BILL, ORDER, THIS_OPENID
from settlepoint_local.template import endpoints

from .receiver import Receiver, receiving

APP_ID = "club-a"
IN_FORCE_MS = 30_000
"""After so long every warm function has read the app anew."""


@pytest.fixture
def receiver(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """The one app, club and merchant at once, is told there; and the caches follow the world's clock."""
    monkeypatch.setenv("ALLOW_LOCAL_RECEIVERS", "true")
    monkeypatch.setattr("settlement.apps.time.monotonic", lambda: (world.now_ms - Scene().now_ms) / 1000)
    with receiving() as made:
        world.change_app(APP_ID, notify_url=made.url, roles=frozenset({"club", "merchant"}))
        yield made


def step(decide: Callable[[App], App]) -> None:
    """What settlectl does."""
    registry = AppRegistry(clients.dynamodb(), "AppTable")
    registry.change_secrets(APP_ID, decide, Keyring(clients.secrets_manager, MASTER_SECRET_ID))


def rotate(world: World) -> None:
    step(lambda app: rotated(app, GENERATION, world.now_ms))


def activate(world: World) -> None:
    step(lambda app: activated(app, world.now_ms))


def retire(world: World, *, at_once: bool = False) -> None:
    step(lambda app: retired(app, world.now_ms, at_once=at_once))


def takes_token(world: World, version: int) -> bool:
    reply = world.call("get_club_jf_settle_list", THIS_OPENID, lambda scene, _: scene.token(APP_ID, version=version))
    assert reply.code in (0, 1002)
    return reply.code == 0


def takes_signature(world: World, version: int) -> bool:
    order = {**ORDER, "app_id": APP_ID}
    reply = world.call("create_order", order, lambda scene, body: str(scene.sud_auth(APP_ID, body, version=version)))
    assert reply.code in (0, 10004)
    return reply.code == 0


def has_directory(world: World, version: int) -> bool:
    signature = directory_signature(world.scene.secret(APP_ID, version), APP_ID)
    event = api_event("directory", endpoints()["get_api_directory"], world.now_ms, parameters={"signature": signature})
    reply = world.invoke("get_api_directory", event)
    assert reply.status in (200, 404)
    return bool(reply.status == 200)


def accepted(world: World) -> dict[str, list[int]]:
    """The versions that are taken for a club's call, for a merchant's, and for the directory."""
    doors = {"token": takes_token, "Sud-Auth": takes_signature, "directory": has_directory}
    return {name: [version for version in (1, 2, 3) if takes(world, version)] for name, takes in doors.items()}


def everywhere(*versions: int) -> dict[str, list[int]]:
    return {door: list(versions) for door in ("token", "Sud-Auth", "directory")}


def sent_with(world: World, receiver: Receiver, notify_id: str) -> tuple[list[int], list[int]]:
    """The versions that Sud-Signature, and webhook-signature, verify with where this notification is sent now."""
    receiver.requests.clear()
    message = simplejson.dumps({"notify_id": notify_id, "attempt": 1})
    assert world.invoke("deliver_notification", sqs_event([message], world.now_ms)) == {"batchItemFailures": []}
    [request] = receiver.requests
    headers = request.headers
    sud, webhook = [], []
    for version in (1, 2, 3):
        secret = world.scene.secret(APP_ID, version)
        signature = sud_signature(secret, APP_ID, headers["Sud-Timestamp"], headers["Sud-Nonce"], request.body)
        if headers["Sud-Signature"] == signature:
            sud.append(version)
        signature = webhook_signature(secret, headers["webhook-id"], headers["webhook-timestamp"], request.body)
        if signature in headers["webhook-signature"].split(" "):
            webhook.append(version)
    return sud, webhook


@pytest.fixture
def waiting(world: World, receiver: Receiver) -> list[str]:  # noqa: ARG001  # the app must be told
    """Notifications that nobody has sent yet."""
    for number in range(6):
        bill = {**BILL, "bill_no": f"bill-{number}"}
        for folder in ("create_club_order", "set_club_jf_settle"):
            reply = world.call(folder, bill, lambda scene, _: scene.token(APP_ID, version=1))
            assert reply.code == 0
    return [row["notify_id"] for row in world.rows("NotificationTable")]


def test_the_three_steps(world: World, receiver: Receiver, waiting: list[str]) -> None:
    assert accepted(world) == everywhere(1)
    assert sent_with(world, receiver, waiting.pop()) == ([1], [1])

    rotate(world)
    world.now_ms += IN_FORCE_MS
    assert accepted(world) == everywhere(1, 2)
    assert sent_with(world, receiver, waiting.pop()) == ([1], [1, 2])

    world.now_ms += 400 * 24 * 3_600_000  # no clock runs before the activation
    assert accepted(world) == everywhere(1, 2)
    assert sent_with(world, receiver, waiting.pop()) == ([1], [1, 2])

    activate(world)
    end_ms = world.now_ms + OVERLAP_MS
    world.now_ms += IN_FORCE_MS
    assert accepted(world) == everywhere(1, 2)
    assert sent_with(world, receiver, waiting.pop()) == ([2], [1, 2])

    world.now_ms = end_ms - 1
    assert accepted(world) == everywhere(1, 2)
    assert sent_with(world, receiver, waiting.pop()) == ([2], [1, 2])

    world.now_ms = end_ms  # at once: what is remembered of the app names the end
    assert accepted(world) == everywhere(2)
    assert sent_with(world, receiver, waiting.pop()) == ([2], [2])


def test_an_old_secret_that_is_retired_early_ends_within_thirty_seconds(
    world: World, receiver: Receiver, waiting: list[str]
) -> None:
    rotate(world)
    activate(world)
    world.now_ms += IN_FORCE_MS
    assert accepted(world) == everywhere(1, 2)
    retire(world)
    world.now_ms += IN_FORCE_MS
    assert accepted(world) == everywhere(2)
    assert sent_with(world, receiver, waiting.pop()) == ([2], [2])


@pytest.mark.parametrize("activated_before", [False, True])
def test_an_emergency_is_in_force_within_thirty_seconds_at_every_door(
    world: World, receiver: Receiver, waiting: list[str], activated_before: bool
) -> None:
    # Every door has just read the app as it was: the longest that one may be behind.
    rotate(world)
    if activated_before:
        activate(world)
    world.now_ms += IN_FORCE_MS
    assert accepted(world) == everywhere(1, 2)
    assert sent_with(world, receiver, waiting.pop()) == ([2] if activated_before else [1], [1, 2])

    retire(world, at_once=True)
    assert not has_directory(world, 1)  # its pointer is gone, and pointers are not remembered
    world.now_ms += IN_FORCE_MS - 1
    assert takes_token(world, 1)  # still as it was remembered: what is judged below is the cache's end
    assert takes_signature(world, 1)
    assert sent_with(world, receiver, waiting.pop())[1] == [1, 2]

    world.now_ms += 1
    assert accepted(world) == everywhere(2)
    assert sent_with(world, receiver, waiting.pop()) == ([2], [2])


def test_an_emergency_does_not_wait_for_the_operators_clock_and_the_functions_to_agree(
    world: World, receiver: Receiver, waiting: list[str]
) -> None:
    rotate(world)
    world.now_ms += IN_FORCE_MS
    ahead_ms = world.now_ms + 3_600_000
    step(lambda app: retired(app, ahead_ms, at_once=True))
    world.now_ms += IN_FORCE_MS
    assert accepted(world) == everywhere(2)
    assert sent_with(world, receiver, waiting.pop()) == ([2], [2])


def test_a_new_secret_that_leaked_on_its_way_is_replaced_and_the_old_one_goes_on(
    world: World, receiver: Receiver, waiting: list[str]
) -> None:
    rotate(world)
    world.now_ms += IN_FORCE_MS
    assert accepted(world) == everywhere(1, 2)
    step(lambda app: rotated(app, GENERATION, world.now_ms, again=True))
    world.now_ms += IN_FORCE_MS
    assert accepted(world) == everywhere(1, 3)
    assert sent_with(world, receiver, waiting.pop()) == ([1], [1, 3])

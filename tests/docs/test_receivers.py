"""The receivers of docs/examples, each run as its first lines say, called by the code that delivers notifications.

Each knows the versions 1 and 2 of its app's secret, as in the middle of a rotation. Each runs twice: as it is, and with
the other of its two functions called, the one for the Sud- headers.
"""

import hashlib
import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from settlement.apps import App, SecretVersion
from settlement.delivery import Delivered, Request, Retry, judge, signed_request
from settlement.ledger import Notification
from settlement.notifications import club_notification, game_notification, ping
from settlement.orders import Account, ClubOrder, ClubTerms, GameOrder, GameResult, SettledClubOrder, SettledGameOrder
from settlement.sender import Sender
from settlement.signing import webhook_signature

from .receiving import COMMANDS, FAMILIES, Family, Running, Secrets, running

APP_ID: Final = "example-merchant"
ACKNOWLEDGED: Final = (200, "application/json", b'{"ret_code":0,"ret_msg":""}')
NOT_GENUINE: Final = (401, "application/json", b'{"ret_code":1,"ret_msg":"not genuine"}')
NOT_HANDLED: Final = (500, "application/json", b'{"ret_code":1,"ret_msg":"not handled"}')


@pytest.fixture(
    scope="module",
    params=[(name, family) for name in COMMANDS for family in FAMILIES],
    ids="-".join,
)
def receiver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    name, family = request.param
    secrets = " ".join(Secrets().app_secret(APP_ID, version, 1) for version in (2, 1))
    with running(name, family, secrets, tmp_path_factory.mktemp("receiver")) as made:
        yield made


# ------------------------------------------------------------------------------------------- what Settlepoint sends


def club_settlement(bill_no: str) -> Notification:
    order = ClubOrder(bill_no, "user-1", 1333, 5, 7, "周末/活动 é 😀", Account(2, "club-9", 9))
    return club_notification(APP_ID, SettledClubOrder(order, ClubTerms(33325, 25), 1_795_330_800_123))


def game_report(match_id: str, orders: int = 1, *, text: str = "user-1", out_order_id: str = "order-1") -> Notification:
    results = {
        hashlib.sha256(f"{match_id} {position}".encode()).hexdigest()[:32]: SettledGameOrder(
            GameOrder(out_order_id, text, text, "gift", "user-1", "user-2", 120, None, None),
            GameResult(match_id, text, 0, -(2**31), -(2**31), -(2**31), 1_795_330_800),
            "n",
            position,
            1_795_330_800_123,
        )
        for position in range(orders)
    }
    return game_notification(APP_ID, results)


def pinged(name: str) -> Notification:
    return ping(APP_ID, hashlib.sha256(name.encode()).hexdigest(), 1_795_330_800_123)


def attempt(
    receiver: Running,
    notification: Notification,
    *,
    versions: tuple[int, ...] = (1,),
    signing: int = 1,
    age_seconds: int = 0,
    generation: int = 1,
) -> Request:
    """One attempt, by the layer's own code: signed by these versions of the secret, Sud-Signature by `signing`."""
    app = App(
        app_id=APP_ID,
        name="Example",
        roles=frozenset({"merchant"}),
        status="enabled",
        notify_url=None,
        mg_ids=frozenset(),
        for_apps=frozenset(),
        secret_versions=tuple(SecretVersion(version, generation) for version in versions),
        signing_version=signing,
        created_at_ms=0,
    )
    url = f"http://127.0.0.1:{receiver.port}/settled"
    sent_at_ms = int((time.time() - age_seconds) * 1000)
    return signed_request(notification, app, Secrets(), url, sent_at_ms, os.urandom(16).hex())


def answer_to(request: Request) -> tuple[int, str | None, bytes]:
    """HTTP status, content type and body."""
    connection = http.client.HTTPConnection(urlsplit(request.url).netloc, timeout=10)
    try:
        connection.request("POST", "/settled", request.body, request.headers)
        with connection.getresponse() as response:
            return response.status, response.getheader("Content-Type"), response.read()
    finally:
        connection.close()


def line_of(notification: Notification) -> str:
    return f"{notification.event} {notification.notify_id}"


# ------------------------------------------------------------------------------------------------------ what is genuine


@pytest.mark.parametrize(
    ("versions", "signing"),
    [((1,), 1), ((1, 2), 1), ((1, 2), 2), ((2,), 2), ((2, 3), 2), ((2, 3, 4), 2)],
    ids=["old", "rotated", "activated", "retired", "one signature of two is known", "the last of three"],
)
def test_a_genuine_notification_is_handled_and_counts_as_delivered(
    receiver: Running, versions: tuple[int, ...], signing: int
) -> None:
    name = f"genuine {versions} {signing}"
    for notification in (club_settlement(name), game_report(name, out_order_id=name), pinged(name)):
        request = attempt(receiver, notification, versions=versions, signing=signing)

        assert judge(Sender(allow_local=True).send(request)).outcome == Delivered()
        assert line_of(notification) in receiver.handled()


def test_the_acknowledgement_is_these_bytes(receiver: Running) -> None:
    assert answer_to(attempt(receiver, club_settlement("acknowledged"))) == ACKNOWLEDGED


@pytest.mark.parametrize("age_seconds", [-290, 290])
def test_a_clock_that_is_off_by_less_than_five_minutes_does_no_harm(receiver: Running, age_seconds: int) -> None:
    assert answer_to(attempt(receiver, club_settlement("age"), age_seconds=age_seconds)) == ACKNOWLEDGED


def test_the_largest_notification_there_can_be_is_below_256_kib_and_is_taken(receiver: Running) -> None:
    notification = game_report("\x01" * 128, 90, text="\x01" * 128, out_order_id="😀" * 64)

    assert 128 * 1024 < len(notification.body) < 256 * 1024
    assert answer_to(attempt(receiver, notification)) == ACKNOWLEDGED


def test_a_repeat_is_acknowledged_and_not_handled_again(receiver: Running) -> None:
    notification = club_settlement("repeated")

    answers = [answer_to(attempt(receiver, notification)) for _ in range(3)]

    assert answers == [ACKNOWLEDGED] * 3
    assert receiver.handled().count(line_of(notification)) == 1


def test_copies_that_arrive_together_are_handled_once(receiver: Running) -> None:
    notifications = [club_settlement(f"together {number}") for number in range(10)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda each: answer_to(attempt(receiver, each)), notifications * 4))

    assert answers == [ACKNOWLEDGED] * 40
    for notification in notifications:
        assert receiver.handled().count(line_of(notification)) == 1


def test_what_the_receivers_own_code_trips_over_is_no_acknowledgement(receiver: Running) -> None:
    notification = replace(club_settlement("tripped over"), body="not JSON")

    for _ in range(2):
        answer = answer_to(attempt(receiver, notification))
        assert answer == NOT_HANDLED
    assert answer_to(attempt(receiver, club_settlement("after that"))) == ACKNOWLEDGED


# ------------------------------------------------------------------------------------------------- what is not genuine

HEADERS: Final[dict[Family, tuple[str, ...]]] = {
    "webhook": ("webhook-id", "webhook-timestamp", "webhook-signature"),
    "sud": ("Sud-AppId", "Sud-Timestamp", "Sud-Nonce", "Sud-Signature"),
}


def with_header(request: Request, family: Family, part: int, change: Callable[[str], str | None]) -> Request:
    """`part` counts the family's headers; None takes it away."""
    name = HEADERS[family][part]
    changed = change(request.headers[name])
    rest = {each: value for each, value in request.headers.items() if each != name}
    return replace(request, headers=rest if changed is None else {**rest, name: changed})


ID, SIGNATURE = 0, -1
TIMESTAMP = 1
FORGERIES: Final[dict[str, Callable[[Request, Family], Request]]] = {
    "a flipped byte": lambda r, _: replace(r, body=r.body.replace(b'"amt":1333', b'"amt":9333')),
    "a newline after it": lambda r, _: replace(r, body=r.body + b"\n"),
    "the same JSON, spelt otherwise": lambda r, _: replace(r, body=json.dumps(json.loads(r.body)).encode()),
    "no body": lambda r, _: replace(r, body=b""),
    "no id": lambda r, family: with_header(r, family, ID, lambda _: None),
    "no timestamp": lambda r, family: with_header(r, family, TIMESTAMP, lambda _: None),
    "no signature": lambda r, family: with_header(r, family, SIGNATURE, lambda _: None),
    "none of the headers": lambda r, family: replace(
        r, headers={name: value for name, value in r.headers.items() if name not in HEADERS[family]}
    ),
    "another id": lambda r, family: with_header(r, family, ID, lambda value: value[:-1] + "x"),
    "an old signature made younger": lambda r, family: with_header(r, family, TIMESTAMP, lambda t: str(int(t) + 1)),
    "a timestamp that is none": lambda r, family: with_header(r, family, TIMESTAMP, lambda _: "now"),
    "a signature cut short": lambda r, family: with_header(r, family, SIGNATURE, lambda value: value[:-1]),
    "a signature gone on with": lambda r, family: with_header(r, family, SIGNATURE, lambda value: value + "0"),
    "an empty signature": lambda r, family: with_header(r, family, SIGNATURE, lambda _: ""),
    "a signature with nothing in it": lambda r, family: with_header(r, family, SIGNATURE, lambda _: "v1,"),
    "a signature beyond ASCII": lambda r, family: with_header(r, family, SIGNATURE, lambda _: "v1,é"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forgery_is_answered_401_and_not_handled(
    receiver: Running, forge: Callable[[Request, Family], Request]
) -> None:
    genuine = attempt(receiver, club_settlement("forged"))
    forged = forge(genuine, receiver.family)

    assert forged != genuine
    assert answer_to(forged) == NOT_GENUINE
    assert line_of(club_settlement("forged")) not in receiver.handled()


@pytest.mark.parametrize(
    ("versions", "age_seconds", "generation"),
    [((3,), 0, 1), ((3, 4), 0, 1), ((1, 2), 0, 2), ((1,), 310, 1), ((1,), -310, 1), ((1,), 1_000_000_000, 1)],
    ids=["a secret that is not known", "two of them", "another app's", "too old", "from the future", "far too old"],
)
def test_what_another_signed_or_long_ago_is_answered_401_and_not_handled(
    receiver: Running, versions: tuple[int, ...], age_seconds: int, generation: int
) -> None:
    notification = club_settlement("of another")
    request = attempt(
        receiver, notification, versions=versions, signing=versions[0], age_seconds=age_seconds, generation=generation
    )

    assert answer_to(request) == NOT_GENUINE
    judgement = judge(Sender(allow_local=True).send(request))
    assert isinstance(judgement.outcome, Retry)
    assert judgement.http_status == 401
    assert line_of(notification) not in receiver.handled()


@pytest.mark.parametrize("secrets", ["", " "])
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "receive.php"])
def test_without_a_secret_a_receiver_does_not_start(name: str, secrets: str, tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="SETTLEPOINT_SECRET is not set"),
        running(name, "webhook", secrets, tmp_path),
    ):
        pass


@pytest.mark.parametrize("secrets", ["", " "])
def test_without_a_secret_php_which_has_no_start_believes_nobody(secrets: str, tmp_path: Path) -> None:
    with running("receive.php", "webhook", secrets, tmp_path) as receiver:
        request = attempt(receiver, club_settlement("unkeyed"))
        identity, seconds = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        unkeyed = webhook_signature("", identity, seconds, request.body)

        answer = answer_to(replace(request, headers={**request.headers, "webhook-signature": unkeyed}))

        assert answer in (NOT_GENUINE, NOT_HANDLED)
        assert receiver.handled() == []

"""The walls of tests/walls.py over HTTP: the scene's apps are made in the deployed stack, and their rows watched."""

import base64
from collections.abc import Callable
from copy import replace

import pytest

from settlepoint_local.scene import APPS, Scene
from settlepoint_local.situations import SITUATIONS, Authorization, json_bytes
from settlepoint_local.template import endpoints
from tests.walls import (
    CALLED,
    FOREIGN,
    MERCHANT_A,
    POWERLESS,
    REFUSED,
    ROWS,
    by,
    directory_signatures,
    failing_proofs,
    forbidden,
    powerless,
    publish,
    refused,
)

from .system import System
from .wire import Answer, send

pytestmark = pytest.mark.stack

BEFORE = (
    *("create_club_order/creates", "set_club_jf_settle/settles_in_full", "create_order/creates"),
    *("create_order/creates_without_optional_fields", "settle_users/settles_one"),
)

type Call = Callable[[str, bytes, Authorization], Answer]


@pytest.fixture(scope="module")
def scene(system: System) -> Scene:
    entered = Scene(system.master_secret(), system.now_ms())
    for app in APPS.values():
        # None is told of anything: their receivers are nowhere, and attempts would change rows that are watched.
        system.registry.create(replace(app, notify_url=None), system.keyring)
        versions = [version.version for version in app.secret_versions]
        system.known_secrets += [entered.secret(app.app_id, version) for version in versions]
        system.known_secrets.append(entered.token(app.app_id))
        system.known_secrets.append(entered.directory_signature(app.app_id))
    return entered


@pytest.fixture(scope="module")
def call(system: System, scene: Scene) -> Call:
    """Sends a body under an Authorization that is made now; what app A has is there."""

    def sent(folder: str, body: bytes, authorization: Authorization) -> Answer:
        header = authorization(replace(scene, now_ms=system.now_ms()), body)
        headers = {"Content-Type": "application/json"} | ({} if header is None else {"Authorization": header})
        return send(system.base_url + endpoints()[folder].path, body, headers)

    for key in BEFORE:
        folder = SITUATIONS[key].folder
        event = SITUATIONS[key].event(replace(scene, now_ms=system.now_ms()))
        headers = {name: event["headers"][name] for name in ("Authorization", "Content-Type")}
        body = base64.b64decode(event["body"])
        assert send(system.base_url + endpoints()[folder].path, body, headers).code == 0
    publish(system.stack.deployment().bookkeeper)
    return sent


def rows(system: System) -> list[object]:
    return [system.rows(app_id) for app_id in APPS]


@pytest.mark.parametrize(("folder", "place"), FOREIGN)
def test_what_another_has_is_what_nobody_has(system: System, call: Call, folder: str, place: int) -> None:
    row = ROWS[folder]
    before = rows(system)
    theirs, nobodys = (call(folder, json_bytes(body), by(folder, row.other)) for body in row.foreign[place])
    assert theirs == nobodys
    assert rows(system) == before


@pytest.mark.parametrize("folder", CALLED)
def test_every_failed_proof_gets_the_one_answer(system: System, call: Call, folder: str) -> None:
    row = ROWS[folder]
    before = rows(system)
    for case, proof in failing_proofs(folder).items():
        for body in [row.body, *(pair[0] for pair in row.foreign[:1])]:
            answer = call(folder, json_bytes(body), proof)
            assert (answer.status, answer.body.decode()) == refused(folder), case
            assert answer.content_type == "application/json"
    assert rows(system) == before


@pytest.mark.parametrize("folder", CALLED)
def test_without_the_right_everything_gets_one_answer(system: System, call: Call, folder: str) -> None:
    row = ROWS[folder]
    before = rows(system)
    for case in [case for other, case in POWERLESS if other == folder]:
        answer = call(folder, json_bytes(row.body), powerless(folder)[case])
        assert (answer.status, answer.body.decode()) == (403, forbidden(folder)), case
    assert rows(system) == before


def test_no_path_but_an_apps_own_leads_to_a_directory(system: System, scene: Scene) -> None:
    def ask(signature: str) -> Answer:
        return send(f"{system.base_url}/asc/{signature}", None, {}, "GET")

    assert ask(scene.directory_signature(MERCHANT_A)).status == 200
    for case in ("unknown", "an app_id", "disabled app", "retired secret", "in capitals", "cut", "very long"):
        answer = ask(directory_signatures()[case](scene))
        assert (answer.status, answer.body.decode()) == REFUSED["path"], case

"""Thousands of calls that Schemathesis makes of docs/openapi.yaml, answered in this process."""

import io
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from settlepoint_local.in_process import World
from settlepoint_local.lambda_events import api_event
from settlepoint_local.openapi import OPERATIONS
from settlepoint_local.scene import Scene
from settlepoint_local.situations import BILL, CLUB, GAME, MERCHANT, ORDER, ORDER_ID, REPORT, WINNER
from settlepoint_local.situations import Authorization as By
from settlepoint_local.template import endpoints
from tests.exploring import Authorize, Explorer, sent_body
from tests.proof import few_or_many
from tests.walls import PUBLISHED_DAY, publish

BASE_URL = "http://127.0.0.1:9/live"
EXAMPLES = few_or_many(30, 1000)


def answered_by(world: World) -> Callable[..., requests.Response]:
    """In the place of requests' adapter: hands a request to the function that API Gateway would hand it to."""

    def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **_: object) -> requests.Response:
        path = urlsplit(str(request.url)).path.removeprefix(urlsplit(BASE_URL).path)
        [folder] = [name for name, address in endpoints().items() if path.startswith(address.path.partition("{")[0])]
        headers = {name: str(value) for name, value in request.headers.items()}
        parameters = {"signature": unquote(path.rpartition("/")[2])} if "{" in endpoints()[folder].path else None
        event = api_event(
            folder, endpoints()[folder], world.now_ms, body=sent_body(request), headers=headers, parameters=parameters
        )
        reply = world.invoke(folder, event)
        raw = HTTPResponse(io.BytesIO(reply.text.encode()), reply.headers, reply.status, preload_content=False)
        return adapter.build_response(request, raw)

    return send


def by(scene: Scene, authorization: By) -> Authorize:
    return lambda body: authorization(scene, body)


@pytest.fixture
def explorer(world: World, monkeypatch: pytest.MonkeyPatch) -> Explorer:
    world.happen("create_club_order/creates", "set_club_jf_settle/settles_in_full")
    world.happen("create_order/creates", "create_order/creates_without_optional_fields", "settle_users/settles_one")
    publish(world.function("write_statements").bookkeeper)
    monkeypatch.setattr(HTTPAdapter, "send", answered_by(world))
    callers = {"club": CLUB, "merchant": MERCHANT, "game": GAME}
    return Explorer(
        BASE_URL,
        {
            folder: by(world.scene, callers.get(operation.need, CLUB))
            for folder, operation in OPERATIONS.items()
            if operation.need
        },
        {**BILL, **ORDER, **WINNER, **REPORT, "order_id": ORDER_ID, **PUBLISHED_DAY},
        world.scene.directory_signature("merchant-a"),
    )


@pytest.mark.parametrize("positive", [True, False], ids=["as the document says", "not as the document says"])
@pytest.mark.parametrize("folder", [folder for folder in OPERATIONS if OPERATIONS[folder].request])
def test_no_answer_is_outside_the_contract(explorer: Explorer, folder: str, positive: bool) -> None:
    explorer.explore(folder, positive=positive, examples=EXAMPLES)
    assert len(explorer.answers[folder]) > 1


def test_no_answer_of_the_directory_is_outside_the_contract(explorer: Explorer) -> None:
    explorer.explore("get_api_directory", positive=True, examples=EXAMPLES)
    assert explorer.answers["get_api_directory"].keys() == {0, 1404}

"""GET /asc/{signature}: where a merchant finds the calls."""

import pytest

from settlement.signing import directory_signature
from settlepoint_local.in_process import Reply, World
from settlepoint_local.lambda_events import api_event
from settlepoint_local.template import endpoints

from .answers import check_fault


def ask(world: World, signature: str) -> Reply:
    event = api_event("directory", endpoints()["get_api_directory"], world.now_ms, parameters={"signature": signature})
    reply: Reply = world.invoke("get_api_directory", event)
    return reply


@pytest.mark.parametrize("signature", ["0", "merchant-a", "asc#", "中", "0" * 31, "0" * 33, "0" * 8000], ids=len)
def test_what_is_no_signature_is_404_and_not_looked_for(world: World, signature: str) -> None:
    """DynamoDB refuses keys beyond 2048 bytes, moto takes them: such a look-up must not even be tried."""
    with world.failing("dynamodb", "GetItem") as calls:
        check_fault(ask(world, signature), 1404)
    assert calls == []


def test_a_signature_in_capitals_is_unknown(world: World) -> None:
    signature = world.scene.directory_signature("merchant-a")
    assert ask(world, signature).status == 200
    check_fault(ask(world, signature.upper()), 1404)


def test_a_retired_versions_path_is_gone(world: World) -> None:
    assert ask(world, world.scene.directory_signature("merchant-rotated")).status == 200
    world.now_ms -= 10
    retired = world.scene.secret("merchant-rotated", 1)
    assert ask(world, directory_signature(retired, "merchant-rotated")).status == 200
    world.now_ms += 10
    check_fault(ask(world, directory_signature(retired, "merchant-rotated")), 1404)


@pytest.mark.parametrize(
    ("configured", "base"),
    [
        ("", "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/live"),
        ("https://points.example/api", "https://points.example/api"),
        ("http://127.0.0.1:4566/{api_id}/{stage}", "http://127.0.0.1:4566/a1b2c3d4e5/live"),
    ],
)
def test_the_urls_start_as_the_deployment_says(
    world: World, monkeypatch: pytest.MonkeyPatch, configured: str, base: str
) -> None:
    monkeypatch.setenv("PUBLIC_BASE_URL", configured)
    reply = ask(world, world.scene.directory_signature("merchant-a"))
    assert reply.json["api"]["create_order"] == f"{base}/v1/app/server/create_order"

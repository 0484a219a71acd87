"""Every test here runs once on each engine."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from tests.paper import PaperDynamoDB

from .dynamodb_local import NotToBeHad, running
from .worlds import Time, World, make_world

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def _client(endpoint_url: str | None) -> "DynamoDBClient":
    return boto3.client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture(scope="session")
def moto_client() -> "Iterator[DynamoDBClient]":
    client = _client(None)
    yield client
    client.close()


@pytest.fixture(scope="session")
def dynamodb_local_client() -> "Iterator[DynamoDBClient]":
    try:
        with running() as url:
            client = _client(url)
            yield client
            client.close()
    except NotToBeHad as reason:
        pytest.skip(f"no DynamoDB Local: {reason}")


@pytest.fixture
def paper_world() -> World:
    return make_world("paper", cast("DynamoDBClient", PaperDynamoDB()))


@pytest.fixture(params=["moto", pytest.param("dynamodb_local", marks=pytest.mark.dynamodb_local)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "moto":
        client = request.getfixturevalue("moto_client")
        with mock_aws():
            yield make_world("moto", client)
        return
    made = make_world("dynamodb_local", request.getfixturevalue("dynamodb_local_client"))
    yield made
    made.delete()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Time:
    """No test waits: the store's pauses pass at once."""
    time = Time()
    monkeypatch.setattr("settlement.store.time", time)
    return time

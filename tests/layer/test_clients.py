"""The AWS clients: whose authorities they trust."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from settlement import clients


@pytest.fixture(autouse=True)
def new_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    clients._session.cache_clear()
    yield
    clients._session.cache_clear()


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "amazon-roots.pem"
    made.write_text("")
    monkeypatch.setattr(clients, "_AMAZON_ROOTS", made)
    return made


def trusted(client: Any) -> Any:
    return client._endpoint.http_session._verify


def test_a_layer_with_amazons_roots_trusts_them_alone(roots: Path) -> None:
    assert trusted(clients._client("sqs")) == str(roots)


def test_a_layer_without_them_trusts_botocores_bundle(roots: Path) -> None:
    roots.unlink()
    assert trusted(clients._client("sqs")) is True


def test_a_bundle_of_the_deployments_own_wins(roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = shutil.copy(roots, roots.with_name("own.pem"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(own))
    assert trusted(clients._client("sqs")) == str(own)


@pytest.mark.usefixtures("roots")
@pytest.mark.parametrize("region", ["cn-north-1", "us-iso-east-1"])
def test_regions_of_other_authorities_trust_botocores_bundle(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert trusted(clients._client("sqs")) is True


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "statements.s3.us-east-1.amazonaws.com"),
        ("eu-central-1", "statements.s3.eu-central-1.amazonaws.com"),
        ("cn-north-1", "statements.s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_a_link_leads_to_the_region_of_its_bucket(monkeypatch: pytest.MonkeyPatch, region: str, host: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    client: Any = clients.s3.__wrapped__()
    url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": "statements", "Key": "club/a"}))
    query = parse_qs(url.query)
    assert (url.netloc, url.path) == (host, "/club/a")
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Credential"][0].split("/")[2] == region
    assert query["X-Amz-Security-Token"] == ["test"]

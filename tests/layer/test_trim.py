"""The dependencies layer's build step: what it takes out, and that a client does not miss it."""

import gzip
import json
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore
import botocore.session
import pytest

from settlement import clients

TRIM = Path(__file__).parents[2] / "layers" / "dependencies" / "trim.py"
SERVICES = ("dynamodb", "s3", "secretsmanager", "sqs")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """botocore's data as the layer has them."""
    made = tmp_path_factory.mktemp("layer")
    whole, part = Path(botocore.__file__).parent, made / "botocore"
    for service in SERVICES:
        shutil.copytree(whole / "data" / service, part / "data" / service)
    for name in (
        "data/endpoints.json",
        "data/partitions.json",
        "data/_retry.json",
        "data/sdk-default-configuration.json",
        "cacert.pem",
    ):
        shutil.copy(whole / name, part / name)
    subprocess.run([sys.executable, str(TRIM), str(made), *SERVICES], check=True)
    return made


@pytest.mark.parametrize("service", SERVICES)
def test_a_description_keeps_every_operation_and_shape(site: Path, service: str) -> None:
    whole = max((Path(botocore.__file__).parent / "data" / service).glob("*/service-2.json.gz"))
    before = json.loads(gzip.decompress(whole.read_bytes()))
    after = json.loads((site / "botocore" / "data" / service / whole.parent.name / "service-2.json").read_text())
    assert after["operations"].keys() == before["operations"].keys()
    assert {name: shape.get("members", {}).keys() for name, shape in after["shapes"].items()} == {
        name: shape.get("members", {}).keys() for name, shape in before["shapes"].items()
    }
    assert '"documentation":"' not in json.dumps(
        {name: part for name, part in after.items() if name != "clientContextParams"}, separators=(",", ":")
    )


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_client_of_trimmed_data_asks_the_same_endpoint(site: Path, service: str, region: str) -> None:
    def client(session: botocore.session.Session) -> Any:
        return session.create_client(
            service, region_name=region, aws_access_key_id="a", aws_secret_access_key="b", aws_session_token="c"
        )

    trimmed = botocore.session.Session()
    loader = trimmed.get_component("data_loader")
    loader._search_paths[:] = [str(site / "botocore" / "data")]
    plain = client(botocore.session.Session())
    assert client(trimmed).meta.endpoint_url == plain.meta.endpoint_url
    assert dir(client(trimmed)) == dir(plain)


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1"])
def test_a_link_of_trimmed_data_leads_to_the_same_file(site: Path, region: str) -> None:
    """Where a call goes is found when it is made, not when its client is."""

    def link(session: botocore.session.Session) -> str:
        client: Any = session.create_client(
            "s3", region_name=region, aws_access_key_id="a", aws_secret_access_key="b", config=clients._FILES
        )
        url: str = client.generate_presigned_url("get_object", Params={"Bucket": "statements", "Key": "a/b"})
        return url.partition("?")[0]

    trimmed = botocore.session.Session()
    trimmed.get_component("data_loader")._search_paths[:] = [str(site / "botocore" / "data")]
    assert link(trimmed) == link(botocore.session.Session())


def test_amazons_roots_are_five_authorities_of_the_bundle(site: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(site / "amazon-roots.pem")
    subjects: list[Any] = [authority["subject"] for authority in context.get_ca_certs()]
    names = [value for subject in subjects for [(name, value)] in subject if name == "commonName"]
    assert sorted(names) == [
        "Amazon Root CA 1",
        "Amazon Root CA 2",
        "Amazon Root CA 3",
        "Amazon Root CA 4",
        "Starfield Services Root Certificate Authority - G2",
    ]

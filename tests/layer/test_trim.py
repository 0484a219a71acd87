"""The dependencies layer's build step: what it takes out, and that a client does not miss it."""

import ast
import gzip
import json
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from settlement import clients

ROOT = Path(__file__).parents[2]
TRIM = ROOT / "layers" / "dependencies" / "trim.py"
FUNCTIONS = ROOT / "functions"
SERVICES = ("dynamodb", "s3", "secretsmanager", "sqs")
STORED_KINDS = {"S", "N", "SS", "M", "L", "BOOL"}


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
    kept = {name: set(shape.get("members", {})) for name, shape in before["shapes"].items()}
    if service == "dynamodb":
        kept["AttributeValue"] = STORED_KINDS
    assert {name: set(shape.get("members", {})) for name, shape in after["shapes"].items()} == kept
    assert '"documentation":"' not in json.dumps(
        {name: part for name, part in after.items() if name != "clientContextParams"}, separators=(",", ":")
    )


def test_the_functions_store_and_read_no_kind_that_the_layer_leaves_out() -> None:
    every = {"S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"}
    found: set[str] = set()
    for path in [*Path(clients.__file__).parent.glob("*.py"), *FUNCTIONS.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Constant(value=str(word)) if word in every:
                    found.add(word)
    assert found == STORED_KINDS


def test_a_row_of_trimmed_data_is_read_and_written_as_it_is_and_another_kind_is_refused(site: Path) -> None:
    trimmed = botocore.session.Session()
    trimmed.get_component("data_loader")._search_paths[:] = [str(site / "botocore" / "data")]
    client: Any = trimmed.create_client(
        "dynamodb", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b", config=clients._CONFIG
    )
    row = {
        "text": {"S": "点"},
        "number": {"N": "12.50"},
        "set": {"SS": ["a", "b"]},
        "map": {"M": {"inside": {"L": [{"BOOL": False}]}}},
    }
    sent: list[bytes] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        sent.append(request.body)
        raw = SimpleNamespace(stream=lambda **_: [json.dumps({"Attributes": {**row, "none": {"NULL": True}}}).encode()])
        return AWSResponse(request.url, 200, HTTPHeaders(), raw)

    client.meta.events.register("before-send.dynamodb.PutItem", answer)
    assert client.put_item(TableName="t", Item=row)["Attributes"] == {**row, "none": {}}
    assert json.loads(sent[0])["Item"] == row
    with pytest.raises(KeyError, match="NULL"):
        client.put_item(TableName="t", Item={"none": {"NULL": True}})


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

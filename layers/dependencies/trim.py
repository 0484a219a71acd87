"""Makes botocore's data what the functions use: run by the Makefile over the layer that is being built.

    python3.13 trim.py SITE SERVICE...

- Of the services' descriptions the documentation goes; they lie unpacked. Every operation stays.
- Of DynamoDB's kinds of values those stay that our tables have: for each value of an answer botocore looks for every
  kind that it knows. To send another one is a KeyError; to read one gives {}.
- endpoints.json, the same for all services and a tenth of a client's creation, keeps the services named.
- amazon-roots.pem, beside botocore: Amazon's own root certificates out of botocore's bundle. A process that trusts five
  authorities makes its TLS context in a tenth of the time that 126 take. Without the file, clients use the bundle.

A layer that skipped this works the same; it starts later and lists slower.
"""

import gzip
import json
import re
import ssl
import sys
from pathlib import Path
from typing import Any

# https://www.amazontrust.com/repository: every AWS endpoint's certificate leads to one of these.
AMAZON_ROOTS = {
    "Amazon Root CA 1",
    "Amazon Root CA 2",
    "Amazon Root CA 3",
    "Amazon Root CA 4",
    "Starfield Services Root Certificate Authority - G2",
}
STORED_KINDS = {"S", "N", "SS", "M", "L", "BOOL"}
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)


def without_documentation(value: Any) -> Any:
    """A description without its texts. A member that is itself called so is an object and stays."""
    match value:
        case dict():
            return {
                # botocore reads the texts of these when it looks for an endpoint.
                name: part if name == "clientContextParams" else without_documentation(part)
                for name, part in value.items()
                if not (name in {"documentation", "documentationUrl"} and isinstance(part, str))
            }
        case list():
            return [without_documentation(part) for part in value]
    return value


def trim_descriptions(service: Path) -> None:
    for packed in service.rglob("*.json.gz"):
        description = json.loads(gzip.decompress(packed.read_bytes()))
        packed.with_suffix("").write_text(compact(without_documentation(description)), encoding="utf-8")
        packed.unlink()


def trim_kinds(dynamodb: Path) -> None:
    for path in dynamodb.glob("*/service-2.json"):
        description = json.loads(path.read_text(encoding="utf-8"))
        value = description["shapes"]["AttributeValue"]
        value["members"] = {kind: shape for kind, shape in value["members"].items() if kind in STORED_KINDS}
        path.write_text(compact(description), encoding="utf-8")


def trim_endpoints(path: Path, services: list[str]) -> None:
    endpoints = json.loads(path.read_text(encoding="utf-8"))
    for partition in endpoints["partitions"]:
        partition["services"] = {
            name: partition["services"][name] for name in services if name in partition["services"]
        }
    path.write_text(compact(endpoints), encoding="utf-8")


def amazon_roots(bundle: str) -> str:
    """Raises ValueError where the bundle has not all of them."""
    found = {name: text for text in _CERTIFICATE.findall(bundle) if (name := common_name(text)) in AMAZON_ROOTS}
    if found.keys() != AMAZON_ROOTS:
        raise ValueError(f"not in botocore's bundle: {AMAZON_ROOTS - found.keys()}")
    return "".join(found.values())


def common_name(certificate: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    [authority] = context.get_ca_certs()
    subject: Any = authority["subject"]
    return next((str(value) for part in subject for name, value in part if name == "commonName"), "")


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def main(site: Path, services: list[str]) -> None:
    data = site / "botocore" / "data"
    for service in services:
        trim_descriptions(data / service)
    trim_kinds(data / "dynamodb")
    trim_endpoints(data / "endpoints.json", services)
    roots = amazon_roots((site / "botocore" / "cacert.pem").read_text(encoding="utf-8"))
    (site / "amazon-roots.pem").write_text(roots, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

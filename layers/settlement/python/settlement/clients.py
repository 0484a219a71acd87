"""The AWS clients: one per service and process, made when first asked for, kept connections."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore
from botocore.config import Config
from botocore.session import Session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

_CONFIG: Final = Config(
    # A call that hangs is given up and repeated well within a function's timeout; writes carry a token or a condition,
    # so that a repeat is safe.
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
    # Fixed, or every call puts it together anew.
    user_agent="Settlepoint",
    # Types and tests check what we send, and DynamoDB does again; botocore's own check walks each row once more.
    parameter_validation=False,
)
_FILES: Final = Config(
    read_timeout=20,  # S3 answers a file's upload when all of it is stored
    # Links lead to the bucket's own region: the older signature is refused there, and the host of all regions, which
    # botocore writes into links unless the bucket's name is to be in the host, redirects and so breaks the signature.
    signature_version="s3v4",
    s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
)
_AMAZON_ROOTS: Final = Path(botocore.__file__).parent.with_name("amazon-roots.pem")
"""Amazon's own root certificates, where the layer was built with them: a tenth of the bundle's time."""
_OTHER_AUTHORITIES: Final = ("cn-", "us-iso", "eu-iso")
"""Regions whose endpoints' certificates other authorities sign."""


@cache
def dynamodb() -> "DynamoDBClient":
    client: DynamoDBClient = _client("dynamodb")
    return client


@cache
def sqs() -> "SQSClient":
    client: SQSClient = _client("sqs")
    return client


@cache
def s3() -> "S3Client":
    client: S3Client = _client("s3", _CONFIG.merge(_FILES))
    return client


@cache
def secrets_manager() -> "SecretsManagerClient":
    client: SecretsManagerClient = _client("secretsmanager")
    return client


@cache
def _session() -> tuple[Session, boto3.Session]:
    """botocore's, and boto3's around it: a second one around the same would hook everything in twice."""
    session = Session()
    return session, boto3.Session(botocore_session=session)


def _client(service: str, config: Config = _CONFIG) -> Any:
    session, boto3_session = _session()
    region = session.get_config_variable("region") or ""
    # Who sets AWS_CA_BUNDLE knows better: their gateway may sign for AWS.
    ours = not session.get_config_variable("ca_bundle") and not region.startswith(_OTHER_AUTHORITIES)
    verify = str(_AMAZON_ROOTS) if ours and _AMAZON_ROOTS.is_file() else None
    make: Any = boto3_session.client
    return make(service, config=config, verify=verify)

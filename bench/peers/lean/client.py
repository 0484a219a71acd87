"""Botocore's clients."""

import botocore.session
from botocore.config import Config

NAME = "lean"
session = botocore.session.get_session()
config = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})
dynamodb = session.create_client("dynamodb", config=config)


def secrets_manager():
    return session.create_client("secretsmanager", config=config)

"""Comes last: what all the tests before left behind."""

import base64
import json
import re

import pytest

from settlement.signing import derive_app_secret, derive_cursor_key
from settlepoint_local.logs import function_logs
from settlepoint_local.template import functions

from .system import CONFIDENTIAL, System

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def logs(system: System) -> list[str]:
    return function_logs(system.stack)


def test_every_function_wrote_of_what_it_did(logs: list[str]) -> None:
    """Else the next tests would judge nothing."""
    doors = {json.loads(line).get("door") for line in logs if line.startswith("{")}
    assert functions().keys() <= doors


def test_no_secret_or_token_is_in_any_log_line(system: System, logs: list[str]) -> None:
    master = system.master_secret()
    secrets = {master, derive_cursor_key(master, 1), *system.known_secrets}
    assert len(secrets) > 10
    everything = "\n".join(logs)
    assert [secret for secret in secrets if secret in everything] == []
    for beginning in ("eyJ", "Bearer ", 'app_id=\\"', 'app_id="', "whsec_"):  # of a token, a header, a key
        assert beginning not in everything


def test_no_secret_of_any_version_of_any_app_is_in_any_log_line(system: System, logs: list[str]) -> None:
    """Those that operators made and rotated included."""
    app_ids = [app_id for app_id in system.app_ids() if "#" not in app_id]
    assert len(app_ids) > 10
    master = system.master_secret()
    secrets = {derive_app_secret(master, app_id, version) for app_id in app_ids for version in range(1, 5)}
    everything = "\n".join(logs)
    assert [secret for secret in secrets if secret in everything] == []


def test_no_signature_is_in_any_log_line(logs: list[str]) -> None:
    """By what they look like: hex SHA-1, and what Standard Webhooks put before theirs. Ids have other lengths."""
    assert [
        line for line in logs if re.search(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])|v1,[A-Za-z0-9+/]{43}=", line)
    ] == []


def test_no_openid_and_no_part_of_a_body_is_in_any_log_line(logs: list[str]) -> None:
    for hidden in (
        CONFIDENTIAL,
        base64.b64encode(b'{"bill_no":').decode()[:-4],
        '\\"openid\\"',
        "notify_event\\",
        '{\\"ret_code',
    ):
        assert [line for line in logs if hidden in line] == []


def test_no_message_was_given_up(system: System) -> None:
    assert system.waiting_messages(system.stack.dead_letter_queue_url) == 0

"""Signatures against published vectors and somebody else's code; derived keys as they were handed out."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from settlement.signing import (
    derive_app_secret,
    derive_cursor_key,
    derive_operator_key,
    directory_signature,
    matches,
    sud_signature,
    webhook_library_secret,
    webhook_signature,
)

from .fakes import MASTER

# Published with the game API; the body has these spaces and no others.
APP_ID = "1461564080052506636"
SECRET = "test-app-secret"
NONCE = "keVJLJTItd1VBtGT"
TIMESTAMP = "1688464949817"
BODY = b'{"app_id": "1461564080052506238","mg_id": "1461227817776713818","room_id": "9009"}'
SIGNATURE = "6c83c0c0d430f987fdc903dde6ed42acc4f9a277"
DIRECTORY = "69b198d59bc9d492a515643914d9f82b"


def test_the_published_vectors_come_out() -> None:
    assert sud_signature(SECRET, APP_ID, TIMESTAMP, NONCE, BODY) == SIGNATURE
    assert directory_signature(SECRET, APP_ID) == DIRECTORY


def mutations(data: bytes) -> list[bytes]:
    """Every flip of one bit, every byte left out, every byte doubled."""
    flipped = [data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :] for i in range(len(data)) for bit in range(7)]
    cut = [data[:i] + data[i + 1 :] for i in range(len(data))]
    doubled = [data[:i] + data[i : i + 1] + data[i:] for i in range(len(data))]
    return [changed for changed in flipped + cut + doubled if changed != data]


@pytest.mark.parametrize("part", range(5), ids=["secret", "app_id", "timestamp", "nonce", "body"])
def test_one_byte_changed_anywhere_changes_the_signature(part: int) -> None:
    parts = [SECRET.encode(), APP_ID.encode(), TIMESTAMP.encode(), NONCE.encode(), BODY]
    for changed in mutations(parts[part]):
        tried = [*parts[:part], changed, *parts[part + 1 :]]
        secret, app_id, timestamp, nonce = (text.decode() for text in tried[:4])
        assert sud_signature(secret, app_id, timestamp, nonce, tried[4]) != SIGNATURE


def test_one_byte_changed_anywhere_changes_the_directorys_path() -> None:
    assert all(directory_signature(changed.decode(), APP_ID) != DIRECTORY for changed in mutations(SECRET.encode()))
    assert all(directory_signature(SECRET, changed.decode()) != DIRECTORY for changed in mutations(APP_ID.encode()))


@given(st.text(min_size=1), st.text(), st.text(), st.text(), st.binary())
@example("s", "a", "1", "中", b"")
@example("s", "a", "1", "n", b"\xff\x00\n")
def test_the_signed_text_is_four_lines_each_with_its_end(
    secret: str, app_id: str, timestamp: str, nonce: str, body: bytes
) -> None:
    text = b"".join(part + b"\n" for part in (app_id.encode(), timestamp.encode(), nonce.encode(), body))
    expected = hmac.new(secret.encode(), text, hashlib.sha1).hexdigest()
    assert sud_signature(secret, app_id, timestamp, nonce, body) == expected


# ------------------------------------------------------------------------------------------------- Standard Webhooks

secrets = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)


def seconds_now() -> int:
    return int(datetime.now(UTC).timestamp())


@given(secrets, st.text(alphabet="0123456789abcdef", min_size=1, max_size=64))
def test_a_standard_webhooks_library_accepts_our_signature(secret: str, webhook_id: str) -> None:
    body, timestamp = b'{"a":"\\u4e2d\\/"}', str(seconds_now())
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1,bm90IG91cnM= " + webhook_signature(secret, webhook_id, timestamp, body),
    }
    library = Webhook(webhook_library_secret(secret))
    assert library.verify(body, headers) == {"a": "中/"}
    with pytest.raises(WebhookVerificationError):
        library.verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        library.verify(body, {**headers, "webhook-id": webhook_id + "0"})
    with pytest.raises(WebhookVerificationError):
        library.verify(body, {**headers, "webhook-timestamp": str(int(timestamp) - 1)})


@given(secrets, st.text(alphabet="abc-_", min_size=1), st.integers(0, 2**33), st.text())
def test_we_make_the_signature_that_a_standard_webhooks_library_makes(
    secret: str, webhook_id: str, seconds: int, body: str
) -> None:
    theirs = Webhook(webhook_library_secret(secret)).sign(webhook_id, datetime.fromtimestamp(seconds, UTC), body)
    assert webhook_signature(secret, webhook_id, str(seconds), body.encode()) == theirs


def test_the_librarys_secret_is_the_app_secrets_ascii_in_base64() -> None:
    assert webhook_library_secret(SECRET) == "whsec_" + base64.b64encode(SECRET.encode()).decode()


# ------------------------------------------------------------------------------------------------------- derived keys

# Every customer holds keys that were derived like this: another derivation locks all of them out.
HANDED_OUT = {
    "club-a, version 1": (
        derive_app_secret(MASTER, "club-a", 1),
        "76af93649bf95190bc66cd8c4b4de233fa1497ed364daca73404da948145c1bb",
    ),
    "club-a, version 2": (
        derive_app_secret(MASTER, "club-a", 2),
        "f6f2cae6f74ed7a83c56e1068311d3d200fe4050bfacb83a8ec81d27d48aca92",
    ),
    "operators": (derive_operator_key(MASTER, 1), "885ac33d65081862ca5efa3d26bae40604cb6e4c2f457b9ace580b82d87f2282"),
    "cursors": (derive_cursor_key(MASTER, 1), "43180952232ac9059e869c15857561062ce6c20b86deecea308e8e3ef018509d"),
}


@pytest.mark.parametrize(("derived", "handed_out"), HANDED_OUT.values(), ids=HANDED_OUT.keys())
def test_derived_keys_are_what_was_handed_out(derived: str, handed_out: str) -> None:
    assert derived == handed_out


def test_no_two_purposes_apps_or_versions_share_a_key() -> None:
    keys = [
        derive_app_secret(master, app_id, version)
        for master in (MASTER, MASTER + "2")
        for app_id in ("club-a", "club-b", "club-", "ops", "cursor", "1", "a-1", "a", "-")
        for version in range(1, 30)
    ]
    for master in (MASTER, MASTER + "2"):
        keys += [derive(master, n) for derive in (derive_operator_key, derive_cursor_key) for n in range(1, 30)]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 and key.isascii() for key in keys)


app_ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


@given(app_ids, st.integers(1, 10**6), app_ids, st.integers(1, 10**6))
def test_two_secrets_are_the_same_only_for_one_app_and_version(app_a: str, a: int, app_b: str, b: int) -> None:
    same = derive_app_secret(MASTER, app_a, a) == derive_app_secret(MASTER, app_b, b)
    assert same == ((app_a, a) == (app_b, b))


@given(st.text(), st.text())
@example("中", "中")
@example("a", "ａ")
def test_comparing_takes_any_text(expected: str, given_text: str) -> None:
    assert matches(expected, given_text) == (expected == given_text)

"""page_context: where a walk through a settlement list goes on. Opaque, versioned, signed, bound to its query.

Layout, base64url without padding:

    byte   0       version, 1
    bytes  1..2    generation of the signing key, big-endian
    bytes  3..10   settle_time of the last entry shown, ms, big-endian
    bytes  11..    that entry's bill_no, 1 to 64 bytes of UTF-8
    last 16 bytes  HMAC-SHA256, truncated, over the query and all bytes before

The query (app, openid, source, range) is signed and not carried: a cursor says where, the request says of what.
"""

import base64
import binascii
import hmac
import struct
from collections.abc import Callable
from typing import NamedTuple

from settlement.errors import BadRequest
from settlement.strictjson import dump_ascii

_VERSION = 1
_HEAD = struct.Struct(">BHQ")
_MAC_BYTES = 16
_MAX_TEXT = 128
_FOREIGN = "page_context: not one that this query was given"


class Position(NamedTuple):
    """The last entry that was shown."""

    settle_time_ms: int
    bill_no: str


class ListQuery(NamedTuple):
    """What a cursor is bound to. `source` is None for all; times are whole seconds, None for an open end."""

    app_id: str
    openid: str
    source: int | None
    start_seconds: int | None
    end_seconds: int | None


def encode_cursor(position: Position, query: ListQuery, key: str, generation: int) -> str:
    head = _HEAD.pack(_VERSION, generation, position.settle_time_ms) + position.bill_no.encode()
    return base64.urlsafe_b64encode(head + _mac(key, query, head)).rstrip(b"=").decode()


def decode_cursor(text: str, query: ListQuery, key_of: Callable[[int], str | None]) -> Position:
    """The position that `text` carries. `key_of` gives a generation's key, None where there is no such generation.

    Raises BadRequest, always with the same words, for anything that encode_cursor did not make for this query: cut,
    changed in any bit (base64's unused ones too), padded, or another query's.
    """
    if len(text) > _MAX_TEXT:
        raise BadRequest(_FOREIGN)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
            raise BadRequest(_FOREIGN)
        head, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        version, generation, settle_time_ms = _HEAD.unpack_from(head)
        bill_no = head[_HEAD.size :].decode("utf-8")
    except (binascii.Error, ValueError, struct.error) as error:
        raise BadRequest(_FOREIGN) from error
    key = key_of(generation)
    if version != _VERSION or key is None or not hmac.compare_digest(_mac(key, query, head), mac):
        raise BadRequest(_FOREIGN)
    return Position(settle_time_ms, bill_no)


def _mac(key: str, query: ListQuery, head: bytes) -> bytes:
    # JSON quotes each text: no two queries give the same bytes.
    bound = dump_ascii([query.app_id, query.openid, query.source, query.start_seconds, query.end_seconds])
    return hmac.digest(key.encode(), bound.encode() + b"\n" + head, "sha256")[:_MAC_BYTES]

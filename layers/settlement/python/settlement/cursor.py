"""page_context: where a walk through a settlement list goes on. Opaque, versioned, signed, bound to its query.

Layout, in the envelope of `seals`:

    bytes  3..10   settle_time of the last entry shown, ms, big-endian
    bytes  11..    that entry's bill_no, 1 to 64 bytes of UTF-8

The query (app, openid, source, range) is signed and not carried: a cursor says where, the request says of what.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from settlement.seals import foreign, seal_bytes, unseal_bytes
from settlement.strictjson import dump_ascii

_TIME = struct.Struct(">Q")
_MAX_TEXT = 128
_FIELD = "page_context"


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
    carried = _TIME.pack(position.settle_time_ms) + position.bill_no.encode()
    return seal_bytes(carried, _bond(query), key, generation)


def decode_cursor(text: str, query: ListQuery, key_of: Callable[[int], str | None]) -> Position:
    """The position that `text` carries. `key_of` gives a generation's key, None where there is no such generation.

    Raises BadRequest, always with the same words, for anything that encode_cursor did not make for this query.
    """
    carried = unseal_bytes(text, _FIELD, _bond(query), key_of, _MAX_TEXT)
    try:
        [settle_time_ms] = _TIME.unpack_from(carried)
        return Position(settle_time_ms, carried[_TIME.size :].decode("utf-8"))
    except (ValueError, struct.error) as error:
        raise foreign(_FIELD) from error


def _bond(query: ListQuery) -> bytes:
    # JSON quotes each text: no two queries give the same bytes.
    bound = dump_ascii([query.app_id, query.openid, query.source, query.start_seconds, query.end_seconds])
    return bound.encode() + b"\n"

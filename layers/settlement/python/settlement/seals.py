"""Texts that leave the console and come back: opaque, versioned, signed, bound to what they were given for.

Layout, base64url without padding:

    byte   0       version, 1
    bytes  1..2    generation of the signing key, big-endian
    bytes  3..     what is carried, compact JSON in ASCII
    last 16 bytes  HMAC-SHA256, truncated, over the purpose, what it is bound to, and all bytes before

What it is bound to (the query, the filter) is signed and not carried: the request says it again.
"""

import base64
import binascii
import hmac
import struct
from collections.abc import Callable
from typing import Any, Final

import simplejson

from settlement.errors import BadRequest
from settlement.strictjson import dump_ascii

MAX_SEAL_LENGTH: Final = 4096
_VERSION = 1
_HEAD = struct.Struct(">BH")
_MAC_BYTES = 16


def seal(carried: object, purpose: str, bound: object, key: str, generation: int) -> str:
    """`carried` and `bound` are JSON values; `purpose`, such as `cursor`, is the field that it comes back in."""
    head = _HEAD.pack(_VERSION, generation) + dump_ascii(carried).encode()
    return base64.urlsafe_b64encode(head + _mac(key, purpose, bound, head)).rstrip(b"=").decode()


def unseal(text: str, purpose: str, bound: object, key_of: Callable[[int], str | None]) -> Any:
    """What `text` carries. `key_of` gives a generation's key, None where there is no such generation.

    Raises BadRequest, always with the same words, for anything that `seal` did not make for this purpose and bond.
    """
    foreign = BadRequest(f"{purpose}: not one that this query was given")
    if len(text) > MAX_SEAL_LENGTH:
        raise foreign
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
            raise foreign
        head, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        version, generation = _HEAD.unpack_from(head)
    except (binascii.Error, ValueError, struct.error) as error:
        raise foreign from error
    key = key_of(generation)
    if version != _VERSION or key is None or not hmac.compare_digest(_mac(key, purpose, bound, head), mac):
        raise foreign
    return simplejson.loads(head[_HEAD.size :])


def _mac(key: str, purpose: str, bound: object, head: bytes) -> bytes:
    # A page_context's begins with a bracket, and a purpose is a field's name: none can be taken for the other.
    signed = f"{purpose}\n{dump_ascii(bound)}\n".encode() + head
    return hmac.digest(key.encode(), signed, "sha256")[:_MAC_BYTES]

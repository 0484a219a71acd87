"""Texts that leave us and come back: opaque, versioned, signed, bound to what they were given for.

Layout, base64url without padding:

    byte   0       version, 1
    bytes  1..2    generation of the signing key, big-endian
    bytes  3..     what is carried: of the console's texts, compact JSON in ASCII
    last 16 bytes  HMAC-SHA256, truncated, over what it is bound to and all bytes before

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
    return seal_bytes(dump_ascii(carried).encode(), _bond(purpose, bound), key, generation)


def unseal(text: str, purpose: str, bound: object, key_of: Callable[[int], str | None]) -> Any:
    """What `text` carries. `key_of` gives a generation's key, None where there is no such generation.

    Raises BadRequest, always with the same words, for anything that `seal` did not make for this purpose and bond.
    """
    return simplejson.loads(unseal_bytes(text, purpose, _bond(purpose, bound), key_of, MAX_SEAL_LENGTH))


def seal_bytes(carried: bytes, bond: bytes, key: str, generation: int) -> str:
    head = _HEAD.pack(_VERSION, generation) + carried
    return base64.urlsafe_b64encode(head + _mac(key, bond, head)).rstrip(b"=").decode()


def unseal_bytes(text: str, field: str, bond: bytes, key_of: Callable[[int], str | None], max_length: int) -> bytes:
    """What `text`, which came back in `field`, carries.

    Raises BadRequest, always with the same words, for anything that `seal_bytes` did not make for this bond: cut,
    changed in any bit (base64's unused ones too), padded, or another's.
    """
    if len(text) > max_length:
        raise foreign(field)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
            raise foreign(field)
        head, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        version, generation = _HEAD.unpack_from(head)
    except (binascii.Error, ValueError, struct.error) as error:
        raise foreign(field) from error
    key = key_of(generation)
    if version != _VERSION or key is None or not hmac.compare_digest(_mac(key, bond, head), mac):
        raise foreign(field)
    return head[_HEAD.size :]


def foreign(field: str) -> BadRequest:
    return BadRequest(f"{field}: not one that this query was given")


def _bond(purpose: str, bound: object) -> bytes:
    # A page_context's begins with a bracket, and a purpose is a field's name: none can be taken for the other.
    return f"{purpose}\n{dump_ascii(bound)}\n".encode()


def _mac(key: str, bond: bytes, head: bytes) -> bytes:
    return hmac.digest(key.encode(), bond + head, "sha256")[:_MAC_BYTES]

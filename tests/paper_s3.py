"""S3 on paper: what the bundle uses of it. The same code is also tried on moto (functions) and the emulator (stack)."""

import base64
import hashlib
import io
from collections.abc import Iterator
from typing import Any, cast

from botocore.exceptions import ClientError


class PaperS3:
    """In the place of boto3's client. What it does not know it refuses."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self.calls: list[str] = []

    def put_object(self, Bucket: str, Key: str, Body: Any, **put: Any) -> dict[str, Any]:  # noqa: N803
        self.calls.append("put_object")
        assert Bucket == "statements"
        if put.pop("IfNoneMatch", None) == "*" and Key in self.files:
            raise _fault("PreconditionFailed", 412)
        body = Body if isinstance(Body, bytes) else Body.read()
        assert len(body) == put.pop("ContentLength", len(body))
        if "ChecksumSHA256" in put:
            assert base64.b64decode(put["ChecksumSHA256"]) == hashlib.sha256(body).digest()
        self.files[Key] = (body, put)
        return {}

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        self.calls.append("head_object")
        assert Bucket == "statements"
        if Key not in self.files:
            raise _fault("404", 404)  # a HEAD has no body to name it in
        body, put = self.files[Key]
        assert all(isinstance(value, str) and value.isascii() for value in put["Metadata"].values())
        return {"ContentLength": len(body), "Metadata": put["Metadata"]}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        self.calls.append("get_object")
        assert Bucket == "statements"
        return {"Body": _Stream(self.files[Key][0])}

    def get_paginator(self, name: str) -> "PaperS3":
        assert name == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str, StartAfter: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        """Three keys a page."""
        self.calls.append("list_objects_v2")
        assert Bucket == "statements"
        keys = sorted(key for key in self.files if key.startswith(Prefix) and key > StartAfter)
        for start in range(0, len(keys), 3):
            yield {"Contents": [{"Key": key} for key in keys[start : start + 3]]}
        if not keys:
            yield {}


class _Stream(io.BytesIO):
    def iter_chunks(self) -> Iterator[bytes]:
        while chunk := self.read(1024):
            yield chunk


def _fault(code: str, status: int) -> ClientError:
    response = {"Error": {"Code": code, "Message": "on paper"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(cast("Any", response), "on paper")

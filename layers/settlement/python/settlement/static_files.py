"""The files of a page as API Gateway answers them: exactly those of one folder, read when the function starts.

Names have no version in them, so a browser asks each time whether its copy is the newest (ETag, 304): two releases are
never mixed in one page for longer than a load.
"""

import base64
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
"""What is served; a file of another kind is not there."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    content_type: str
    text: str
    zipped: str
    """Base64 of the gzip, whose bytes are the same for the same text."""
    etag: str


@dataclass(frozen=True, slots=True)
class StaticFiles:
    files: Mapping[str, StaticFile]
    """By their path in the folder, such as `lang/en.js`."""

    @classmethod
    def of(cls, folder: Path) -> "StaticFiles":
        return cls(
            {
                str(path.relative_to(folder)): _static_file(path)
                for path in sorted(folder.rglob("*"))
                if path.suffix in CONTENT_TYPES and path.is_file()
            }
        )

    def answer(self, name: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
        """The answer to a GET with these headers, names in lower case; None where there is no such file."""
        file = self.files.get(name)
        if file is None:
            return None
        answered = {"Content-Type": file.content_type, "Cache-Control": "no-cache", "ETag": file.etag}
        answered["Vary"] = "Accept-Encoding"
        if file.etag in {tag.strip() for tag in headers.get("if-none-match", "").split(",")}:
            return {"statusCode": 304, "headers": answered, "body": "", "isBase64Encoded": False}
        # What is base64 is decoded for a request that accepts some type; all of ours are binary to API Gateway.
        if takes_gzip(headers.get("accept-encoding", "")) and headers.get("accept"):
            answered["Content-Encoding"] = "gzip"
            return {"statusCode": 200, "headers": answered, "body": file.zipped, "isBase64Encoded": True}
        return {"statusCode": 200, "headers": answered, "body": file.text, "isBase64Encoded": False}


def takes_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header names gzip and does not refuse it (RFC 9110, section 12.5.3)."""
    for coding in accept_encoding.lower().split(","):
        name, _, weight = coding.replace(" ", "").partition(";q=")
        if name == "gzip":
            return weight.strip("0.") != "" if weight else True
    return False


def _static_file(path: Path) -> StaticFile:
    content = path.read_bytes()
    return StaticFile(
        CONTENT_TYPES[path.suffix],
        content.decode(),
        base64.b64encode(gzip.compress(content, mtime=0)).decode(),
        f'W/"{hashlib.sha256(content).hexdigest()[:32]}"',  # weak: it names the file, zipped or not
    )

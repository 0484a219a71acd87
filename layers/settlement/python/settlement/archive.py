"""StatementBucket: the statements as they were published. The only module that knows its keys and metadata.

    {kind}/{app_id}/{day}/0001.csv.gz    the first revision of a day's statement; 0002 where a later look found other
                                         lines. None is ever written again: a write stands under the condition that
                                         nothing has the key
    {kind}/{app_id}/{day}/verified       a second look, a day later, found just what the newest revision says
    metadata                             sha256 of the file and of the CSV in it, count of settlements, their total,
                                         the day's first moment and its end, when it was made

Every key starts with the authenticated app's id: no argument can name another app's file.
"""

import base64
import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from botocore.exceptions import ClientError

from settlement.statements import Contents, Day, Kind

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LINK_SECONDS: Final = 300
"""How long a link to a statement is good; it ends earlier where the credentials of the function that signed it do."""
_FILE = ".csv.gz"
_VERIFIED = "verified"
_LEVEL = 6
"""Of gzip: a later one would make other bytes of the same statement."""
_TAKEN: Final = {"PreconditionFailed", "ConditionalRequestConflict"}


@dataclass(frozen=True, slots=True)
class Published:
    """One revision of a day's statement, as it lies in the bucket."""

    key: str
    revision: int
    sha256: str
    """Of the file as it is downloaded, hex."""
    csv_sha256: str
    """Of the CSV in it: the same whatever gzip made of it."""
    size_bytes: int
    count: int
    """Settlements."""
    total: str
    """As the statement's last line has it: settled points of a club, score of games."""
    start_ms: int
    end_ms: int
    """Exclusive."""
    made_at_ms: int


@dataclass(frozen=True, slots=True)
class Packed:
    """What was written into a file."""

    sha256: bytes
    csv_sha256: str
    size_bytes: int


@dataclass(slots=True)
class Shelf:
    """What there is of one day."""

    revisions: list[int] = field(default_factory=list)
    """Rising."""
    verified: bool = False


def pack(chunks: Iterable[bytes], file: BinaryIO) -> Packed:
    """Writes gzip: the same bytes for the same chunks, for there is no name and no time in it."""
    plain, packed = hashlib.sha256(), _Hashed(file)
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=cast("Any", packed), mtime=0) as zipped:
        for chunk in chunks:
            plain.update(chunk)
            zipped.write(chunk)
    return Packed(packed.digest.digest(), plain.hexdigest(), packed.size_bytes)


class _Hashed:
    """A file that is written through a hash."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size_bytes += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


class Archive:
    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def newest(self, kind: Kind, app_id: str, day: date) -> Published | None:
        """The revision that is in force."""
        shelf = self.shelves(kind, app_id, day, day).get(day)
        return self.find(kind, app_id, day, shelf.revisions[-1]) if shelf and shelf.revisions else None

    def find(self, kind: Kind, app_id: str, day: date, revision: int) -> Published | None:
        key = _key(kind, app_id, day, f"{revision:04}{_FILE}")
        try:
            head = self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return None
            raise
        facts = head["Metadata"]
        return Published(
            key=key,
            revision=revision,
            sha256=facts["sha256"],
            csv_sha256=facts["csv-sha256"],
            size_bytes=head["ContentLength"],
            count=int(facts["count"]),
            total=facts["total"],
            start_ms=int(facts["start-ms"]),
            end_ms=int(facts["end-ms"]),
            made_at_ms=int(facts["made-at-ms"]),
        )

    def shelves(self, kind: Kind, app_id: str, first: date, last: date) -> dict[date, Shelf]:
        """What there is of the days from `first` to `last`, both inclusive; days without anything are left out."""
        prefix = f"{kind}/{app_id}/"
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket,
            Prefix=prefix if first != last else _key(kind, app_id, first, ""),
            StartAfter=f"{prefix}{first}",
        )
        found: dict[date, Shelf] = {}
        for page in pages:
            for entry in page.get("Contents", []):
                day_text, name = entry["Key"].removeprefix(prefix).split("/")
                day = date.fromisoformat(day_text)
                if day > last:
                    return found
                shelf = found.setdefault(day, Shelf())
                if name == _VERIFIED:
                    shelf.verified = True
                else:
                    shelf.revisions.append(int(name.removesuffix(_FILE)))
        return found

    def publish(
        self,
        kind: Kind,
        app_id: str,
        day: Day,
        revision: int,
        file: BinaryIO,
        packed: Packed,
        contents: Contents,
        now_ms: int,
    ) -> Published | None:
        """Stores a packed statement as that revision; None where somebody else has stored that revision."""
        key = _key(kind, app_id, day.date, f"{revision:04}{_FILE}")
        file.seek(0)
        published = Published(
            key=key,
            revision=revision,
            sha256=packed.sha256.hex(),
            csv_sha256=packed.csv_sha256,
            size_bytes=packed.size_bytes,
            count=contents.total.count,
            total=contents.total_text(kind),
            start_ms=day.start_ms,
            end_ms=day.end_ms,
            made_at_ms=now_ms,
        )
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=file,
                ContentLength=packed.size_bytes,
                ContentType="application/gzip",
                ContentDisposition=f'attachment; filename="{file_name(kind, app_id, day.date, revision)}"',
                # S3 compares what arrives with our hash.
                ChecksumSHA256=base64.b64encode(packed.sha256).decode(),
                IfNoneMatch="*",  # the revision is free
                Metadata={
                    "sha256": published.sha256,
                    "csv-sha256": published.csv_sha256,
                    "count": str(published.count),
                    "total": published.total,
                    "start-ms": str(published.start_ms),
                    "end-ms": str(published.end_ms),
                    "made-at-ms": str(published.made_at_ms),
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _TAKEN:
                return None
            raise
        return published

    def mark_verified(self, kind: Kind, app_id: str, day: date) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=_key(kind, app_id, day, _VERIFIED), Body=b"")

    def link(self, published: Published) -> str:
        """A URL that needs no other proof, for LINK_SECONDS."""
        return self._s3.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": published.key}, ExpiresIn=LINK_SECONDS
        )

    def download(self, published: Published, file: BinaryIO) -> None:
        """Writes the file as it was published. Raises Damaged where it is not that any more."""
        digest = hashlib.sha256()
        for chunk in self._s3.get_object(Bucket=self._bucket, Key=published.key)["Body"].iter_chunks():
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != published.sha256:
            raise Damaged(f"{published.key} has SHA-256 {digest.hexdigest()}, was published with {published.sha256}")


class Damaged(Exception):
    """A file is not what was published."""


def file_name(kind: Kind, app_id: str, day: date, revision: int) -> str:
    """What a statement is called where it is downloaded to."""
    return f"{app_id}-{kind}-{day}-r{revision}{_FILE}"


def _key(kind: Kind, app_id: str, day: date, name: str) -> str:
    return f"{kind}/{app_id}/{day}/{name}"

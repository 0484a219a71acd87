"""What a statement of many lines costs: processor time and memory of making it, and of reconciling with it.

python -m bench.statements            1,000, 100,000 and 300,000 lines, each in a process of its own
python -m bench.statements 100000     one of them, in this process

DynamoDB's answers are made here and read by botocore as off the wire, so that parsing is paid for; making them is
measured by itself and taken off. S3 is on paper. A statement must not need more memory for more lines.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from tests.paper_s3 import PaperS3

from settlectl.reconciliation import Outcome, TheirLine
from settlement import clients
from settlement.archive import Archive
from settlement.bookkeeper import Bookkeeper
from settlement.ledger import Ledger
from settlement.statements import READY_AFTER_MS, Day
from settlement.store import DAY_SHARDS, Store
from settlement.totals import Totals

COUNTS = (1_000, 100_000, 300_000)
DAY = Day.of(1_795_305_600_000, 480)
HOUR_MS = 3_600_000


class Body:
    """An answer's, as urllib3 hands it over."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content


class Wire:
    """Answers queries of the index by day: the settlements of one day, a third of them before midnight UTC."""

    def __init__(self, count: int) -> None:
        self.making_seconds = 0.0
        self._count = count

    def answer(self, request: Any, **_: Any) -> AWSResponse:
        started = time.process_time()
        query = json.loads(request.body)
        app_day = query["ExpressionAttributeValues"][":day"]["S"]
        _, utc_day, shard = app_day.split("#")
        early = self._count // 3
        start_ms, count = (DAY.start_ms, early)
        if utc_day != str(Day.of(DAY.start_ms, 0)):
            start_ms, count = DAY.start_ms + 8 * HOUR_MS, self._count - early
        ours = count // DAY_SHARDS + (int(shard) < count % DAY_SHARDS)
        after = query.get("ExclusiveStartKey")
        first = int(after["billno"]["S"].rsplit("-", 1)[1]) + 1 if after else 0
        last = min(ours, first + query["Limit"])
        items = [
            {
                "billno": {"S": f"club#app#bill-{utc_day}-{shard}-{number:07}"},
                "openid": {"S": f"user-{number % 5000}"},
                "amt": {"N": "1333"},
                "settle_hundredths": {"N": "33325"},
                "amt_ratio": {"N": "25"},
                "account": {"M": {"type": {"N": "2"}, "id": {"S": "club-9"}, "gid": {"N": "9"}}},
                "detail": {"S": "周末活动 1/2"},
                "source": {"N": str(number % 8)},
                "jf_gid": {"N": "7"},
                "app_day": {"S": app_day},
                "settle_time": {"N": str(start_ms + number * 8 * HOUR_MS // ours)},
            }
            for number in range(first, last)
        ]
        answer: dict[str, Any] = {"Items": items, "Count": len(items)}
        if last < ours:
            answer["LastEvaluatedKey"] = {name: items[-1][name] for name in ("billno", "app_day", "settle_time")}
        content = json.dumps(answer).encode()
        self.making_seconds += time.process_time() - started
        headers = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})
        return AWSResponse(request.url, 200, headers, cast("Any", Body(content)))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(count: int) -> None:
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}
    dynamodb, wire = clients.dynamodb(), Wire(count)
    events: Any = dynamodb.meta.events
    events.register("before-send.dynamodb.Query", wire.answer)
    store = Store(dynamodb, "s", Totals(dynamodb, "t", 1), Ledger(dynamodb, "n"))
    archive = Archive(cast("Any", PaperS3()), "statements")
    keeper = Bookkeeper(store, archive, DAY.utc_offset_minutes, lambda: DAY.end_ms + READY_AFTER_MS)
    before_mb, started = peak_mb(), time.process_time()
    published = keeper.make("app", "club", DAY).published
    seconds = time.process_time() - started - wire.making_seconds
    sys.stdout.write(
        f"{published.count:>9,} lines: {seconds:6.1f} s of CPU, {published.size_bytes / 1e6:.2f} MB packed, "
        f"peak memory {before_mb:.0f} -> {peak_mb():.0f} MB"
    )
    ours = {f"bill-{number}": Decimal(number) / 100 for number in range(count)}
    started = time.process_time()
    lines = (TheirLine(number, key, amount) for number, (key, amount) in enumerate(ours.items()))
    found = sum(1 for _ in Outcome().differences(ours, lines))
    sys.stdout.write(f"; compared in {time.process_time() - started:.1f} s, {found} differences\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
    else:
        for each in COUNTS:
            subprocess.run([sys.executable, "-m", "bench.statements", str(each)], check=True)

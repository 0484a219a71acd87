"""The one clock: Unix time in milliseconds, as settle_time and the ledger keep it."""

import time


def now_ms() -> int:
    return time.time_ns() // 1_000_000

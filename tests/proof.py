"""How much is tried: a part of it each time, all of it with PROVE=1 (`make prove`)."""

import os


def few_or_many[T](few: T, many: T) -> T:
    return many if os.environ.get("PROVE") == "1" else few

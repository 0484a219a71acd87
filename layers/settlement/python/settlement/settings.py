"""What the deployment told the functions. template.yaml sets exactly these variables."""

from collections.abc import Mapping
from typing import NamedTuple

MAX_UTC_OFFSET_MINUTES = 14 * 60
"""No clock on earth is farther from UTC."""


class MissingSetting(Exception):
    """A variable that the template should have set is not there, or is not of its kind. Stops the cold start."""


class Settings(NamedTuple):
    settlement_table: str
    totals_table: str
    notification_table: str
    app_table: str
    notification_queue_url: str
    dead_letter_queue_url: str
    master_secret_id: str
    page_size: int
    totals_shards: int
    public_base_url: str
    """Empty: derived from each request."""
    allow_local_receivers: bool
    statement_bucket: str
    statement_utc_offset_minutes: int
    """Where a statement's day begins: 480 is UTC+8."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises MissingSetting naming the variable."""

        def text(name: str) -> str:
            try:
                return environment[name]
            except KeyError as error:
                raise MissingSetting(f"environment variable {name} is not set") from error

        def name_of(name: str) -> str:
            value = text(name)
            if not value:
                raise MissingSetting(f"environment variable {name} is empty")
            return value

        def count(name: str) -> int:
            value = text(name)
            if not (value.isascii() and value.isdecimal() and int(value) > 0):
                raise MissingSetting(f"environment variable {name} must be a positive integer")
            return int(value)

        def flag(name: str) -> bool:
            value = text(name)
            if value not in ("true", "false"):
                raise MissingSetting(f"environment variable {name} must be true or false")
            return value == "true"

        return cls(
            settlement_table=name_of("SETTLEMENT_TABLE"),
            totals_table=name_of("TOTALS_TABLE"),
            notification_table=name_of("NOTIFICATION_TABLE"),
            app_table=name_of("APP_TABLE"),
            notification_queue_url=name_of("NOTIFICATION_QUEUE_URL"),
            dead_letter_queue_url=name_of("DEAD_LETTER_QUEUE_URL"),
            master_secret_id=name_of("MASTER_SECRET_ID"),
            page_size=count("PAGE_SIZE"),
            totals_shards=count("TOTALS_SHARDS"),
            public_base_url=text("PUBLIC_BASE_URL"),
            allow_local_receivers=flag("ALLOW_LOCAL_RECEIVERS"),
            statement_bucket=name_of("STATEMENT_BUCKET"),
            statement_utc_offset_minutes=_utc_offset_minutes(text("STATEMENT_UTC_OFFSET_MINUTES")),
        )


def _utc_offset_minutes(value: str) -> int:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and int(digits) <= MAX_UTC_OFFSET_MINUTES):
        raise MissingSetting(
            "environment variable STATEMENT_UTC_OFFSET_MINUTES must be minutes from UTC, such as 480 or -300"
        )
    return int(value)

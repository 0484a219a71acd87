"""What tools need to know of a local stack; as JSON it is .local/stack.json."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from settlectl.deployment import Deployment, local_session


@dataclass(frozen=True, slots=True)
class Stack:
    base_url: str
    """What every path of the two APIs is appended to."""
    endpoint_url: str
    """What every AWS client is pointed at, with the key and secret test / test."""
    region: str
    stack_name: str
    api_id: str
    tables: dict[str, str]
    """Logical names of template.yaml, such as SettlementTable, to the names that were given."""
    queue_url: str
    dead_letter_queue_url: str
    master_secret_id: str
    statement_bucket: str
    statement_utc_offset_minutes: int
    log_group: str
    """Where all functions log."""
    pid: int
    """The process that keeps the stack; SIGTERM ends both."""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def deployment(self) -> Deployment:
        """The same as settlectl's commands take it."""
        return Deployment(
            name="the local stack",
            stack_name=self.stack_name,
            base_url=self.base_url,
            tables=self.tables,
            queue_url=self.queue_url,
            master_secret_id=self.master_secret_id,
            allows_local_receivers=True,
            session=local_session(self.region),
            endpoint_url=self.endpoint_url,
            statement_bucket=self.statement_bucket,
            statement_utc_offset_minutes=self.statement_utc_offset_minutes,
        )

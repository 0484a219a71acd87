"""What every function is made of, whoever calls it: its settings, its apps and keys, its log, its metrics."""

import os
import random
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from settlement import clients, collector
from settlement.apps import AppRegistry
from settlement.keyring import Keyring
from settlement.settings import Settings

try:
    from snapshot_restore_py import register_after_restore
except ImportError:  # Lambda's runtime has it; elsewhere nothing is restored

    def register_after_restore(_: Callable[[], object]) -> None:
        return


type Event = Mapping[str, Any]


class Door:
    """One function's way in. Made once per process."""

    def __init__(self, name: str) -> None:
        """Raises MissingSetting: a function that is not configured does not start."""
        self.name = name
        self.settings = Settings.read(os.environ)
        self.apps = AppRegistry(clients.dynamodb(), self.settings.app_table)
        self.keyring = Keyring(clients.secrets_manager, self.settings.master_secret_id)
        self.log = Logger()
        self.metrics = Metrics()
        # SnapStart: starting reads no secret, opens no connection and looks at no clock, so that nothing of the kind is
        # in the image. Chance is: without a seed of their own all copies would pick the same shards and pauses.
        register_after_restore(random.seed)

    def open(self) -> None:
        """The start is over: whatever makes a handler of the door calls this last."""
        collector.resume()

    def count(self, metric: str, number: int = 1) -> None:
        self.metrics.add_metric(metric, MetricUnit.Count, number)

    def flush(self) -> None:
        """Writes the invocation's metrics, if it has any."""
        if self.metrics.metric_set:
            self.metrics.flush_metrics()


def background(door: Door) -> Callable[[Callable[[Event], Any]], Callable[[Event, Any], Any]]:
    """A function that no caller waits for: what it raises is logged, counted and raised, so that AWS tries again."""

    def decorate(work: Callable[[Event], Any]) -> Callable[[Event, Any], Any]:
        def handler(event: Event, _: Any) -> Any:
            try:
                return work(event)
            except Exception:
                door.log.exception("fault", extra={"door": door.name})
                door.count("Faults")
                raise
            finally:
                door.flush()

        door.open()
        return handler

    return decorate

"""How a deployment is: what its alarms watch, judged by the alarms' own thresholds.

The alarms are asked for at CloudWatch, so that there is one place for thresholds: template.yaml. What tables and queues
can tell this moment is measured there, in the place of a metric that is minutes old.

    critical   the alarm is raised, or what was measured is beyond its threshold
    warn       beyond it, but not for as long as the alarm waits; or more than half-way to it
    unknown    nobody here can say: there is no value yet, or the emulator makes no such metric
    ok         the rest

Source: DESIGN section 7; docs/operations.md says what to do.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from settlectl.deployment import Deployment
from settlectl.moments import moment_text
from settlement.apps import App
from settlement.breaker import Breaker
from settlement.ledger import Outstanding

type State = Literal["ok", "unknown", "warn", "critical"]
type Unit = Literal["count", "seconds", "milliseconds"]

STATES: Final[tuple[State, ...]] = ("unknown", "ok", "warn", "critical")
"""The worst last."""

ALARMS: Final[dict[str, tuple[str, Unit]]] = {
    "ServerErrorAlarm": ("answers 5xx in a minute", "count"),
    "LatencyAlarm": ("API latency, p99", "milliseconds"),
    "ApiThrottleAlarm": ("answers 429 in a minute", "count"),
    "FunctionThrottleAlarm": ("Lambda throttles in a minute", "count"),
    "SettlementTableThrottleAlarm": ("throttled writes, SettlementTable", "count"),
    "TotalsTableThrottleAlarm": ("throttled writes, TotalsTable", "count"),
    "NotificationTableThrottleAlarm": ("throttled writes, NotificationTable", "count"),
    "FaultAlarm": ("faults of ours in 5 minutes", "count"),
    "DeadLetterAlarm": ("dead-letter queue", "count"),
    "DeadNotificationAlarm": ("given up in 5 minutes", "count"),
    "HeldAlarm": ("held notifications", "count"),
    "OldestUndeliveredAlarm": ("oldest undelivered", "seconds"),
    "OldestDueAlarm": ("longest overdue", "seconds"),
    "StreamAgeAlarm": ("stream iterator age", "milliseconds"),
    "DeliveryErrorAlarm": ("deliver_notification crashes", "count"),
    "StatementAlarm": ("statements missing", "count"),
    "StatementRevisedAlarm": ("statements revised", "count"),
}
"""The template's alarms by their logical names, in the order in which they are shown."""

SWEEP_ALARM: Final = "OldestDueAlarm"
"""Its metric is written by each sweep, and it is raised where that is silent."""
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_LOOK_BACK: Final = timedelta(hours=4)
_LOG_LOOK_BACK: Final = timedelta(minutes=20)
_AT_ONCE: Final = 8
_SWEPT: Final = '"message":"swept"'
"""In the line that each sweep logs."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One as CloudWatch has it."""

    name: str
    """The template's logical name."""
    raised: bool
    known: bool
    """False: CloudWatch has seen no data yet."""
    since_ms: int
    """When it came into its state."""
    threshold: float
    comparison: str
    period_seconds: int
    periods: int
    metric: Mapping[str, Any]
    """As GetMetricData takes it: Namespace, MetricName, Dimensions."""
    statistic: str

    def breached_by(self, value: float) -> bool:
        return _COMPARISONS[self.comparison](value, self.threshold)

    @property
    def patience_seconds(self) -> int:
        """How long a value is beyond the threshold before it is raised."""
        return self.period_seconds * self.periods


@dataclass(frozen=True, slots=True)
class Latest:
    """A metric's newest value, of the period that began then."""

    value: float
    at_ms: int


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    title: str
    state: State
    value: float | None
    unit: Unit
    threshold: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class AppHealth:
    """Of one app of which something is held or dead, or whose receiver is down."""

    app_id: str
    app: App | None
    """None: it is gone."""
    breaker: Breaker
    held: int
    dead: int


@dataclass(frozen=True, slots=True)
class Health:
    asked_at_ms: int
    checks: tuple[Check, ...]
    apps: tuple[AppHealth, ...]
    complete: bool
    """False: so much is undelivered that it was not counted to its end; there is at least so much."""

    @property
    def state(self) -> State:
        return max((check.state for check in self.checks), key=STATES.index, default="unknown")


def health_of(deployment: Deployment, now_ms: int, may_go_on: Callable[[], bool]) -> Health:
    """Asks tables, queues and CloudWatch. Counts what is undelivered until `may_go_on` is False.

    Raises botocore's errors.
    """
    resources = dict(_resources(deployment))
    outstanding = deployment.ledger.outstanding(may_go_on)
    apps = tuple(_apps(deployment, outstanding, now_ms))
    alarms = _alarms(deployment, resources)
    latest = _latest(deployment, alarms, now_ms)
    dead_letters = _depth(deployment, resources["DeadLetterQueue"])
    measured: dict[str, float] = {
        "DeadLetterAlarm": dead_letters,
        "HeldAlarm": sum(outstanding.held.values()),
        "OldestUndeliveredAlarm": _age_seconds(outstanding.oldest_notify_time_ms, now_ms),
        "OldestDueAlarm": _age_seconds(outstanding.longest_planned_ms, now_ms),
    }
    checks = [
        judged(alarm, measured.get(alarm.name), latest.get(alarm.name), now_ms)
        for alarm in sorted(alarms, key=lambda alarm: _place(alarm.name))
    ]
    swept_at_ms = (
        latest[SWEEP_ALARM].at_ms if SWEEP_ALARM in latest else _last_sweep_logged(deployment, resources, now_ms)
    )
    patience_seconds = next((alarm.patience_seconds for alarm in alarms if alarm.name == SWEEP_ALARM), None)
    checks += [
        sweep_check(swept_at_ms, patience_seconds, now_ms),
        Check("Waiting", "waiting for an attempt", "ok", outstanding.waiting, "count"),
        Check("Queue", "messages in the queue", "ok", _depth(deployment, resources["NotificationQueue"]), "count"),
        *_app_checks(apps, now_ms),
    ]
    return Health(now_ms, tuple(checks), apps, outstanding.complete)


# --------------------------------------------------------------------------------------------------- the judgement


def judged(alarm: Alarm, measured: float | None, latest: Latest | None, now_ms: int) -> Check:
    """`measured` is of this moment; else the metric's newest value counts, where it is of the alarm's own time."""
    title, unit = ALARMS.get(alarm.name, (alarm.name, "count"))
    value = measured
    if (
        value is None
        and latest is not None
        and now_ms - latest.at_ms <= 1000 * (alarm.patience_seconds + alarm.period_seconds)
    ):
        value = latest.value
    state: State = "ok"
    why = ""
    if alarm.raised:
        state, why = "critical", f"raised since {moment_text(alarm.since_ms)}"
    elif value is None:
        if not alarm.known:
            state, why = "unknown", "not known here"
    elif alarm.breached_by(value):
        if measured is not None:
            state = "critical"
        else:
            state, why = "warn", f"raised if it stays so for {alarm.patience_seconds} s"
    elif 2 * value > alarm.threshold:
        state, why = "warn", "more than half-way"
    return Check(alarm.name, title, state, value, unit, alarm.threshold, why)


def sweep_check(swept_at_ms: int | None, patience_seconds: int | None, now_ms: int) -> Check:
    """The sweep runs every minute, and is critical where its alarm would be raised by silence."""
    if swept_at_ms is None or patience_seconds is None:
        return Check("LastSweep", "last sweep", "unknown", None, "seconds", patience_seconds, "not known here")
    age_seconds = max(0, now_ms - swept_at_ms) / 1000
    state: State = (
        "critical" if age_seconds > patience_seconds else "warn" if 2 * age_seconds > patience_seconds else "ok"
    )
    return Check("LastSweep", "last sweep ago", state, age_seconds, "seconds", patience_seconds)


def _app_checks(apps: tuple[AppHealth, ...], now_ms: int) -> Iterator[Check]:
    down = sum(app.breaker.is_open(now_ms) for app in apps)
    yield Check("ReceiversDown", "receivers down", "warn" if down else "ok", down, "count")
    dead = sum(app.dead for app in apps)
    yield Check("Dead", "dead notifications", "warn" if dead else "ok", dead, "count")


def _age_seconds(since_ms: int | None, now_ms: int) -> float:
    return 0.0 if since_ms is None else max(0, now_ms - since_ms) / 1000


def _place(name: str) -> int:
    return list(ALARMS).index(name) if name in ALARMS else len(ALARMS)


# ----------------------------------------------------------------------------------------------------- what is asked


def _resources(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Logical names to the names that were given."""
    pages = deployment.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=deployment.stack_name):
        for resource in page["StackResourceSummaries"]:
            if "PhysicalResourceId" in resource:
                yield resource["LogicalResourceId"], resource["PhysicalResourceId"]


def _alarms(deployment: Deployment, resources: Mapping[str, str]) -> list[Alarm]:
    logical_names = {given: logical for logical, given in resources.items() if logical.endswith("Alarm")}
    found = deployment.client("cloudwatch").describe_alarms(AlarmNames=list(logical_names), MaxRecords=100)
    return [
        Alarm(
            name=logical_names[alarm["AlarmName"]],
            raised=alarm["StateValue"] == "ALARM",
            known=alarm["StateValue"] != "INSUFFICIENT_DATA",
            since_ms=int(alarm["StateUpdatedTimestamp"].timestamp() * 1000),
            threshold=alarm["Threshold"],
            comparison=alarm["ComparisonOperator"],
            period_seconds=alarm["Period"],
            periods=alarm["EvaluationPeriods"],
            metric={name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions")},
            statistic=alarm.get("ExtendedStatistic") or alarm["Statistic"],
        )
        for alarm in found["MetricAlarms"]
    ]


def _latest(deployment: Deployment, alarms: list[Alarm], now_ms: int) -> dict[str, Latest]:
    """The newest value of each alarm's metric that has one; one call for all."""
    if not alarms:
        return {}
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    answer = deployment.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {
                "Id": f"m{number}",
                "MetricStat": {"Metric": dict(alarm.metric), "Period": alarm.period_seconds, "Stat": alarm.statistic},
            }
            for number, alarm in enumerate(alarms)
        ],
        StartTime=now - _LOOK_BACK,
        EndTime=now,
        ScanBy="TimestampDescending",
    )
    results = {result["Id"]: result for result in answer["MetricDataResults"]}
    found = {}
    for number, alarm in enumerate(alarms):
        result = results.get(f"m{number}", {})
        points = list(zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True))
        if points:
            at, value = max(points)
            found[alarm.name] = Latest(value, int(at.timestamp() * 1000))
    return found


def _last_sweep_logged(deployment: Deployment, resources: Mapping[str, str], now_ms: int) -> int | None:
    """Where the metric has no value, as where nobody makes metrics of logs, the log itself says when it swept."""
    pages = (
        deployment.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=resources["FunctionLogs"],
            startTime=now_ms - int(_LOG_LOOK_BACK.total_seconds() * 1000),
            filterPattern="swept",
        )
    )
    events = (event for page in pages for event in page["events"])
    return max((event["timestamp"] for event in events if _SWEPT in event["message"]), default=None)


def _depth(deployment: Deployment, queue_url: str) -> int:
    """Messages that wait, now or until their delay is over, or are being worked on."""
    names = (
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
    )
    attributes = deployment.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=list(names))
    return sum(int(attributes["Attributes"][name]) for name in names)


def _apps(deployment: Deployment, outstanding: Outstanding, now_ms: int) -> Iterator[AppHealth]:
    """Those that there is something to say of, by their ids."""
    known = {app.app_id: app for app in deployment.apps.all()}
    app_ids = sorted({*known, *outstanding.held})
    ledger = deployment.ledger
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="status") as pool:
        breakers = list(pool.map(ledger.breaker, app_ids))
        dead = list(pool.map(ledger.count_dead, app_ids))
    for app_id, breaker, count in zip(app_ids, breakers, dead, strict=True):
        held = outstanding.held.get(app_id, 0)
        if held or count or breaker.is_open(now_ms):
            yield AppHealth(app_id, known.get(app_id), breaker, held, count)

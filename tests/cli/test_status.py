"""`settlectl status`: what the template's alarms watch, judged by their thresholds. AWS's control planes are played."""

from collections.abc import Iterator, Mapping
from copy import replace
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from settlectl import status
from settlectl.deployment import Deployment
from settlectl.health import ALARMS, Alarm, Latest, State, judged, sweep_check
from settlectl.status import duration_text, quantity
from settlement.breaker import Breaker
from settlement.ledger import Notification
from settlepoint_local.in_process import World
from settlepoint_local.template import template

from .conftest import Run
from .ledgers import HOUR_MS, MINUTE_MS, NOW_MS, dead, delivered, notify_id, retrying

DEFINED: dict[str, dict[str, Any]] = {
    name: resource["Properties"]
    for name, resource in template()["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}


@dataclass
class Aws:
    """CloudFormation, CloudWatch and the logs, as far as `status` asks them; the queues are moto's."""

    states: dict[str, str] = field(default_factory=dict)
    """Alarms that are not OK, by logical name."""
    values: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """A metric's values by when their period began (ms)."""
    swept_at_ms: list[int] = field(default_factory=list)
    """What the log says."""
    lost: int = 0
    """Looks that find nobody there."""

    def client(self, service: str) -> Any:
        if self.lost:
            self.lost -= 1
            raise EndpointConnectionError(endpoint_url="https://cloudformation.example")
        return boto3.client("sqs") if service == "sqs" else self

    def get_paginator(self, name: str) -> "Aws":
        assert name in {"list_stack_resources", "filter_log_events"}
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        if "logGroupName" in request:
            assert request["logGroupName"] == "logs"
            assert request["filterPattern"] == "swept"
            line = '{"level":"INFO","message":"swept","sent":0}'
            found = [
                {"timestamp": at_ms, "message": line} for at_ms in self.swept_at_ms if at_ms >= request["startTime"]
            ]
            found.append({"timestamp": NOW_MS, "message": "REPORT of something else that was swept"})
            yield {"events": found[:1]}
            yield {"events": found[1:]}
            return
        assert request == {"StackName": "test"}
        sqs = boto3.client("sqs")
        queues = {
            name: sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in ("NotificationQueue", "DeadLetterQueue")
        }
        named = {**queues, "FunctionLogs": "logs", **{name: f"test-{name}-X1" for name in DEFINED}}
        summaries = [{"LogicalResourceId": name, "PhysicalResourceId": given} for name, given in named.items()]
        yield {"StackResourceSummaries": summaries[:7]}
        yield {"StackResourceSummaries": [*summaries[7:], {"LogicalResourceId": "TurnedOffAlarm"}]}

    def describe_alarms(self, AlarmNames: list[str], MaxRecords: int) -> dict[str, Any]:  # noqa: N803
        assert MaxRecords >= len(AlarmNames)
        return {"MetricAlarms": [self._alarm(name.split("-")[1]) for name in AlarmNames]}

    def _alarm(self, name: str) -> dict[str, Any]:
        return {
            **DEFINED[name],
            "AlarmName": f"test-{name}-X1",
            "Dimensions": DEFINED[name].get("Dimensions", []),
            "Threshold": float(DEFINED[name]["Threshold"]),
            "StateValue": self.states.get(name, "OK"),
            "StateUpdatedTimestamp": datetime.fromtimestamp(NOW_MS / 1000 - 60, UTC),
        }

    def get_metric_data(self, MetricDataQueries: list[Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"MetricDataResults": [self._result(query) for query in MetricDataQueries]}

    def _result(self, query: Mapping[str, Any]) -> dict[str, Any]:
        points = self.values.get(query["MetricStat"]["Metric"]["MetricName"], [])
        times = [datetime.fromtimestamp(at_ms / 1000, UTC) for at_ms, _ in points]
        return {"Id": query["Id"], "Timestamps": times, "Values": [value for _, value in points]}


@pytest.fixture
def aws_says(monkeypatch: pytest.MonkeyPatch) -> Aws:
    played = Aws(values={"OldestOverdueSeconds": [(NOW_MS - MINUTE_MS, 0.0)]})
    monkeypatch.setattr(Deployment, "client", lambda _, service: played.client(service))
    return played


def checks(found: Any) -> dict[str, Any]:
    return {check["name"]: (check["state"], check["value"]) for check in found["checks"]}


# ------------------------------------------------------------------------------------------------------- thresholds


def test_every_alarm_of_the_template_has_its_line_and_no_other() -> None:
    assert ALARMS.keys() == DEFINED.keys()


def test_thresholds_are_those_of_the_deployed_alarms(world: World, run: Run, aws_says: Aws) -> None:  # noqa: ARG001
    limits = {check["name"]: check["threshold"] for check in run("status", "--json").json["checks"]}
    assert {name: limits[name] for name in DEFINED} == {name: each["Threshold"] for name, each in DEFINED.items()}
    assert limits["LastSweep"] == DEFINED["OldestDueAlarm"]["Period"] * DEFINED["OldestDueAlarm"]["EvaluationPeriods"]
    assert limits["Queue"] is None


ALARM = Alarm("HeldAlarm", False, True, NOW_MS, 1000.0, "GreaterThanThreshold", 60, 5, {}, "Maximum")
AT_LEAST = replace(ALARM, threshold=5.0, comparison="GreaterThanOrEqualToThreshold")
LESS = replace(ALARM, threshold=5.0, comparison="LessThanThreshold")
RAISED = replace(ALARM, raised=True)
NEW = replace(ALARM, known=False)


@pytest.mark.parametrize(
    ("alarm", "measured", "latest", "state", "value"),
    [
        (ALARM, 0, None, "ok", 0),
        (ALARM, 500, None, "ok", 500),
        (ALARM, 501, None, "warn", 501),
        (ALARM, 1000, None, "warn", 1000),
        (ALARM, 1001, None, "critical", 1001),
        (AT_LEAST, 2, None, "ok", 2),
        (AT_LEAST, 3, None, "warn", 3),
        (AT_LEAST, 5, None, "critical", 5),
        (LESS, 4, None, "critical", 4),
        (RAISED, 0, None, "critical", 0),
        (RAISED, None, None, "critical", None),
        (ALARM, None, None, "ok", None),  # no value and no alarm: nothing happened
        (NEW, None, None, "unknown", None),
        (NEW, 0, None, "ok", 0),
        (ALARM, None, (0, 1001.0), "warn", 1001.0),  # CloudWatch waits for more of them
        (ALARM, None, (0, 10.0), "ok", 10.0),
        (ALARM, 3, (0, 1001.0), "ok", 3),  # what was measured is newer
        (ALARM, None, (6 * 60, 1001.0), "warn", 1001.0),
        (ALARM, None, (6 * 60 + 1, 1001.0), "ok", None),  # old news
    ],
)
def test_a_check_is_judged_by_its_alarm(
    alarm: Alarm, measured: float | None, latest: tuple[int, float] | None, state: State, value: float | None
) -> None:
    newest = None if latest is None else Latest(latest[1], NOW_MS - latest[0] * 1000)
    check = judged(alarm, measured, newest, NOW_MS)
    assert (check.state, check.value, check.threshold) == (state, value, alarm.threshold)
    assert bool(check.why) == (state != "ok" and (state != "critical" or alarm.raised))


@pytest.mark.parametrize(
    ("ago_seconds", "state"), [(0, "ok"), (-5, "ok"), (150, "ok"), (151, "warn"), (300, "warn"), (301, "critical")]
)
def test_the_sweep_is_late_when_its_alarm_would_be_raised_by_its_silence(ago_seconds: int, state: State) -> None:
    check = sweep_check(NOW_MS - ago_seconds * 1000, 300, NOW_MS)
    assert (check.state, check.value) == (state, max(0, ago_seconds))


def test_a_sweep_that_nobody_knows_of_is_not_taken_for_a_late_one() -> None:
    assert sweep_check(None, 300, NOW_MS).state == "unknown"


# ----------------------------------------------------------------------------------------------------- what it finds


def test_all_is_well(world: World, run: Run, aws_says: Aws, deployment: Deployment) -> None:  # noqa: ARG001
    delivered(deployment.ledger, 1)
    before = world.digest()
    ran = run("status", "--json")
    assert (ran.exit_status, ran.stderr) == (0, "")
    assert (ran.json["state"], ran.json["apps"], ran.json["asked_at_ms"]) == ("ok", [], NOW_MS)
    assert {state for state, _ in checks(ran.json).values()} == {"ok"}
    assert checks(ran.json)["LastSweep"] == ("ok", 60.0)
    assert ran.json["complete"]
    assert world.digest() == before


def test_what_waits_is_held_and_dead_is_measured_now(
    world: World,  # noqa: ARG001
    run: Run,
    aws_says: Aws,  # noqa: ARG001
    deployment: Deployment,
) -> None:
    ledger = deployment.ledger
    retrying(ledger, 1, settled_ms=NOW_MS - 7 * HOUR_MS)
    dead(ledger, 2)
    dead(ledger, 3, app_id="merchant-a")
    dead(ledger, 4, app_id="merchant-a")
    delivered(ledger, 5, settled_ms=NOW_MS - 9 * HOUR_MS)
    for number in (6, 7, 8):
        assert ledger.add_held(Notification(notify_id(number), "club-b", "x", NOW_MS, "{}"), NOW_MS)
    down = replace(Breaker("club-b").holding(NOW_MS, NOW_MS + 1), failures=5, open_until_ms=NOW_MS + HOUR_MS)
    assert ledger.change_breaker(Breaker("club-b"), down)

    ran = run("status", "--json")
    found = checks(ran.json)
    assert ran.exit_status == 1
    assert found["OldestUndeliveredAlarm"] == ("critical", 7 * 3600)
    assert found["OldestDueAlarm"] == ("ok", 0)  # planned an hour from now
    assert (found["HeldAlarm"], found["Waiting"]) == (("ok", 3), ("ok", 1))
    assert (found["Dead"], found["ReceiversDown"]) == (("warn", 3), ("warn", 1))
    assert [(app["app_id"], app["held"], app["dead"], app["open_until_ms"]) for app in ran.json["apps"]] == [
        ("club-a", 0, 1, None),
        ("club-b", 3, 0, NOW_MS + HOUR_MS),
        ("merchant-a", 0, 2, None),
    ]
    shown = run("status").stdout
    assert f"critical  {deployment.name}" in shown
    assert "7 h" in shown
    assert "down: tried again at" in shown


def test_an_attempt_that_nobody_makes_is_overdue(
    world: World,
    run: Run,
    aws_says: Aws,  # noqa: ARG001
    deployment: Deployment,
) -> None:
    retrying(deployment.ledger, 1)
    world.now_ms = NOW_MS + HOUR_MS + 601_000
    assert checks(run("status", "--json").json)["OldestDueAlarm"] == ("critical", 601)


def test_a_dead_letter_is_critical(world: World, run: Run, aws_says: Aws) -> None:  # noqa: ARG001
    sqs = boto3.client("sqs")
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="DeadLetterQueue")["QueueUrl"], MessageBody="x")
    sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName="NotificationQueue")["QueueUrl"], MessageBody="x", DelaySeconds=60
    )
    ran = run("status", "--json")
    assert (ran.exit_status, ran.json["state"]) == (1, "critical")
    assert checks(ran.json)["DeadLetterAlarm"] == ("critical", 1)
    assert checks(ran.json)["Queue"] == ("ok", 1)


def test_what_only_cloudwatch_knows_is_its_newest_value(world: World, run: Run, aws_says: Aws) -> None:  # noqa: ARG001
    aws_says.values["5XXError"] = [(NOW_MS - 2 * MINUTE_MS, 900.0), (NOW_MS - MINUTE_MS, 6.0)]
    aws_says.states["LatencyAlarm"] = "ALARM"
    aws_says.states["FaultAlarm"] = "INSUFFICIENT_DATA"
    ran = run("status", "--json")
    found = checks(ran.json)
    assert found["ServerErrorAlarm"] == ("warn", 6.0)
    assert found["LatencyAlarm"] == ("critical", None)
    assert found["FaultAlarm"] == ("unknown", None)
    assert ran.exit_status == 1


def test_where_no_metric_says_it_the_log_does(world: World, run: Run, aws_says: Aws) -> None:  # noqa: ARG001
    aws_says.values.clear()
    assert checks(run("status", "--json").json)["LastSweep"] == ("unknown", None)
    aws_says.swept_at_ms = [NOW_MS - 40 * MINUTE_MS, NOW_MS - 6 * MINUTE_MS, NOW_MS - 7 * MINUTE_MS]
    ran = run("status", "--json")
    assert (checks(ran.json)["LastSweep"], ran.exit_status) == (("critical", 360.0), 1)


def test_a_count_that_was_not_ended_says_so(
    world: World,  # noqa: ARG001
    run: Run,
    aws_says: Aws,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status, "MOST_SECONDS", 0)
    assert run("status", "--json").json["complete"] is False
    assert "at least so much" in run("status").stdout


# ------------------------------------------------------------------------------------------------------ the command


@pytest.mark.parametrize(
    "arguments", [("--watch", "--json"), ("--interval", "1s"), ("--interval", "soon"), ("--watch", "--interval", "0s")]
)
def test_wrong_usage_is_told(run: Run, arguments: tuple[str, ...]) -> None:
    ran = run("status", *arguments)
    assert (ran.exit_status, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1


def test_watching_goes_on_after_a_look_that_failed_and_ends_as_the_last_one(
    world: World,  # noqa: ARG001
    run: Run,
    aws_says: Aws,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("settlectl.status.time.sleep", pause)
    aws_says.lost = 1
    ran = run("status", "--watch", "--interval", "7s")
    assert (ran.exit_status, pauses) == (0, [7, 7, 7])
    assert ran.stdout.count("could not be asked") == 1
    assert ran.stdout.count("dead-letter queue") == 2
    pauses.clear()
    aws_says.states["FaultAlarm"] = "ALARM"
    assert run("status", "--watch").exit_status == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (303, "5 min 3 s"),
        (6 * 3600, "6 h"),
        (6 * 3600 + 59, "6 h"),
        (3 * 86400 + 4 * 3600 + 120, "3 d 4 h"),
        (86400 + 120, "1 d"),
    ],
)
def test_ages_are_told_in_two_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == quantity(seconds, "seconds") == text


def test_numbers_are_grouped() -> None:
    assert (quantity(12345.0, "count"), quantity(2000.4, "milliseconds")) == ("12,345", "2,000 ms")

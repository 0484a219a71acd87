"""docs/operations.md, the template's alarms and dashboard, and the code say the same of metrics and commands."""

import ast
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import simplejson

from settlepoint_local.in_process import World
from settlepoint_local.project import ROOT
from settlepoint_local.template import dashboard_metrics, template
from tests.cli.test_help import commands_named_in, exists
from tests.local.test_deploying import transformed

from .guides import section_of

GUIDE: Final = ROOT / "docs" / "operations.md"
PAGE: Final = GUIDE.read_text(encoding="utf-8")
RESOURCES: Final[dict[str, dict[str, Any]]] = template()["Resources"]
ALARMS: Final = {
    name: found["Properties"] for name, found in RESOURCES.items() if found["Type"] == "AWS::CloudWatch::Alarm"
}
BY_THE_LOG: Final = {
    transformation["MetricName"]
    for found in RESOURCES.values()
    if found["Type"] == "AWS::Logs::MetricFilter"
    for transformation in found["Properties"]["MetricTransformations"]
}
"""Metrics of ours that CloudWatch makes of the access log."""


def emitted() -> dict[str, set[str]]:
    """The names of the metrics that the code writes, by their further dimensions, as it stands in the source."""
    found: dict[str, set[str]] = {"": set(), "class": set()}
    for path in [*ROOT.glob("functions/*/app.py"), *ROOT.glob("layers/settlement/python/settlement/*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in {"count", "add_metric", "single_metric"} and node.args:
                    found["class" if name == "single_metric" else ""] |= set(_texts(node.args[0]))
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "METRICS":
                assert isinstance(node.value, ast.Dict)
                found[""] |= {text for value in node.value.values for text in _texts(value)}
    return found


def _texts(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if (
            isinstance(part, ast.Constant)
            and isinstance(part.value, str)
            and re.fullmatch(r"[A-Z][a-z]\w+", part.value)
        ):
            yield part.value


OURS: Final = emitted()


# ------------------------------------------------------------------------------------------------------------ metrics


def test_the_metrics_are_those_that_a_settlement_and_its_notification_were_seen_to_write(world: World) -> None:
    world.replay("deliver_notification/two_messages")
    world.invoke("requeue_notifications", {})
    lines = [simplejson.loads(line) for line in world.log if '"_aws"' in line]
    declared = [line["_aws"]["CloudWatchMetrics"][0] for line in lines]
    seen = {metric["Name"]: tuple(each["Dimensions"][0]) for each in declared for metric in each["Metrics"]}
    assert (
        {"OrdersSettled", "NotificationsHeldNow", "OldestUndeliveredSeconds"}
        <= seen.keys()
        <= {*OURS[""], *OURS["class"]}
    )
    assert {each["Namespace"] for each in declared} == {"Settlepoint"}
    for name, dimensions in seen.items():
        assert sorted(dimensions) == (["class", "service"] if name in OURS["class"] else ["service"]), name
    services = {line["service"] for line in lines}
    assert services == {"settlepoint"}  # the stack's name, which alarms and dashboard look for


def test_alarms_watch_metrics_that_there_are_by_the_dimensions_that_they_have() -> None:
    ours = {properties["MetricName"] for properties in ALARMS.values() if properties["Namespace"] == "Settlepoint"}
    assert ours <= OURS[""] | BY_THE_LOG
    assert ours >= {"Faults", "NotificationsDead", "NotificationsHeldNow", "OldestUndeliveredSeconds"}
    for name, properties in ALARMS.items():
        if properties["Namespace"] == "Settlepoint":
            assert properties["Dimensions"] == [{"Name": "service", "Value": {"Ref": "AWS::StackName"}}], name


def test_the_dashboard_draws_every_metric_of_ours_and_no_other() -> None:
    drawn = [metric for metric in dashboard_metrics() if metric[0] == "Settlepoint"]
    stack = "${AWS::StackName}"
    plain = {metric[1] for metric in drawn if metric[2:] == ("service", stack)}
    by_class = {metric[1] for metric in drawn if metric[2] == "class" and metric[4:] == ("service", stack)}
    assert plain == OURS[""] | BY_THE_LOG
    assert by_class == OURS["class"]
    assert len(drawn) == len([metric for metric in drawn if metric[1] in plain | by_class])


def test_the_dashboard_has_each_class_of_failures() -> None:
    from settlement.delivery import ERROR_CLASSES  # noqa: PLC0415

    classes = [metric[3] for metric in dashboard_metrics() if metric[1] == "AttemptsFailedByClass"]
    assert sorted(classes) == sorted(ERROR_CLASSES)


def test_the_dashboard_shows_every_alarm() -> None:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    [widget] = [each for each in simplejson.loads(body)["widgets"] if each["type"] == "alarm"]
    assert sorted(widget["properties"]["alarms"]) == sorted(f"${{{name}.Arn}}" for name in ALARMS)


def test_the_page_names_every_metric_of_ours() -> None:
    named = set(re.findall(r"`([A-Z]\w+)`", section_of(GUIDE, "What is where")))
    assert OURS[""] | OURS["class"] | BY_THE_LOG <= named


def test_the_access_log_says_what_its_metric_is_made_of() -> None:
    settings = RESOURCES["SettlementApi"]["Properties"]["AccessLogSetting"]
    line = settings["Format"]["Fn::Sub"].replace("${AWS::StackName}", "stack").replace("$context.status", "429")
    written = simplejson.loads(line)
    [pattern] = [
        found["Properties"]["FilterPattern"] for found in RESOURCES.values() if "FilterPattern" in found["Properties"]
    ]
    assert (pattern, written["status"], written["service"]) == ('{ $.status = "429" }', "429", "stack")


# ------------------------------------------------------------------------------------------------------------- alarms


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_leads_to_its_section_and_is_told_when_it_is_over(name: str) -> None:
    properties = ALARMS[name]
    assert properties["AlarmDescription"].endswith(f"See docs/operations.md#{name.lower()}")
    section = section_of(GUIDE, name)
    assert re.search(r"^1\. ", section, re.MULTILINE), "what to do"
    assert re.search(r"^Over: ", section, re.MULTILINE), "how to see that it is over"
    assert re.search(r"\b(Tried|Not tried)\b", section), "what was seen"
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], []]}
    assert properties["AlarmActions"] == properties["OKActions"] == topic


def test_every_section_is_of_an_alarm_that_there_is() -> None:
    assert set(re.findall(r"^### (\w+Alarm)$", PAGE, re.MULTILINE)) == ALARMS.keys()


def test_links_within_the_page_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#{2,4} (.+)$", PAGE, re.MULTILINE)
    }
    linked = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert linked
    assert linked <= headings


# ----------------------------------------------------------------------------------------------------------- commands


def test_the_commands_name_resources_that_are_deployed() -> None:
    named = set(re.findall(r"\$\(resource (\w+)\)", PAGE))
    assert {"FunctionLogs", "DeadLetterQueue"} <= named
    assert named <= transformed(template()).keys()


def test_every_settlectl_command_of_the_page_exists() -> None:
    named = commands_named_in(PAGE)
    assert ["status"] in named
    assert [words for words in named if not exists(words)] == []


def test_every_parameter_is_told_of_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    told = {name for page in pages for name in re.findall(r"`(\w+)`", page.read_text(encoding="utf-8"))}
    assert template()["Parameters"].keys() <= told

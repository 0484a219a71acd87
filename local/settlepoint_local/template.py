"""template.yaml as data: what deploys, what the tests build their tables from, what the events are addressed to."""

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from samtranslator.yaml_helper import yaml_parse

from settlepoint_local.project import ROOT, STACK_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef

TEMPLATE = ROOT / "template.yaml"
CONSOLE = "console"
"""The folder of the one function with a page and an API of its own."""

_TABLE_PROPERTIES = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


class Endpoint(NamedTuple):
    """Where API Gateway hands a call to a function."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Permission:
    """One statement of a function's role: verbs on resources, which stand as `SettlementTable` or `.../index/name`."""

    actions: frozenset[str]
    resources: frozenset[str]


@cache
def template() -> dict[str, Any]:
    """The parsed file; `!Ref x` reads {"Ref": "x"}, `!GetAtt x.y` {"Fn::GetAtt": ["x", "y"]}, and so on."""
    parsed: dict[str, Any] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    return parsed


def functions() -> dict[str, str]:
    """Folders under functions/ to logical names."""
    return {
        resource["Properties"]["CodeUri"].removeprefix("functions/").rstrip("/"): name
        for name, resource in _resources("AWS::Serverless::Function").items()
    }


def endpoints() -> dict[str, Endpoint]:
    """Folders of the two APIs' functions, with the one path of each."""
    return {folder: addresses[0] for folder in functions() if folder != CONSOLE and (addresses := routes(folder))}


def routes(folder: str) -> list[Endpoint]:
    """The paths by which API Gateway calls a function."""
    events = template()["Resources"][functions()[folder]]["Properties"].get("Events", {}).values()
    return [
        Endpoint(event["Properties"]["Method"], event["Properties"]["Path"])
        for event in events
        if event["Type"] == "Api"
    ]


def table_definitions() -> "dict[str, CreateTableInputTypeDef]":
    """Logical names of the tables to the arguments of create_table, all but the table's name."""
    definitions = {}
    for name, resource in _resources("AWS::DynamoDB::Table").items():
        properties = resource["Properties"]
        arguments = {key: properties[key] for key in _TABLE_PROPERTIES if key in properties}
        if "StreamSpecification" in properties:
            arguments["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
        definitions[name] = cast("CreateTableInputTypeDef", arguments)
    return definitions


def environment(names: "Mapping[str, str]") -> dict[str, str]:
    """The functions' variables. `names` gives each resource's name, id or URL; parameters have their defaults."""
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    defaults = {name: str(parameter["Default"]) for name, parameter in template()["Parameters"].items()}
    known = {"AWS::StackName": STACK_NAME, **defaults, **names}
    return {variable: _resolved(value, known) for variable, value in variables.items()}


def permissions(folder: str) -> list[Permission]:
    """What a function's role allows, its managed policies included."""
    found = []
    for policy in template()["Resources"][functions()[folder]]["Properties"].get("Policies", []):
        document = template()["Resources"][policy["Ref"]]["Properties"]["PolicyDocument"] if "Ref" in policy else policy
        for statement in document["Statement"]:
            resources = _listed(statement["Resource"])
            found.append(Permission(frozenset(_listed(statement["Action"])), frozenset(map(_arn_owner, resources))))
    return found


def gateway_responses() -> dict[str, dict[str, Any]]:
    """What API Gateway answers by itself, by response type."""
    responses: dict[str, dict[str, Any]] = template()["Resources"]["SettlementApi"]["Properties"]["GatewayResponses"]
    return responses


def dashboard_metrics() -> list[tuple[str, ...]]:
    """What the dashboard draws: namespace, name, then dimensions by name and value, as `!Sub` has them.

    CloudWatch's shorthand is written out: "." is what stands there in the line before, "..." all that stood in front.
    """
    body = template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found: list[tuple[str, ...]] = []
    for widget in json.loads(body)["widgets"]:
        before: tuple[str, ...] = ()
        for line in widget["properties"].get("metrics", []):
            words = tuple(word for word in line if isinstance(word, str))
            if words[0] == "...":
                words = before[: len(before) - len(words) + 1] + words[1:]
            before = tuple(before[place] if word == "." else word for place, word in enumerate(words))
            found.append(before)
    return found


def _resources(kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource for name, resource in template()["Resources"].items() if resource["Type"] == kind}


def _resolved(value: Any, names: "Mapping[str, str]") -> str:
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return names[name]
    return str(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _arn_owner(resource: Any) -> str:
    match resource:
        case {"Fn::GetAtt": [str(name), *_]}:
            return name
        case {"Fn::Sub": str(text)}:
            return text.replace(".Arn}", "}").replace("${", "").replace("}", "")
    raise TypeError(f"a resource that is not of this template: {resource}")

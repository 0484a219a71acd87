"""template.yaml as data: what deploys, what the tests build their tables from, what the events are addressed to."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from samtranslator.yaml_helper import yaml_parse

from settlepoint_local.project import ROOT, STACK_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef

TEMPLATE = ROOT / "template.yaml"

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
    """Folders of the functions that API Gateway calls, with the one path of each."""
    found = {}
    for folder, name in functions().items():
        for event in template()["Resources"][name]["Properties"].get("Events", {}).values():
            if event["Type"] == "Api":
                found[folder] = Endpoint(event["Properties"]["Method"], event["Properties"]["Path"])
    return found


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

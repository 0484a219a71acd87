"""What deploys: the options of the template, samconfig.toml, and the workflows that run the same make targets."""

import copy
import json
import os
import re
import tomllib
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from samtranslator.translator.transform import transform

from settlepoint_local import gradual
from settlepoint_local.project import REGION, ROOT
from settlepoint_local.template import template

SAMCONFIG: dict[str, Any] = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FUNCTIONS = [name for name, found in template()["Resources"].items() if found["Type"] == "AWS::Serverless::Function"]

type Resources = dict[str, dict[str, Any]]


class NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def transformed(source: dict[str, Any], **parameters: str) -> Resources:
    """What CloudFormation makes of a template with these parameters: SAM's transform, the code somewhere in S3."""
    source = copy.deepcopy(source)
    for resource in source["Resources"].values():
        for code in ("CodeUri", "ContentUri"):
            if code in resource.get("Properties", {}):
                resource["Properties"][code] = f"s3://bucket/{resource['Properties'][code].strip('/')}"
    values = {name: found.get("Default") for name, found in source["Parameters"].items()} | parameters
    with patch.dict(os.environ, {"AWS_DEFAULT_REGION": REGION}):
        made: Resources = transform(source, values, NoManagedPolicies())["Resources"]
    return made


@cache
def gradually() -> dict[str, Any]:
    return gradual.gradual(template(), "6921ab00")


def of_type(resources: Resources, kind: str) -> Resources:
    return {name: found for name, found in resources.items() if found["Type"] == kind}


# ---------------------------------------------------------------------------------------------- the template's options


def test_without_options_nothing_stands_between_callers_and_code() -> None:
    resources = transformed(template())
    kinds = {found["Type"] for found in resources.values()}
    assert kinds.isdisjoint({"AWS::Lambda::Alias", "AWS::Lambda::Version", "AWS::CodeDeploy::DeploymentGroup"})
    for name in FUNCTIONS:
        reserved = resources[name]["Properties"].get("ReservedConcurrentExecutions")
        assert reserved is None or reserved["Fn::If"][2] == {"Ref": "AWS::NoValue"}
    conditions = template()["Conditions"]
    defaults = {name: found.get("Default") for name, found in template()["Parameters"].items()}
    assert conditions["HasWebAcl"] == {"Fn::Equals": [{"Ref": "WebAcl"}, "true"]}
    assert defaults["WebAcl"] == "false"
    for condition, parameter in (
        ("ReservesForSettling", "SettlingConcurrency"),
        ("ReservesForDelivery", "DeliveryConcurrency"),
    ):
        assert conditions[condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}
        assert defaults[parameter] == ""


def test_the_console_can_be_left_out_with_all_that_is_its() -> None:
    source = template()
    assert source["Conditions"]["ServesConsole"] == {"Fn::Equals": [{"Ref": "Console"}, "enabled"]}
    assert source["Outputs"]["ConsoleUrl"]["Condition"] == "ServesConsole"
    resources = transformed(source)
    of_the_console = {name: found for name, found in resources.items() if name.startswith("ConsoleFunction")}
    assert of_type(of_the_console, "AWS::Lambda::Permission")
    assert {found.get("Condition") for found in of_the_console.values()} == {"ServesConsole"}
    [api] = of_type(resources, "AWS::ApiGateway::RestApi").values()
    paths = {path: found for path, found in api["Properties"]["Body"]["paths"].items() if "/console" in path}
    assert {path: (found["Fn::If"][0], found["Fn::If"][2]) for path, found in paths.items()} == dict.fromkeys(
        ("/console", "/console/{proxy+}"), ("ServesConsole", {"Ref": "AWS::NoValue"})
    )
    # Or the stage would go on having the paths of a function that is gone.
    assert source["Resources"]["SettlementApi"]["Properties"]["AlwaysDeploy"] is True


def test_what_must_not_starve_can_be_set_executions_aside_for() -> None:
    resources = transformed(template())
    reserving = {
        name: found["Properties"]["ReservedConcurrentExecutions"]["Fn::If"][:2]
        for name, found in of_type(resources, "AWS::Lambda::Function").items()
        if "Fn::If" in found["Properties"].get("ReservedConcurrentExecutions", {})
    }
    settling = ["ReservesForSettling", {"Ref": "SettlingConcurrency"}]
    assert reserving == {
        "SetClubJfSettleFunction": settling,
        "SettleUsersFunction": settling,
        "DeliverNotificationFunction": ["ReservesForDelivery", {"Ref": "DeliveryConcurrency"}],
    }


@pytest.mark.parametrize(
    ("parameter", "value", "taken"),
    [
        ("DeliveryConcurrency", "", True),
        ("DeliveryConcurrency", "49", False),  # less than the queue asks for at once: messages would go back unread
        ("DeliveryConcurrency", "50", True),
        ("DeliveryConcurrency", "100", True),
        ("DeliveryConcurrency", "050", False),
        ("SettlingConcurrency", "0", False),  # it would stop settling
        ("SettlingConcurrency", "1", True),
        ("SettlingConcurrency", "1000", True),
        ("SettlingConcurrency", "many", False),
    ],
)
def test_a_number_of_executions_that_would_stop_something_is_refused(
    parameter: str, value: str, *, taken: bool
) -> None:
    assert bool(re.fullmatch(template()["Parameters"][parameter]["AllowedPattern"], value)) is taken


def test_deliveries_may_have_what_their_queue_asks_for() -> None:
    mapping = template()["Resources"]["DeliverNotificationFunction"]["Properties"]["Events"]["Queue"]["Properties"]
    asked_for = mapping["ScalingConfig"]["MaximumConcurrency"]
    pattern = template()["Parameters"]["DeliveryConcurrency"]["AllowedPattern"]
    assert min(number for number in range(1, 1000) if re.fullmatch(pattern, str(number))) == asked_for


def test_the_web_acl_stands_before_the_stage_and_reads_no_body() -> None:
    resources = transformed(template(), WebAcl="true")
    acl, association = resources["ApiWebAcl"], resources["ApiWebAclAssociation"]
    assert acl["Condition"] == association["Condition"] == "HasWebAcl"
    [stage] = of_type(resources, "AWS::ApiGateway::Stage")
    assert association["Properties"]["ResourceArn"]["Fn::Sub"].endswith(
        f"/restapis/${{SettlementApi}}/stages/${{{stage}}}"
    )
    common, rate = acl["Properties"]["Rules"]
    counted = {
        rule["Name"]
        for rule in common["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
        if rule["ActionToUse"] == {"Count": {}}
    }
    assert counted >= {
        "SizeRestrictions_BODY",
        "CrossSiteScripting_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
    }
    assert rate["Statement"]["RateBasedStatement"]["Limit"] == {"Ref": "CallerRateLimit"}
    assert "WAF_FILTERED" in template()["Resources"]["SettlementApi"]["Properties"]["GatewayResponses"]


# -------------------------------------------------------------------------------------------------------- bit by bit


@pytest.mark.parametrize("preference", gradual.PREFERENCES)
def test_codedeploy_moves_every_functions_alias_and_back_when_an_alarm_is_raised(preference: str) -> None:
    resources = transformed(gradually(), DeploymentPreference=preference)
    assert of_type(resources, "AWS::Lambda::Alias").keys() == {f"{name}Aliaslive" for name in FUNCTIONS}
    for name in FUNCTIONS:
        moved = resources[f"{name}Aliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert moved["DeploymentGroupName"] == {"Ref": f"{name}DeploymentGroup"}
        group = resources[f"{name}DeploymentGroup"]["Properties"]
        assert {alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]} == set(gradual.ALARMS)
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert group["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": preference}
    assert set(gradual.ALARMS) <= of_type(resources, "AWS::CloudWatch::Alarm").keys()


def test_everything_calls_the_alias() -> None:
    resources = transformed(gradually())
    for mapping in of_type(resources, "AWS::Lambda::EventSourceMapping").values():
        assert mapping["Properties"]["FunctionName"]["Ref"].endswith("Aliaslive")
    for permission in of_type(resources, "AWS::Lambda::Permission").values():
        assert permission["Properties"]["FunctionName"]["Ref"].endswith("Aliaslive")
    for schedule in of_type(resources, "AWS::Scheduler::Schedule").values():
        assert schedule["Properties"]["Target"]["Arn"]["Ref"].endswith("Aliaslive")
    [api] = of_type(resources, "AWS::ApiGateway::RestApi").values()
    uris = re.findall(r"functions/\$\{([^}]+)\}/invocations", json.dumps(api))
    assert uris
    assert [uri for uri in uris if not uri.endswith("Aliaslive")] == []


def test_each_deployment_publishes_every_function_anew_also_where_only_a_parameter_changed() -> None:
    first = transformed(gradually())
    second = transformed(gradual.gradual(template(), "6921ab01"))
    versions = of_type(first, "AWS::Lambda::Version")
    assert len(versions) == len(FUNCTIONS)
    assert versions.keys().isdisjoint(of_type(second, "AWS::Lambda::Version"))
    assert {found["DeletionPolicy"] for found in versions.values()} == {"Delete"}
    for name in FUNCTIONS:  # Lambda publishes nothing of a function that is as it was
        assert first[name]["Properties"]["Description"] != second[name]["Properties"]["Description"]


@pytest.mark.parametrize("apply_on", ["None", "PublishedVersions"])
def test_snapstart_is_a_parameter(apply_on: str) -> None:
    assert apply_on in gradually()["Parameters"]["SnapStart"]["AllowedValues"]
    for found in of_type(transformed(gradually(), SnapStart=apply_on), "AWS::Lambda::Function").values():
        assert found["Properties"]["SnapStart"] == {"ApplyOn": {"Ref": "SnapStart"}}
    assert gradually()["Parameters"]["SnapStart"]["Default"] == "None"


def test_but_for_the_alias_it_is_the_template() -> None:
    before = copy.deepcopy(template())
    made = gradual.gradual(template(), "r")
    assert template() == before
    added = made["Parameters"].keys() - before["Parameters"].keys()
    assert added == {"DeploymentPreference", "SnapStart"}
    for name in FUNCTIONS:
        del made["Resources"][name]["Properties"]["AutoPublishCodeSha256"]
    assert made["Resources"] == before["Resources"]
    assert made["Outputs"] == before["Outputs"]


def test_a_template_that_is_made_now_is_named_for_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradual, "GRADUAL", tmp_path / "gradual.json")
    names = []
    for second in (1795305600, 1795305601):
        monkeypatch.setattr("settlepoint_local.gradual.time.time", partial(float, second + 0.5))
        gradual.main()
        made = json.loads((tmp_path / "gradual.json").read_text(encoding="utf-8"))
        names.append(made["Resources"][FUNCTIONS[0]]["Properties"]["AutoPublishCodeSha256"])
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"[0-9a-z]{1,10}", name) for name in names)  # SAM keeps ten, in a logical name


# ------------------------------------------------------------------------------------------------------ samconfig.toml


def template_of(environment: str) -> dict[str, Any]:
    build = SAMCONFIG[environment]["build"]["parameters"]
    if "template_file" not in build:
        return template()
    assert build["template_file"] == gradual.GRADUAL.name
    return gradually()


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
def test_parameters_that_samconfig_names_exist_and_take_their_values(environment: str) -> None:
    parameters = template_of(environment)["Parameters"]
    overrides = SAMCONFIG[environment]["deploy"]["parameters"].get("parameter_overrides", [])
    assert overrides or environment == "default"
    for override in overrides:
        name, _, value = override.partition("=")
        allowed = [str(each) for each in parameters[name].get("AllowedValues", [value])]
        assert value in allowed, override
        assert re.fullmatch(parameters[name].get("AllowedPattern", r".*"), value), override
        if parameters[name]["Type"] == "Number":
            assert int(value) >= parameters[name].get("MinValue", 0)


def test_production_is_protected_and_asks_before_it_changes_anything() -> None:
    prod = SAMCONFIG["prod"]["deploy"]["parameters"]
    assert prod["confirm_changeset"] is True
    assert "DeletionProtection=true" in prod["parameter_overrides"]
    assert any(each.startswith("DeploymentPreference=Canary") for each in prod["parameter_overrides"])
    names = [SAMCONFIG[environment]["deploy"]["parameters"]["stack_name"] for environment in ("dev", "prod")]
    assert len(set(names)) == 2


def test_what_is_stored_is_protected_by_default() -> None:
    assert template()["Parameters"]["DeletionProtection"]["Default"] == "true"
    tables = [found for found in template()["Resources"].values() if found["Type"] == "AWS::DynamoDB::Table"]
    assert len(tables) == 4
    for table in tables:
        assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
        assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["Properties"]["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
        assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}


# ------------------------------------------------------------------------------------------------------- the workflows


def jobs(workflow: Path) -> list[dict[str, Any]]:
    loaded = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    return list(loaded["jobs"].values())


def test_there_is_one_that_checks_and_one_that_deploys() -> None:
    assert [workflow.name for workflow in WORKFLOWS] == ["ci.yml", "deploy.yml"]
    runs = [step["run"] for job in jobs(WORKFLOWS[0]) for step in job["steps"] if "run" in step]
    assert runs == [".ci/run"]
    assert re.findall(r"^make (\w+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE) == [
        "check",
        "test",
    ]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_a_workflow_runs_make_targets_that_exist_with_pinned_actions_and_no_more_rights_than_it_needs(
    workflow: Path,
) -> None:
    loaded = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert set(loaded["permissions"].items()) <= {("contents", "read"), ("id-token", "write")}
    assert ("id-token" in loaded["permissions"]) == (workflow.stem == "deploy")
    for job in jobs(workflow):
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])
            else:
                # What somebody types in is a variable, never a part of the script.
                assert "${{" not in step["run"]
                assert set(re.findall(r"\bmake (\w+)", step["run"])) <= MAKE_TARGETS


def test_it_deploys_the_environments_of_samconfig_and_looks_at_the_stacks_that_these_name() -> None:
    text = WORKFLOWS[1].read_text(encoding="utf-8")
    loaded = yaml.safe_load(text)
    choices = loaded[True]["workflow_dispatch"]["inputs"]["environment"]["options"]  # YAML reads `on` as true
    assert choices == ["dev", "prod"]
    assert set(choices) <= SAMCONFIG.keys()
    [job] = jobs(WORKFLOWS[1])
    prod, dev = re.findall(r"'(settlepoint[\w-]*)'", job["env"]["STACK_NAME"])
    assert [prod, dev] == [SAMCONFIG[name]["deploy"]["parameters"]["stack_name"] for name in ("prod", "dev")]

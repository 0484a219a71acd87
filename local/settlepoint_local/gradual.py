"""template.gradual.json: template.yaml with an alias between callers and code, for deployments that move bit by bit.

    python -m settlepoint_local.gradual

What it adds: each function publishes a version and an alias, which API, stream, queue and schedule call; CodeDeploy
moves the alias, and back when an alarm is raised meanwhile; versions may start from a snapshot (SnapStart).

It is a template of its own because SAM makes an alias always or never: no parameter can say which. With an alias, what
a deployment changes is in force only once a version of it is published, and SAM does not see a parameter that changed.
So each template that is made here publishes anew, by its own moment.
"""

import copy
import json
import time
from typing import Any, Final

from settlepoint_local.project import ROOT
from settlepoint_local.template import template

GRADUAL: Final = ROOT / "template.gradual.json"
PREFERENCES: Final = (
    "Canary10Percent5Minutes",
    "Canary10Percent10Minutes",
    "Canary10Percent15Minutes",
    "Canary10Percent30Minutes",
    "Linear10PercentEvery1Minute",
    "Linear10PercentEvery2Minutes",
    "Linear10PercentEvery3Minutes",
    "Linear10PercentEvery10Minutes",
    "AllAtOnce",
)
"""CodeDeploy's ways to move calls to new code."""
ALARMS: Final = ("ServerErrorAlarm", "LatencyAlarm", "FaultAlarm", "DeliveryErrorAlarm")
"""Those that new code can raise within minutes; any of them moves calls back."""


def gradual(plain: dict[str, Any], release: str) -> dict[str, Any]:
    """The template with aliases. `release` names this deployment: up to ten letters and digits, another each time."""
    made = copy.deepcopy(plain)
    made["Parameters"] |= {
        "DeploymentPreference": {
            "Type": "String",
            "Default": PREFERENCES[1],
            "AllowedValues": list(PREFERENCES),
            "Description": "How calls move to new code; back by themselves when an alarm is raised meanwhile.",
        },
        "SnapStart": {
            "Type": "String",
            "Default": "None",
            "AllowedValues": ["None", "PublishedVersions"],
            "Description": "PublishedVersions - functions start from a snapshot, which costs by the hour.",
        },
    }
    made["Globals"]["Function"] |= {
        "AutoPublishAlias": "live",
        "VersionDeletionPolicy": "Delete",  # of the one before, once nothing leads to it
        "DeploymentPreference": {
            "Type": {"Ref": "DeploymentPreference"},
            "Alarms": [{"Ref": alarm} for alarm in ALARMS],
        },
        "SnapStart": {"ApplyOn": {"Ref": "SnapStart"}},
    }
    for resource in made["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["AutoPublishCodeSha256"] = release
    return made


def main() -> None:
    release = f"{int(time.time()):x}"
    GRADUAL.write_text(json.dumps(gradual(template(), release), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

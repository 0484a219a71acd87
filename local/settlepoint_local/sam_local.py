"""What `sam local` takes to run a function in Docker on a local stack; samconfig.toml names both files.

sam-local.json   the built template; it also declares the variables of how AWS is reached, for `sam local` hands on
                 declared ones only
env.json         the values of all variables: this stack's names, and the machine's name as containers know it
"""

import json
from pathlib import Path
from typing import Final

from samtranslator.yaml_helper import yaml_parse

from settlectl.deployment import LOCAL_KEY
from settlepoint_local.stack import Stack
from settlepoint_local.template import environment

HOST: Final = "host.docker.internal"


def write_template(built: Path) -> None:
    """Beside the built one, whose paths are relative to it."""
    template = yaml_parse(built.read_text(encoding="utf-8"))
    declared = template["Globals"]["Function"]["Environment"]["Variables"]
    declared |= dict.fromkeys(_access("http://localhost"), "")
    (built.parent / "sam-local.json").write_text(json.dumps(template, indent=1), encoding="utf-8")


def write_environment(stack: Stack, path: Path) -> None:
    names = {
        **stack.tables,
        "NotificationQueue": stack.queue_url,
        "DeadLetterQueue": stack.dead_letter_queue_url,
        "MasterSecret": stack.master_secret_id,
        "StatementBucket": stack.statement_bucket,
        "PublicBaseUrl": "",
        "AllowLocalReceivers": "true",
    }
    variables = environment(names) | _access(stack.endpoint_url)
    reached = {name: value.replace("127.0.0.1", HOST) for name, value in variables.items()}
    path.write_text(json.dumps({"Parameters": reached}, indent=2) + "\n", encoding="utf-8")


def _access(endpoint_url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": LOCAL_KEY,
        "AWS_SECRET_ACCESS_KEY": LOCAL_KEY,
    }

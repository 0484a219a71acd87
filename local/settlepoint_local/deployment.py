"""template.yaml, as it stands, built and deployed into an emulator by the SAM CLI."""

import fcntl
import os
import platform
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from settlectl.deployment import LOCAL_KEY, local_session
from settlectl.failures import CommandFailed
from settlepoint_local.emulator import Emulator
from settlepoint_local.leash import Leash
from settlepoint_local.project import LOCAL, REGION, STACK_NAME, environment, program_path
from settlepoint_local.sam_local import write_template
from settlepoint_local.stack import Stack
from settlepoint_local.template import TEMPLATE, gateway_responses

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient

BUILD: Final = LOCAL / "build"
STAGE: Final = "live"


class SamFailed(CommandFailed):
    """Carries the end of what the SAM CLI printed."""


def deployed(engine: Emulator, folder: Path, say: Callable[[str], None]) -> Stack:
    """Builds while the emulator starts, then deploys."""
    with _one_at_a_time(say):
        say("building the layers and functions")
        _build(folder)
        write_template(BUILD / "template.yaml")
        engine.wait_until_healthy()
        say("deploying template.yaml into the emulator")
        _deploy(engine, folder)
    return _described(engine)


def _build(folder: Path) -> None:
    # Extensions for Lambda's Linux do not load elsewhere; there the layer holds this machine's as well.
    linux = ("-x86_64-linux-gnu.so", "-aarch64-linux-gnu.so")
    native = "" if str(sysconfig.get_config_var("EXT_SUFFIX")).endswith(linux) else "1"
    arguments = ["--template", str(TEMPLATE), "--build-dir", str(BUILD), "--cache-dir", str(LOCAL / "cache")]
    _sam(
        ["build", *arguments], folder, os.environ | {"PATH": program_path(), "PYTHON": sys.executable, "NATIVE": native}
    )


def _deploy(engine: Emulator, folder: Path) -> None:
    parameters = {
        "Architecture": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
        "PublicBaseUrl": f"{engine.url}/_aws/execute-api/{{api_id}}/{{stage}}",
        "AllowLocalReceivers": "true",
        "DeletionProtection": "false",
    }
    arguments = ["--template", str(BUILD / "template.yaml"), "--stack-name", STACK_NAME, "--region", REGION]
    arguments += ["--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
    overrides = [f"{name}={value}" for name, value in parameters.items()]
    settings = environment(
        AWS_ENDPOINT_URL=engine.url,
        AWS_ACCESS_KEY_ID=LOCAL_KEY,
        AWS_SECRET_ACCESS_KEY=LOCAL_KEY,
        SAM_CLI_POLL_DELAY="0.3",  # seconds between two looks at the stack; AWS's rate limit asks for 5
    )
    _sam(["deploy", *arguments, "--parameter-overrides", *overrides], folder, settings)


def _sam(arguments: list[str], folder: Path, settings: dict[str, str]) -> None:
    log = folder / "sam.log"
    with log.open("ab") as output, Leash(["sam", *arguments], settings | {"SAM_CLI_TELEMETRY": "0"}, output) as leash:
        status = leash.wait()
    if status != 0:
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])
        raise SamFailed(f"sam {arguments[0]} ended with status {status}; the end of {log}:\n{end}")


def _described(engine: Emulator) -> Stack:
    """What was deployed, by the stack's outputs."""
    session = local_session(REGION)
    stack = session.resource("cloudformation", endpoint_url=engine.url).Stack(STACK_NAME)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.outputs}
    api_id = outputs["ApiId"]
    _install_gateway_responses(session.client("apigateway", endpoint_url=engine.url), api_id)
    return Stack(
        base_url=f"{engine.url}/_aws/execute-api/{api_id}/{STAGE}",
        endpoint_url=engine.url,
        region=REGION,
        stack_name=STACK_NAME,
        api_id=api_id,
        tables={name.removesuffix("Name"): outputs[name] for name in outputs if name.endswith("TableName")},
        queue_url=outputs["NotificationQueueUrl"],
        dead_letter_queue_url=outputs["DeadLetterQueueUrl"],
        master_secret_id=outputs["MasterSecretId"],
        statement_bucket=outputs["StatementBucketName"],
        statement_utc_offset_minutes=int(outputs["StatementUtcOffsetMinutes"]),
        log_group=stack.Resource("FunctionLogs").physical_resource_id,
        pid=os.getpid(),
    )


def _install_gateway_responses(api_gateway: "APIGatewayClient", api_id: str) -> None:
    """The emulator ignores the API's GatewayResponses property, so they are put there one by one from the template."""
    for response_type, response in gateway_responses().items():
        update = {
            "restApiId": api_id,
            "responseType": response_type,
            "responseTemplates": response["ResponseTemplates"],
        }
        if "StatusCode" in response:
            update["statusCode"] = str(response["StatusCode"])
        api_gateway.put_gateway_response(**update)
    api_gateway.create_deployment(restApiId=api_id, stageName=STAGE)


@contextmanager
def _one_at_a_time(say: Callable[[str], None]) -> Iterator[None]:
    """All runs share the build folder."""
    with (LOCAL / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run that is building")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield

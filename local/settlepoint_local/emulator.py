"""MiniStack, the AWS emulator: one process for the control planes, one more for each warm Lambda."""

import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from settlectl.deployment import LOCAL_KEY
from settlectl.failures import CommandFailed
from settlepoint_local.leash import Leash
from settlepoint_local.project import environment

SERVICES: Final = (
    "apigateway,cloudformation,dynamodb,events,iam,lambda,logs,monitoring,s3,scheduler,secretsmanager,sqs,sts"
)
START_SECONDS: Final = 60.0


class EmulatorFailed(CommandFailed):
    """It ended, or did not become healthy in time."""


def free_port(port: int) -> int:
    """`port`, which nobody has on loopback; any free one for 0. Raises OSError where it cannot be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        bound_port: int = probe.getsockname()[1]
        return bound_port


class Emulator:
    """One that was started; it may not be healthy yet."""

    def __init__(self, port: int, log: Path, leash: Leash) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._log = log
        self._leash = leash

    def wait_until_healthy(self) -> None:
        """Raises EmulatorFailed."""
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            if self._leash.exit_status is not None or time.monotonic() > deadline:
                raise EmulatorFailed(f"the emulator did not start, see {self._log}")
            time.sleep(0.1)

    def _is_healthy(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=1)
        try:
            connection.request("GET", "/_ministack/health")
            return "services" in json.load(connection.getresponse())
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


@contextmanager
def emulator(port: int, bind: str, folder: Path) -> Iterator[Emulator]:
    """Starts one with all its files under `folder`; ends it, with every process that it started, on leaving."""
    home = folder / "home"
    home.mkdir()
    settings = environment(
        HOME=str(home),
        TMPDIR=str(home),
        GATEWAY_PORT=str(port),
        BIND_HOST=bind,
        MINISTACK_HOST="127.0.0.1",
        SERVICES=SERVICES,
        IOT_MTLS_ENABLED="0",  # it would listen on ports of their own
        SFTP_ENABLED="0",
        AUTH="true",  # IAM decides, as on AWS
        AWS_ACCESS_KEY_ID=LOCAL_KEY,
        AWS_SECRET_ACCESS_KEY=LOCAL_KEY,
    )
    log = folder / "ministack.log"
    command = [sys.executable, "-I", str(Path(__file__).with_name("ministack.py"))]
    with log.open("wb") as output, Leash(command, settings, output) as leash:
        yield Emulator(port, log, leash)

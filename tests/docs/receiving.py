"""The receivers of docs/examples as processes, and the secrets of an app without Secrets Manager."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from settlement.keyring import Keyring
from settlement.signing import derive_app_secret

from .guides import EXAMPLES, need

START_SECONDS: Final = 90  # Go and Java compile first

type Family = Literal["webhook", "sud"]
FAMILIES: Final[tuple[Family, ...]] = ("webhook", "sud")
COMMANDS: Final[dict[str, Callable[[Path, int], list[str]]]] = {
    "receive.py": lambda source, port: [sys.executable, str(source), str(port)],
    "receive.mjs": lambda source, port: ["node", str(source), str(port)],
    "Receive.java": lambda source, port: ["java", str(source), str(port)],
    "receive.go": lambda source, port: ["go", "run", str(source), str(port)],
    "receive.php": lambda source, port: ["php", "-S", f"127.0.0.1:{port}", str(source)],
}


class Secrets(Keyring):
    def __init__(self) -> None:
        """There is no Secrets Manager behind it."""

    def app_secret(self, app_id: str, version: int, generation: int) -> str:
        return derive_app_secret(f"master {generation}", app_id, version)


@dataclass(frozen=True)
class Running:
    """A receiver's process: where it listens, what it has printed, and which headers it looks at."""

    port: int
    output: Path
    family: Family

    def handled(self) -> list[str]:
        """What reached the merchant's own code, one `notify_event notify_id` each."""
        return self.output.read_text(encoding="utf-8").splitlines()


@contextmanager
def running(name: str, family: Family, secrets: str, folder: Path) -> Iterator[Running]:
    """Runs one in `folder`, until it is left; skips the test where the language is not on this machine."""
    need(COMMANDS[name](folder, 0)[0])
    source = folder / name
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    if family == "sud":
        called, other = (
            ("not is_genuine(", "not is_genuine_sud(") if name.endswith("py") else ("!isGenuine(", "!isGenuineSud(")
        )
        assert text.count(called) == 1
        text = text.replace(called, other)
    source.write_text(text, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    output = folder / "output"
    environment = {"SETTLEPOINT_SECRET": secrets, "SETTLEPOINT_HANDLED": str(folder / "handled")}
    with output.open("wb") as stdout, (folder / "errors").open("wb") as stderr:
        process = subprocess.Popen(
            COMMANDS[name](source, port),
            env={**os.environ, **environment},
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,  # `go run` has a child of its own
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not listens(port):
            assert process.poll() is None, (folder / "errors").read_text(encoding="utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Running(port, output, family)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True

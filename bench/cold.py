"""A cold start: under Lambda's own runtime interface emulator, as CPU time, and as counted instructions."""

import json
import platform
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Event as Pause
from typing import Any, Final

from bench.contestants import BASE_PYTHON, FOLDER, JOBS, ONLY_STARTED, Contestant, runtime
from bench.rows import events

from settlement.clock import now_ms
from settlepoint_local.scene import Scene

WORKER: Final = Path(__file__).with_name("worker.py")
EVENTS: Final = FOLDER / "events"
_SECONDS: Final = 120
_TRIES: Final = 3
_INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)")
_COUNTED = re.compile(r"I\s+refs:\s+([0-9,]+)")


class NotListening(Exception):
    """The runtime interface emulator did not come up on the ports that it was given."""


@dataclass(frozen=True, slots=True)
class Start:
    """One cold start: the imports, and with the first call."""

    loaded_ms: float
    called_ms: float
    peak_kib: int
    answer: Any


def write_events() -> None:
    """Signed now: the game API takes a signature for 300 s."""
    EVENTS.mkdir(parents=True, exist_ok=True)
    for door, event in events(Scene(now_ms=now_ms())).items():
        (EVENTS / f"{door}.json").write_text(json.dumps(event))


def succeeded(answer: Any) -> bool:
    if "batchItemFailures" in answer:
        return not answer["batchItemFailures"]
    body = json.loads(answer["body"])
    return answer["statusCode"] == 200 and 0 in {body.get("ret"), body.get("ret_code")}


def command(contestant: Contestant, mode: str, *more: str) -> list[str]:
    door = JOBS["settle"] if contestant.door in ONLY_STARTED else contestant.door  # it is called by nobody
    event = EVENTS / f"{door}.json"
    return [str(BASE_PYTHON), "-S", "-s", str(WORKER), str(contestant.folder), str(event), mode, *more]


def cpu_of_a_start(contestant: Contestant, url: str) -> Start:
    log = FOLDER / "worker.log"
    started = subprocess.run(
        command(contestant, "cold"),
        env=contestant.environment(url, BENCH_LOG=str(log)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if started.returncode != 0 or not started.stdout:
        raise SystemExit(f"{contestant.key} did not start:\n{log.read_text()[-3000:]}")
    told = json.loads(started.stdout)
    return Start(told["loaded_ms"], told["called_ms"], told["kib"], told["answer"])


def init_ms(contestant: Contestant, url: str, event: Mapping[str, Any]) -> float:
    """Lambda's init phase, as the runtime interface emulator measures it: wall time."""
    for _ in range(_TRIES - 1):
        with suppress(NotListening):  # somebody else took a port in between
            return _init_ms(contestant, url, event)
    return _init_ms(contestant, url, event)


def _init_ms(contestant: Contestant, url: str, event: Mapping[str, Any]) -> float:
    """Raises NotListening."""
    ports = _free_ports()
    addresses = [f"127.0.0.1:{port}" for port in ports]
    environment = contestant.environment(url)
    environment["PYTHONPATH"] += f":{runtime()}"
    emulator = subprocess.Popen(
        [
            str(_emulator()),
            *("--runtime-interface-emulator-address", addresses[0]),
            *("--runtime-api-address", addresses[1]),
            *(str(BASE_PYTHON), "-S", "-s", "-m", "awslambdaric", "app.handler"),
        ],
        env=environment | {"_HANDLER": "app.handler"},
        cwd=contestant.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _wait_for(ports[0])
        path = f"http://{addresses[0]}/2015-03-31/functions/function/invocations"
        with urllib.request.urlopen(path, json.dumps(event).encode(), timeout=_SECONDS) as answer:
            said = answer.read().decode()
    finally:
        emulator.terminate()
        try:
            output, _ = emulator.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            emulator.kill()
            output, _ = emulator.communicate()
    found = _INIT.search(output)
    if found is None or "errorMessage" in said:
        raise SystemExit(f"{contestant.key} in the runtime interface emulator: {said}\n{output[-3000:]}")
    return float(found[1])


def millions_of_instructions(contestant: Contestant, url: str, calls: int | None = None) -> float | None:
    """Of a start, and of its first call and so many more; None where valgrind is not installed.

    cachegrind without its caches: it counts what callgrind counts, in a third of the time.
    """
    if shutil.which("valgrind") is None:
        return None
    work = ["load"] if calls is None else ["cold", str(calls)]
    count = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    counted = subprocess.run(
        [*count, *command(contestant, *work)],
        env=contestant.environment(url, PYTHONHASHSEED="0"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=10 * _SECONDS,
    )
    found = _COUNTED.search(counted.stderr)
    if found is None or not counted.stdout:
        return None
    if calls is not None and not succeeded(answer := json.loads(counted.stdout)["answer"]):
        raise SystemExit(f"{contestant.key} answered {answer}")
    return int(found[1].replace(",", "")) / 1e6


def _emulator() -> Path:
    machine = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
    spec = find_spec("samcli")
    if spec is None or spec.origin is None:
        raise SystemExit("the SAM CLI is not installed")
    copy = FOLDER / "aws-lambda-rie"
    if not copy.exists():  # the wheel's own is not executable
        shutil.copy(Path(spec.origin).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}", copy)
        copy.chmod(0o755)
    return copy


def _free_ports() -> tuple[int, int]:
    """Two that are not the same."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _wait_for(port: int) -> None:
    pause = Pause()
    for _ in range(500):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        pause.wait(0.02)
    raise NotListening("the runtime interface emulator does not listen")

"""A local stack's life, without the stack: what is left behind, and what is not."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from settlepoint_local import running
from settlepoint_local.emulator import EmulatorFailed, free_port
from settlepoint_local.leash import Leash

# Starts a child that ignores the polite signal, tells both process ids, and waits.
STUBBORN = """
import os, subprocess, sys, time
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", deaf])
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""
OWNER = """
import os, sys
from pathlib import Path
from settlepoint_local.leash import Leash
with Path(sys.argv[1]).open("wb") as log, Leash([sys.executable, "-c", sys.argv[2]], dict(os.environ), log) as leash:
    leash.wait()
"""


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(running, "LOCAL", tmp_path)
    return tmp_path


def run_of(local: Path, name: str, pid: int, *, age_seconds: float = 0) -> Path:
    folder = local / name
    folder.mkdir()
    (folder / "pid").write_text(str(pid))
    for description in running.DESCRIPTIONS:
        (folder / description).write_text(name)
        os.utime(folder / description, (time.time() - age_seconds,) * 2)
    return folder


def pids_told(log: Path) -> list[int]:
    deadline = time.monotonic() + 10
    while not (told := log.read_text() if log.exists() else "").endswith("\n"):
        assert time.monotonic() < deadline, "the command did not start"
        time.sleep(0.02)
    return [int(pid) for pid in told.split()]


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    for pid in pids:
        while alive(pid):
            assert time.monotonic() < deadline, f"process {pid} outlived its owner"
            time.sleep(0.02)


def alive(pid: int) -> bool:
    """A zombie, which only waits to be told of, is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc").is_dir()


def test_letting_go_ends_the_command_and_what_it_started(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output, Leash([sys.executable, "-c", STUBBORN], dict(os.environ), output):
        pids = pids_told(log)
        assert all(map(alive, pids))
    wait_until_gone(pids)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_owner_that_is_killed_takes_the_command_and_what_it_started_along(tmp_path: Path, how: int) -> None:
    log = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", OWNER, str(log), STUBBORN]) as owner:
        pids = pids_told(log)
        owner.send_signal(how)
    wait_until_gone(pids)


def test_the_command_s_exit_status_reaches_the_owner(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    with (tmp_path / "log").open("wb") as output, Leash(command, dict(os.environ), output) as leash:
        assert leash.wait() == 3


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_taken_port_is_passed_over_where_there_is_a_choice(local: Path, taken_port: int) -> None:
    port, folder = running._claim("run", [taken_port, *running.ANY_PORT])
    assert port != taken_port
    assert list(local.iterdir()) == [folder]


def test_a_named_port_that_is_taken_is_told_and_leaves_nothing(local: Path, taken_port: int) -> None:
    with pytest.raises(EmulatorFailed, match=rf"cannot listen on port {taken_port}: Address already in use"):
        running._claim("run", [taken_port])
    with pytest.raises(EmulatorFailed, match=rf"no free port from {taken_port} to {taken_port}"):
        running._claim("run", [taken_port, taken_port])
    assert list(local.iterdir()) == []


def test_a_port_that_another_run_is_about_to_take_is_told(local: Path) -> None:
    port = free_port(0)
    run_of(local, f"run-{port}", os.getpid())
    with pytest.raises(EmulatorFailed, match=f"port {port}: another run"):
        running._claim("run", [port])
    assert [path.name for path in local.iterdir()] == [f"run-{port}"]


@pytest.mark.usefixtures("local")
def test_two_runs_that_start_at_once_part_ways() -> None:
    ports = range(4566, 4666)
    claims = [running._claim("run", ports) for _ in range(3)]
    assert len({port for port, _ in claims}) == 3
    assert all((folder / "pid").read_text() == str(os.getpid()) for _, folder in claims)


def test_a_dead_run_s_leftovers_are_swept(local: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    ours = run_of(local, "run-4567", os.getpid())
    run_of(local, "run-4566", dead.pid)
    for claim in (f".claim-{dead.pid}", ".claim-x", living := f".claim-{os.getpid()}"):
        (local / claim).mkdir()
    running.sweep()
    assert sorted(path.name for path in local.iterdir()) == [living, "env.json", "run-4567", "stack.json"]
    assert (local / "stack.json").resolve() == ours / "stack.json"


def test_the_stack_file_leads_to_the_newest_run_and_back_to_an_older_one(local: Path) -> None:
    run_of(local, "run-4566", os.getpid(), age_seconds=60)
    newest = run_of(local, "run-4567", os.getpid())
    run_of(local, "test-4568", os.getpid(), age_seconds=-60)
    running.lead_to_newest_run()
    assert (local / "stack.json").read_text() == "run-4567"
    (newest / "pid").unlink()
    running.lead_to_newest_run()
    assert (local / "stack.json").read_text() == (local / "env.json").read_text() == "run-4566"


def test_without_a_run_there_is_no_stack_file(local: Path) -> None:
    (local / "stack.json").symlink_to("run-4566/stack.json")
    run_of(local, "test-4568", os.getpid())
    running.lead_to_newest_run()
    assert not (local / "stack.json").is_symlink()

"""`python -m settlepoint_local`, as far as it comes without a stack."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from settlepoint_local import demo, running, serving

COMMAND = [sys.executable, "-m", "settlepoint_local"]


def test_ctrl_c_during_the_imports_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "boto3.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    settings = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(COMMAND, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "importing\n"
        started.send_signal(signal.SIGINT)
        _, errors = started.communicate(timeout=10)
    assert (started.returncode, errors) == (-signal.SIGINT, "")


@pytest.mark.parametrize("port", ["0", "-1", "65536", "70000", "1e3", "٣", "9" * 5000])
def test_a_port_that_cannot_be_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["make run", f"--port={port}"])
    with pytest.raises(SystemExit) as ended:
        serving.main()
    assert ended.value.code == 2
    assert "is no port: 1 to 65535" in capsys.readouterr().err


@pytest.fixture
def signals() -> Iterator[None]:
    """What the command installs is taken back."""
    handlers = {number: signal.getsignal(number) for number in (*serving.ENDINGS, signal.SIGCHLD)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_named_port_that_is_taken_fails_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(running, "LOCAL", tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["make run", "--port", str(port)])
        assert serving.main() == 1
    assert f"Failed: cannot listen on port {port}: Address already in use\n" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("signals")
def test_once_the_flow_is_over_a_stack_that_ends_is_not_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = []
    monkeypatch.setattr(sys, "argv", ["make run", "--once"])
    monkeypatch.setattr(serving, "running_stack", lambda *_: nullcontext())
    monkeypatch.setattr(demo, "run", lambda *_, **options: goes_on.append(options["goes_on"]))
    assert (serving.main(), goes_on) == (0, [False])


@pytest.mark.parametrize("goes_on", [True, False])
def test_how_to_go_on_is_said_only_where_the_stack_stays(monkeypatch: pytest.MonkeyPatch, goes_on: bool) -> None:
    @contextmanager
    def receiving(_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(url="http://127.0.0.1:9/", server=SimpleNamespace(server_address=("127.0.0.1", 9)))

    monkeypatch.setattr(demo, "receiving", receiving)
    monkeypatch.setattr(demo, "create_app", lambda *_, **__: SimpleNamespace(secret="s"))
    monkeypatch.setattr(demo, "mint_token", lambda *_: SimpleNamespace(token="t"))
    for part in ("_club_settles", "_game_reports", "_receives"):
        monkeypatch.setattr(demo, part, lambda *_: None)
    stack = SimpleNamespace(base_url="http://127.0.0.1:4566/live", deployment=lambda: None)
    shown = StringIO()
    demo.run(stack, Console(file=shown), goes_on=goes_on)  # type: ignore[arg-type]
    assert ("Go on by hand" in shown.getvalue()) is goes_on
    assert ("TOKEN=t" in shown.getvalue()) is goes_on

"""A local stack's life: a folder, an emulator, a deployment; afterwards nothing but the logs.

.local/run-4566/    of a `make run`, by its port: pid, ministack.log, sam.log, stack.json, env.json, home/
.local/test-40123/  of a test session, the same
.local/stack.json   leads to the newest run's, and so does .local/env.json
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from settlepoint_local.deployment import deployed
from settlepoint_local.emulator import EmulatorFailed, emulator, free_port
from settlepoint_local.project import LOCAL
from settlepoint_local.sam_local import write_environment
from settlepoint_local.stack import Stack

DESCRIPTIONS: Final = ("stack.json", "env.json")
ANY_PORT: Final = (0,) * 100
"""As often as it may be another run's."""
CLAIM: Final = ".claim-"
"""Then the pid of who is about to take a port: a folder that becomes the run's."""


@contextmanager
def running_stack(
    kind: Literal["run", "test"] = "test",
    ports: Sequence[int] = ANY_PORT,
    bind: str = "127.0.0.1",
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Stack]:
    """Builds template.yaml, deploys it into an emulator of its own, yields it, and ends it all.

    It listens on the first of `ports` that is free, on the address `bind`. `say` hears what is being done. Raises
    EmulatorFailed or SamFailed.
    """
    LOCAL.mkdir(exist_ok=True)
    sweep()
    port, folder = _claim(kind, ports)
    try:
        with emulator(port, bind, folder) as engine:
            stack = deployed(engine, folder, say)
            stack.write(folder / "stack.json")
            write_environment(stack, folder / "env.json")
            lead_to_newest_run()
            yield stack
    finally:
        for name in ("pid", *DESCRIPTIONS):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / "home", ignore_errors=True)
        lead_to_newest_run()


def sweep() -> None:
    """Clears away what earlier runs left: their logs, and all of those that were killed."""
    for folder in [*LOCAL.glob("run-*"), *LOCAL.glob("test-*")]:
        if not _owner_lives(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for claim in LOCAL.glob(f"{CLAIM}*"):
        if not _lives(claim.name.removeprefix(CLAIM)):
            shutil.rmtree(claim, ignore_errors=True)
    lead_to_newest_run()


def lead_to_newest_run() -> None:
    """Turns the links in .local/ over, each in one step, to the newest run that lives; without one removes them."""
    running = [path.parent for path in LOCAL.glob("run-*/stack.json") if _owner_lives(path.parent)]
    newest = max(running, key=lambda folder: (folder / "stack.json").stat().st_mtime, default=None)
    for name in DESCRIPTIONS:
        if newest is None:
            (LOCAL / name).unlink(missing_ok=True)
            continue
        link = LOCAL / f"{name}.{os.getpid()}"
        link.symlink_to(Path(newest.name, name))
        link.replace(LOCAL / name)


def _claim(kind: str, ports: Sequence[int]) -> tuple[int, Path]:
    """A free port and its folder, which appears with the owner's pid in it, so that two who start at once part ways.

    Raises EmulatorFailed where none of them is free.
    """
    claim = LOCAL / f"{CLAIM}{os.getpid()}"
    claim.mkdir(exist_ok=True)
    why = ""
    try:
        (claim / "pid").write_text(str(os.getpid()), encoding="ascii")
        for candidate in ports:
            try:
                port = free_port(candidate)
            except OSError as error:
                why = str(error.strerror)
                continue
            try:
                return port, claim.rename(LOCAL / f"{kind}-{port}")
            except OSError:  # not empty: another run has claimed it and does not listen yet
                why = "another run is starting on it"
    finally:
        shutil.rmtree(claim, ignore_errors=True)  # unless it was renamed
    if len(ports) == 1:
        raise EmulatorFailed(f"cannot listen on port {ports[0]}: {why}")
    raise EmulatorFailed(f"no free port from {ports[0]} to {ports[-1]}")


def _owner_lives(folder: Path) -> bool:
    try:
        return _lives((folder / "pid").read_text(encoding="ascii"))
    except FileNotFoundError:
        return False


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True  # somebody else's
    return True

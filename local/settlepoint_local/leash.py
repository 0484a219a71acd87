"""Runs a command that must not outlive the process that asked for it, however that one ends.

    python leash.py COMMAND [ARGUMENT ...]

The command and all its descendants form one process group. When standard input closes - because the owner let go, or
was killed, which closes it too - the group is ended.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Final, Self

GRACE_SECONDS: Final = 1.0


class Leash:
    """The owner's end. Leaving the `with` block ends the command and everything that it started."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], log: IO[bytes]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, *command],  # as a script: it starts in no time
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,  # the terminal's Ctrl-C is for the owner alone
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait(self) -> int:
        return self._process.wait()


def hold(command: Sequence[str]) -> int:
    """The other end: runs the command until it ends or standard input does."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # for the others in the group; unlike SIG_IGN not inherited by them
    held = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    let_go = threading.Event()
    threading.Thread(target=_end_when_let_go, args=[held, let_go], daemon=True).start()
    status = held.wait()
    os.killpg(0, signal.SIGKILL if let_go.is_set() else signal.SIGTERM)  # what it left behind
    return status


def _end_when_let_go(held: subprocess.Popen[bytes], let_go: threading.Event) -> None:
    os.read(sys.stdin.fileno(), 1)  # returns at its end: nobody writes
    let_go.set()
    held.terminate()
    try:
        held.wait(GRACE_SECONDS)
    finally:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(hold(sys.argv[1:]))

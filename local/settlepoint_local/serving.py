"""`make run`: a stack, the main flow on it, then it serves until Ctrl-C.

Exit status: 0 after the flow or, when it serves, an orderly end; 1 when something failed; 2 for wrong usage; 128 + the
signal's number when interrupted before it served.
"""

import argparse
import signal
from contextlib import ExitStack
from types import FrameType
from typing import Final

from rich.console import Console

from settlectl.failures import CommandFailed
from settlepoint_local import demo
from settlepoint_local.emulator import EmulatorFailed
from settlepoint_local.logs import function_logs
from settlepoint_local.project import LOCAL
from settlepoint_local.running import running_stack

DEFAULT_PORTS: Final = range(4566, 4666)
ENDINGS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """One of ENDINGS came."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_status = 128 + number


def main() -> int:
    parser = argparse.ArgumentParser(prog="make run", description="Runs Settlepoint on this machine.")
    parser.add_argument(
        "--port", type=_port, help=f"this one or none; else the first that is free from {DEFAULT_PORTS[0]} on"
    )
    parser.add_argument("--bind", default="127.0.0.1", help="the address to listen on; 0.0.0.0 for containers")
    parser.add_argument("--once", action="store_true", help="end after the main flow, with its status")
    options = parser.parse_args()
    ports = DEFAULT_PORTS if options.port is None else (options.port,)
    console = Console(highlight=False)
    for number in ENDINGS:
        signal.signal(number, _interrupt)
    serving = False
    try:
        with ExitStack() as life:
            with console.status("starting") as status:
                stack = life.enter_context(running_stack("run", ports, options.bind, status.update))
            try:
                demo.run(stack, console, goes_on=not options.once)
            except CommandFailed:
                (LOCAL / "functions.log").write_text("\n".join(function_logs(stack)), encoding="utf-8")
                console.print("What the functions logged is in .local/functions.log")
                raise
            serving = not options.once
            if serving:
                console.print(f"Serving at {stack.base_url} until Ctrl-C. Logs: .local/run-*/")
                signal.signal(signal.SIGCHLD, _emulator_ended)
                signal.pause()
            _end_uninterrupted()
    except Interrupted as interruption:
        return 0 if serving else interruption.exit_status
    except CommandFailed as failure:
        console.print(f"[bold red]Failed:[/] {failure}", soft_wrap=True)
        return 1
    return 0


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 1 to 65535")
    return int(text)


def _interrupt(number: int, _: FrameType | None) -> None:
    _end_uninterrupted()
    raise Interrupted(number)


def _end_uninterrupted() -> None:
    """Ending takes a second; a further Ctrl-C would leave half of it undone."""
    for number in (*ENDINGS, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.SIG_IGN)


def _emulator_ended(_: int, __: FrameType | None) -> None:
    raise EmulatorFailed("the emulator ended by itself, see its log")

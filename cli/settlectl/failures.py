"""What stops a command: one red line on stderr, and an exit status.

CommandFailed           1   refused, failed, not found
├── NoStack             1   no local stack runs; no such stack on AWS
├── NoSuchApp           1
├── AppAlreadyExists    1
├── NoAnswer            1   no HTTP answer at all: refused, timed out, cut off
├── Interrupted       130   Ctrl-C; what was done is kept
└── BadInput            2   an option or argument that cannot be right, whatever is stored
"""

from typing import ClassVar


class CommandFailed(Exception):
    """Carries the sentence that the operator reads."""

    exit_status: ClassVar[int] = 1


class NoStack(CommandFailed):
    pass


class NoSuchApp(CommandFailed):
    def __init__(self, app_id: str) -> None:
        super().__init__(f"there is no app {app_id}")


class AppAlreadyExists(CommandFailed):
    def __init__(self, app_id: str) -> None:
        super().__init__(f"app {app_id} exists already; nothing was changed")


class NoAnswer(CommandFailed):
    pass


class Interrupted(CommandFailed):
    exit_status = 130


class BadInput(CommandFailed):
    exit_status = 2

"""The whole of Settlepoint on one machine: template.yaml, built and deployed into an AWS emulator.

`make run` is `python -m settlepoint_local`; the tests enter by `running_stack()`.
"""

from settlepoint_local.running import running_stack
from settlepoint_local.stack import Stack

__all__ = ["Stack", "running_stack"]

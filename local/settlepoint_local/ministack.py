"""Starts MiniStack so that its functions see only what Lambda's would: the standard library and their layers.

It runs each function on `sys.executable`, which would be .venv's Python with every development package on its path; a
package missing from the layer would go unnoticed here and be missed on AWS.

It also asks IAM for sqs:SendMessageBatch, which is no permission on AWS: there sqs:SendMessage allows both calls.
"""

import sys
from pathlib import Path
from typing import Any

from ministack.app import main
from ministack.core import iam_actions

_action = iam_actions.extract_iam_action


def _action_as_on_aws(*arguments: Any) -> str | None:
    action: str | None = _action(*arguments)
    return action.removesuffix("Batch") if action is not None and action.startswith("sqs:") else action


iam_actions.extract_iam_action = _action_as_on_aws

if __name__ == "__main__":
    sys.executable = str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))
    sys.argv = ["ministack"]
    main()

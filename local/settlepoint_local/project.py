"""Where things lie, and what the programs that run here see of their environment."""

import os
import sys
from pathlib import Path

STACK_NAME = "settlepoint"
ROOT = Path(__file__).parents[2]
LOCAL = ROOT / ".local"
"""Everything that local runs leave behind."""

REGION = "us-east-1"

_KEPT = ("HOME", "LANG", "LC_ALL", "TMPDIR")


def environment(**extra: str) -> dict[str, str]:
    """A clean one: no profile, key, proxy or setting of the developer's reaches the emulator, hence no function."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {
        "PATH": program_path(),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": REGION,
        "PYTHONUNBUFFERED": "1",
        **extra,
    }


def program_path() -> str:
    """PATH, with what is installed beside this Python first."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

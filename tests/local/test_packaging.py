"""`pipx install .`: settlectl by itself, with what it needs and nothing that needs this checkout."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from settlepoint_local.project import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"settlectl", "settlement", "settlepoint_local"}


def loaded() -> list[Path]:
    """Our modules that settlectl imports before its first command, as a new process sees it."""
    told = "import settlectl.main, sys; print(*[m.__file__ for n, m in sys.modules.items() if n.split('.')[0] in {}])"
    ran = subprocess.run(
        [sys.executable, "-c", told.replace("{}", repr(OURS))], capture_output=True, text=True, check=True
    )
    return [Path(line) for line in ran.stdout.split()]


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level names of what a module imports where it runs; not what it imports for its types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]
        yield from imported(node)


def test_its_dependencies_are_what_it_imports() -> None:
    files = loaded()
    assert {path.parts[-2] for path in files} == {"settlectl", "settlement"}
    names = {name for path in files for name in imported(ast.parse(path.read_text(encoding="utf-8")))}
    distributions = packages_distributions()
    third_party = names - sys.stdlib_module_names - OURS
    needed = {re.sub(r"[-_.]+", "-", distributions[name][0]).lower() for name in third_party}
    declared = {re.split(r"[>=]", line)[0].lower(): line for line in PROJECT["dependencies"]}
    # boto3 and pydantic pin these themselves, to the one version that fits them.
    assert needed - {"botocore", "pydantic-core"} == declared.keys()
    for name, line in declared.items():
        bound = line.partition(">=")[2]
        assert [int(part) for part in version(name).split(".")] >= [int(part) for part in bound.split(".")], name


def test_the_wheel_holds_the_command_line_and_the_layer(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert folders == {"settlectl", "settlement"}
    assert {"settlectl/main.py", "settlectl/status.py", "settlement/ledger.py", "settlement/py.typed"} <= set(names)
    for script, target in PROJECT["scripts"].items():
        assert (script, f"{target.partition(':')[0].replace('.', '/')}.py") == ("settlectl", "settlectl/main.py")

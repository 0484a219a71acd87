"""Rules know nothing of AWS, HTTP, the clock or the environment, and importing a module reads nothing."""

import ast
from functools import cache
from pathlib import Path

import pytest

import settlement

FOLDER = Path(settlement.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
PURE = ["sources", "points", "orders", "settling", "signing", "cursor", "buckets", "strictjson", "errors", "fields"]
PURE += ["club_messages", "game_messages", "notifications"]

AWS = {"boto3", "botocore", "aws_lambda_powertools", "mypy_boto3_dynamodb"}
EDGES = AWS | {"os", "time", "socket", "ssl", "http", "random", "secrets", "uuid", "threading", "concurrent", "logging"}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8"))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(node: ast.AST) -> set[str]:
    """Names that a module imports while it runs, as `package` or `settlement.module`, wherever they stand."""
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            continue
        if isinstance(child, ast.Import):
            found |= {alias.name for alias in child.names}
        elif isinstance(child, ast.ImportFrom) and child.module == "settlement":
            found |= {f"settlement.{alias.name}" for alias in child.names}
        elif isinstance(child, ast.ImportFrom):
            found.add(child.module or "")
        else:
            found |= imports(child)
    return found


@cache
def reached(module: str) -> frozenset[str]:
    """Everything that importing a module may import, through all modules of the layer."""
    seen, waiting, outside = set(), [module], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for imported in imports(tree(name)):
            package, _, inside = imported.partition(".")
            if package == "settlement":
                waiting.append(inside)
            else:
                outside.add(package)
    return frozenset(outside)


@pytest.mark.parametrize("module", PURE)
def test_a_rule_reaches_no_aws_no_clock_no_network_no_environment(module: str) -> None:
    assert reached(module) & EDGES == set()


@pytest.mark.parametrize("module", MODULES)
def test_no_import_is_relative_or_of_a_part_that_is_not_there(module: str) -> None:
    for imported in imports(tree(module)):
        if imported.startswith("settlement."):
            assert imported.removeprefix("settlement.") in MODULES


def at_import(node: ast.AST) -> list[ast.AST]:
    """What runs while a module is imported: everything outside of functions' bodies."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found += [part for default in child.args.defaults for part in ast.walk(default)]
            found += [part for decorator in getattr(child, "decorator_list", []) for part in ast.walk(decorator)]
        else:
            found += [child, *at_import(child)]
    return found


@pytest.mark.parametrize("module", MODULES)
def test_importing_reads_no_environment_no_clock_and_makes_no_client(module: str) -> None:
    for node in at_import(tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            touched = f"{node.value.id}.{node.attr}"
            assert touched not in {
                "os.environ",
                "os.getenv",
                "boto3.client",
                "boto3.resource",
                "time.time",
                "time.time_ns",
            }
        assert not (isinstance(node, ast.Name) and node.id in {"environ", "getenv"})


def test_settings_are_read_in_one_place_only() -> None:
    """The collector asks whether this is a function."""
    assert {name for name in MODULES if "os" in imports(tree(name))} == {"door", "collector"}

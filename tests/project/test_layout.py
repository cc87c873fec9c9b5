"""The layout of the code: floors, circles, where modules lie, how long functions are.

Floors are in setup.cfg, for import-linter; the rest is read from the sources here.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotcli.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pilotcli"
LONGEST_FUNCTION = 80
MOST_PARAMETERS = 10


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def trees() -> dict[Path, ast.Module]:
    """All of pilot's sources; read when a test needs them, since each worker imports this file."""
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


@functools.cache
def modules() -> dict[str, ast.Module]:
    return {module_name(path): tree for path, tree in trees().items()}


def own_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields the line and the module of each import of pilot's own code, wherever it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pilotcli"):
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield node.lineno, below if below in modules() else str(node.module)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("pilotcli"):
                    yield node.lineno, alias.name


def functions() -> Iterator[tuple[Path, ast.FunctionDef]]:
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield path, node


def is_command(path: Path, function: ast.FunctionDef) -> bool:
    """Whether typer makes a command of it: then its parameters are the command's options."""
    module = module_name(path).removeprefix("pilotcli.cli.")
    return f"{module}:{function.name}" in {where for where, _ in COMMANDS.values()}


def test_imports_go_down_only() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    if not lint.exists():
        pytest.skip("import-linter is not installed beside this Python")
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_module_imports_itself_by_others() -> None:
    graph = {
        name: {imported for _, imported in own_imports(tree) if imported != name}
        for name, tree in modules().items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_function_imports_our_own_code() -> None:
    inside = {
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path, function in functions()
        for line, module in own_imports(function)
    }
    assert sorted(inside) == []


def test_modules_lie_in_packages() -> None:
    flat = sorted(path.name for path in PACKAGE.iterdir() if path.is_file())
    assert flat == ["__init__.py", "__main__.py", "py.typed"]


def test_the_folders_of_tests_mirror_the_packages() -> None:
    across = {
        "benchmarks", "demo", "faults", "fuzz", "load", "mutants", "project", "safety", "support",
    }  # fmt: skip
    packages = {str(path.parent.relative_to(PACKAGE)) for path in trees()}
    folders = {
        str(path.parent.relative_to(ROOT / "tests")) for path in ROOT.glob("tests/**/test_*.py")
    }
    assert {folder for folder in folders if folder.split("/")[0] not in across} <= packages


def test_functions_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}: {lines} lines"
        for path, function in functions()
        if (lines := (function.end_lineno or 0) - function.body[0].lineno + 1) > LONGEST_FUNCTION
        or (
            (lines := (function.end_lineno or 0) - function.lineno + 1) > LONGEST_FUNCTION
            and not is_command(path, function)
        )
    ]
    assert long == []


def test_functions_have_few_parameters() -> None:
    wide = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}: {count} parameters"
        for path, function in functions()
        if (count := len(function.args.args) + len(function.args.kwonlyargs)) > MOST_PARAMETERS
        and not is_command(path, function)
    ]
    assert wide == []

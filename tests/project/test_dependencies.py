"""What pilot needs is declared, and .ci/constraints.txt has a release of it for each Python."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
BUILD = re.search(r"^requires = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
PINS = [
    Requirement(line)
    for line in (ROOT / ".ci" / "constraints.txt").read_text().splitlines()
    if not line.lstrip().startswith("#")
]
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]


def requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if line.strip()]


NEEDED = requirements(SETUP["options"]["install_requires"])
EXTRAS = {name: requirements(text) for name, text in SETUP["options.extras_require"].items()}


def imported(node: ast.AST) -> Iterator[str]:
    """The packages that are imported when the code runs, wherever the import is."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            child = ast.Module(child.orelse, [])
        if isinstance(child, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module.partition(".")[0]
        yield from imported(child)


def undeclared(folder: str, declared: list[Requirement], own: set[str]) -> set[str]:
    names = {canonicalize_name(one.name) for one in declared}
    # Python 3.10 does not know which distribution each package is from.
    names |= {name.removesuffix("-py") for name in names}
    distributions = packages_distributions()
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for package in set(imported(ast.parse(path.read_text()))) - own - sys.stdlib_module_names:
            made_by = {canonicalize_name(name) for name in distributions.get(package, [package])}
            if made_by.isdisjoint(names):
                found.add(f"{package} in {path.relative_to(ROOT)}")
    return found


def test_what_pilot_imports_is_declared() -> None:
    declared = [*NEEDED, *(one for extra in EXTRAS.values() for one in extra)]
    assert undeclared("pilotcli", declared, {"pilotcli", "pilotscope"}) == set()


def test_what_tests_import_is_declared() -> None:
    own = {"pilotcli", "pilotscope", *(path.stem for path in (ROOT / "tests").rglob("*"))}
    own |= {path.stem for path in (ROOT / ".ci").glob("*.py")}
    found = undeclared("tests", [*NEEDED, *EXTRAS["test"]], own)
    assert found == {"atheris in tests/fuzz/with_atheris.py"}


def test_an_undeclared_import_is_found() -> None:
    code = "def f():\n    import a.b\nif TYPE_CHECKING:\n    import c\nelse:\n    from d import e"
    assert set(imported(ast.parse(code))) == {"a", "d"}


def test_extras_are_tested_from_the_same_releases_on() -> None:
    tested = set(map(str, EXTRAS["test"]))
    assert {str(one) for name in EXTRAS if name != "test" for one in EXTRAS[name]} <= tested


def test_the_pythons_are_those_of_the_classifiers() -> None:
    listed = re.findall(r"Python :: (3\.\d+)$", SETUP["metadata"]["classifiers"], re.M)
    assert listed == PYTHONS
    assert SETUP["options"]["python_requires"] == f">={PYTHONS[0]}"


def test_constraints_are_releases_and_no_addresses() -> None:
    for pin in PINS:
        assert pin.url is None
        assert [one.operator for one in pin.specifier] == ["=="], pin


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_hold_a_release_of_each_requirement(python: str) -> None:
    place = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    pins: dict[str, list[Version]] = {}
    for pin in PINS:
        if pin.marker is None or pin.marker.evaluate(place):
            (release,) = pin.specifier
            pins.setdefault(canonicalize_name(pin.name), []).append(Version(release.version))
    assert BUILD is not None
    building = [Requirement(text) for text in re.findall(r'"([^"]+)"', BUILD[1])]
    for needed in (*NEEDED, *(one for extra in EXTRAS.values() for one in extra), *building):
        (release_,) = pins[canonicalize_name(needed.name)]
        assert needed.specifier.contains(release_), f"run .ci/renew: {needed}, not {release_}"

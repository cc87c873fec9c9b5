"""An environment for programs in which only what `pip install .` brings can be imported."""

from __future__ import annotations

import configparser
import os
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
HOOK = """
import sys

class Absent:
    \"\"\"Finds nothing of the packages that are not part of a plain installation.\"\"\"

    names = {names!r}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in cls.names:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent)
"""


def plain_distributions() -> set[str]:
    """The distributions that a plain installation has."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    waiting = setup["options"]["install_requires"].split("\n")
    found = {"pilot-db"}
    while waiting:
        text = waiting.pop()
        needed = Requirement(text) if text.strip() else None
        if needed is None or (needed.marker is not None and not needed.marker.evaluate()):
            continue
        name = canonicalize_name(needed.name)
        if name not in found:
            found.add(name)
            try:
                waiting += requires(name) or []
            except PackageNotFoundError:  # of another platform
                continue
    return found


def absent_packages() -> set[str]:
    """What can be imported here, and could not from a plain installation."""
    plain = plain_distributions()
    return {
        package
        for package, distributions in packages_distributions().items()
        if plain.isdisjoint(map(canonicalize_name, distributions))
    }


def plain_environment(folder: Path) -> dict[str, str]:
    """The environment of a program that imports as after `pip install .`; `folder` is made."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HOOK.format(names=absent_packages()))
    return {**os.environ, "PYTHONPATH": str(folder)}

"""Which installed packages the modules of drivers import, and in which versions."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
import tokenize
from collections.abc import Iterable, Iterator
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType

from pilotcli.common.failures import is_users

_INSTALLED_AS = {"sklearn": "scikit-learn"}
"""Packages that are imported under another name than that of their distribution."""
_NONE_OF_THEM = {*sys.stdlib_module_names, "pilotcli", "pilotscope"}


def package_versions(classes: Iterable[type], *more: str) -> dict[str, str]:
    """Returns the versions of the packages that the modules of `classes` import, also inside
    functions, by name; and those of `more` packages.

    Modules of the user's own that are imported already are searched too. Nothing is imported, and a
    package whose version is not to be found without that is left out.
    """
    names = set(more)
    seen: set[str] = set()
    waiting = [cls.__module__ for cls in classes]
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        if name in seen or module is None:
            continue
        seen.add(name)
        for imported in _imports(module):
            if _is_own(imported):
                waiting.append(imported)
            else:
                names.add(imported.partition(".")[0])
    found = {name: _version(name) for name in sorted(names - _NONE_OF_THEM)}
    return {name: version for name, version in found.items() if version is not None}


def _imports(module: ModuleType) -> Iterator[str]:
    """The names of the modules that the file of `module` imports; none for a file that cannot be
    read."""
    file = getattr(module, "__file__", None)
    if file is None or Path(file).suffix != ".py":
        return
    try:
        with tokenize.open(file) as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):  # ValueError: a null byte
        return
    package = module.__package__ or module.__name__
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            yield resolve_name(name, package) if node.level else name


def _is_own(name: str) -> bool:
    """Whether a module that is imported already is the user's."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and is_users(file)


def _version(name: str) -> str | None:
    """The version of a package: as its module says, where that is imported, which costs nothing; or
    as it was installed."""
    version = getattr(sys.modules.get(name), "__version__", None)
    if isinstance(version, str) and version:
        return version.partition(" ")[0]  # psycopg2 has `2.9.9 (dt dec pq3 ext lo64)`
    try:
        return importlib.metadata.version(_INSTALLED_AS.get(name, name))
    except importlib.metadata.PackageNotFoundError:
        return None

"""Imports the class that a class path names.

`package.module.Class` (or `package.module:Class`): a module in the config's folder or the current
folder is preferred to an installed one, but not to one of Python's standard library. Both folders
are at the end of `sys.path`, so that a `yaml.py` of the user does not break pilot.

`path/to/file.py:Class`: the file is loaded under a module name that stays the same when the
config's folder is moved, so that pickled objects can be loaded there.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from pilotcli.common.errors import PluginError, described
from pilotcli.common.suggestions import did_you_mean

_STAMP = "__pilot_stamp__"


def load_object(class_path: str, base: Path) -> Any:
    """Returns the object that `class_path` names, relative to `base`. Raises `PluginError`."""
    module_path, colon, name = class_path.rpartition(":")
    if not colon:
        module_path, _, name = class_path.rpartition(".")
    if not module_path or not name.isidentifier():
        raise PluginError(
            f"{class_path!r} is not a class path",
            hint="Write package.module.Class or path/to/file.py:Class.",
        )
    folders = list(dict.fromkeys([base.absolute(), Path.cwd()]))
    _append_to_path(folders)
    if module_path.endswith(".py") or "/" in module_path:
        # Unlike `Path.expanduser`, this does not raise for a ~ before an unknown user.
        module = _file_module(Path(base, os.path.expanduser(module_path)), base)  # noqa: PTH111
    else:
        module = _named_module(module_path, folders)
    try:
        return getattr(module, name)
    except AttributeError:
        names = [
            known
            for known, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__
        ]
        hint = did_you_mean(name, names, listed="It has")
        own = _own_file(module_path.partition(".")[0], folders)
        if own is not None and own != _file_of(module):
            hint += f" For your own file write {own.name}:{name}."
        raise PluginError(f"{module_path} has no class {name!r}", hint=hint) from None


def _append_to_path(folders: Sequence[Path]) -> None:
    """Add folders to the end of `sys.path`, and leave them there: a driver may import more from
    its folder while it runs."""
    for folder in folders:
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    importlib.invalidate_caches()


def _named_module(name: str, folders: Sequence[Path]) -> ModuleType:
    try:
        _prefer_own(name.partition(".")[0], folders)
        return importlib.import_module(name)
    except (PluginError, KeyboardInterrupt):
        raise
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise PluginError(
                f"there is no module {exc.name!r}",
                hint="Modules are looked for among the installed packages, in the config's folder "
                "and in the current one. A file is named as path/to/file.py:Class.",
            ) from None
        raise _import_failure(name, exc, folders) from exc
    except BaseException as exc:
        raise _import_failure(name, exc, folders) from exc


def _prefer_own(top: str, folders: Sequence[Path]) -> None:
    """Import the top-level module `top` from the user's folders, if they have it."""
    spec = _own_spec(top, folders)
    if spec is None or spec.origin is None or spec.loader is None:
        return
    stamp = _stamp(Path(spec.origin))
    known = sys.modules.get(top)
    if known is not None:
        if vars(known).get(_STAMP) == stamp:
            return
        same = _file_of(known) == Path(spec.origin).resolve()
        if same and _STAMP not in vars(known):
            return  # imported before, by a program that uses pilot as a library
        if not same and _STAMP not in vars(known):
            raise PluginError(
                f"the name {top!r} is taken by {_file_of(known) or 'another module'}",
                hint=f"Name the file instead: {Path(spec.origin).name}:Class",
            )
        for name in list(sys.modules):
            if name == top or name.startswith(f"{top}."):
                del sys.modules[name]
    _execute(top, spec, stamp)


def _own_spec(top: str, folders: Sequence[Path]) -> ModuleSpec | None:
    """Finds the user's own module `top`; a folder without `__init__.py` is not taken as one."""
    if top in sys.stdlib_module_names or top == "pilotcli":
        return None
    spec = PathFinder.find_spec(top, [str(folder) for folder in folders])
    return spec if spec is not None and spec.origin is not None else None


def _own_file(top: str, folders: Sequence[Path]) -> Path | None:
    files = [Path(folder, f"{top}.py") for folder in folders]
    return next((file.resolve() for file in files if file.is_file()), None)


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


def _file_module(path: Path, base: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        siblings = [file.name for file in path.parent.glob("*.py")]
        raise PluginError(
            f"there is no file {path}",
            hint=did_you_mean(path.name, siblings, listed="That folder has"),
        )
    name = _module_name(path, base.resolve())
    stamp = _stamp(path)
    known = sys.modules.get(name)
    if known is not None and vars(known).get(_STAMP) == stamp:
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise PluginError(f"{path} is not a Python file", hint="Its name must end in .py.")
    _append_to_path([path.parent])
    try:
        return _execute(name, spec, stamp)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:
        raise _import_failure(str(path), exc, [path.parent]) from exc


def _module_name(path: Path, base: Path) -> str:
    """Returns the module name of a file: always the same, however the class path is written."""
    try:
        place = path.relative_to(base).as_posix()
    except ValueError:
        place = str(path)
    stem = re.sub(r"[^a-zA-Z0-9]", "_", path.stem)
    return f"pilot_file_{stem}_{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def _stamp(path: Path) -> tuple[str, int, int]:
    """Returns a value that changes with the file, and differs from another file's."""
    state = path.stat()
    return (str(path.resolve()), state.st_mtime_ns, state.st_size)


def _execute(name: str, spec: ModuleSpec, stamp: tuple[str, int, int]) -> ModuleType:
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module)[_STAMP] = stamp
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        raise
    return sys.modules[name]


def _import_failure(what: str, exc: BaseException, folders: Sequence[Path]) -> PluginError:
    hint = "--debug shows the traceback."
    if isinstance(exc, ModuleNotFoundError) and exc.name is not None:
        hint = f"Install {exc.name!r} into the environment that pilot runs in ({sys.prefix})."
    return PluginError(f"{what} cannot be imported: {describe_error(exc, folders)}", hint=hint)


def describe_error(exc: BaseException, folders: Sequence[Path] = ()) -> str:
    """Returns an exception in one line, with the innermost place within `folders`, or else the
    innermost place outside of pilot and of Python's import system."""
    line = " ".join(described(exc).split())
    if isinstance(exc, SyntaxError) and exc.filename is not None:
        return f"{type(exc).__name__}: {exc.msg} ({exc.filename}:{exc.lineno})"
    ours = str(Path(__file__).parent.parent)
    frames = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if not frame.filename.startswith(ours) and "importlib" not in frame.filename
    ]
    near = [frame for frame in frames if any(_within(frame.filename, folder) for folder in folders)]
    place = (near or frames)[-1:]
    return f"{line} ({place[0].filename}:{place[0].lineno})" if place else line


def _within(file: str, folder: Path) -> bool:
    path = Path(file)
    return path.is_relative_to(folder) and not path.is_relative_to(sys.prefix)

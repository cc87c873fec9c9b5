"""From a YAML file and the command line to a `RunConfig`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pilotcli.config.model import RunConfig
from pilotcli.config.sections import Reader
from pilotcli.config.tree import Node, Problems, parse_yaml
from pilotcli.errors import ConfigError, Problem
from pilotcli.names import did_you_mean

__all__ = ["DEFAULT_NAME", "load_config"]

DEFAULT_NAME = "pilot.yaml"


def load_config(
    path: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> RunConfig:
    """Read and check a config.

    Without `path` it is `pilot.yaml` of the current folder, or, where that is missing, nothing but
    defaults. `overrides` are `key.path=value` with YAML values. Raises `ConfigError` with every
    problem there is.
    """
    cwd = (cwd or Path.cwd()).absolute()
    environ = os.environ if environ is None else environ
    problems = Problems()
    if path is None and (cwd / DEFAULT_NAME).is_file():
        path = Path(DEFAULT_NAME)
    root, base = None, cwd
    if path is not None:
        base = Path(cwd, path).parent
        root = parse_yaml(_text(path, cwd), str(path), problems, environ)
        if root is None and problems.found:
            raise ConfigError(problems.found)
    if root is not None and not isinstance(root.value, dict):
        kind = "a list" if isinstance(root.value, list) else f"{root.value!r}"
        problems.add(
            f"a config is a mapping of keys, not {kind}",
            root,
            hint="Begin with a key such as `workload:` or `events:`; docs/config.md has them all.",
        )
        raise ConfigError(problems.found)
    for override in overrides:
        root = _overridden(root, override, problems, environ)
    config = Reader(problems, base, cwd).read(root, Path(cwd, path) if path is not None else None)
    if problems.found:
        raise ConfigError(sorted(problems.found, key=_place))
    return config


def _place(problem: Problem) -> tuple[bool, int, int]:
    return problem.line is None, problem.line or 0, problem.column or 0


def _text(path: Path, cwd: Path) -> str:
    full = Path(cwd, path)
    try:
        return full.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        raise ConfigError([Problem("the config is not UTF-8", str(path), line)]) from None
    except IsADirectoryError:
        hint = f"Name the file in it: {path / DEFAULT_NAME}"
        raise ConfigError(
            [Problem("this is a folder, not a config", str(path), hint=hint)]
        ) from None
    except FileNotFoundError:
        raise ConfigError([_missing(path, full)]) from None
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        message = f"the config cannot be read: {reason}"
        raise ConfigError([Problem(message, str(path))]) from None


def _missing(path: Path, full: Path) -> Problem:
    hint = "`pilot init` writes a config to start from."
    try:
        names = [one.name for one in full.parent.iterdir() if one.suffix in (".yaml", ".yml")]
    except OSError:
        return Problem("there is no such folder", str(path.parent), hint=hint)
    if names:
        hint = did_you_mean(full.name, names, listed="That folder has")
    return Problem("there is no such config", str(path), hint=hint)


def _overridden(
    root: Node | None, override: str, problems: Problems, environ: Mapping[str, str]
) -> Node | None:
    """`root` with one `key.path=value` put into it."""
    origin = f"--set {override}"
    dotted, equals, text = override.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        problems.found.append(
            Problem(f"{origin}: this is no override", hint="Write --set key.path=value.")
        )
        return root
    value = parse_yaml(text, "", problems, environ, origin=origin)
    if value is None:
        value = Node(None, origin=origin)
    if root is None:
        root = Node({}, origin=origin)
    place = root
    for key in keys[:-1]:
        found = _child(place, key, origin, problems)
        if found is None:
            return root
        place = found
    _spell_out(place)
    if isinstance(place.value, list):
        target = _child(place, keys[-1], origin, problems)
        if target is not None:
            target.value, target.origin, target.mark = value.value, origin, None
    elif isinstance(place.value, dict):
        place.value[keys[-1]] = value
    else:
        problems.found.append(Problem(f"{origin}: {'.'.join(keys[:-1])} holds no keys"))
    return root


def _child(place: Node, key: str, origin: str, problems: Problems) -> Node | None:
    """The value below `place` that `key` names: a key, an index, or the name of a list's entry."""
    _spell_out(place)
    if isinstance(place.value, dict):
        if key not in place.value and isinstance(place.value.get("list"), Node):
            return _child(place.value["list"], key, origin, problems)
        return place.value.setdefault(key, Node({}, origin=origin))  # type: ignore[no-any-return]
    if isinstance(place.value, list):
        names = [_entry_name(entry) for entry in place.value]
        if key in names:
            return place.value[names.index(key)]  # type: ignore[no-any-return]
        if key.isdecimal() and int(key) < len(place.value):
            return place.value[int(key)]  # type: ignore[no-any-return]
        hint = did_you_mean(key, names, listed="It has")
        problems.found.append(Problem(f"{origin}: there is no entry {key!r}", hint=hint))
        return None
    problems.found.append(Problem(f"{origin}: {key} stands below a value that holds no keys"))
    return None


def _spell_out(place: Node) -> None:
    """Make a mapping of what may also stand as its class path alone, or as nothing."""
    if place.value is None:
        place.value = {}
    elif isinstance(place.value, str):
        place.value = {"class": Node(place.value, place.mark)}


def _entry_name(entry: Node) -> str:
    value: Any = entry.value
    if isinstance(value, dict):
        named = value.get("name") or value.get("class")
        value = named.value if named is not None else ""
    return str(value).replace(":", ".").rpartition(".")[2]

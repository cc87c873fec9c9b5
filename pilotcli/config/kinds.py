"""The kinds of values that a key may have: how each is read, named and described in the schema."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotcli.config.tree import Node, Problems
from pilotcli.names import did_you_mean

__all__ = ["INVALID", "KINDS", "Reading", "duration_s"]

INVALID: Any = object()
"""What a reader returns for a value that it has put among the problems."""

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)?\s*\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a value needs besides it: the key's name and limits, and where paths begin."""

    name: str
    limits: Mapping[str, Any]
    problems: Problems
    base: Path
    cwd: Path

    def wrong(self, node: Node, wanted: str) -> Any:
        """Note that `node` is not what was wanted."""
        self.problems.add(f"{self.name} must be {wanted}, not {_told(node.value)}", node)
        return INVALID

    def path(self, node: Node, text: str) -> Path:
        """A path relative to the config, or to the current folder from the command line."""
        start = self.cwd if node.origin is not None else self.base
        return Path(start, Path(text).expanduser())


def duration_s(text: str) -> float | None:
    """Seconds of `500ms`, `30s`, `5min`, `1h` or a bare number; None for anything else."""
    found = _DURATION.match(text)
    return float(found[1]) * _SECONDS[found[2]] if found else None


def _string(node: Node, reading: Reading) -> Any:
    if isinstance(node.value, (bool, dict, list)) or node.value is None:
        return reading.wrong(node, "a text")
    text = str(node.value)
    return text if text else reading.wrong(node, "a text that is not empty")


def _boolean(node: Node, reading: Reading) -> Any:
    if isinstance(node.value, bool):
        return node.value
    word = str(node.value).lower()
    if node.from_environment and word in ("true", "1", "yes", "on", "false", "0", "no", "off"):
        return word in ("true", "1", "yes", "on")
    return reading.wrong(node, "true or false")


def _integer(node: Node, reading: Reading) -> Any:
    value = node.value
    if node.from_environment and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        value = int(value)
    if type(value) is not int:
        return reading.wrong(node, "a whole number")
    least, most = reading.limits.get("least"), reading.limits.get("most")
    if (least is not None and value < least) or (most is not None and value > most):
        wanted = f"from {least} on" if most is None else f"from {least} to {most}"
        return reading.wrong(node, f"a whole number {wanted}")
    return value


def _duration(node: Node, reading: Reading) -> Any:
    value = node.value
    seconds: float | None = None
    if isinstance(value, str):
        seconds = duration_s(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    if seconds is None or not math.isfinite(seconds) or not 0 < seconds < 1e8:
        return reading.wrong(node, "a time above zero such as 500ms, 30s, 5min, or seconds")
    return seconds


def _choice(node: Node, reading: Reading) -> Any:
    choices = reading.limits["choices"]
    if node.value in choices:
        return node.value
    hint = did_you_mean(str(node.value), choices, listed="One of")
    reading.problems.add(f"{reading.name} cannot be {_told(node.value)}", node, hint=hint)
    return INVALID


def _path(node: Node, reading: Reading) -> Any:
    text = _string(node, reading)
    return text if text is INVALID else reading.path(node, text)


def _paths(node: Node, reading: Reading) -> Any:
    return _each(node, reading, _path)


def _strings(node: Node, reading: Reading) -> Any:
    return _each(node, reading, _string)


def _each(node: Node, reading: Reading, read: Callable[[Node, Reading], Any]) -> Any:
    nodes = node.value if isinstance(node.value, list) else [node]
    values = tuple(read(one, reading) for one in nodes)
    return INVALID if INVALID in values else values


def _settings(node: Node, reading: Reading) -> Any:
    if not isinstance(node.value, dict):
        return reading.wrong(node, "a mapping of server settings")
    settings = {}
    for name, child in node.value.items():
        value = child.value
        if isinstance(value, bool):
            value = "on" if value else "off"
        if isinstance(value, (dict, list)) or value is None:
            reading.problems.add(f"the setting {name} must have a single value", child)
            continue
        settings[name] = str(value)
    return settings


def _told(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", type(None): "nothing"}
    return names.get(type(value)) or repr(value)[:60]


KINDS: dict[str, tuple[Callable[[Node, Reading], Any], dict[str, Any]]] = {
    "string": (_string, {"type": ["string", "number"]}),
    "boolean": (_boolean, {"type": "boolean"}),
    "integer": (_integer, {"type": "integer"}),
    "duration": (_duration, {"type": ["number", "string"]}),
    "choice": (_choice, {"type": "string"}),
    "path": (_path, {"type": "string"}),
    "paths": (_paths, {"type": ["string", "array"], "items": {"type": "string"}}),
    "strings": (_strings, {"type": ["string", "array"], "items": {"type": "string"}}),
    "settings": (
        _settings,
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    ),
}
"""Each kind's reader, and its part of the JSON Schema."""

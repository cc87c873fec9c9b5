"""The kinds of values that a key may have: how each is read, named and described in the schema."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotcli.common.suggestions import did_you_mean
from pilotcli.config.scalars import TooLarge, typed
from pilotcli.config.tree import Node, Problems

INVALID: Any = object()
"""What a reader returns for a value that it has put among the problems."""

_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|m|h)?\s*\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
LONGEST_DURATION_S = 2_147_483.0
"""What a server setting in milliseconds can hold: 24.8 days."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a value needs besides it: the key's name and limits, and where paths begin."""

    name: str
    limits: Mapping[str, Any]
    problems: Problems
    base: Path
    cwd: Path

    def wrong(self, node: Node, wanted: str, *, hint: str | None = None) -> Any:
        """Note that `node` is not what was wanted."""
        message = f"{self.name} must be {wanted}, not {node.shown_value()}"
        self.problems.add(message, node, hint=hint)
        return INVALID

    def path(self, node: Node, text: str) -> Path:
        """A path relative to the config, or to the current folder from the command line."""
        start = self.cwd if node.overridden else self.base
        return Path(start, Path(text).expanduser())


def duration_s(text: str) -> float | None:
    """Seconds of `500ms`, `30s`, `5min`, `1h` or a bare number; None for anything else."""
    found = _DURATION.match(text)
    return float(found[1]) * _SECONDS[found[2]] if found else None


def _string(node: Node, reading: Reading) -> Any:
    # A number is taken as it is written: `name: 007` is no 7.
    if isinstance(node.value, (bool, dict, list)) or node.value is None:
        hint = "A text that looks like something else needs quotes." if node.text else None
        return reading.wrong(node, "a text", hint=hint)
    if not node.text.strip():
        return reading.wrong(node, "a text that is not empty")
    if "\0" in node.text:
        return reading.wrong(node, "a text without the character U+0000")
    return node.text


def _boolean(node: Node, reading: Reading) -> Any:
    value = _unquoted(node)
    return value if isinstance(value, bool) else reading.wrong(node, "true or false")


def _integer(node: Node, reading: Reading) -> Any:
    value = _unquoted(node)
    if type(value) is not int:
        return reading.wrong(node, "a whole number")
    least, most = reading.limits.get("least"), reading.limits.get("most")
    if (least is not None and value < least) or (most is not None and value > most):
        wanted = f"from {least} on" if most is None else f"from {least} to {most}"
        return reading.wrong(node, f"a whole number {wanted}")
    return value


def _unquoted(node: Node) -> Any:
    """The value; a variable's text is read as if unquoted, since `{...}` demands quotes."""
    if node.source is None or not isinstance(node.value, str):
        return node.value
    try:
        return typed(node.text)
    except TooLarge:
        return node.value


def _duration(node: Node, reading: Reading) -> Any:
    value = node.value
    seconds: float | None = None
    if isinstance(value, str):
        seconds = duration_s(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(min(value, 1e9))
    if seconds is None or not math.isfinite(seconds) or not 0 < seconds <= LONGEST_DURATION_S:
        return reading.wrong(
            node,
            "a time above zero and below 24 days",
            hint="Write 500ms, 30s, 5min, 1h, or a number of seconds.",
        )
    return seconds


_RATE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:/\s*(s|min|m|h))?\s*\Z")
_PACE = re.compile(r"\s*x?\s*([0-9]+(?:\.[0-9]+)?)\s*\Z")


def _rate(node: Node, reading: Reading) -> Any:
    found = None if isinstance(node.value, bool) else _RATE.match(str(node.value))
    per_s = float(found[1]) / _SECONDS[found[2] or "s"] if found else 0.0
    if not 0 < per_s <= 1e6:
        hint = "Write 200/s, 3000/min, or a number of queries a second."
        return reading.wrong(node, "a rate above zero and up to 1,000,000/s", hint=hint)
    return per_s


def _pace(node: Node, reading: Reading) -> Any:
    text = str(node.value)
    found = _PACE.match(text)
    if text == "fast":
        return None
    speed = 1.0 if text == "original" else float(found[1]) if found else 0.0
    if not 0 < speed <= 1e6:
        hint = "`x2` is twice as fast as the original, `x0.5` half as fast."
        return reading.wrong(node, "original, fast, or a factor such as x2", hint=hint)
    return speed


_SPLIT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:/\s*([0-9]+(?:\.[0-9]+)?)|%)\s*\Z")


def _split(node: Node, reading: Reading) -> Any:
    """The share of `80/20` that comes first."""
    found = _SPLIT.match(str(node.value))
    share = 0.0
    if found:
        first, second = float(found[1]), float(found[2] or 100 - float(found[1]))
        share = first / 100 if math.isclose(first + second, 100) else 0.0
    if not 0 < share < 1:
        hint = "The first part is for learning: 80/20 learns on 80 % of the queries."
        return reading.wrong(node, "two parts of 100, such as 80/20", hint=hint)
    return share


def _folds(node: Node, reading: Reading) -> Any:
    if node.value == "templates":
        return "templates"
    value = _unquoted(node)
    if type(value) is not int or value < 2:
        return reading.wrong(node, "a whole number from 2 on, or `templates`")
    return value


def _choice(node: Node, reading: Reading) -> Any:
    choices = reading.limits["choices"]
    if node.value in choices:
        return node.value
    hint = did_you_mean(node.text, choices, listed="One of")
    reading.problems.add(f"{reading.name} cannot be {node.shown_value()}", node, hint=hint)
    return INVALID


def _path(node: Node, reading: Reading) -> Any:
    text = _string(node, reading)
    if text is INVALID:
        return INVALID
    try:
        return reading.path(node, text)
    except RuntimeError:
        return reading.wrong(node, "a path", hint="No user has the name after the ~.")


def _paths(node: Node, reading: Reading) -> Any:
    nodes = node.value if isinstance(node.value, list) else [node]
    values = tuple(_path(node, reading) for node in nodes)
    return INVALID if INVALID in values else values


def _texts(node: Node, reading: Reading) -> Any:
    nodes = node.value if isinstance(node.value, list) else [node]
    values = tuple(_string(node, reading) for node in nodes)
    return INVALID if INVALID in values else values


def _settings(node: Node, reading: Reading) -> Any:
    if not isinstance(node.value, dict):
        return reading.wrong(node, "a mapping of server settings")
    settings = {}
    for name, child in node.value.items():
        value = child.value
        if isinstance(value, (dict, list)) or value is None:
            reading.problems.add(
                f"the setting {name} must be one value, not {child.shown_value()}", child
            )
        elif isinstance(value, bool):
            settings[name] = "on" if value else "off"
        else:
            settings[name] = child.text
    return settings


_TEXT = {"type": ["string", "number"], "pattern": r"\S"}
_TIME = r"^\s*(?=[0-9.]*[1-9])[0-9]+(\.[0-9]+)?\s*(ms|s|min|m|h)?\s*$|\$\{"

KINDS: dict[str, tuple[Callable[[Node, Reading], Any], dict[str, Any]]] = {
    "string": (_string, _TEXT),
    "boolean": (_boolean, {"type": "boolean"}),
    "integer": (_integer, {"type": "integer"}),
    "duration": (
        _duration,
        {
            "type": ["number", "string"],
            "pattern": _TIME,
            "exclusiveMinimum": 0,
            "maximum": LONGEST_DURATION_S,
        },
    ),
    "rate": (
        _rate,
        {
            "type": ["number", "string"],
            "pattern": r"^\s*(?=[0-9.]*[1-9])[0-9]+(\.[0-9]+)?\s*(/\s*(s|min|m|h))?\s*$|\$\{",
            "exclusiveMinimum": 0,
            "maximum": 1e6,
        },
    ),
    "pace": (
        _pace,
        {
            "type": ["number", "string"],
            "exclusiveMinimum": 0,
            "pattern": r"^(original|fast|\s*x?\s*(?=[0-9.]*[1-9])[0-9]+(\.[0-9]+)?\s*)$|\$\{",
        },
    ),
    "split": (
        _split,
        {"type": "string", "pattern": r"^\s*[0-9.]+\s*(/\s*[0-9.]+|%)\s*$|\$\{"},
    ),
    "folds": (
        _folds,
        {
            "type": ["integer", "string"],
            "minimum": 2,
            "pattern": r"^\s*(templates|[0-9]+)\s*$|\$\{",
        },
    ),
    "choice": (_choice, {"type": "string"}),
    "path": (_path, _TEXT),
    "paths": (_paths, {"type": ["string", "number", "array"], "pattern": r"\S", "items": _TEXT}),
    "texts": (_texts, {"type": ["string", "number", "array"], "pattern": r"\S", "items": _TEXT}),
    "settings": (
        _settings,
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    ),
}
"""Each kind's reader, and its part of the JSON Schema."""

"""A YAML file as a tree of values that know where they stand.

The file is composed by PyYAML's safe loader and built here, so that every problem has its line
and column, a key that stands twice is one, and `${VAR}` is replaced where it is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pilotcli.config.model import Mark
from pilotcli.errors import Problem

__all__ = ["Node", "Problems", "parse_yaml", "plain"]

MAX_NODES = 100_000
"""Nodes a config may grow to once its aliases are followed."""

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_BROKEN_VARIABLE = re.compile(r"\$\{[^}]*\}?")


@dataclass(slots=True)
class Node:
    """A value with its place: a scalar, a list of nodes, or a dict of key to node.

    `key_mark` is where its key stands, in a dict. `origin` names an override instead of a file.
    `from_environment` says that a part of it was a variable.
    """

    value: Any
    mark: Mark | None = None
    key_mark: Mark | None = None
    origin: str | None = None
    from_environment: bool = False


class Problems:
    """Everything that is wrong, gathered."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(
        self, message: str, node: Node | None, *, hint: str | None = None, at_key: bool = False
    ) -> None:
        """Note a problem at `node`, or at its key."""
        mark = None
        if node is not None:
            mark = node.key_mark if at_key and node.key_mark is not None else node.mark
            if node.origin is not None:
                message = f"{node.origin}: {message}"
                mark = None
        self.found.append(
            Problem(
                message,
                mark.file if mark else None,
                mark.line if mark else None,
                mark.column if mark else None,
                hint,
            )
        )


def parse_yaml(
    text: str,
    file: str,
    problems: Problems,
    environ: Mapping[str, str],
    *,
    origin: str | None = None,
) -> Node | None:
    """The tree of `text`, or None when it is empty or no YAML; what is wrong goes to `problems`."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as exc:
        problems.found.append(_syntax_problem(exc, file, origin))
        return None
    except RecursionError:
        problems.found.append(Problem("the config is nested too deeply", file))
        return None
    if root is None:
        return None
    return _Builder(file, problems, environ, origin).build(root)


def plain(node: Node) -> Any:
    """The value of `node` and all below it, without places."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def _syntax_problem(exc: yaml.YAMLError, file: str, origin: str | None) -> Problem:
    mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
    what = getattr(exc, "problem", None) or str(exc)
    message = f"this is no valid YAML: {what}"
    if origin is not None:
        return Problem(f"{origin}: {message}")
    hint = "Indent with spaces; a tab is not allowed." if "\\t" in message else None
    if mark is None:
        return Problem(message, file, hint=hint)
    return Problem(message, file, mark.line + 1, mark.column + 1, hint)


class _Builder:
    def __init__(
        self, file: str, problems: Problems, environ: Mapping[str, str], origin: str | None
    ) -> None:
        self._file = file
        self._problems = problems
        self._environ = environ
        self._origin = origin
        self._nodes = 0
        self._open: set[int] = set()
        self._constructor = yaml.constructor.SafeConstructor()
        self._resolver = yaml.resolver.Resolver()

    def build(self, source: yaml.Node) -> Node:
        node = Node(None, self._mark(source), origin=self._origin)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            if self._nodes == MAX_NODES + 1:
                self._problems.add(f"the config grows beyond {MAX_NODES} values by aliases", node)
            return node
        if id(source) in self._open:
            self._problems.add("an alias holds itself", node)
            return node
        self._open.add(id(source))
        try:
            if isinstance(source, yaml.MappingNode):
                node.value = self._mapping(source, node)
            elif isinstance(source, yaml.SequenceNode):
                node.value = [self.build(child) for child in source.value]
            elif isinstance(source, yaml.ScalarNode):
                self._scalar(source, node)
        except RecursionError:
            self._problems.add("the config is nested too deeply", node)
        finally:
            self._open.discard(id(source))
        return node

    def _mapping(self, source: yaml.MappingNode, node: Node) -> dict[str, Node]:
        built: dict[str, Node] = {}
        merged: list[dict[str, Node]] = []
        for key_source, value_source in source.value:
            if key_source.tag == "tag:yaml.org,2002:merge":
                merged += self._merged(value_source)
                continue
            key_node = Node(None, self._mark(key_source), origin=self._origin)
            if not isinstance(key_source, yaml.ScalarNode):
                self._problems.add("a key must be a single word, not a list or mapping", key_node)
                continue
            key = str(key_source.value)
            child = self.build(value_source)
            child.key_mark = key_node.mark
            if key in built:
                first = built[key].key_mark
                line = f", first in line {first.line}" if first is not None else ""
                self._problems.add(f"the key {key!r} stands here twice{line}", key_node)
                continue
            built[key] = child
        for one in merged:
            built = {**one, **built}
        return built

    def _merged(self, source: yaml.Node) -> list[dict[str, Node]]:
        sources = source.value if isinstance(source, yaml.SequenceNode) else [source]
        mappings = []
        for one in sources:
            node = self.build(one)
            if isinstance(node.value, dict):
                mappings.append(node.value)
            else:
                self._problems.add("`<<` takes a mapping or a list of mappings", node)
        return mappings

    def _scalar(self, source: yaml.ScalarNode, node: Node) -> None:
        tag, text = source.tag, source.value
        if "${" in text:
            before = len(self._problems.found)
            text = self._interpolated(text, node)
            if len(self._problems.found) > before:
                return
            if source.style is None:
                tag = self._resolver.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        try:
            node.value = self._constructor.construct_object(
                yaml.ScalarNode(tag, text, source.start_mark, source.end_mark, source.style)
            )
        except (yaml.YAMLError, ValueError, OverflowError):
            self._problems.add(f"{text!r} is no value that a config may hold", node)

    def _interpolated(self, text: str, node: Node) -> str:
        def value(found: re.Match[str]) -> str:
            if found["name"] is None:
                return "\0{"
            node.from_environment = True
            known = self._environ.get(found["name"])
            if known:
                return known.replace("${", "\0{")
            if found["default"] is not None:
                return str(found["default"])
            if known is None:
                self._problems.add(
                    f"the environment variable {found['name']} is not set",
                    node,
                    hint=f"Set it, or give a default: ${{{found['name']}:-default}}",
                )
            return ""

        replaced = _VARIABLE.sub(value, text)
        broken = _BROKEN_VARIABLE.search(replaced)
        if broken is not None:
            self._problems.add(
                f"{broken[0]!r} names no variable",
                node,
                hint="Write ${NAME}, ${NAME:-default}, or $${ for the text ${ itself.",
            )
        return replaced.replace("\0{", "${")

    def _mark(self, source: yaml.Node) -> Mark | None:
        mark = source.start_mark
        if self._origin is not None or mark is None:
            return None
        return Mark(self._file, mark.line + 1, mark.column + 1)

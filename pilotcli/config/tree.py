"""Reads a YAML file into a tree of values, each with its place.

So every problem has its line and column, a repeated key is a problem, and `${VAR}` is replaced
where it is written, before a value gets its type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pilotcli.common.errors import Problem
from pilotcli.common.redaction import masked_dsn
from pilotcli.config.compose import Source, compose
from pilotcli.config.model import Mark
from pilotcli.config.scalars import TooLarge, typed
from pilotcli.config.variables import Variables

MAX_NODES = 100_000
"""Values that a config may grow to once its aliases are followed."""

MAX_DEPTH = 200
"""Levels it may grow to by aliases."""

_YAML_TAG = "tag:yaml.org,2002:"
_COLLECTION_TAGS = {
    "list": (None, "!", f"{_YAML_TAG}seq"),
    "mapping": (None, "!", f"{_YAML_TAG}map"),
}
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    f"{_YAML_TAG}int": (int,),
    f"{_YAML_TAG}float": (int, float),
    f"{_YAML_TAG}bool": (bool,),
    f"{_YAML_TAG}null": (type(None),),
}


@dataclass(slots=True)
class Node:
    """A value with its place: a scalar, a list of nodes, or a dict of key to node.

    - `text`: how a scalar is written, with its variables replaced;
    - `source`: the same before that, where it has variables;
    - `key_mark`: the place of its key, in a dict;
    - `overridden`: whether it comes from the command line, not from a file.
    """

    value: Any
    mark: Mark | None = None
    text: str = ""
    source: str | None = None
    key_mark: Mark | None = None
    overridden: bool = False

    def shown_value(self) -> str:
        """The value for a message; never what a variable holds, which may be a secret."""
        if isinstance(self.value, (dict, list)):
            return "a mapping" if isinstance(self.value, dict) else "a list"
        if self.source is not None:
            return f"the value of {masked_dsn(self.source)}"
        if self.value is None:
            return "nothing"
        shown = masked_dsn(self.text)
        shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
        return repr(shown) if isinstance(self.value, str) else shown


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
        self.at(mark, message, hint=hint)

    def at(self, mark: Mark | None, message: str, *, hint: str | None = None) -> None:
        """Note a problem at `mark`."""
        self.found.append(problem_at(mark, message, hint))


def problem_at(mark: Mark | None, message: str, hint: str | None = None) -> Problem:
    """A problem with the place that `mark` names."""
    if mark is None:
        return Problem(message, hint=hint)
    return Problem(message, mark.file, mark.line or None, mark.column or None, hint)


def parse_yaml(
    text: str, file: str, problems: Problems, variables: Variables, *, origin: str | None = None
) -> Node | None:
    """The tree of `text`, or None when it is empty or no YAML; what is wrong goes to `problems`.

    `origin` names the override that the text comes from, in the place of `file`.
    """
    root = compose(text, file)
    if isinstance(root, Problem):
        if origin is not None:
            root = Problem(root.message, origin, hint=root.hint)
        problems.found.append(root)
        return None
    return None if root is None else _Builder(problems, variables, origin).build(root)


def plain(node: Node) -> Any:
    """The value of `node` and all below it, without places."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


class _Builder:
    """Follows aliases and merge keys, replaces variables and gives scalars their types."""

    def __init__(self, problems: Problems, variables: Variables, origin: str | None) -> None:
        self._problems = problems
        self._variables = variables
        self._origin = origin
        self._nodes = 0
        self._open: set[int] = set()
        self._filled: dict[int, tuple[str, list[tuple[str, str]]]] = {}

    def build(self, source: Source) -> Node:
        node = self._node(source)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            if self._nodes == MAX_NODES + 1:
                self._problems.add(f"the config grows beyond {MAX_NODES} values by aliases", node)
            return node
        if source.kind == "scalar":
            self._scalar(source, node)
            return node
        if id(source) in self._open:
            self._problems.add("an alias names what it is itself a part of", node)
            return node
        if len(self._open) > MAX_DEPTH:
            self._problems.add(f"this grows beyond {MAX_DEPTH} levels by aliases", node)
            return node
        if source.tag not in _COLLECTION_TAGS[source.kind]:
            self._unknown_tag(source, node)
        self._open.add(id(source))
        if source.kind == "mapping":
            node.value = self._mapping(source)
        else:
            node.value = [self.build(child) for child in source.value]
        self._open.discard(id(source))
        return node

    def _node(self, source: Source) -> Node:
        if self._origin is not None:
            return Node(None, Mark(self._origin, 0, 0), overridden=True)
        return Node(None, source.mark)

    def _mapping(self, source: Source) -> dict[str, Node]:
        built: dict[str, Node] = {}
        merged: list[dict[str, Node]] = []
        for key_source, value_source in source.value:
            key_node = self._node(key_source)
            if key_source.kind != "scalar":
                self._problems.add("a key must be a single word, not a list or mapping", key_node)
                continue
            key = key_source.value
            if key == "<<" and key_source.plain:
                merged += self._merged(value_source)
                continue
            if key in built:
                first = built[key].key_mark
                line = f", first in line {first.line}" if first is not None and first.line else ""
                self._problems.add(f"the key {key!r} appears twice{line}", key_node)
                continue
            child = self.build(value_source)
            child.key_mark = key_node.mark
            built[key] = child
        for mapping in merged:
            built = {**mapping, **built}
        return built

    def _merged(self, source: Source) -> list[dict[str, Node]]:
        """What `<<` merges, the foremost first (https://yaml.org/type/merge.html)."""
        sources = source.value if source.kind == "list" else [source]
        mappings = []
        for merged in sources:
            node = self.build(merged)
            if isinstance(node.value, dict):
                mappings.append(node.value)
            else:
                self._problems.add("`<<` takes a mapping or a list of mappings", node)
        return mappings

    def _scalar(self, source: Source, node: Node) -> None:
        text = source.value
        if "${" in text:
            # Once per text, however many aliases name it: each would make another copy.
            if id(source) not in self._filled:
                self._filled[id(source)] = self._variables.fill(text)
            text, wrong = self._filled[id(source)]
            for message, hint in wrong:
                self._problems.add(message, node, hint=hint)
            if wrong:
                return
            node.source = source.value
        node.text = text
        try:
            node.value = self._typed(source, node, text)
        except TooLarge:
            self._problems.add("this number is too large", node, hint="A text needs quotes.")

    def _typed(self, source: Source, node: Node, text: str) -> Any:
        if source.tag is None:
            return typed(text) if source.plain else text
        if source.tag in ("!", f"{_YAML_TAG}str"):
            return text
        types = _SCALAR_TAGS.get(source.tag)
        if types is None:
            self._unknown_tag(source, node)
            return text
        value = typed(text)
        if type(value) not in types:
            node.value = text
            name = source.tag.removeprefix(_YAML_TAG)
            self._problems.add(f"{node.shown_value()} is no !!{name}", node)
        return float(value) if source.tag == f"{_YAML_TAG}float" and type(value) is int else value

    def _unknown_tag(self, source: Source, node: Node) -> None:
        tag = str(source.tag)
        if tag.startswith("!"):  # perhaps no tag but a password that begins so
            shown, hint = "a tag", "Quote a text that begins with !."
        else:
            shown = f"the tag {tag.replace(_YAML_TAG, '!!')}"
            hint = "A config holds plain values only: texts, numbers, true, false, lists, mappings."
        self._problems.add(f"{shown} means nothing here", node, hint=hint)

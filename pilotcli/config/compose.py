"""The text of a YAML file as bare nodes with their places, within limits that any config keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import yaml

from pilotcli.common.errors import Problem
from pilotcli.config.model import Mark

MAX_DEPTH = 100
"""Lists and mappings within one another; libyaml's own composer overflows the stack instead."""

_TOO_DEEP = f"this is nested more than {MAX_DEPTH} levels deep"

_HINTS = {
    "mapping values are not allowed": "Quote a value that holds ': ', and look at the indentation.",
    "did not find expected key": "Look at the indentation of this line and of those above.",
    "could not find expected ':'": "A key needs a colon and a space after it: `key: value`.",
    "cannot start any token": "Quote a value that begins with one of @ ` % & * ! | > ' \".",
    "has no anchor above": "Quote a text that begins with *.",
    "found another document": "Take out the line `---`: a config is a single document.",
    _TOO_DEEP: "Take out levels of brackets or indentation, or keep such data in another file.",
}


@dataclass(slots=True, eq=False)
class Source:
    """A node as it is written. `value` is a text, a list of nodes, or a list of pairs of them.

    `tag` is None unless one is written; `plain` says that a text has no quotes.
    """

    kind: Literal["scalar", "list", "mapping"]
    value: Any
    mark: Mark
    tag: str | None = None
    plain: bool = False


class _Wrong(Exception):
    """Ends the composing with its problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def compose(text: str, file: str) -> Source | Problem | None:
    """The root node, what is wrong with the YAML, or None when there is nothing in it."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Composer(yaml.parse(text, Loader=loader), file).document()
    except _Wrong as exc:
        return exc.problem
    except yaml.reader.ReaderError as exc:
        return _unreadable(exc, text, file)
    except yaml.MarkedYAMLError as exc:
        return _too_deep(exc, text, file) or _syntax_problem(exc, text, file)
    except UnicodeError:
        return Problem("this is no text that can be written in UTF-8", file)


def _too_deep(exc: yaml.MarkedYAMLError, text: str, file: str) -> Problem | None:
    """The problem that the text before an error is nested too deep, or None when it is not.

    The scanner reads ahead of the composer, and from PyYAML 6.0.4 on it has a limit of its own.
    So it may fail, in its own words, before the composer sees how deep the text is.
    """
    mark = exc.problem_mark
    if not isinstance(exc, yaml.scanner.ScannerError) or mark is None:
        return None
    if not text.startswith(("[", "{"), mark.index):
        return None
    before = compose(text[: mark.index], file)
    return before if isinstance(before, Problem) and _TOO_DEEP in before.message else None


@dataclass(slots=True)
class _Composer:
    events: Iterator[Any]
    file: str
    anchors: dict[str, Source] = field(default_factory=dict)

    def document(self) -> Source | None:
        """The only document there is."""
        root = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self._wrong(event, "found another document")
                root = self._node(next(self.events), 0)
        return root

    def _node(self, event: Any, depth: int) -> Source:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self._wrong(event, "this alias has no anchor above")
            return self.anchors[event.anchor]
        if depth > MAX_DEPTH:
            raise self._wrong(event, _TOO_DEEP)
        source = Source("scalar", None, self._mark(event), tag=event.tag)
        if event.anchor is not None:
            self.anchors[event.anchor] = source
        if isinstance(event, yaml.ScalarEvent):
            source.value = event.value
            source.plain = not event.style
        elif isinstance(event, yaml.SequenceStartEvent):
            source.kind = "list"
            source.value = list(self._nodes(yaml.SequenceEndEvent, depth))
        else:
            source.kind = "mapping"
            nodes = list(self._nodes(yaml.MappingEndEvent, depth))
            source.value = list(zip(nodes[::2], nodes[1::2], strict=True))
        return source

    def _nodes(self, end: type[Any], depth: int) -> Iterator[Source]:
        for event in self.events:
            if isinstance(event, end):
                return
            yield self._node(event, depth + 1)

    def _mark(self, event: Any) -> Mark:
        return Mark(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _wrong(self, event: Any, what: str) -> _Wrong:
        mark = self._mark(event)
        return _Wrong(_invalid(what, self.file, mark.line, mark.column))


def _invalid(what: str, file: str, line: int | None, column: int | None) -> Problem:
    hint = next((hint for part, hint in _HINTS.items() if part in what), None)
    return Problem(f"this is no valid YAML: {what}", file, line, column, hint)


def _unreadable(exc: Any, text: str, file: str) -> Problem:
    """The first character that YAML does not allow."""
    for number, line in enumerate(text.split("\n"), 1):
        for column, character in enumerate(line, 1):
            if not (character.isprintable() or character in "\t\n\r\x85\u2028\u2029\xa0\ufeff"):
                what = f"the character U+{ord(character):04X} is not allowed"
                return _invalid(what, file, number, column)
    return _invalid(str(exc.reason), file, None, None)


def _syntax_problem(exc: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    what = str(exc.problem or exc.context)
    mark = exc.problem_mark or exc.context_mark
    if mark is None:
        return _invalid(what, file, None, None)
    lines = text.split("\n")
    number, column = mark.line, mark.column
    if number >= len(lines):  # libyaml counts a line more at the end of the text
        number, column = len(lines) - 1, len(lines[-1])
    line = lines[number]
    problem = _invalid(what, file, number + 1, column + 1)
    hint = problem.hint
    if "\t" in line[: column + 1]:
        hint = "There is a tab in this line; indent with spaces."
    elif "${" in line and "did not find expected ','" in what:
        hint = "Between { } or [ ] a variable needs quotes: '${NAME}'."
    return replace(problem, hint=hint)

"""Queries in JSON: an object per line, an array of objects, or objects one after the other."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator

from pilotcli.common.errors import WorkloadError
from pilotcli.workload.psql.script import Found
from pilotcli.workload.psql.window import Window
from pilotcli.workload.refusals import Refusals
from pilotcli.workload.sources import Source
from pilotcli.workload.tables import END_MARK, object_query, open_stream

_LINE_HINT = 'Each line is an object of its own: {"sql": "SELECT 1", "label": "q1"}'
_HINT = 'Each query is an object: {"sql": "SELECT 1", "label": "q1"}'
_STEP_BYTES = 1 << 16
_SPACE = f" \t\r\n{END_MARK}"


def read_json(source: Source) -> Iterator[Found]:
    """Reads one query per object; its key `sql` or `query` is the query, `label` or `name` its
    label. The objects are on lines of their own, in an array, or one after the other.

    Raises `WorkloadError` for what is something else.
    """
    refusals = Refusals()
    with source.open() as read, refusals.ending():
        stream = open_stream(read, source.name)
        if stream.peek(1).lstrip(b" \t\r\n\xef\xbb\xbf").startswith(b"["):
            yield from _Document(source.name, 1, b"", stream).queries(refusals)
            return
        first = True
        for number, text in enumerate(stream, 1):
            if not text.strip(b" \t\r\n\xef\xbb\xbf\x1a"):
                continue
            if first and not _is_object(text):
                yield from _Document(source.name, number, text, stream).queries(refusals)
                return
            first = False
            yield from _line_query(source.name, number, text, refusals)


def _is_object(line: bytes) -> bool:
    """Whether a line is an object by itself; else the object may go on below it."""
    try:
        return isinstance(json.loads(line.decode("utf-8-sig")), dict)
    except (ValueError, RecursionError):
        return False


def _line_query(file: str, line: int, text: bytes, refusals: Refusals) -> Iterator[Found]:
    try:
        row = json.loads(text.decode("utf-8-sig"))
        found = object_query(file, line, row, _advice(row, file) or _LINE_HINT)
        if found is not None and not refusals:
            yield found
    except WorkloadError as problem:
        refusals.add(problem)
    except (ValueError, RecursionError) as problem:
        message = f"the line is no JSON: {problem}"
        refusals.add(WorkloadError(message, file=file, line=line, hint=_LINE_HINT))


class _Document:
    """The values of a JSON text that is no line for each, in bounded memory.

    `first` is what has been read from `stream` already; it begins on `line`.
    """

    def __init__(self, file: str, line: int, first: bytes, stream: io.BufferedReader) -> None:
        self._file = file
        self._line = line
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()
        self._stream = stream
        self._text = ""
        self._pos = 0
        self._text = self._decode(first)

    def queries(self, refusals: Refusals) -> Iterator[Found]:
        """The queries of all objects, of an array or one after the other."""
        in_array = self._next_char() == "["
        self._pos += in_array
        expected = False  # whether a comma came before
        while char := self._next_char():
            if in_array and char == "]" and not expected:
                self._pos += 1
                in_array = False
                if self._next_char():
                    raise self._error("there is more text after the array")
                return
            value, line = self._value()
            try:
                found = object_query(self._file, line, value, _advice(value, self._file) or _HINT)
                if found is not None and not refusals:
                    yield found
            except WorkloadError as problem:
                refusals.add(problem)
            expected = False
            if in_array and self._next_char() not in ("]", ""):
                if self._next_char() != ",":
                    raise self._error("a comma is missing between two objects")
                self._pos += 1
                expected = True
        if in_array:
            raise self._error("the array is never closed")

    def _next_char(self) -> str:
        """The next character that is no space, without moving over it; empty at the end."""
        while True:
            rest = self._text[self._pos : self._pos + 1]
            if rest and rest not in _SPACE:
                return rest
            if rest:
                self._pos += 1
            elif not self._more():
                return ""

    def _value(self) -> tuple[object, int]:
        """The value that begins here, and its line."""
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._pos)
            except (ValueError, RecursionError) as problem:
                if len(self._text) - self._pos > Window.MAX_BYTES or not self._more():
                    raise self._error(f"this is no JSON: {problem}") from None
                continue
            line = self._line + self._text.count("\n", 0, self._pos)
            self._pos = end
            return value, line

    def _more(self) -> bool:
        """Read on, at least as much as is pending; False at the end."""
        pending = len(self._text) - self._pos
        data = self._stream.read(max(_STEP_BYTES, pending))
        self._line += self._text.count("\n", 0, self._pos)
        self._text = self._text[self._pos :] + self._decode(data, final=not data)
        self._pos = 0
        return bool(data)

    def _decode(self, data: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(data, final)
        except UnicodeDecodeError as problem:
            raise self._error(f"this is no JSON in UTF-8: {problem.reason}") from None

    def _error(self, message: str) -> WorkloadError:
        line = self._line + self._text.count("\n", 0, self._pos)
        return WorkloadError(message, file=self._file, line=line, hint=_HINT)


def _advice(value: object, file: str) -> str | None:
    """What to do about an object that holds several queries, as a command."""
    if not isinstance(value, dict) or not value:
        return None
    for name, inner in value.items():
        if isinstance(inner, list) and inner and isinstance(inner[0], (dict, str)):
            return f"Take the queries out of it: jq -c '.[{json.dumps(name)}][]' {file} > w.jsonl"
    if all(isinstance(inner, str) for inner in value.values()):
        to_rows = "jq -c 'to_entries[] | {label: .key, sql: .value}'"
        return f"If its keys are labels of queries: {to_rows} {file} > w.jsonl"
    return None

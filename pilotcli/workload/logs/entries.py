"""What the readers of the log formats have in common: an entry, and its time."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from pilotcli.common.errors import WorkloadError
from pilotcli.workload.sources import Read

STATEMENT_MESSAGES = ("duration: ", "statement: ", "execute ")
"""How the messages begin that hold statements, or durations of statements."""
IS_NO_STATEMENT = re.compile(r"duration: [0-9.]+ ms  (?:parse|bind) ").match
"""Of the messages that begin so: those that say nothing of a statement."""
ERRORS = frozenset({"ERROR", "FATAL", "PANIC"})
_BLOCK_BYTES = 1 << 18
_TIME = re.compile(r"([12]\d{3})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::|$)")
_OFFSET = re.compile(r"([+-])(\d\d)(?::?(\d\d))?$")
_HOURS = {
    "WEST": 1, "BST": 1, "IST": 5.5, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "JST": 9,
    "KST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13, "AST": -4, "ADT": -3, "EST": -5,
    "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
"""Names of time zones, in hours before UTC. Only differences between entries count, so it matters
for the two names of a zone with summer time; an unknown name counts as UTC."""


class Entry(NamedTuple):
    """One entry of a log that may say something of a statement.

    - `time`: when it was written, in seconds since 1970;
    - `number`: its place among the entries of its session;
    - `query`: the statement that caused an error;
    - `line`: where it begins in its file.
    """

    time: float
    user: str
    database: str
    session: str
    number: str
    application: str
    severity: str
    message: str
    detail: str
    context: str
    query: str
    line: int


class Clock:
    """Reads the times of a log, which mostly lie in the minute of the one before."""

    def __init__(self) -> None:
        self._minute = ""
        self._zone = ""
        self._epoch = 0.0

    def read(self, text: str) -> float | None:
        """Returns `2026-11-29 02:51:11.331 UTC` in seconds since 1970; None for another text."""
        rest = text[17:].partition(" ")
        if text[:16] != self._minute or rest[2] != self._zone:
            found = _TIME.match(text)
            if found is None:
                return None
            try:
                zone = timezone(timedelta(hours=_hours(rest[2])))
                when = datetime(*map(int, found.groups()), tzinfo=zone)  # type: ignore[misc,arg-type]
            except ValueError:
                return None
            self._minute, self._zone, self._epoch = text[:16], rest[2], when.timestamp()
        try:
            return self._epoch + float(rest[0] or 0)
        except ValueError:
            return None


def _hours(zone: str) -> float:
    offset = _OFFSET.match(zone)
    if offset is None:
        return _HOURS.get(zone, 0)
    hours = int(offset[2]) + int(offset[3] or 0) / 60
    return hours if offset[1] == "+" else -hours


def damaged(what: str, file: str, line: int) -> WorkloadError:
    """Returns the error for an entry that no server has written so."""
    return WorkloadError(
        what,
        file=file,
        line=line,
        hint="Was the file changed after the server wrote it? Remove this entry.",
    )


def whole_lines(read: Read, file: str) -> Iterator[bytes]:
    """Yields a file in blocks that end with a line, the last one as it is. Raises `WorkloadError`
    for a zero byte."""
    pieces: list[bytes] = []
    line = 1
    while data := read(_BLOCK_BYTES):
        if b"\0" in data:
            raise WorkloadError(
                "the log holds a zero byte, as after a crash of the machine",
                file=file,
                line=line + data.count(b"\n", 0, data.index(b"\0")),
                hint=f"Make a copy without them: tr -d '\\000' < {file} > log",
            )
        line += data.count(b"\n")
        end = data.rfind(b"\n") + 1
        if end:
            yield b"".join([*pieces, data[:end]])
            pieces = []
        pieces.append(data[end:])
    yield b"".join(pieces)


def text_lines(read: Read, file: str) -> Iterator[str]:
    """Yields the lines of a file, with their ends. Bytes that are not UTF-8 become surrogates."""
    for block in whole_lines(read, file):
        text = block.decode("utf-8", "surrogateescape")
        yield from io.StringIO(text, newline="\n")  # str.splitlines splits at more than \n

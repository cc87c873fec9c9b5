"""Entries of the log that a server writes as text (`log_destination = 'stderr'`)."""

from __future__ import annotations

from collections.abc import Iterator

from pilotcli.common.errors import WorkloadError
from pilotcli.common.quantities import plural
from pilotcli.workload.logs.entries import (
    ERRORS,
    STATEMENT_MESSAGES,
    Clock,
    Entry,
    damaged,
    text_lines,
)
from pilotcli.workload.logs.prefix import entry_head, entry_pattern
from pilotcli.workload.sources import Read

_NOBODY = {"[unknown]": ""}
_MOST_UNMATCHED = 0.05
_ENOUGH = 1_000
"""After so many entries with another prefix, the rest of the log is not looked at."""


class Unmatched:
    """Counts the entries of a log that may hold a statement or an error, and that do not begin as
    its `log_line_prefix` says."""

    def __init__(self, file: str, prefix: str) -> None:
        self.count = 0
        self._file = file
        self._prefix = prefix
        self._line = 0
        self._first = ""

    def add(self, line: str, number: int) -> None:
        """Count a line."""
        if not self.count:
            self._line, self._first = number, line.strip()[:_SHOWN]
        self.count += 1

    def note(self) -> str:
        """Returns what the user is told of them."""
        entries = "1 entry that does" if self.count == 1 else f"{self.count:,} entries that do"
        return (
            f"left out: {entries} not begin as log_line_prefix = {self._prefix!r} says; the first "
            f"is {self._file}:{self._line}: {self._first}"
        )

    def check(self, matched: int) -> None:
        """Raises `WorkloadError` if they are more than a few of all; `matched` are the others."""
        whole = self.count - (self._line == 1)  # the first line of a file may be cut off
        if whole > _MOST_UNMATCHED * (whole + matched):
            raise WorkloadError(
                f"{plural(self.count, 'entry', 'entries')} of {self.count + matched:,} begin "
                f"otherwise than log_line_prefix = {self._prefix!r} says; the first is: "
                f"{self._first}",
                file=self._file,
                line=self._line,
                hint="Give the server's own with --prefix: SHOW log_line_prefix. A file that was "
                "written with several is read in parts, each with its own.",
            )


_SHOWN = 160


def read_stderrlog(
    read: Read, file: str, prefix: str, unmatched: Unmatched | None = None
) -> Iterator[Entry]:
    """Yields the entries with a statement, a duration or an error; `prefix` is their
    `log_line_prefix`, `unmatched` counts those that have another one.

    The first and the last entry may be cut off; one that is cut between two of its lines does not
    show it. Raises `WorkloadError` for an entry whose time is none, and for too many with another
    prefix.
    """
    unmatched = unmatched or Unmatched(file, prefix)
    matched = 0
    match = entry_pattern(prefix).match
    clock = Clock()
    fields: dict[str, str | None] = {}
    parts: dict[str, list[str]] = {}
    part: list[str] | None = None
    begin = 0
    line = ""
    for number, line in enumerate(text_lines(read, file), 1):
        if line.startswith("\t"):  # the server puts a tab before each further line
            if part is not None:
                part.append(line[1:])
            continue
        found = match(line)
        if found is None:
            part = None
            head = entry_head(line)
            if head is not None:  # its parts are none of the entry before
                if parts and (entry := _entry(fields, parts, file, begin, clock)) is not None:
                    matched += 1
                    yield entry
                parts = {}
                if head.counts:
                    unmatched.add(line, number)
                    if unmatched.count == _ENOUGH:
                        unmatched.check(matched)
            continue
        level = found["level"]
        if level in _PARTS:
            part = [found["text"]]
            if parts:
                parts[level] = part
            continue
        if parts and (entry := _entry(fields, parts, file, begin, clock)) is not None:
            matched += 1
            yield entry
        fields, begin = found.groupdict(), number
        part = [found["text"]]
        parts = {"": part}
    cut = part is not None and not line.endswith("\n")
    last = _entry(fields, parts, file, begin, clock) if parts and not cut else None
    unmatched.check(matched + (last is not None))
    if last is not None:
        yield last


_PARTS = frozenset({"DETAIL", "STATEMENT", "CONTEXT", "HINT", "QUERY", "LOCATION"})


def _entry(
    fields: dict[str, str | None], parts: dict[str, list[str]], file: str, line: int, clock: Clock
) -> Entry | None:
    severity = fields["level"] or ""
    message = "".join(parts[""]).removesuffix("\n")
    if not (message.startswith(STATEMENT_MESSAGES) or severity in ERRORS):
        return None
    get = fields.get
    time = get("m") or get("t")
    started = float(get("n") or 0) if time is None else clock.read(time)
    if started is None:
        raise damaged(f"the entry has no time, but {time}", file, line)

    def text(part: str) -> str:
        return "".join(parts.get(part, ())).removesuffix("\n")

    user, database, name = get("u") or "", get("d") or "", get("a") or ""
    return Entry(
        started,
        _NOBODY.get(user, user),
        _NOBODY.get(database, database),
        get("c") or get("p") or "",
        get("l") or f"L{line}",
        _NOBODY.get(name, name),
        severity,
        message,
        text("DETAIL"),
        text("CONTEXT"),
        text("STATEMENT"),
        line,
    )

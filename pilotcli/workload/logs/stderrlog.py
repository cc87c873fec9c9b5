"""Entries of the log that a server writes as text (`log_destination = 'stderr'`)."""

from __future__ import annotations

from collections.abc import Iterator

from pilotcli.workload.logs.entries import (
    ERRORS,
    STATEMENT_MESSAGES,
    Clock,
    Entry,
    damaged,
    text_lines,
)
from pilotcli.workload.logs.prefix import entry_pattern
from pilotcli.workload.sources import Read

_NOBODY = {"[unknown]": ""}


def read_stderrlog(read: Read, file: str, prefix: str) -> Iterator[Entry]:
    """Yields the entries with a statement, a duration or an error; `prefix` is their
    `log_line_prefix`.

    The first and the last entry may be cut off; one that is cut between two of its lines does not
    show it. Raises `WorkloadError` for an entry whose time is none.
    """
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
            continue
        level = found["level"]
        if level in _PARTS:
            part = [found["text"]]
            if parts:
                parts[level] = part
            continue
        if parts and (entry := _entry(fields, parts, file, begin, clock)) is not None:
            yield entry
        fields, begin = found.groupdict(), number
        part = [found["text"]]
        parts = {"": part}
    if part is not None and not line.endswith("\n"):
        return
    if parts and (entry := _entry(fields, parts, file, begin, clock)) is not None:
        yield entry


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

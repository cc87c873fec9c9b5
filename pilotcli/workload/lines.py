"""Formats with a query on each line: PilotScope's and those of STATS-CEB."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pilotcli.common.errors import WorkloadError
from pilotcli.common.records import NO_FACTS, QueryFacts
from pilotcli.workload.plain_sql import single_statement
from pilotcli.workload.psql.script import Found
from pilotcli.workload.psql.splitter import Statement
from pilotcli.workload.psql.window import Window
from pilotcli.workload.refusals import Refusals

_BLANK = re.compile(rb"\s*")


@dataclass(frozen=True, slots=True)
class LineFormat:
    """One format: a pattern with the groups `sql` and, where a line has them, `id`, `query` (the
    number of the query that it is a part of) and `expect`; what a line is, for messages."""

    name: str
    line: re.Pattern[bytes]
    separator: str
    shown: str


_FORMATS = (
    LineFormat(
        "PilotScope's format",
        re.compile(rb"\s*(?P<id>[^\s'\"#;]+)#####(?P<sql>.*)", re.DOTALL),
        "##### between an id and the query",
        "id#####query",
    ),
    LineFormat(
        "the format of STATS-CEB",
        re.compile(rb"\s*(?P<expect>[0-9]+)\|\|(?P<sql>\s*[A-Za-z(].*)", re.DOTALL),
        "|| between a count and the query",
        "count||query",
    ),
    LineFormat(
        "the format of sub-plan queries",
        re.compile(
            rb"(?P<sql>\s*[A-Za-z(].*;)\s*\|\|(?P<query>[0-9]+)(?:\|\|(?P<expect>[0-9]+))?\s*\Z",
            re.DOTALL,
        ),
        "|| between the query and a number",
        "query;||number",
    ),
)


def line_format(window: Window) -> LineFormat | None:
    """The format of a file whose first line with text begins at the window's position; None for
    SQL, which begins no line like these."""
    blank = _BLANK.match(window.buf, window.pos)
    begin = blank.end() if blank else window.pos
    end = window.buf.find(b"\n", begin)
    first = window.buf[begin : end if end >= 0 else None]
    return next((format for format in _FORMATS if format.line.match(first)), None)


def read_lines(window: Window, format: LineFormat) -> Iterator[Found]:
    """The queries on the lines of a file. A sub-plan query is called `N/1`, `N/2`, ... after the
    number of its query."""
    refusals = Refusals()
    parts: Counter[bytes] = Counter()
    with refusals.ending():
        while True:
            end = window.rest_of_line()
            if window.pos >= len(window.buf):
                return
            line, text = window.line_at(window.pos), window.buf[window.pos : end]
            window.skip_to(min(end + 1, len(window.buf)))
            if not text.strip(b" \t\r\n\x1a"):
                continue
            try:
                found = _query(window.file, line, text.rstrip(), format, parts)
                if found is not None and not refusals:
                    yield window.file, [found], None
            except WorkloadError as problem:
                refusals.add(problem)


def _query(
    file: str, line: int, text: bytes, format: LineFormat, parts: Counter[bytes]
) -> Statement | None:
    matched = format.line.match(text)
    if matched is None:
        raise WorkloadError(
            f"the line has no {format.separator}",
            file=file,
            line=line,
            hint=f"The file begins in {format.name}, so each line is `{format.shown}`.",
        )
    given = matched.groupdict()
    try:
        found = single_statement(given["sql"].decode(), file, line)
    except UnicodeDecodeError:
        raise WorkloadError(
            "the line is not UTF-8",
            file=file,
            line=line,
            hint="A workload is UTF-8 text; convert it, with iconv for example.",
        ) from None
    if found is None:
        return None
    name = (given.get("id") or b"").strip().decode("utf-8", "replace") or None
    if (query := given.get("query")) is not None:
        parts[query] += 1
        name = f"{query.decode()}/{parts[query]}"
    expect = given.get("expect")
    return found._replace(
        name=name, facts=QueryFacts(expect=expect.decode()) if expect else NO_FACTS
    )

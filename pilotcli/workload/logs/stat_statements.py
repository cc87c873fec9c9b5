"""The statements of the view pg_stat_statements: of its rows, and of a CSV of them."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pilotcli.common.errors import WorkloadError
from pilotcli.common.sql_commands import command_of, leading_keyword
from pilotcli.workload.logs.entries import Entry, text_lines
from pilotcli.workload.logs.parameters import has_parameters
from pilotcli.workload.logs.statements import LoggedStatement
from pilotcli.workload.psql.window import Window
from pilotcli.workload.sources import Read

VIEW = "pg_stat_statements"
OWN = f"/* for pilot, from {VIEW} */"
"""A comment in pilot's own statements, which the server counts, too: the next time they are left
out."""
COLUMNS = ("database", "user")
"""What is known of who has sent a statement."""
_HIDDEN = "<insufficient privilege>"
_TIMES = ("total_exec_time", "total_time")
"""Milliseconds; the second is the name before PostgreSQL 13."""
_DATABASES = ("datname", "database")
_USERS = ("rolname", "usename", "user")


class StatementRow(NamedTuple):
    """A row of pg_stat_statements; `line` is its place in a file, `rows` what all calls returned.
    An unknown text is empty."""

    sql: str
    calls: int
    total_s: float
    user: str
    database: str
    query_id: str
    rows: int
    line: int = 0


def statements_of(
    rows: Iterable[StatementRow], file: str, left_out: Counter[str]
) -> list[LoggedStatement]:
    """Returns the statements, those that took most time first, with their calls as weights.

    Rows of one statement, which several users have sent, have different labels. `left_out` counts
    what cannot be sent, or would reset the view. Commands of transactions are left out, too.
    """
    found = []
    labels: Counter[str] = Counter()
    for row in sorted(rows, key=lambda row: -row.total_s):
        command = leading_keyword(row.sql)
        if command_of(command).effect == "block":
            continue
        if not row.sql or row.sql == _HIDDEN:
            left_out["hidden" if row.sql else "text lost"] += 1
            continue
        if VIEW in row.sql.lower():
            left_out["of the view"] += 1
            continue
        labels[row.query_id] += 1
        number = labels[row.query_id]
        entry = Entry(
            0.0, row.user, row.database, "", "", "", "LOG", "", "", "", "", row.line
        )  # fmt: skip
        made = LoggedStatement(entry, file, row.sql, command)
        made.label = row.query_id if number == 1 else f"{row.query_id}/{number}"
        made.values = "removed" if has_parameters(row.sql) else ""
        made.weight = row.calls
        made.mean_rows = row.rows / row.calls if row.calls else 0.0
        made.duration_s = row.total_s / row.calls if row.calls else None
        found.append(made)
    return found


def is_header(line: str) -> bool:
    """Returns whether `line` names the columns of pg_stat_statements that are needed."""
    names = _names(line)
    return {"query", "calls"} <= names and not names.isdisjoint(_TIMES)


def _names(line: str) -> set[str]:
    return {name.strip(' "\r\n\ufeff').lower() for name in line.split(",")}


def read_stat_statements(
    read: Read, file: str, left_out: Counter[str]
) -> Iterator[LoggedStatement]:
    """Yields the statements of a CSV as `statements_of` returns them.

    Raises `WorkloadError` for what is no CSV.
    """
    csv.field_size_limit(Window.MAX_BYTES)
    rows = csv.DictReader(text_lines(read, file), strict=True)
    try:
        rows.fieldnames = [name.strip("\ufeff ").lower() for name in rows.fieldnames or ()]
        found = statements_of(_csv_rows(rows), file, left_out)
    except (csv.Error, ValueError, KeyError) as problem:
        raise WorkloadError(
            f"this is no CSV of pg_stat_statements: {problem}",
            file=file,
            line=max(1, rows.line_num),
            hint="Write it with psql: \\copy (SELECT * FROM pg_stat_statements) TO "
            "'statements.csv' CSV HEADER",
        ) from None
    yield from found


def _csv_rows(rows: csv.DictReader[str]) -> Iterator[StatementRow]:
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise ValueError("the row has not as many columns as the header")
        if row.get("toplevel") in ("f", "false"):
            continue
        calls, total_s = int(row["calls"]), float(_first(row, _TIMES)) / 1000
        if not (0 <= calls < 1 << 63 and 0 <= total_s < math.inf):
            raise ValueError("calls or its time is no number from 0 on")
        query_id = row.get("queryid", "")
        yield StatementRow(
            row["query"],
            calls,
            total_s,
            _first(row, _USERS),
            _first(row, _DATABASES),
            query_id if query_id.lstrip("-").isdecimal() else f"q{number}",
            int(row.get("rows") or 0),
            rows.line_num,
        )


def _first(row: dict[str, str], names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if row.get(name)), "")

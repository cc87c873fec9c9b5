"""The statements in a CSV of the view pg_stat_statements."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator

from pilotcli.common.errors import WorkloadError
from pilotcli.common.sql_commands import command_of, leading_keyword
from pilotcli.workload.logs.entries import Entry, text_lines
from pilotcli.workload.logs.parameters import has_parameters
from pilotcli.workload.logs.statements import LoggedStatement
from pilotcli.workload.psql.window import Window
from pilotcli.workload.sources import Read

_TIMES = ("total_exec_time", "total_time")
"""Milliseconds; the second is the name before PostgreSQL 13."""
_DATABASES = ("datname", "database")
_USERS = ("rolname", "usename", "user")


def is_header(line: str) -> bool:
    """Returns whether `line` names the columns of pg_stat_statements that are needed."""
    names = _names(line)
    return {"query", "calls"} <= names and not names.isdisjoint(_TIMES)


def _names(line: str) -> set[str]:
    return {name.strip(' "\r\n\ufeff').lower() for name in line.split(",")}


def read_stat_statements(
    read: Read, file: str, left_out: Counter[str]
) -> Iterator[LoggedStatement]:
    """Yields the statements, those that took most time first, with their calls as weights.

    The server has taken their values out. What needs one is counted in `left_out`. Raises
    `WorkloadError` for what is no CSV.
    """
    found: list[tuple[float, LoggedStatement]] = []
    csv.field_size_limit(Window.MAX_BYTES)
    rows = csv.DictReader(text_lines(read, file), strict=True)
    try:
        rows.fieldnames = [name.strip("\ufeff ").lower() for name in rows.fieldnames or ()]
        for number, row in enumerate(rows, 1):
            if None in row or None in row.values():
                raise ValueError("the row has not as many columns as the header")
            sql = row["query"]
            command = leading_keyword(sql)
            if command_of(command).effect == "block" or row.get("toplevel") in ("f", "false"):
                continue
            if has_parameters(sql):
                left_out["statistics without values"] += 1
                continue
            calls = int(row["calls"])
            total_s = float(_first(row, _TIMES)) / 1000
            entry = Entry(
                0.0, _first(row, _USERS), _first(row, _DATABASES), "", "", "", "LOG", "", "", "",
                "", rows.line_num,
            )  # fmt: skip
            made = LoggedStatement(entry, file, sql, command)
            queryid = row.get("queryid", "")
            made.label = queryid if queryid.lstrip("-").isdecimal() else f"q{number}"
            made.weight = calls
            made.duration_s = total_s / calls if calls else None
            if calls < 0 or not 0 <= total_s < math.inf:
                raise ValueError("calls or its time is no number from 0 on")
            found.append((total_s, made))
    except (csv.Error, ValueError, KeyError, OverflowError) as problem:
        raise WorkloadError(
            f"this is no CSV of pg_stat_statements: {problem}",
            file=file,
            line=max(1, rows.line_num),
            hint="Write it with psql: \\copy (SELECT * FROM pg_stat_statements) TO "
            "'statements.csv' CSV HEADER",
        ) from None
    found.sort(key=lambda timed: -timed[0])
    for _, made in found:
        yield made


def _first(row: dict[str, str], names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if row.get(name)), "")

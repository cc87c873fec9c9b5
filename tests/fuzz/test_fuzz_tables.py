"""Queries in tables and in JSON are read back exactly, however the file is written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from fuzzing import cases
from hypothesis import given
from hypothesis import strategies as st
from sql_texts import one_statement, pieces

from pilotcli.common.errors import WorkloadError
from pilotcli.workload import open_workload

Row = tuple[str, str, str]
"""Its label, its query, and what else is in the table."""

_rows = st.lists(
    st.tuples(st.sampled_from(["", "a", "ü 1", "x|y;z,"]), one_statement, pieces),
    min_size=1,
    max_size=6,
)


def as_table(rows: Sequence[Row], delimiter: str, quoting: int, end: str) -> bytes:
    text = io.StringIO()
    made = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    made.writerow(["Label", "Query", "more"])
    made.writerows(rows)
    return text.getvalue().encode()


def as_json(rows: Sequence[Row], form: str, ascii: bool) -> bytes:
    objects = [{"more": {"a": [more]}, "label": label, "sql": sql} for label, sql, more in rows]
    if form == "array":
        return json.dumps(objects, ensure_ascii=ascii).encode()
    if form == "indented array":
        return json.dumps(objects, ensure_ascii=ascii, indent=2).encode()
    indent = 1 if form == "indented objects" else None
    return "\n".join(json.dumps(one, ensure_ascii=ascii, indent=indent) for one in objects).encode()


def bare(sql: str) -> str:
    return sql.strip(" \t\n\r\f\v;\x1a")  # Ctrl-Z at the end is no part of it


def check(path: Path, data: bytes, rows: Sequence[Row]) -> None:
    path.write_bytes(data)
    with open_workload([path]) as workload:
        found = [(query.label, bare(query.sql)) for query in workload]
    assert found == [
        (label or f"q{number}", bare(sql)) for number, (label, sql, _) in enumerate(rows, 1)
    ]


@cases(250)
@given(
    _rows,
    st.sampled_from(",\t;|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_table_is_read_back(
    tmp_path: Path, rows: list[Row], delimiter: str, quoting: int, end: str
) -> None:
    if end == "\n" and quoting == csv.QUOTE_MINIMAL:  # Python does not quote \r then
        rows = [
            (label, sql.replace("\r", " "), more.replace("\r", " ")) for label, sql, more in rows
        ]
    check(tmp_path / "w.csv", as_table(rows, delimiter, quoting, end), rows)


_FORMS = ["lines", "array", "indented array", "indented objects"]


@pytest.mark.parametrize("form", _FORMS)
@cases(100)
@given(rows=_rows, ascii=st.booleans())
def test_json_is_read_back(tmp_path: Path, rows: list[Row], form: str, ascii: bool) -> None:
    check(tmp_path / "w.json", as_json(rows, form, ascii), rows)


@pytest.mark.parametrize("form", _FORMS)
@cases(60)
@given(rows=_rows, data=st.data())
def test_json_that_is_cut_is_refused_or_ends_between_objects(
    tmp_path: Path, rows: list[Row], form: str, data: st.DataObject
) -> None:
    whole = as_json(rows, form, ascii=False)
    end = data.draw(st.integers(1, len(whole) - 1))
    path = tmp_path / "w.json"
    path.write_bytes(whole[:end])
    try:
        with open_workload([path]) as workload:
            found = [bare(query.sql) for query in workload]
    except WorkloadError as error:
        assert error.file == str(path)
    else:
        assert whole[:end].rstrip().endswith(b"}")
        assert found == [bare(sql) for _, sql, _ in rows[: len(found)]]

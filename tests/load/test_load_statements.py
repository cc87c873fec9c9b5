"""A long statement costs a small multiple of its size in memory, whatever it is made of."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotcli.common.errors import WorkloadError
from pilotcli.workload import open_workload
from pilotcli.workload.psql.window import Window

SIZE = 100_000
TIMES = 5
"""The text as it comes together, with room to grow, the text as a `str`, and as much to spare."""
FIXED = 15_000_000
"""Bytes for the window over the file and for the patterns, however long the statement is."""

SHAPES = {
    "a string": ("SELECT '", "x", "'"),
    "doubled quotes": ("SELECT '", "''", "'"),
    "backslashes": ("SELECT E'", "\\n", "'"),
    "a dollar quote": ("SELECT $$", "x;\n", "$$"),
    "a quoted name": ('SELECT "', "x", '"'),
    "rows": ("INSERT INTO t VALUES (1)", ",\n(2, 'more; text')", ""),
    "a list": ("SELECT 1 IN (1", ", 123", ")"),
    "parentheses": ("SELECT ", "((1))+", "1"),
    "parameters": ("SELECT ", "$1,", "1"),
    "casts": ("SELECT ", "a::int,", "1"),
    "line comments": ("SELECT 1", " -- c\n", ""),
    "a nested comment": ("SELECT /*", "/**/", "*/ 1"),
    "a comment in front": ("/*", "x", "*/ SELECT 1"),
    "blank lines": ("SELECT 1", "\n\n,1", ""),
    "strings in pieces": ("SELECT 'a'", " ", "\n'b'"),
    "a function body": ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC ", "SELECT 1;", " END"),
    "joined statements": ("SELECT 1", "\\;SELECT 1", ""),
}


def _peak(work: Callable[[], object]) -> int:
    """Bytes that Python had allocated at most while `work` ran, beyond those before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def _read(path: Path) -> list[int]:
    return [len(query.sql) for query in open_workload([path])]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_long_statement_is_read_in_a_small_multiple_of_its_size(
    tmp_path: Path, shape: str
) -> None:
    begin, middle, end = SHAPES[shape]
    peaks = []
    for size in (SIZE, 3 * SIZE):
        path = tmp_path / f"{size}.sql"
        path.write_text(begin + middle * (size // len(middle)) + end + ";\n")
        peaks.append(_peak(lambda path=path: _read(path)))  # type: ignore[misc]
    assert peaks[0] < FIXED
    assert peaks[1] - peaks[0] < TIMES * 2 * SIZE


def test_what_lies_around_a_long_string_is_unharmed(tmp_path: Path) -> None:
    text = "x" * 300_000
    statements = ["SELECT 1", f"SELECT '{text}''{text}' AS a", f"/* {text} */ SELECT 2", "SELECT 3"]
    path = tmp_path / "long.sql"
    path.write_text(";\n".join(statements))
    assert [query.sql for query in open_workload([path])] == statements
    assert [query.line for query in open_workload([path])] == [1, 2, 3, 4]


@pytest.mark.parametrize("times", [1, 4])
def test_many_statements_take_the_memory_of_a_few(tmp_path: Path, times: int) -> None:
    # The few are more than is read at a time; the many would take 7 MB if they were kept.
    path = tmp_path / "many.sql"
    path.write_text("SELECT * FROM posts WHERE id = 1 AND body LIKE 'a;b';\n" * (5_000 * times))
    assert sum(1 for _ in open_workload([path])) == 5_000 * times

    def read() -> None:
        for _ in open_workload([path]):
            pass

    assert _peak(read) < 5_000_000


BOMBS = {
    "bomb.sql.gz": b"SELECT '" + b"x" * 8_000_000,
    "spaces.sql.gz": b"SELECT" + b" " * 8_000_000 + b"1;\n",
    "lists.sql.gz": b"SELECT 1" + b", (1)" * 1_600_000,
    "comment.sql.gz": b"--" + b"x" * 8_000_000,
    "bomb.csv.gz": b"sql\n" + b"x" * 8_000_000,
    "fields.csv.gz": b'sql\n"' + b"x\n" * 4_000_000,
    "bomb.jsonl.gz": json.dumps({"sql": "x" * 8_000_000}).encode(),
    "bomb.txt.gz": b"q1#####" + b"x" * 8_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_compressed_file_that_unpacks_to_a_monster_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(BOMBS[name]))
    monkeypatch.setattr(Window, "MAX_BYTES", 500_000)

    def refused() -> None:
        with pytest.raises(WorkloadError, match=f"{name}(:\\d+)?: .*(500,000|500000)"):
            _read(path)

    assert _peak(refused) < FIXED


def test_a_stream_of_space_is_no_statement_and_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "space.sql.gz"
    path.write_bytes(gzip.compress((b" " * 1023 + b"\n") * 32768))

    def refused() -> None:
        with pytest.raises(WorkloadError, match="no statement"):
            _read(path)

    assert _peak(refused) < FIXED


@pytest.mark.parametrize("text", ["SELECT 1", "  q1#####SELECT 1", "-- name: q1\nSELECT 1"])
def test_what_follows_a_stretch_of_space_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "space.sql.gz"
    path.write_bytes(gzip.compress((b" " * 1023 + b"\n") * 1024 + text.encode()))
    (query,) = open_workload([path])
    assert (query.sql, query.label) == ("SELECT 1", "q1")
    assert query.line == 1024 + len(text.splitlines())

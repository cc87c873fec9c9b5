"""A log of any length is read in the same memory, and a long statement in a multiple of its own."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import pytest
from logged import csvlog, entry, jsonlog

from pilotcli.workload.logs import statements
from pilotcli.workload.logs.convert import LogConverter, write_jsonl
from pilotcli.workload.logs.files import find_logs
from pilotcli.workload.logs.normal_form import normal_form
from pilotcli.workload.logs.parameters import fill

HELD = 200
TIMES = 250
"""Bytes for a byte of text: a pattern remembers each of its repetitions, such as doubled quotes."""


class Sink(io.RawIOBase):
    """Takes bytes and keeps none."""

    def write(self, data: object) -> int:
        """Take `data`."""
        return len(bytes(data))  # type: ignore[call-overload]


def peak(path: Path) -> int:
    """Bytes that Python had allocated at most while a log became a workload."""
    tracemalloc.start()
    try:
        write_jsonl(LogConverter().read(find_logs([path])), Sink())  # type: ignore[arg-type]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["csvlog", "jsonlog", "text"])
@pytest.mark.parametrize("ends", [True, False], ids=["with ends", "sessions without end"])
def test_memory_is_flat(
    tmp_path: Path, kind: str, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "MOST_HELD", HELD)
    monkeypatch.setattr(statements, "_MOST_SESSIONS", HELD)
    sizes = []
    # The first is larger than what is read at a time, or the second would take more for its size
    # alone. Between the two, a reader that held all statements, or all sessions, would take more by
    # half a kilobyte for each line.
    for count in (3_000, 8_000):
        rows, lines = [], []
        for number in range(count):
            place = number % 50 if ends else number
            text, values = f"SELECT {number}, $1", f"Parameters: $1 = '{number}'"
            row = entry(number % 60, f"execute S: {text}", values, session=f"a.{place:x}")
            rows.append(row)
            lines.append(f"{row[0]} [{place}] LOG:  statement: SELECT {number}\n\t, 1\n")
        path = tmp_path / f"{count}.log"
        made = {"csvlog": csvlog(*rows), "jsonlog": jsonlog(*rows), "text": "".join(lines)}
        path.write_text(made[kind])
        if not sizes:
            write_jsonl(LogConverter().read(find_logs([path])), Sink())  # type: ignore[arg-type]
        sizes.append(peak(path))  # without what is made once
    assert sizes[1] < sizes[0] * 1.3 + 200_000


@pytest.mark.parametrize(
    "text",
    [
        "E'" + "\\'x" * 30_000 + "'",
        "'" + "''" * 30_000 + "'",
        "'" + "''" * 30_000,  # left open
        "/*" + "/* * / */" * 10_000 + "*/ 1",
        "/*" + "* / " * 10_000,
        "1" * 100_000,
        "$$" + "$ $a$" * 20_000 + "$$",
        "(" + ", ".join("1" * 100_000) + ")",
    ],
    ids=["escapes", "quotes", "open", "comments", "open comment", "digits", "dollars", "list"],
)
def test_a_long_statement_takes_a_multiple_of_its_size(text: str) -> None:
    # Each is so long that the square of its size is more than any machine has.
    sql = f"SELECT {text}, $1"
    tracemalloc.start()
    try:
        fill(sql, "Parameters: $1 = '1'")
        normal_form(sql)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < TIMES * len(sql)

"""What pilot 0.1 has left is read: its journal, the tail of a killed run, rows for the store."""

from __future__ import annotations

import platform
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from written_run import HOSTILE, firing, result, version

from pilotcli.common.records import JsonText, SteeringReport
from pilotcli.storage.journal import Journal
from pilotcli.storage.store.unsaved_rows import WaitingRow, WaitingRows

WRITTEN = Path(__file__).parent / "written_by_0_1"
UNNAMED = {"label": "ü", "file": None, "line": None}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with run 1, which has everything, and run 2, which was killed."""
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        connection.executescript((WRITTEN / "journal.sql").read_text(encoding="utf-8"))
    for path in WRITTEN.glob("run-2.*"):
        # The files have a fixed size, the rest of which is zeros.
        (tmp_path / path.name).write_bytes(path.read_bytes().ljust(1 << 20, b"\0"))
    return tmp_path


def test_a_journal_and_the_tail_of_a_killed_run(home: Path) -> None:
    with closing(sqlite3.connect(home / "journal.db")) as connection, connection:
        host = "UPDATE runs SET host = ?"
        connection.execute(host, (platform.node(),))
    with Journal.open(home) as journal:
        pushed = SteeringReport(("enable_nestloop = off",), (("x\udc80", "no"),), None)
        assert list(journal.results(1)) == [
            result(1, steering=pushed, planning_s=0.0001, execution_s=0.0005, answer="ab"),
            result(2, status="error", row_count=None, error=HOSTILE.replace("\x00", ""),
                   sqlstate="42P01", file=None, line=None, label="ü,\"x\"\n"),
            result(1, round=2, inference_s=0.5, steering_s=0.25, collection_s=0.125, worker=3,
                   attempts=2),
        ]  # fmt: skip
        assert [one.version for one in journal.models(1)] == [version(1).version, 2]
        assert not list(home.glob("*.tail"))
        pushed = SteeringReport(("a = 1",), (("b", "why"),), "so")
        assert list(journal.results(2)) == [
            result(1),
            result(2, **UNNAMED, row_count=None, worker=3),
            result(1, round=2, status="error", error="no \\udcff", sqlstate="42P01", row_count=None,
                   inference_s=0.5, collection_s=0.25, attempts=2),
            result(2, **UNNAMED, round=2, steering=pushed, planning_s=0.001, execution_s=0.002,
                   steering_s=0.003, answer="ab"),
        ]  # fmt: skip
        (fired,) = journal.firings(2)
        assert (fired.event, fired.after_query, fired.fired) == ("Update", 4, firing(4).fired)
        assert journal.counters(2) == {"Update": 4}
        run, past = journal.resume_run(2)
        run.close()
        assert past.results == 4
        assert past.begun is not None and past.begun.after_query == 4
        assert list(past.warmed[0][:8]) == [0, 0, 0, 0, 0, 0, 0, 1]


def test_rows_for_the_store(home: Path) -> None:
    left = WaitingRows(home, 2).left()
    assert left == [
        WaitingRow(1, "seen", {"sql": "SELECT 1", "plan": '{"a": 1.50}', "n": None}),
        WaitingRow(2, "seen", {"sql": "SELECT 'ü'", "t": 0.25}),
    ]
    assert isinstance(left[0].row["plan"], JsonText)

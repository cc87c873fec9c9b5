"""The journal keeps what happened, also when the run or the disk ends early."""

from __future__ import annotations

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pilotcli.common.errors import StorageError
from pilotcli.common.labels import RunLabels
from pilotcli.common.records import (
    EventKind,
    ModelVersion,
    PretrainingProgress,
    Query,
    QueryResult,
    SteeringReport,
)
from pilotcli.common.signals import EventTriggered
from pilotcli.storage.journal import Journal, RunJournal
from pilotcli.storage.journal.reader import JournalReader
from pilotcli.storage.journal.rows import RESULT_FIELDS
from pilotcli.storage.journal.schema import SCHEMA_VERSION
from pilotcli.storage.journal.write_ahead import read_tail
from pilotcli.storage.journal.writer import BATCH_ROWS

LABEL_COLUMNS = ("name", "tags", "note", "provenance", "experiment", "fold")
"""Columns of the table `runs` that format 7 added."""


def start(journal: Journal, **changes: Any) -> RunJournal:
    arguments: dict[str, Any] = {
        "kind": "run",
        "workload": "w.sql",
        "config_path": "pilot.yaml",
        "config_text": "run: {}",
        "database": "embedded PostgreSQL 18",
        "options": {"repeat": 2},
    }
    return journal.start_run(**{**arguments, **changes})


def query(seq: int, sql: str | None = None) -> Query:
    return Query(seq, f"q{seq}", sql or f"SELECT {seq}", "w.sql", seq * 2, "SELECT")


def result(seq: int, **changes: Any) -> QueryResult:
    made = QueryResult(seq, f"q{seq}", "ok", 1000.0 + seq, seq / 1000, file="w.sql", line=seq * 2)
    return made._replace(**changes)


def firing(after_query: int, **changes: Any) -> EventTriggered:
    made = EventTriggered(
        "Update", EventKind.PERIODIC_UPDATE, "interval", after_query, "ok", 0.25, 1
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "home") as journal:
        yield journal


def test_a_run_is_read_back_as_it_was(journal: Journal) -> None:
    failed = result(2, status="error", error="nö\nsuch table", sqlstate="42P01", row_count=None)
    again = result(1, round=2, elapsed_s=5.0, worker=3, inference_s=0.5, collection_s=0.25)
    version = ModelVersion(
        "m", 3, Path("/x/000003"), 17.5, 99, "abc", "Update", 2, None, 40, {"mae": 1.5}
    )
    with start(journal) as run:
        for one in (result(1, row_count=7), failed, again):
            run.add_result(query(one.seq), one)
        run.add_model(dataclasses.replace(version, run_id=run.run_id))
        run.add_firing(firing(2), {"Update": 2})
        run.add_firing(
            firing(3, outcome="failed", error="no", traceback="Trace\n no"), {"Update": 3}
        )
        run.finish("failed", 3, {"queries": 3})
    record = journal.run()
    assert (record.run_id, record.status, record.exit_code) == (run.run_id, "failed", 3)
    assert (record.options, record.summary) == ({"repeat": 2}, {"queries": 3})
    assert record.elapsed_s is not None
    assert not record.alive
    assert list(journal.results(run.run_id)) == [result(1, row_count=7), failed, again]
    assert list(journal.results(run.run_id, failed=True)) == [failed]
    assert list(journal.results(run.run_id, status="error")) == [failed]
    assert journal.slowest(run.run_id, 2) == [again, failed]
    assert [one.sql for one in journal.queries(run.run_id)] == ["SELECT 1", "SELECT 2"]
    assert journal.models(run.run_id) == [dataclasses.replace(version, run_id=run.run_id)]
    first, second = journal.firings(run.run_id)
    assert (first.kind, first.reason, first.duration_s) == (
        EventKind.PERIODIC_UPDATE,
        "interval",
        0.25,
    )
    assert (second.outcome, second.error, second.traceback) == ("failed", "no", "Trace\n no")
    assert journal.counters(run.run_id) == {"Update": 3}


def test_statistics_are_by_nearest_rank_over_what_ended_by_itself(journal: Journal) -> None:
    with start(journal) as run:
        for seq in range(1, 100):
            run.add_result(query(seq), result(seq))
        run.add_result(query(100), result(100, status="timeout", elapsed_s=30.0))
        run.add_result(query(101), result(101, status="error", elapsed_s=90.0))
    found = journal.statistics(run.run_id)
    assert found.counts == {"ok": 99, "timeout": 1, "error": 1}
    assert (found.p50_s, found.p95_s, found.p99_s, found.max_s) == (0.05, 0.095, 0.099, 30.0)
    assert found.query_s == pytest.approx(4.95 + 120)
    with start(journal) as empty:
        pass
    assert journal.statistics(empty.run_id).p50_s is None


def test_long_sql_is_cut_and_its_length_kept(journal: Journal) -> None:
    sql = "SELECT '" + "x" * 1_200_000 + "'"
    with start(journal) as run:
        run.add_result(query(1, sql), result(1))
    (kept,) = journal.queries(run.run_id)
    assert kept.sql == sql[:1_000_000]
    assert kept.sql_chars == len(sql)
    assert kept.truncated


def test_text_that_is_no_unicode_is_kept_readable(journal: Journal) -> None:
    with start(journal) as run:
        run.add_result(query(1, "SELECT 'ä\udcff'"), result(1, status="error", error="\udcfe"))
    assert next(journal.queries(run.run_id)).sql == "SELECT 'ä\\udcff'"
    assert next(journal.results(run.run_id)).error == "\\udcfe"


def test_a_firing_is_there_with_all_results_before_it(journal: Journal) -> None:
    with start(journal) as run:
        for seq in range(1, 8):
            run.add_result(query(seq), result(seq))
        run.add_firing(firing(7), {"Update": 7})
        while not journal.firings(run.run_id):
            threading.Event().wait(0.001)
        assert journal.counts(run.run_id) == {"ok": 7}
        assert journal.counters(run.run_id) == {"Update": 7}


def test_results_reach_the_disk_without_being_asked(journal: Journal) -> None:
    with start(journal) as run:
        for seq in range(1, 501):
            run.add_result(query(seq), result(seq))
        while (counts := journal.counts(run.run_id)) != {"ok": 500}:
            assert counts.get("ok", 0) <= 500
            threading.Event().wait(0.01)


def test_many_threads_write_one_run(journal: Journal) -> None:
    with start(journal) as run:

        def work(worker: int) -> None:
            for number in range(2000):
                seq = number * 4 + worker + 1
                run.add_result(query(seq), result(seq, worker=worker))

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [one.seq for one in journal.results(run.run_id)] == list(range(1, 8001))
    assert sum(1 for _ in journal.queries(run.run_id)) == 8000


def test_two_pilots_write_one_journal(tmp_path: Path) -> None:
    program = """
import sys, pathlib
sys.path.insert(0, sys.argv[2])
from test_journal import Journal, firing, query, result, start
with Journal.open(pathlib.Path(sys.argv[1])) as journal, start(journal) as run:
    for seq in range(1, 1001):
        run.add_result(query(seq), result(seq))
        if seq % 50 == 0:
            run.add_firing(firing(seq), {"Update": seq})
    run.finish("finished", 0, {})
"""
    command = [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent)]
    pilots = [subprocess.Popen(command) for _ in range(3)]
    assert [pilot.wait() for pilot in pilots] == [0, 0, 0]
    with Journal.open(tmp_path) as journal:
        runs = journal.runs()
        assert [run.status for run in runs] == ["finished"] * 3
        assert [journal.counts(run.run_id) for run in runs] == [{"ok": 1000}] * 3
        assert [len(journal.firings(run.run_id)) for run in runs] == [20] * 3


def test_a_killed_run_keeps_all_that_it_was_given_and_is_not_alive(tmp_path: Path) -> None:
    program = """
import sys, pathlib, signal
sys.path.insert(0, sys.argv[2])
from test_journal import Journal, firing, query, result, start
run = start(Journal.open(pathlib.Path(sys.argv[1])))
for seq in range(1, 11):
    run.add_result(query(seq), result(seq))
run.add_firing(firing(10), {"Update": 10})
run.flush()
for seq in range(11, 21):
    run.add_result(query(seq), result(seq, status="error", error="no"))
    run.add_result(query(seq), result(seq, round=2))
run.begin_firing("Update", "interval", 20)
run.add_warmed(0, 7)
print("ready", flush=True)
signal.pause()
"""
    command = [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pilot:
        assert pilot.stdout is not None
        assert pilot.stdout.readline() == "ready\n"
        with Journal.open(tmp_path) as journal:
            assert journal.run().alive
        pilot.send_signal(signal.SIGKILL)
    with Journal.open(tmp_path) as journal:
        record = journal.run()
        assert (record.status, record.alive) == ("running", False)
        assert journal.counts(record.run_id) == {"ok": 20, "error": 10}
        assert journal.counters(record.run_id) == {"Update": 10}
        assert [one.sql for one in journal.queries(record.run_id, seq=20)] == ["SELECT 20"]
        kept = list(journal.results(record.run_id))
        assert kept[:10] == [result(seq) for seq in range(1, 11)]
        assert kept[-1] == result(20, round=2)
        assert [one.error for one in kept[10:20]] == ["no"] * 10
    assert not list(tmp_path.glob("*.tail"))


def test_pretraining_is_remembered_over_runs(journal: Journal) -> None:
    with start(journal, kind="pretrain") as run:
        run.set_pretraining("Learn", "f1", "t", PretrainingProgress(10, 1))
        run.set_pretraining("Learn", "f1", "t", PretrainingProgress(20, 2, collected=True))
    assert journal.pretraining("Learn", "f1") == PretrainingProgress(20, 2, collected=True)
    assert journal.pretraining("Learn", "f2") is None


def test_a_run_that_is_not_there_is_told(journal: Journal) -> None:
    with pytest.raises(StorageError, match="there are no runs"):
        journal.run()
    start(journal).close()
    with pytest.raises(StorageError, match="there is no run 7"):
        journal.run(7)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be used"):
        Journal.open(tmp_path / "file" / "home")


def test_a_damaged_journal_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database" * 1000)
    for opening in (Journal.open, Journal.open_existing):
        with pytest.raises(StorageError) as failed:
            opening(tmp_path)
        assert "move" in (failed.value.hint or "")


def test_a_journal_of_a_newer_pilot_is_left_alone(tmp_path: Path) -> None:
    Journal.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for opening in (Journal.open, Journal.open_existing):
        with pytest.raises(StorageError, match="newer pilot"):
            opening(tmp_path)


def test_a_run_is_alive_for_as_long_as_its_writer_is_open(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        run = start(journal)
        assert journal.run(1).alive
        with pytest.raises(StorageError, match=f"run 1 is still running .process {os.getpid()}[)]"):
            journal.resume_run(1)
        run.close()
        assert not journal.run(1).alive
        again, _ = journal.resume_run(1)
        assert journal.run(1).alive
        again.close()
    assert list(tmp_path.glob("*.lock")) == []


def test_the_next_start_removes_the_lock_of_a_killed_run(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        start(journal).close()
    (tmp_path / "run-1.lock").touch()
    with Journal.open(tmp_path) as journal:
        assert not journal.run(1).alive
    assert list(tmp_path.glob("*.lock")) == []


def test_the_next_start_removes_the_lock_of_a_process_that_was_killed_taking_over(
    tmp_path: Path,
) -> None:
    Journal.open(tmp_path).close()
    code = (
        "import os, sys; from pathlib import Path\n"
        "from pilotcli.storage.journal.run_lock import taking_over\n"
        "with taking_over(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / "journal.lock").exists()
    Journal.open(tmp_path).close()
    assert not (tmp_path / "journal.lock").exists()


def test_a_reader_that_is_left_halfway_may_outlive_the_journal(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        run = start(journal)
        for number in (1, 2, 3):
            run.add_result(query(number), result(number))
        run.close()
        rows = journal.results(run.run_id)
        next(rows)
    rows.close()  # type: ignore[attr-defined]


def test_reading_creates_nothing(tmp_path: Path) -> None:
    assert Journal.open_existing(tmp_path / "home") is None
    assert list(tmp_path.iterdir()) == []


def unprivileged(command: list[str]) -> list[str]:
    """The command as somebody whom file permissions hold."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *command]


def test_a_journal_in_a_read_only_folder_can_be_read_but_not_written(tmp_path: Path) -> None:
    trial = unprivileged([sys.executable, "-c", "import pilotcli.storage.journal"])
    if subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("a user without privileges cannot run this Python")
    home = tmp_path / "home"
    with Journal.open(home) as journal, start(journal) as run:
        run.add_result(query(1), result(1))
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder.is_relative_to("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    home.chmod(0o555)
    (home / "journal.db").chmod(0o444)
    program = """
import pathlib, sys
from pilotcli.common.errors import StorageError
from pilotcli.storage.journal import Journal
home = pathlib.Path(sys.argv[1])
print(Journal.open_existing(home).counts(1))
try:
    Journal.open(home)
except StorageError as error:
    print(error.hint)
"""
    try:
        command = unprivileged([sys.executable, "-c", program, str(home)])
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        home.chmod(0o755)
    assert done.stderr == ""
    counts, hint = done.stdout.splitlines()
    assert counts == "{'ok': 1}"
    assert "must be writable" in hint


def test_a_tail_is_taken_over_once_and_up_to_where_it_is_whole(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        run = start(journal)
        run.flush()
        for seq in range(1, 4):
            run.add_result(query(seq), result(seq))
        tail = tmp_path / "run-1.tail"
        run._waiting.clear()
        written = tail.read_bytes().rstrip(b"\0") + bytes(9)
        run.close()
        cut = len(written) - 20
        flipped = written[:cut] + bytes([written[cut] ^ 1]) + written[cut + 1 :]
        for damaged in (written[:cut], flipped, written, written):
            tail.write_bytes(damaged)
            with Journal.open_existing(tmp_path) or pytest.fail() as again:
                found = [one.seq for one in again.results(1)]
                assert found == ([1, 2] if damaged != written else [1, 2, 3])
            assert not tail.exists()


def test_a_full_disk_is_told_and_nothing_forgotten(journal: Journal) -> None:
    run = start(journal)
    # A file that may not grow is what a full disk looks like to SQLite (SQLITE_FULL).
    pages = run._connection.execute("PRAGMA page_count").fetchone()[0]
    run._connection.execute(f"PRAGMA max_page_count = {pages}")
    for seq in range(1, 101):
        run.add_result(query(seq, "SELECT '" + "x" * 1000 + "'"), result(seq))
    with pytest.raises(StorageError, match="full"):
        run.flush()
    run._connection.execute("PRAGMA max_page_count = 100000")
    run.add_result(query(101), result(101))
    run.close()
    assert journal.counts(run.run_id) == {"ok": 101}


def test_an_error_in_the_background_is_raised_by_the_next_call(journal: Journal) -> None:
    run = start(journal)
    pages = run._connection.execute("PRAGMA page_count").fetchone()[0]
    run._connection.execute(f"PRAGMA max_page_count = {pages}")
    for seq in range(1, 500):
        run.add_result(query(seq, "SELECT '" + "x" * 1000 + "'"), result(seq))
    while run._background.error is None:
        threading.Event().wait(0.01)
    with pytest.raises(StorageError, match="full"):
        run.add_result(query(501), result(501))
    with pytest.raises(StorageError, match=r"\(499 results, 0 firings\) waits in .*run-1.tail"):
        run.close()


def test_a_result_that_cannot_be_kept_is_not_in_the_journal(journal: Journal) -> None:
    run = start(journal)
    pages = run._connection.execute("PRAGMA page_count").fetchone()[0]
    run._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="full"):
        run.add_result(query(1, "SELECT '" + "x" * 2_000_000 + "'"), result(1))
    run._connection.execute("PRAGMA max_page_count = 100000")
    run.add_result(query(2), result(2))
    run.close()
    assert [one.seq for one in journal.results(run.run_id)] == [2]


def test_a_call_that_raises_has_not_kept_its_result(journal: Journal) -> None:
    run = start(journal)
    pages = run._connection.execute("PRAGMA page_count").fetchone()[0]
    run._connection.execute(f"PRAGMA max_page_count = {pages}")
    taken = 0
    with pytest.raises(StorageError, match="full"):
        for seq in range(1, BATCH_ROWS + 10):
            run.add_result(query(seq, f"SELECT '{'x' * 100}'"), result(seq))
            taken = seq
    run._connection.execute("PRAGMA max_page_count = 100000")
    run.close()
    assert taken >= 100
    assert journal.counts(run.run_id) == {"ok": taken}


def test_a_result_that_could_not_be_kept_leaves_its_number_to_the_next(journal: Journal) -> None:
    run = start(journal)
    run.add_result(query(1), result(1))
    run.flush()
    pages = run._connection.execute("PRAGMA page_count").fetchone()[0]
    run._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="full"):
        run.add_result(query(2, "SELECT '" + "x" * 2_000_000 + "'"), result(2))
    run._connection.execute("PRAGMA max_page_count = 100000")
    run.add_result(query(3), result(3))
    run.finish("interrupted", 130, {})
    run.close()
    again, past = journal.resume_run(run.run_id)
    again.close()
    assert past.results == 2


def test_what_comes_in_during_a_write_stays_in_the_tail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotcli.storage.journal.writer.BATCH_AGE_S", 3600.0)
    with Journal.open(tmp_path) as journal, start(journal) as run:
        late = iter([2])

        def at_commit(statement: str) -> None:
            if statement == "COMMIT":
                for seq in late:
                    run.add_result(query(seq), result(seq))

        run.add_result(query(1), result(1))
        run._connection.set_trace_callback(at_commit)
        run.flush()
        assert journal.counts(run.run_id) == {"ok": 1}
        kept = [record.values[:2] for record in read_tail(tmp_path / "run-1.tail")]
        assert (2, 2) in kept
        run.flush()
        assert not list(read_tail(tmp_path / "run-1.tail"))
        assert journal.counts(run.run_id) == {"ok": 2}


def test_a_journal_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    with closing(Journal.open(tmp_path)) as journal:
        run = start(journal)
        run.add_result(query(1), result(1))
        run.close()
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.executescript(
        "ALTER TABLE results DROP COLUMN steering; ALTER TABLE results DROP COLUMN attempts;"
        "ALTER TABLE runs DROP COLUMN request; ALTER TABLE runs DROP COLUMN workload_digest;"
        "DROP TABLE begun; DROP TABLE warmed; DROP TABLE loaded; DROP TABLE resumes;"
        "DROP TABLE summaries; DROP TABLE plans; DROP TABLE removed;"
        + "".join(
            f"ALTER TABLE results DROP COLUMN {name};"
            for name in ("planning_s", "execution_s", "steering_s", "answer", "wait_s", "logged")
        )
        + "ALTER TABLE runs DROP COLUMN paired_with; ALTER TABLE runs DROP COLUMN arm;"
        + "".join(f"ALTER TABLE runs DROP COLUMN {name};" for name in LABEL_COLUMNS)
        + "PRAGMA user_version = 1"
    )
    connection.close()
    with closing(JournalReader(sqlite3.connect(tmp_path / "journal.db"), tmp_path)) as reader:
        assert [one.steering for one in reader.results(run.run_id)] == [None]
        assert reader.run(run.run_id).arm is None
        assert reader.run(run.run_id).tags == ()
        assert not list(reader.plans(run.run_id))
    with closing(Journal.open(tmp_path)) as journal:
        again = start(journal)
        again.set_pair(run.run_id, "driver")
        again.add_plan(1, 2, '{"Plan": {"Node Type": "Result"}}')
        told = SteeringReport(
            ("a = 1", "SELECT 1", "SELECT 2"),
            (("b", "why"),),
            None,
            (("SELECT 1", 35.5), ("SELECT 2", 0.0)),
        )
        again.add_result(query(1), result(1, steering=told))
        again.close()
        assert [one.steering for one in journal.results(run.run_id)] == [None]
        assert [one.steering for one in journal.results(again.run_id)] == [told]
        journal.set_labels(run.run_id, RunLabels("nightly", ("old", "ü"), "of the first version"))
        old = journal.run(run.run_id)
        assert (old.name, old.tags, old.note) == ("nightly", ("old", "ü"), "of the first version")
        assert (old.provenance, old.experiment, old.fold) == ({}, None, None)
        paired = journal.run(again.run_id)
        assert (paired.paired_with, paired.arm) == (run.run_id, "driver")
        (plan,) = journal.plans(again.run_id)
        assert (plan.seq, plan.round, plan.plan["Plan"]) == (1, 2, {"Node Type": "Result"})


def test_a_journal_of_the_released_format_is_brought_up_to_date(tmp_path: Path) -> None:
    with closing(Journal.open(tmp_path)) as journal:
        start(journal).close()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        connection.executescript(
            "".join(f"ALTER TABLE runs DROP COLUMN {name};" for name in LABEL_COLUMNS)
            + "".join(
                f"ALTER TABLE results DROP COLUMN {name};"
                for name, field in RESULT_FIELDS.items()
                if field.since > 6
            )
            + "DROP TABLE removed; PRAGMA user_version = 6"
        )
    labels = RunLabels("nightly", ("a", "b"), "before the change")
    with closing(Journal.open(tmp_path)) as journal:
        run = start(journal)
        run.describe(labels, {"python": "3.12"})
        run.set_experiment(run.run_id, 1)
        run.close()
        new, old = journal.runs()
    assert (new.name, new.tags, new.note) == ("nightly", ("a", "b"), "before the change")
    assert (new.provenance, new.experiment, new.fold) == ({"python": "3.12"}, run.run_id, 1)
    assert (old.name, old.tags, old.note, old.provenance) == (None, (), None, {})
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    assert version == SCHEMA_VERSION >= 7

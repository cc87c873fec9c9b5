"""What a journal and its tails hold at a moment, seen by the pilot that comes after a kill.

A copy of the home is what a kill at that moment would leave.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from written_run import firing, query, result

from pilotcli.common.errors import StorageError
from pilotcli.common.records import STOPPED
from pilotcli.storage.journal import Journal, RunJournal
from pilotcli.storage.journal import write_ahead as tails
from pilotcli.storage.journal.run_lock import lock_run
from pilotcli.storage.journal.schema import connect
from pilotcli.storage.journal.write_ahead import Tail, read_tail

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("by_hand")]

SIZE_BYTES = 1 << 20
"""Of a tail."""


@pytest.fixture
def run(journal: Journal) -> Iterator[RunJournal]:
    """A run of which nothing has happened yet."""
    with start(journal) as run:
        yield run


def start(journal: Journal) -> RunJournal:
    return journal.start_run(
        kind="run", workload="w.sql", config_path=None, config_text="{}", database="x", options={}
    )


def killed(home: Path) -> Path:
    """A copy of `home`, in which nobody holds the lock of a run."""
    copy = home.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home, copy)
    return copy


def during_commit(run: RunJournal, call: Callable[[], object]) -> None:
    """Commit, and `call` once while that is under way."""
    calls = iter([call])

    def at_commit(statement: str) -> None:
        if statement == "COMMIT":
            for one in calls:
                one()

    run._connection.set_trace_callback(at_commit)
    run.flush()
    run._connection.set_trace_callback(None)


def test_what_the_journal_has_is_not_taken_from_the_tail_again(home: Path, run: RunJournal) -> None:
    run.add_result(query(1), result(1))
    run.add_firing(firing(1), {"Update": 1})
    during_commit(run, lambda: run.add_result(query(2), result(2)))
    with Journal.open(killed(home)) as left:
        assert [one.seq for one in left.results(1)] == [1, 2]
        assert [one.after_query for one in left.firings(1)] == [1]
        assert left.counts(1) == {"ok": 2}


def test_a_firing_that_begins_during_a_write_is_not_forgotten(home: Path, run: RunJournal) -> None:
    run.add_result(query(1), result(1))
    during_commit(run, lambda: run.begin_firing("Update", "interval", 1))
    with Journal.open(killed(home)) as left:
        again, past = left.resume_run(1)
        again.close()
    assert past.begun is not None
    assert (past.begun.event, past.begun.reason, past.begun.after_query) == (
        "Update",
        "interval",
        1,
    )


def test_a_firing_that_has_ended_was_not_interrupted(home: Path, run: RunJournal) -> None:
    run.begin_firing("Update", "interval", 1)
    run.flush()
    run.add_firing(firing(1), {"Update": 1})
    with Journal.open(killed(home)) as left:
        again, past = left.resume_run(1)
        again.close()
        assert past.begun is None
        assert left.counters(1) == {"Update": 1}


def test_the_tail_of_a_run_that_goes_on_is_left_to_it(home: Path, run: RunJournal) -> None:
    run.add_result(query(1), result(1))
    running = killed(home)
    lock = lock_run(running, 1)
    with Journal.open(running) as other:
        assert other.counts(1) == {}
        assert other.run(1).alive
    assert list(read_tail(running / "run-1.tail"))
    lock.release()
    with Journal.open(running) as other:
        assert other.counts(1) == {"ok": 1}


def test_a_tail_is_deleted_under_the_lock_that_a_resumption_takes(
    home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(journal) as run:
        run.add_result(query(1), result(1))
        left = killed(home)
    monkeypatch.setattr("pilotcli.storage.journal.run_lock._PATIENCE_S", 0.0)
    deleted, unlink = [], Path.unlink

    def slow(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".tail":
            # Another pilot continues the run before the reader deletes what it has taken over.
            with pytest.raises(StorageError, match="another pilot has been taking over a run"):
                journal_of_copy.resume_run(1)
            deleted.append(path)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", slow)
    journal_of_copy = Journal(connect(left), left / "journal.db")
    with journal_of_copy, Journal.open_existing(left) or pytest.fail() as reader:
        assert reader.counts(1) == {"ok": 1}
        monkeypatch.undo()
        assert deleted == [left / "run-1.tail"]
        again, _ = journal_of_copy.resume_run(1)
        again.add_result(query(2), result(2))
        recovered = Journal.open(left)
        recovered.close()
        assert len(list(read_tail(left / "run-1.tail"))) == 2
        again.close()
        assert reader.counts(1) == {"ok": 2}


def test_a_resumption_takes_the_tail_over_itself(home: Path, journal: Journal) -> None:
    with start(journal) as run:
        run.add_result(query(1), result(1))
        left = killed(home)
    # The run is killed after the journal was opened, and so after all tails were taken over.
    with closing(Journal(connect(left), left / "journal.db")) as opened:
        again, past = opened.resume_run(1)
        assert past.results == 1
        again.add_result(query(2), result(2))
        again.close()
        assert opened.counts(1) == {"ok": 2}


def test_a_new_journal_does_not_write_over_files_of_a_deleted_one(
    home: Path, run: RunJournal
) -> None:
    run.add_result(query(1), result(1))
    left = killed(home)
    for file in left.glob("journal.db*"):
        file.unlink()
    with Journal.open(left) as journal, start(journal) as new:
        assert new.run_id == 2
        # What is there of the first run is a run without a name.
        assert (journal.run(1).workload, journal.run(1).outcome) == ("(unknown)", "killed")
        assert journal.counts(1) == {"ok": 1}
    assert [file.name for file in left.iterdir() if file.name.startswith("run-")] == []


def test_records_that_the_journal_has_do_not_come_back_behind_new_ones(
    home: Path, run: RunJournal
) -> None:
    for seq in (1, 2, 3):
        run.add_result(query(seq), result(seq))
    run.flush()
    run.add_result(query(4), result(4))  # as long as the first
    kinds = [(record.kind, record.values[0]) for record in read_tail(home / "run-1.tail")]
    assert kinds == [(tails.QUERY, 4), (tails.USUAL, 4)]


def test_a_tail_is_filled_to_its_last_byte(tmp_path: Path) -> None:
    taken = []
    for chars in range(SIZE_BYTES - 40, SIZE_BYTES):
        path = tmp_path / "run-1.tail"
        tail = Tail(path)
        if tail.add(tails.OTHER, ("x" * chars,)):
            taken.append(chars)
            assert [len(record.values[0]) for record in read_tail(path)] == [chars]
            assert not tail.add(tails.OTHER, ("x" * 40,))
        assert path.stat().st_size == SIZE_BYTES
        tail.close(remove=True)
    # Records end with a head of zeros.
    head_bytes, quotes = 9, len('[""]')
    assert max(taken) == SIZE_BYTES - 2 * head_bytes - quotes


def test_a_write_that_fails_leaves_no_transaction_open(home: Path, run: RunJournal) -> None:
    with closing(sqlite3.connect(home / "journal.db", timeout=0)) as other:
        other.execute(
            "CREATE TRIGGER no BEFORE INSERT ON results BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        run.add_result(query(1), result(1))
        with pytest.raises(StorageError, match="no"):
            run.flush()
        other.execute("DROP TRIGGER no")  # waits for nobody
        run.flush()
        assert other.execute("SELECT count(*) FROM results").fetchall() == [(1,)]


def test_what_could_not_be_written_at_the_end_comes_with_the_next_pilot(
    home: Path, journal: Journal
) -> None:
    run = start(journal)
    with closing(sqlite3.connect(home / "journal.db", timeout=0)) as other:
        other.execute(
            "CREATE TRIGGER no BEFORE INSERT ON results BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        run.add_result(query(1), result(1))
        run.add_firing(firing(1), {"Update": 1})
        with pytest.raises(StorageError, match="1 result, 1 firing"):
            run.close()
        other.execute("DROP TRIGGER no")
    with Journal.open(killed(home)) as left:
        assert left.counts(1) == {"ok": 1}
        assert left.counters(1) == {"Update": 1}
    assert not list(home.with_name("copy").glob("*.tail"))


def test_numbers_go_on_behind_results_that_were_taken_back(journal: Journal) -> None:
    with start(journal) as run:
        run.add_result(query(1), result(1))
        run.add_result(query(2), result(2, status="cancelled", error=STOPPED))
        run.add_result(query(3), result(3, status="cancelled", error="by somebody else"))
        run.add_result(query(4), result(4))
        run.finish("interrupted", 130, {})
    again, past = journal.resume_run(1)
    assert past.results == 4
    assert list(past.done[1][:6]) == [0, 1, 0, 1, 1, 0]
    assert not past.killed
    with again:
        again.add_result(query(2), result(2))
    assert [(one.seq, one.status) for one in journal.results(1)] == [
        (1, "ok"),
        (2, "ok"),
        (3, "cancelled"),
        (4, "ok"),
    ]
    assert journal.counts(1) == {"ok": 3, "cancelled": 1}


def test_percentiles_are_at_the_nearest_rank(journal: Journal) -> None:
    with start(journal) as run:
        for seq, elapsed_s in enumerate([0.5, 0.1, 0.3, 0.2, 0.4], 1):
            run.add_result(query(seq), result(seq, elapsed_s=elapsed_s))
    found = journal.statistics(1)
    # The smallest value with at least that share of all at or below it: ranks 2.5, 4.75 and 4.95
    # of 5, rounded up.
    assert (found.p50_s, found.p95_s, found.p99_s) == (0.3, 0.5, 0.5)


def test_a_limit_takes_what_ended_first(journal: Journal) -> None:
    with start(journal) as run:
        for seq, round in ((2, 1), (1, 1), (3, 1), (1, 2)):
            run.add_result(query(seq), result(seq, round=round))
    found = [(one.round, one.seq) for one in journal.results(1, limit=2)]
    assert found == [(1, 1), (1, 2)]
    assert [one.seq for one in journal.results(1, limit=1)] == [2]


def test_the_time_of_each_part_of_a_run_counts_once(journal: Journal) -> None:
    with start(journal) as run:
        run.add_result(query(1), result(1, started_at=100.0, elapsed_s=1.0))
        run.add_result(query(2), result(2, started_at=103.0, elapsed_s=2.0))
        run.finish("interrupted", 130, {})
    for began, seq in ((500.0, 3), (900.0, 4)):
        again, _ = journal.resume_run(1)
        with again:
            again.add_result(query(seq), result(seq, started_at=began, elapsed_s=0.5))
            again.finish("interrupted", 130, {})
    again, _ = journal.resume_run(1)
    again.close()
    assert journal.elapsed_s(1) == pytest.approx(5.0 + 0.5 + 0.5)

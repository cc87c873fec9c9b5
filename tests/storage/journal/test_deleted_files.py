"""Files of a run that are deleted or replaced while it is written: the home, the journal, ..."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from written_run import firing, query, result

from pilotcli.common.errors import StorageError
from pilotcli.storage.journal import Journal, RunJournal

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("by_hand")]


def start(journal: Journal) -> RunJournal:
    return journal.start_run(
        kind="run", workload="w.sql", config_path=None, config_text="{}", database="x", options={}
    )


def delete(home: Path, names: str) -> None:
    """Delete the files in `home` with such names, or all of it."""
    if names == "":
        shutil.rmtree(home)
    for file in home.glob(names or "no"):
        file.unlink()


@pytest.mark.parametrize("has_path_descriptors", [True, False])
@pytest.mark.parametrize(
    "names",
    ["", "*", "journal.db*", "journal.db", "journal.db-wal", "journal.db-shm", "*.tail", "*.lock"],
)
def test_what_was_written_is_saved_and_the_run_ends_with_an_error(
    home: Path,
    journal: Journal,
    names: str,
    has_path_descriptors: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not has_path_descriptors:
        monkeypatch.delattr(os, "O_PATH")
    with start(journal) as before:
        before.add_result(query(1), result(1))
        before.finish("finished", 0, {})
    run = start(journal)
    run.add_result(query(1), result(1))
    run.flush()
    run.add_result(query(2), result(2))
    run.add_firing(firing(2), {"Update": 2})
    delete(home, names)
    run.add_result(query(3), result(3))
    with pytest.raises(StorageError, match="was deleted or replaced while run 2 was written"):
        run.flush()
    assert run.lost is not None
    assert str(home / "journal.db") in run.lost.message
    run.add_result(query(4), result(4))
    with Journal.open(home) as now:
        assert now.run(2).alive
    run.finish("failed", 2, {})
    run.close()
    with Journal.open(home) as now:
        assert [(one.status, one.exit_code) for one in now.runs()] == [
            ("failed", 2),
            ("finished", 0),
        ]
        assert now.counts(1) == {"ok": 1}
        assert now.counts(2) == {"ok": 4}
        assert now.counters(2) == {"Update": 2}
        again, past = now.resume_run(2)
        again.close()
        assert past.results == 4
    assert {file.name for file in home.iterdir()} <= {"journal.db", ".gitignore"}


def test_a_run_that_is_killed_afterwards_keeps_its_end(home: Path, journal: Journal) -> None:
    with start(journal) as run:
        shutil.rmtree(home)
        assert run.check() is not None
        run.add_result(query(1), result(1))
        copy = home.with_name("copy")
        shutil.copytree(home, copy)
    with Journal.open(copy) as left:
        assert left.counts(1) == {"ok": 1}


def test_another_journal_in_its_place_stays(home: Path, journal: Journal) -> None:
    run = start(journal)
    run.add_result(query(1), result(1))
    run.flush()
    shutil.rmtree(home)
    with Journal.open(home) as other, start(other) as its:
        for seq in (1, 2, 3):
            its.add_result(query(seq), result(seq))
        its.flush()
        found = run.check()
        assert found is not None
        assert str(home / "journal-saved-1.db") in found.message
        run.add_result(query(2), result(2))
        its.add_result(query(4), result(4))
        its.flush()
        run.close()
    with Journal.open(home) as other:
        assert other.counts(1) == {"ok": 4}
    (home / "journal-saved-1.db").rename(home / "journal.db")
    with Journal.open(home) as saved:
        assert saved.counts(1) == {"ok": 2}


def test_two_runs_save_one_journal(home: Path, journal: Journal) -> None:
    runs = [start(journal), start(journal)]
    for run in runs:
        run.add_result(query(1), result(1))
        run.flush()
        run.add_result(query(2), result(2))
    shutil.rmtree(home)
    assert all(run.check() is not None for run in runs)
    for run in runs:
        run.add_result(query(3), result(3))
        run.finish("failed", 2, {})
        run.close()
    with Journal.open(home) as now:
        assert [now.counts(number) for number in (1, 2)] == [{"ok": 3}] * 2
    assert list(home.glob("journal-saved*")) == []


def test_a_home_that_became_a_file_is_an_error_with_a_reason(home: Path, journal: Journal) -> None:
    run = start(journal)
    run.add_result(query(1), result(1))
    run.flush()
    moved = home.rename(home.with_name("moved"))
    home.write_text("not a folder")
    run.add_result(query(2), result(2))
    with pytest.raises(StorageError, match="cannot be used: File exists"):
        run.flush()
    with pytest.raises(StorageError, match="cannot be used: File exists"):
        run.close()
    home.unlink()
    moved.rename(home)
    with Journal.open(home) as now:
        assert now.counts(1) == {"ok": 2}

"""`pilot runs list|name|tag|note|rm|prune`, as a user calls them."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pilot_starter import run_pilot
from written_run import query, result

from pilotcli.cli.runs.moments import age_s, since_s
from pilotcli.common.errors import UsageError
from pilotcli.common.labels import RunLabels
from pilotcli.storage.journal import Journal, RunJournal
from pilotcli.storage.journal.deletion import delete_runs
from pilotcli.storage.store.unsaved_rows import WaitingRows

DAY_S = 86400


def begin(
    home: Path, labels: RunLabels | None = None, *, age_days: float = 0, **changes: Any
) -> RunJournal:
    arguments: dict[str, Any] = {
        "kind": "run",
        "workload": "forum.sql",
        "config_path": "/configs/forum.yaml",
        "config_text": "{}",
        "database": "x",
        "options": {},
    }
    with Journal.open(home) as journal:
        run = journal.start_run(**{**arguments, **changes})
    if labels is not None:
        run.describe(labels, {})
    run.add_result(query(1), result(1))
    run.flush()
    with closing(sqlite3.connect(home / "journal.db")) as connection, connection:
        started_at = time.time() - age_days * DAY_S
        connection.execute(
            "UPDATE runs SET started_at = ? WHERE run_id = ?", (started_at, run.run_id)
        )
    return run


def write(home: Path, labels: RunLabels | None = None, **changes: Any) -> int:
    with begin(home, labels, **changes) as run:
        run.finish("finished", 0, {})
    return run.run_id


def write_pair(home: Path, **changes: Any) -> int:
    driver = write(home, **changes)
    baseline = write(home, driver=driver, **changes)
    with closing(sqlite3.connect(home / "journal.db")) as connection, connection:
        sql = "UPDATE runs SET paired_with = ?, arm = 'driver' WHERE run_id = ?"
        connection.execute(sql, (baseline, driver))
    return driver


def add_many(run: RunJournal) -> None:
    for seq in range(2, 3000):
        run.add_result(query(seq, sql=f"SELECT '{'x' * 500}', {seq}"), result(seq))


def pilot(home: Path, *words: str, code: int = 0) -> str:
    done = run_pilot(*words, "--set", f"home={home}", cwd=home)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def numbers(home: Path, *words: str) -> list[int]:
    listed = json.loads(pilot(home, "runs", "list", "--format", "json", *words))
    return [run["run_id"] for run in listed]


def count(home: Path, table: str, run_id: int) -> int:
    with closing(sqlite3.connect(home / "journal.db")) as connection:
        sql = f"SELECT count(*) FROM {table} WHERE run_id = ?"
        ((found,),) = connection.execute(sql, (run_id,)).fetchall()
    return int(found)


def test_a_list_has_only_what_was_asked_for(tmp_path: Path) -> None:
    old = write(tmp_path, RunLabels("nightly", ("a", "b")), age_days=3)
    new = write(tmp_path, RunLabels("nightly", ("a",)), workload="other.sql", config_path=None)
    begin(tmp_path).close()  # as a pilot that was killed
    assert numbers(tmp_path) == [3, new, old]
    assert numbers(tmp_path, "--tag", "a") == [new, old]
    assert numbers(tmp_path, "--tag", "a", "--tag", "b") == [old]
    assert numbers(tmp_path, "--name", "nightly", "--limit", "1") == [new]
    assert numbers(tmp_path, "--status", "killed") == [3]
    assert numbers(tmp_path, "--status", "running") == []
    assert numbers(tmp_path, "--since", "2d") == [3, new]
    assert numbers(tmp_path, "--since", "2000-01-31") == [3, new, old]
    assert numbers(tmp_path, "--workload", "other") == [new]
    assert numbers(tmp_path, "--of-config", "forum") == [3, old]
    header, *lines = pilot(tmp_path, "runs", "list").splitlines()
    assert header.split()[6:] == ["NAME", "TAGS", "KIND", "CONFIG", "WORKLOAD"]
    assert lines[2].split()[-6:] == ["nightly", "a,", "b", "run", "forum.yaml", "forum.sql"]
    assert pilot(tmp_path, "runs", "list", "--tag", "z").startswith("No run in ")
    assert "an age or a date, not 'soon'" in pilot(
        tmp_path, "runs", "list", "--since", "soon", code=2
    )


def test_labels_change_later_in_all_arms(tmp_path: Path) -> None:
    driver = write_pair(tmp_path)
    pilot(tmp_path, "runs", "tag", "1", "good", "slow")
    pilot(tmp_path, "runs", "tag", "1", "slow", "--remove")
    pilot(tmp_path, "runs", "note", "1", "after ANALYZE")
    shown = pilot(tmp_path, "runs", "name", "1", "first")
    assert shown == "run 1: name first; tags good; note after ANALYZE\n"
    with Journal.open(tmp_path) as journal:
        for run in journal.runs():
            assert (run.name, run.tags, run.note) == ("first", ("good",), "after ANALYZE")
        assert journal.named_run("first").run_id == driver
    assert pilot(tmp_path, "runs", "name", "first") == "run 1: tags good; note after ANALYZE\n"
    assert "cannot be the name" in pilot(tmp_path, "runs", "name", "1", "2", code=2)


def test_the_arms_of_a_pair_are_removed_together(tmp_path: Path) -> None:
    write_pair(tmp_path)
    other = write(tmp_path, RunLabels("other"))
    shown = pilot(tmp_path, "runs", "rm", "2", "--yes")
    assert re.search(r"^run 1, which goes with it, driver of run 2, ", shown, re.MULTILINE)
    assert re.search(r"^removed 2 runs; the journal has .* before .*$", shown, re.MULTILINE)
    assert numbers(tmp_path) == [other]
    for table in ("runs", "queries", "results"):
        assert [count(tmp_path, table, run) for run in (1, 2, 3)] == [0, 0, 1], table
    assert "run 2 was removed from" in pilot(tmp_path, "runs", "show", "2", code=2)
    pilot(tmp_path, "runs", "rm", "other", "--yes")
    assert write(tmp_path) == 4


def test_nothing_is_removed_without_a_yes(tmp_path: Path) -> None:
    write(tmp_path)
    assert "Nothing was removed." in pilot(tmp_path, "runs", "rm", "1", code=130)
    assert "Nothing was removed." in pilot(
        tmp_path, "runs", "prune", "--older", "0d", "--keep", "0", code=130
    )
    assert "say which runs stay" in pilot(tmp_path, "runs", "prune", code=2)
    assert numbers(tmp_path) == [1]


def test_a_run_that_is_alive_or_has_rows_to_save_stays(tmp_path: Path) -> None:
    rows = write(tmp_path, age_days=9)
    waiting = WaitingRows(tmp_path, rows)
    waiting.write(1, "t", {"a": 1})
    waiting.close()
    with begin(tmp_path, age_days=8) as alive:
        refused = pilot(tmp_path, "runs", "rm", str(alive.run_id), "--yes", code=2)
        assert f"run {alive.run_id} is still running" in refused
        shown = pilot(tmp_path, "runs", "prune", "--older", "7d", "--yes")
        assert "There is nothing to remove." in shown
        assert "2 runs stay: running, or with rows to save" in shown
        with begin(tmp_path, age_days=8) as run:
            add_many(run)
            run.finish("finished", 0, {})
        done = run.run_id
        with pytest.raises(Exception, match="is still running"):
            delete_runs(tmp_path, [done, alive.run_id])
        shown = pilot(tmp_path, "runs", "rm", str(done), "--yes")
        assert "is free for later runs" in shown
    assert "are not in the store yet" in pilot(tmp_path, "runs", "rm", "1", "--yes", code=2)
    assert numbers(tmp_path) == [alive.run_id, rows]


def test_a_prune_keeps_the_newest_and_what_has_a_label(tmp_path: Path) -> None:
    write_pair(tmp_path, age_days=40)
    write(tmp_path, RunLabels(tags=("keep",)), age_days=35)
    write(tmp_path, age_days=31)
    write(tmp_path, age_days=2)
    words = ("runs", "prune", "--keep", "1", "--older", "30d")
    shown = pilot(tmp_path, *words, "--dry-run")
    assert [line.split(",")[0] for line in shown.splitlines()[:4]] == [
        "3 runs would be removed:", "run 1", "run 2", "run 4",
    ]  # fmt: skip
    assert "1 run with a name, tags or a note stays" in shown
    assert numbers(tmp_path) == [5, 4, 3, 2, 1]
    pilot(tmp_path, "runs", "prune", "--keep", "4", "--older", "30d", "--yes")
    assert numbers(tmp_path) == [5, 4, 3, 2, 1]  # the pair counts as one
    assert "would be" not in pilot(tmp_path, *words, "--yes")
    assert numbers(tmp_path) == [5, 3]
    pilot(tmp_path, *words, "--yes", "--all")
    assert numbers(tmp_path) == [5]


def test_the_folds_of_an_experiment_go_together(tmp_path: Path) -> None:
    for fold in (1, 2):
        with begin(tmp_path) as run:
            run.set_experiment(1, fold)
            run.finish("finished", 0, {})
    write(tmp_path)
    pilot(tmp_path, "runs", "rm", "2", "--yes")
    assert numbers(tmp_path) == [3]


def test_removed_runs_give_their_space_back(tmp_path: Path) -> None:
    with begin(tmp_path) as run:
        add_many(run)
        run.finish("finished", 0, {})
    before = (tmp_path / "journal.db").stat().st_size
    pilot(tmp_path, "runs", "rm", "1", "--yes")
    assert (tmp_path / "journal.db").stat().st_size < before / 4


def test_ages_and_dates() -> None:
    assert age_s("1.5h", "--older") == 5400
    assert since_s("2w", "--since", 14.0 * DAY_S) == 0
    assert since_s("1970-01-02T00:00:00+00:00", "--since", 0.0) == DAY_S
    with pytest.raises(UsageError, match="--older takes an age, not '2026-01-31'"):
        age_s("2026-01-31", "--older")

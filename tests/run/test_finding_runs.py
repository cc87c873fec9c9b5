"""Which run `--resume` means, and what of it is loaded and compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from project_folder import Project
from written_run import query, result, version

from pilotcli.analysis.compare_named import named_run
from pilotcli.common.errors import StorageError, StoreError, UsageError
from pilotcli.common.labels import RunLabels
from pilotcli.run.resume import find_run, refuse_changed_workload, versions_to_load
from pilotcli.storage.journal import Journal, RunJournal, RunKind
from pilotcli.storage.journal.rows import MAX_SQL_CHARS


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path) as journal:
        yield journal


def start(journal: Journal, kind: RunKind = "run") -> RunJournal:
    return journal.start_run(
        kind=kind, workload="w", config_path=None, config_text="{}", database="x", options={}
    )


def interrupted(journal: Journal, kind: RunKind = "run") -> int:
    with start(journal, kind) as run:
        run.finish("interrupted", 130, {"complete": False})
    return run.run_id


def test_the_last_one_is_the_newest_of_its_command_that_can_go_on(journal: Journal) -> None:
    first, wanted = interrupted(journal), interrupted(journal)
    pretrained = interrupted(journal, "pretrain")
    with start(journal) as complete:
        complete.finish("finished", 0, {"complete": True})
    running = start(journal)
    assert find_run(journal, "last", "run").run_id == wanted
    assert find_run(journal, "last", "pretrain").run_id == pretrained
    assert find_run(journal, str(first), "run").run_id == first
    running.close()  # as a pilot that was killed: its end is not recorded
    assert find_run(journal, "last", "run").run_id == running.run_id
    with pytest.raises(UsageError, match=f"run {complete.run_id} is complete"):
        find_run(journal, str(complete.run_id), "run")


def test_a_repeated_firing_begins_with_the_version_before_its_own(journal: Journal) -> None:
    with start(journal) as run:
        run.set_loaded({"latency": None, "other": 7})
        for number, after_query in ((1, 2), (2, 4)):
            run.add_model(replace(version(number), run_id=run.run_id, query_seq=after_query))
        for seq in range(1, 5):
            run.add_result(query(seq), result(seq))
        run.begin_firing("Update", "interval", 4)
        run.finish("interrupted", 130, {"complete": False})
    again, past = journal.resume_run(run.run_id)
    again.close()
    assert past.begun is not None
    assert versions_to_load(journal, past) == {"latency": 1, "other": 7}
    assert versions_to_load(journal, replace(past, begun=None)) == {"latency": 2, "other": 7}


def test_a_long_statement_that_changed_behind_what_is_kept_is_another(journal: Journal) -> None:
    sql = "SELECT '" + "x" * MAX_SQL_CHARS + "'"
    with start(journal) as run:
        run.add_result(query(1, sql=sql), result(1))
    refuse_changed_workload(journal, run.run_id, [query(1, sql=sql)], None, None)
    longer = sql[:-1] + "x'"
    with pytest.raises(UsageError, match=r"q1 \(w.sql:2\) is a different statement"):
        refuse_changed_workload(journal, run.run_id, [query(1, sql=longer)], None, None)


def test_a_run_that_fails_before_it_begins_was_not_killed(project: Project) -> None:
    project.config("collect: seen")
    project.write("w.sql", "SELECT 1;")
    away = "store.dsn=postgresql://nobody@127.0.0.1:1"
    with pytest.raises(StoreError):
        project.run("w.sql", sets=(away,))
    with project.journal() as journal:
        assert [(one.outcome, one.exit_code) for one in journal.runs()] == [("failed", 4)]
        assert "127.0.0.1" in journal.run(1).summary["reasons"][0]
        assert find_run(journal, "last", "run").run_id == 1
    shown = project.command("runs", "show", "1")
    assert shown.returncode == 0, shown.stderr
    assert "failed" in shown.stdout
    with pytest.raises(StoreError):
        project.run("w.sql", sets=(away,), resume=1, force=True)
    assert project.run("w.sql", resume=1, force=True).exit_code == 0
    assert list((project.folder / ".pilot").glob("run-*")) == []


def test_numbers_of_queries_are_written_alike(journal: Journal) -> None:
    with journal.start_run(
        kind="run",
        workload="w.sql",
        config_path=None,
        config_text="{}",
        database="d",
        options={},
        request={"total": 33_000},
        workload_digest="a",
    ) as run:
        run.add_result(query(1), result(1))
    with pytest.raises(UsageError, match="it has 36,000 queries to run, and had 33,000"):
        refuse_changed_workload(journal, run.run_id, [query(1)], "b", 36_000)


def test_a_run_is_found_by_its_name(journal: Journal) -> None:
    def named(name: str, baseline_of: int | None = None) -> int:
        with journal.start_run(
            kind="run", workload="w", config_path=None, config_text="{}", database="x", options={},
            driver=baseline_of,
        ) as run:  # fmt: skip
            run.describe(RunLabels(name), {})
            if baseline_of is not None:
                run.finish("finished", 0, {})
            else:
                run.finish("interrupted", 130, {"complete": False})
        return run.run_id

    named("nightly")
    newest = named("nightly")
    named("nightly", baseline_of=newest)
    assert journal.named_run("nightly").run_id == newest
    assert journal.named_run("1").run_id == 1
    assert journal.named_run("last").run_id == 3
    assert find_run(journal, "nightly", "run").run_id == newest
    with pytest.raises(StorageError, match="no run named 'nigtly'") as caught:
        journal.named_run("nigtly")
    assert caught.value.hint == "Did you mean 'nightly'?"
    home = journal.path.parent
    assert named_run(home, "nightly") == named_run(Path("/"), f"{home}:nightly") == (home, newest)
    with pytest.raises(UsageError, match="'a b' is not a run"):
        named_run(home, "a b")

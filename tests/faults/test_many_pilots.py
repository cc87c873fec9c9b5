"""Several pilots in one folder at once."""

from __future__ import annotations

import itertools
import signal
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
from project_folder import PILOT, Project

from pilotcli.config import PostgreSQLConfig, load_config
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal
from pilotcli.storage.store.data_manager import DataManager

PILOTS = 10
DRIVER = """
import json
from pathlib import Path
from pilotcli import CheckpointedModel, PeriodicModelUpdateEvent


class Counts(CheckpointedModel):
    def dump(self, folder):
        (folder / "count.json").write_text(json.dumps(self.model))

    def restore(self, folder):
        self.model = json.loads((folder / "count.json").read_text())


class Update(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return len(data_manager.read_all("seen"))
"""


def test_ten_runs_share_an_embedded_server_a_store_a_journal_and_a_model(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)  # as root the server is another user's
    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "pilot.yaml").write_text(
        "collect: seen\nmodels: {m: driver.py:Counts}\n"
        "events: [{class: 'driver.py:Update', model: m, args: {interval_count: 5}}]\n"
    )
    (tmp_path / "w.sql").write_text("SELECT 1;\nSELECT pg_sleep(0.01);\n" * 10)
    config = load_config(tmp_path / "pilot.yaml", (f"home={tmp_path / '.pilot'}",))
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [PILOT, "run", "w.sql"],
                    cwd=tmp_path,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            for _ in range(PILOTS)
        ]
        ends = [(one.communicate()[0], one.returncode) for one in running]
    assert [code for _, code in ends] == [0] * PILOTS, ends
    with Journal.open(tmp_path / ".pilot") as journal:
        runs = journal.runs()
        assert sorted(one.run_id for one in runs) == list(range(1, PILOTS + 1))
        for one in runs:
            assert [result.status for result in journal.results(one.run_id)] == ["ok"] * 20
            assert len(list(journal.firings(one.run_id))) == 5
    with closing(sqlite3.connect(tmp_path / ".pilot" / "journal.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    store = CheckpointStore(tmp_path / ".pilot" / "models")
    versions = store.versions("m")
    assert [one.version for one in versions] == list(range(1, 5 * PILOTS + 1))
    for version in versions:
        store.verify(version)
    # The last run has read what all of them had collected by then, and nothing twice.
    counts = [int((one.path / "count.json").read_text()) for one in versions]
    assert max(counts) <= 20 * PILOTS
    assert counts[0] in range(20 * PILOTS)
    # The server went with the last of them.
    assert not list((tmp_path / ".pilot").glob("pg/*/data/postmaster.pid"))
    with DataManager(PostgreSQLConfig.from_run_config(config, embedded=True)) as manager:
        labels = manager.read_all("seen")["label"].value_counts()
    assert set(labels) == {PILOTS}
    assert len(labels) == 20


def at_second_query(folder: Path, *words: str) -> subprocess.Popen[str]:
    """`pilot run words...`, while its second query runs."""
    running = subprocess.Popen(
        [PILOT, "run", *words, "--format", "jsonl"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if '"query_started"' in line and '"seq":2' in line:
            return running
    raise AssertionError("it has ended")


def test_a_run_is_resumed_by_one_pilot_only(project: Project) -> None:
    project.write("w.sql", "SELECT 1; SELECT pg_sleep(60);")
    project.config()
    with at_second_query(project.folder, "w.sql") as first:
        first.send_signal(signal.SIGKILL)
    with at_second_query(project.folder, "--resume") as second:
        third = project.command("run", "--resume", "1")
        assert third.returncode == 2
        assert f"run 1 is still running (process {second.pid})" in third.stderr
        second.send_signal(signal.SIGINT)
    assert second.returncode == 130


def test_of_pilots_that_resume_a_run_at_the_same_moment_one_does(project: Project) -> None:
    # The one that goes on does so until all others have been refused.
    held = "SELECT pg_advisory_lock(31), pg_advisory_unlock(31)"
    project.write("w.sql", f"SELECT 1; {held}; SELECT 3;")
    project.config("run: {timeout: 2min}")
    with closing(psycopg2.connect(project.dsn)) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(31)")
        with at_second_query(project.folder, "w.sql") as first:
            first.send_signal(signal.SIGKILL)
        with ExitStack() as stack:
            resuming = [
                stack.enter_context(
                    subprocess.Popen(
                        [PILOT, "run", "--resume", "1"],
                        cwd=project.folder,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                        text=True,
                    )
                )
                for _ in range(4)
            ]
            with ThreadPoolExecutor(len(resuming)) as pool:
                ends = [pool.submit(one.communicate) for one in resuming]
                refused = [one.result()[1] for one in itertools.islice(as_completed(ends), 3)]
                holder.rollback()
                cursor.execute("SELECT pg_advisory_unlock_all()")
    assert sorted(one.returncode for one in resuming) == [0, 2, 2, 2]
    assert all("run 1 is still running" in one for one in refused)
    with project.journal() as journal:
        assert [(one.seq, one.status) for one in journal.results(1)] == [
            (1, "ok"),
            (2, "ok"),
            (3, "ok"),
        ]


def test_the_server_stays_for_others_when_the_pilot_that_started_it_is_killed(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o711)
    (tmp_path / "w.sql").write_text("SELECT 1; SELECT pg_sleep(0.5); SELECT 3;")
    with at_second_query(tmp_path, "w.sql") as first, at_second_query(tmp_path, "w.sql") as second:
        first.send_signal(signal.SIGKILL)
        first.wait()
        second.communicate()
    assert second.returncode == 0
    with Journal.open(tmp_path / ".pilot") as journal:
        assert [one.status for one in journal.results(2)] == ["ok"] * 3
    assert not list((tmp_path / ".pilot").glob("pg/*/data/postmaster.pid"))


def test_the_server_is_not_stopped_under_a_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    project = Project(tmp_path, "", "")
    (tmp_path / "w.sql").write_text("SELECT 1; SELECT pg_sleep(60);")
    with at_second_query(tmp_path, "w.sql") as running:
        done = project.command("db", "stop")
        assert f"in use (process {running.pid}); it stops when the last" in done.stdout
        running.send_signal(signal.SIGINT)
    assert running.returncode == 130

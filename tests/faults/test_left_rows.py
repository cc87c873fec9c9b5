"""Rows that a run collected and did not save: who saves them, and what is left lying about."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg2
import pytest
from killed_runs import pilot
from project_folder import Project

from pilotcli.common.signals import Notice
from pilotcli.config import PostgreSQLConfig
from pilotcli.storage.journal.run_lock import lock_run
from pilotcli.storage.store.data_manager import DataManager

DIES = """
import os, signal
from pilotcli import HintPushHandler


class DiesBefore(HintPushHandler):
    def acquire_injected_data(self, sql):
        if "last" in sql and not os.environ.get("LIVES"):
            os.kill(os.getpid(), signal.SIGKILL)
"""

WORKLOAD = "SELECT 1; SELECT 2; SELECT 3; SELECT 4 AS last; SELECT 5;"


@pytest.fixture
def killed(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A run that was killed in its fourth query, and has saved none of its three rows."""
    monkeypatch.setenv("LIVES", "")
    project.write("ev.py", DIES)
    project.write("w.sql", WORKLOAD)
    project.write("other.sql", "SELECT 7;")
    project.config("collect: seen\nhandlers: ['ev.py:DiesBefore']")
    assert pilot(project.folder, "run", "w.sql") == -9
    assert [path.name for path in left(project)] == ["run-1.lock", "run-1.rows-1", "run-1.tail"]
    monkeypatch.setenv("LIVES", "1")
    return project


def left(project: Project) -> list[Path]:
    """The files of runs in the project's home."""
    return sorted((project.folder / ".pilot").glob("run-*"))


def seen(project: Project) -> list[str]:
    config = project.request("w.sql").config
    with DataManager(PostgreSQLConfig.from_run_config(config, embedded=False)) as manager:
        frame = manager.read_all("seen", reader="test")
    return sorted(frame["sql"]) if len(frame) else []


def marks(project: Project) -> int:
    """The places of runs that the store keeps."""
    dsn = psycopg2.extensions.make_dsn(project.dsn, dbname=project.store)
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pilot_marks WHERE name LIKE 'rows of run%'")
        ((number,),) = cursor.fetchall()
    connection.close()
    return int(number)


def notices(project: Project) -> list[str]:
    return [one.text for one in project.heard(Notice)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("config", ["collect: seen", ""])
def test_the_next_start_saves_them(killed: Project, config: str) -> None:
    killed.config(config)
    assert killed.run("other.sql").exit_code == 0
    assert "3 rows for seen, collected by run 1, now in the store" in notices(killed)
    assert seen(killed) == ["SELECT 1", "SELECT 2", "SELECT 3"] + ["SELECT 7"] * bool(config)
    assert left(killed) == []
    assert marks(killed) == 0


def test_the_run_can_be_resumed_afterwards(killed: Project) -> None:
    assert killed.run("other.sql").exit_code == 0
    assert killed.run("w.sql", resume=1).exit_code == 0
    whole = ["SELECT 1", "SELECT 2", "SELECT 3", "SELECT 4 AS last", "SELECT 5", "SELECT 7"]
    assert seen(killed) == whole
    assert left(killed) == []


def test_a_resumption_saves_them_itself(killed: Project) -> None:
    assert killed.run("w.sql", resume=1).exit_code == 0
    assert "3 rows for seen, collected before, now in the store" in notices(killed)
    assert len(seen(killed)) == 5
    assert left(killed) == []


def test_those_of_a_living_run_are_left_to_it(killed: Project) -> None:
    lock = lock_run(killed.folder / ".pilot", 1)
    assert killed.run("other.sql").exit_code == 0
    lock.release()
    assert seen(killed) == ["SELECT 7"]
    assert killed.run("w.sql", resume=1).exit_code == 0
    assert len(seen(killed)) == 6


def test_those_of_another_store_wait_for_it(killed: Project) -> None:
    sets = (f"store.database={killed.store}_too",)
    assert killed.run("other.sql", sets=sets).exit_code == 0
    (notice,) = [text for text in notices(killed) if "3 rows wait in" in text]
    assert "`pilot run --resume 1`" in notice
    assert [path.name for path in left(killed)] == ["run-1.rows-1"]
    assert killed.run("other.sql").exit_code == 0
    assert seen(killed) == ["SELECT 1", "SELECT 2", "SELECT 3", "SELECT 7"]


def test_a_store_that_refuses_them_does_not_keep_others_from_running(killed: Project) -> None:
    config = killed.request("w.sql").config
    with DataManager(PostgreSQLConfig.from_run_config(config, embedded=False)) as manager:
        manager.save_data("seen", {"execution_time": "a text"})
    killed.config()
    finished = killed.run("other.sql")
    assert finished.exit_code == 0
    (text,) = [text for text in notices(killed) if "run 1" in text]
    assert "3 rows for the table 'seen' are lost" in text
    assert left(killed) == []


def test_runs_that_nobody_resumes_leave_no_files(killed: Project) -> None:
    os.environ["LIVES"] = ""
    for _ in range(2):
        assert pilot(killed.folder, "run", "w.sql") == -9
        assert pilot(killed.folder, "run", "w.sql", "--against", "native", "--warmup", "0") == -9
    os.environ["LIVES"] = "1"
    assert killed.run("other.sql").exit_code == 0
    assert left(killed) == []
    assert len(seen(killed)) == 3 * 5 + 1
    with killed.journal() as journal:
        assert len(journal.runs()) == 1 + 2 + 4 + 1

"""Stores: gone, full, read only, of a wrong shape, or written by others at the same time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from project_folder import Project
from small_disk import make_larger, small_disk

from pilotcli.config import PostgreSQLConfig
from pilotcli.errors import StoreError
from pilotcli.storage.data_manager import DataManager

DROPS = """
from pilotcli import QueryFinishEvent


class Drops(QueryFinishEvent):
    def __init__(self, config, interval_count, store):
        super().__init__(config, interval_count)
        self.store = store

    def process(self, db_controller, data_manager):
        db_controller.execute(f"DROP DATABASE {self.store} WITH (FORCE)")
"""


def manager_of(project: Project) -> DataManager:
    config = project.request("w.sql").config
    return DataManager(PostgreSQLConfig.from_run_config(config, embedded=False))


def statuses(project: Project, run_id: int = 1) -> list[str]:
    with project.journal() as journal:
        return [one.status for one in journal.results(run_id)]


def test_a_store_that_goes_in_mid_run_is_told_and_the_journal_is_whole(project: Project) -> None:
    project.write("ev.py", DROPS)
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3; SELECT 4;")
    project.config(
        "collect: seen\nevents: [{class: 'ev.py:Drops', "
        f"args: {{interval_count: 3, store: {project.store}}}}}]"
    )
    finished = project.run("w.sql")
    assert statuses(project) == ["ok"] * 4
    assert finished.exit_code == 4
    assert "1 rows are lost" in finished.reasons[0]
    assert f"no database '{project.store}'" in finished.reasons[0]


def test_a_table_of_a_wrong_type_is_told_and_the_journal_is_whole(project: Project) -> None:
    project.write("w.sql", "SELECT 1; SELECT 2;")
    project.config("collect: seen")
    with manager_of(project) as manager:
        manager.save_data("seen", {"execution_time": "a text"})
    finished = project.run("w.sql")
    assert statuses(project) == ["ok"] * 2
    assert finished.exit_code != 0
    (reason,) = finished.reasons
    assert "2 rows for the table 'seen' are lost" in reason
    assert "the column 'execution_time'" in reason and "is text" in reason
    with manager_of(project) as manager:
        assert manager.row_count("seen") == 1


def test_two_runs_that_collect_into_one_table_lose_no_row(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\n" * 700)
    project.config("collect: seen")

    def run(_: int) -> int:
        return project.command("run", "w.sql").returncode

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, range(2))) == [0, 0]
    with manager_of(project) as manager:
        frame = manager.read_all("seen")
    assert len(frame) == 1400
    assert set(frame["label"].value_counts()) == {2}


def test_a_full_disk_of_the_store_saves_nothing_of_a_batch(
    project: Project, tmp_path: Path, server_home: Path
) -> None:
    project.write("w.sql", "SELECT 1; SELECT 2;")
    project.config("collect: seen")
    (data_dir,) = server_home.glob("pg/*/data")
    disk = Path(data_dir.parent, f"small_{project.store}")
    with small_disk(disk, "24m", data_dir.stat().st_uid):
        with closing(psycopg2.connect(project.dsn)) as admin, admin.cursor() as cursor:
            admin.autocommit = True
            cursor.execute(f"CREATE TABLESPACE {project.store} LOCATION '{disk}'")
            cursor.execute(f"CREATE DATABASE {project.store} TABLESPACE {project.store}")
        try:
            rows = [{"text": os.urandom(4000).hex()} for _ in range(3000)]
            with manager_of(project) as manager:
                manager.save_data("kept", {"text": "first"})
                with pytest.raises(StoreError, match="No space left on device") as caught:
                    manager.save_data_batch("kept", rows)
                assert caught.value.hint == "The store's disk is full: make room there."
                assert manager.row_count("kept") == 1
            finished = project.run("w.sql")
            assert statuses(project) == ["ok"] * 2
            assert "The store's disk is full" in finished.reasons[0]
        finally:
            make_larger(disk)  # else the server cannot even tidy up
            with closing(psycopg2.connect(project.dsn)) as admin, admin.cursor() as cursor:
                admin.autocommit = True
                cursor.execute(f"DROP DATABASE {project.store} WITH (FORCE)")
                cursor.execute(f"DROP TABLESPACE {project.store}")

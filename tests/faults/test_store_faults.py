"""Stores: gone, full, read only, of a wrong shape, or written by others at the same time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from project_folder import PILOT, Project
from small_disk import make_larger, small_disk

from pilotcli.common.errors import StoreError
from pilotcli.common.signals import DriverOutput
from pilotcli.config import PostgreSQLConfig
from pilotcli.storage.store.data_manager import DataManager

DROPS = """
from pilotcli import QueryFinishEvent


class Drops(QueryFinishEvent):
    def __init__(self, config, interval_count, store):
        super().__init__(config, interval_count)
        self.store = store

    def process(self, db_controller, data_manager):
        db_controller.execute(f"DROP DATABASE {self.store} WITH (FORCE)")
"""


STOPS = """
import subprocess
from pilotcli import QueryFinishEvent


class Stops(QueryFinishEvent):
    def __init__(self, config, interval_count, pilot, folder):
        super().__init__(config, interval_count)
        self.pilot, self.folder = pilot, folder

    def process(self, db_controller, data_manager):
        subprocess.run([self.pilot, "db", "stop"], cwd=self.folder, check=True)
"""


def manager_of(project: Project) -> DataManager:
    config = project.request("w.sql").config
    return DataManager(PostgreSQLConfig.from_run_config(config, embedded=False))


def statuses(project: Project, run_id: int = 1) -> list[str]:
    with project.journal() as journal:
        return [one.status for one in journal.results(run_id)]


def seen(project: Project) -> int:
    """How many rows were collected."""
    with manager_of(project) as manager:
        return manager.row_count("seen")


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
    assert "1 row waits in " in finished.reasons[0]
    assert f"no database '{project.store}'" in finished.reasons[0]


def test_a_store_whose_server_stops_in_mid_run_gets_its_rows_on_resume(
    project: Project, tmp_path: Path
) -> None:
    tmp_path.chmod(0o711)  # as root the server is another user's
    other = Project(tmp_path / "other", "", "")
    other.folder.mkdir(mode=0o711)
    url = other.command("db", "start").stdout.strip()
    try:
        project.write("ev.py", STOPS)
        project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3; SELECT 4; SELECT 5;")
        project.config(
            "collect: seen\nevents: [{class: 'ev.py:Stops', "
            f"args: {{interval_count: 3, pilot: {PILOT}, folder: {other.folder}}}}}]"
        )
        sets = (f"store.dsn={url}", "store.database=pilot")
        finished = project.run("w.sql", sets=sets)
        assert statuses(project) == ["ok"] * 5
        assert finished.exit_code == 4
        assert finished.reasons[0].startswith("2 rows wait in ")
        assert "does not answer" in finished.reasons[0]
        assert finished.resume == "pilot run --resume 1"
        assert other.command("db", "start").returncode == 0
        assert project.run("w.sql", sets=sets, resume=1).exit_code == 0
        assert statuses(project) == ["ok"] * 5
        config = project.request("w.sql", sets=sets).config
        with DataManager(PostgreSQLConfig.from_run_config(config, embedded=False)) as manager:
            assert manager.row_count("seen") == 5
    finally:
        other.command("db", "stop")


def test_a_store_that_takes_no_writes_is_told_and_gets_its_rows_when_it_does(
    project: Project,
) -> None:
    project.write("w.sql", "SELECT 1; SELECT 2;")
    project.config("collect: seen")
    with closing(psycopg2.connect(project.dsn)) as admin, admin.cursor() as cursor:
        admin.autocommit = True
        cursor.execute(f"CREATE DATABASE {project.store}")
        only_reads = f"ALTER DATABASE {project.store} SET default_transaction_read_only"
        cursor.execute(f"{only_reads} = on")
        with manager_of(project) as manager, pytest.raises(StoreError) as caught:
            manager.save_data("mine", {"n": 1})
        assert f"the store {project.store!r}, table 'mine': cannot " in caught.value.message
        assert "name another one as `store.dsn`" in str(caught.value.hint)
        finished = project.run("w.sql")
        assert statuses(project) == ["ok"] * 2
        assert finished.exit_code == 4
        assert finished.reasons[0].startswith("2 rows wait in ")
        cursor.execute(f"{only_reads} = off")
    assert project.run("w.sql", resume=1).exit_code == 0
    assert seen(project) == 2


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


LOOKS = """
from pilotcli import QueryFinishEvent


class Looks(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        print("fired")


class Reads(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        print("resumed" if self.resumed else "fired")
        print("read", len(data_manager.read_all("seen")))


class Saves(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        data_manager.append("own", {"n": 1})
        print("fired")


class Both(Saves):
    def process(self, db_controller, data_manager):
        data_manager.append("seen", {"execution_time": 1.0})
"""


def test_rows_that_are_lost_are_a_reason_and_no_events_fault(project: Project) -> None:
    project.write("ev.py", LOOKS)
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3; SELECT 4; SELECT 5;")
    project.config(
        "collect: seen\nevents: [{class: 'ev.py:Looks', args: {interval_count: 2}},"
        " {class: 'ev.py:Saves', args: {interval_count: 2}}]"
    )
    with manager_of(project) as manager:
        manager.save_data("seen", {"execution_time": "a text"})
    finished = project.run("w.sql")
    assert statuses(project) == ["ok"] * 5
    (reason,) = finished.reasons
    assert "5 rows for the table 'seen' are lost: " in reason
    assert "the column 'execution_time'" in reason
    assert (finished.exit_code, finished.event_firings, finished.event_failures) == (4, 4, 0)
    assert [one.text for one in project.heard(DriverOutput)].count("fired") == 4
    with manager_of(project) as manager:
        assert (manager.row_count("seen"), manager.row_count("own")) == (1, 2)
    assert list((project.folder / ".pilot").glob("run-*")) == []


def test_rows_that_an_event_saves_are_its_own_fault(project: Project) -> None:
    project.write("ev.py", LOOKS)
    project.write("w.sql", "SELECT 1; SELECT 2;")
    project.config("events: [{class: 'ev.py:Both', args: {interval_count: 2}}]")
    with manager_of(project) as manager:
        manager.save_data("seen", {"execution_time": "a text"})
    finished = project.run("w.sql")
    assert (finished.exit_code, finished.event_failures) == (3, 1)
    assert [reason.partition(" (")[0] for reason in finished.reasons] == ["events failed: Both"]


@pytest.mark.parametrize("event", ["Looks", "Reads", "Saves"])
def test_a_store_that_does_not_answer_is_no_events_fault(
    project: Project, tmp_path: Path, event: str
) -> None:
    tmp_path.chmod(0o711)  # as root the server is another user's
    other = Project(tmp_path / "other", "", "")
    other.folder.mkdir(mode=0o711)
    url = other.command("db", "start").stdout.strip()
    try:
        project.write("ev.py", LOOKS + STOPS)
        project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3;")
        stops = f"{{interval_count: 2, pilot: {PILOT}, folder: {other.folder}}}"
        project.config(
            f"collect: seen\nevents: [{{class: 'ev.py:Stops', args: {stops}}},"
            f" {{class: 'ev.py:{event}', args: {{interval_count: 2}}}}]"
        )
        sets = (f"store.dsn={url}", "store.database=pilot")
        finished = project.run("w.sql", sets=sets)
        assert (finished.exit_code, finished.event_failures) == (4, 0)
        assert "does not answer" in " ".join(finished.reasons)
        assert not any("events failed" in text for text in finished.reasons)
        assert other.command("db", "start").returncode == 0
        resumed = project.run("w.sql", sets=sets, resume=1, force=True, events=(event,))
        assert (resumed.exit_code, resumed.event_failures) == (0, 0)
        assert statuses(project) == ["ok"] * 3
        # The firing that the store has ended is made again, the others are not.
        again = {"Looks": [], "Reads": ["resumed", "read 2"], "Saves": ["fired"]}
        assert [one.text for one in project.heard(DriverOutput)] == again[event]
    finally:
        other.command("db", "stop")


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
            assert finished.exit_code == 4
            (reason,) = finished.reasons
            assert reason.startswith(f"2 rows wait in {project.folder / '.pilot' / 'run-1.rows-*'}")
            assert f"the store {project.store!r}, table 'seen': " in reason
            assert "The store's disk is full" in reason
            make_larger(disk)
            assert project.run("w.sql", resume=1).exit_code == 0
            assert seen(project) == 2
        finally:
            make_larger(disk)  # else the server cannot even tidy up
            with closing(psycopg2.connect(project.dsn)) as admin, admin.cursor() as cursor:
                admin.autocommit = True
                cursor.execute(f"DROP DATABASE {project.store} WITH (FORCE)")
                cursor.execute(f"DROP TABLESPACE {project.store}")

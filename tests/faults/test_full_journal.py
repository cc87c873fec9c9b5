"""A full disk for journal and checkpoints: what was shown is kept, and the run can go on."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from fault_table import KILLS
from project_folder import Project
from small_disk import make_larger, small_disk

from pilotcli.config import PostgreSQLConfig
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal
from pilotcli.storage.store.data_manager import DataManager

QUERIES = 2000
DRIVER = """
import os
from pilotcli import CheckpointedModel, PeriodicModelUpdateEvent


class Heavy(CheckpointedModel):
    def dump(self, folder):
        (folder / "weights").write_bytes(os.urandom(20_000))

    def restore(self, folder):
        self.model = True


class Update(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return True
"""
CONFIG = """
collect: seen
models: {m: 'driver.py:Heavy'}
events: [{class: 'driver.py:Update', model: m, args: {interval_count: 200}}]
"""


def shown_queries(output: str) -> set[int]:
    """The queries whose results were shown."""
    signals = [json.loads(line) for line in output.splitlines()]
    return {one["result"]["seq"] for one in signals if one["signal"] == "query_finished"}


def fill_and_go_on(project: Project, size_kb: int) -> int | None:
    """Run with a home on a disk of that size, make room, and resume. Returns how many results were
    shown before it was full; None when it never was."""
    disk = project.folder / f"small-{size_kb}"
    home = f"home={disk / 'home'}"
    store = f"store.database={project.store}_{size_kb}"
    with small_disk(disk, f"{size_kb}k"):
        done = project.command("run", "w.sql", "--format", "jsonl", "--set", home, "--set", store)
        shown = shown_queries(done.stdout)
        assert "Traceback" not in done.stderr
        make_larger(disk)
        if done.returncode == 0:
            return None
        # What the disk refuses first may be a checkpoint, which is an event's failure.
        assert done.returncode in (2, 3), done.stdout[-500:] + done.stderr
        with Journal.open(disk / "home") as journal:
            begun = bool(journal.runs())
            if begun:
                kept = [one.seq for one in journal.results(1)]
                assert len(kept) == len(set(kept))
                assert shown <= set(kept)
        if done.returncode == 2:
            told = done.stdout[-2000:] + done.stderr
            assert f"{disk / 'home'}" in told
            assert "Make room" in told or "make room" in told
            again = ["run", "--resume"] if begun else ["run", "w.sql"]
            if shown:
                last = json.loads(done.stdout.splitlines()[-1])
                assert (last["signal"], last["resume"]) == ("run_finished", "pilot run --resume 1")
            ended = project.command(*again, "--set", home, "--set", store)
            # An event that has met the full disk has failed, also in the whole run.
            assert ended.returncode in (0, 3), ended.stdout[-500:] + ended.stderr
        with Journal.open(disk / "home") as journal:
            assert [one.seq for one in journal.results(1)] == list(range(1, QUERIES + 1))
            failed = [one.error for one in journal.firings(1) if one.outcome == "failed"]
        assert all("disk" in str(error) for error in failed), failed
        checkpoints = CheckpointStore(disk / "home" / "models")
        for version in checkpoints.versions("m"):
            checkpoints.verify(version)
    config = project.request("w.sql", sets=(store,)).config
    with DataManager(PostgreSQLConfig.from_run_config(config, embedded=False)) as manager:
        assert manager.row_count("seen") == QUERIES
    return len(shown)


@pytest.fixture
def filling(project: Project) -> Project:
    project.write("driver.py", DRIVER)
    project.write(
        "w.sql",
        "".join(f"SELECT {n}, '{os.urandom(250).hex()}';\n" for n in range(QUERIES)),
    )
    project.config(CONFIG)
    return project


def test_a_disk_that_runs_full_ends_the_run_which_goes_on_when_there_is_room(
    filling: Project, record_property: Callable[[str, object], None]
) -> None:
    sizes = range(1100, 3900, 200) if KILLS else (1150, 2400, 2800)
    shown = [fill_and_go_on(filling, size) for size in sizes]
    full = [one for one in shown if one is not None]
    record_property("tried", len(full))
    assert len(full) > len(sizes) // 2
    assert max(full) >= 200


REFUSED = """
import sqlite3
from pilotcli import CheckpointedModel, PeriodicModelUpdateEvent, PretrainingModelEvent


def refuse(table):
    with sqlite3.connect(".pilot/journal.db") as journal:
        journal.execute(
            f"CREATE TRIGGER IF NOT EXISTS no BEFORE INSERT ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    journal.close()


class Model(CheckpointedModel):
    def dump(self, folder):
        (folder / "m").write_text("m")

    def restore(self, folder):
        self.model = 1


class Update(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        if not self.resumed:
            refuse("models")
        return 1


class Collect(PretrainingModelEvent):
    def iterative_data_collection(self, db_controller, train_data_manager):
        if not self.resumed:
            refuse("pretraining")
        return [{"n": 1}], True

    def custom_model_training(self, bind_pilot_model, db_controller, data_manager):
        return 1
"""


@pytest.mark.parametrize(
    "event",
    [
        "{class: 'ev.py:Update', model: m, args: {interval_count: 2}}",
        "{class: 'ev.py:Collect', model: m, args: {data_saving_table: own}}",
    ],
)
def test_a_journal_that_takes_nothing_is_no_events_fault(project: Project, event: str) -> None:
    project.write("ev.py", REFUSED)
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3;")
    project.config(f"models: {{m: {{class: 'ev.py:Model'}}}}\nevents: [{event}]")
    done = project.command("run", "w.sql")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no room" in done.stdout
    assert "events failed" not in done.stdout
    with closing(sqlite3.connect(project.folder / ".pilot" / "journal.db")) as journal:
        journal.execute("DROP TRIGGER no")
        journal.commit()
    done = project.command("run", "--resume", "--set", "models.m.trust=true", "--format", "jsonl")
    ended = [
        signal
        for signal in map(json.loads, done.stdout.splitlines())
        if signal["signal"] == "event_triggered"
    ]
    assert [(signal["outcome"], signal["resumed"]) for signal in ended] == [("ok", True)]

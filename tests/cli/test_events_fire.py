"""`pilot events fire`: one event on stored rows, without a replay, of which nothing stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from project_folder import Project

from pilotcli import DataManager
from pilotcli.config import load_config
from pilotcli.config.pilot_config import PostgreSQLConfig

pytestmark = pytest.mark.slow

DRIVER = """
import json

from pilotcli import (
    CheckpointedModel, PeriodicModelUpdateEvent, PilotModel, PretrainingModelEvent,
    QueryFinishEvent, WorkloadBeforeEvent,
)


class Looks(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        for read in ("first", "second"):
            print(read, len(data_manager.read_update("seen")))
        print("all", len(data_manager.read_all("seen")), data_manager.row_count("seen"))
        data_manager.append("own", {"n": 1})
        print("own", len(data_manager.read_all("own")))
        db_controller.set_knobs({"work_mem": "7MB"})


class Removes(WorkloadBeforeEvent):
    def process(self, db_controller, data_manager):
        data_manager.remove_table_and_tracker("seen")
        print("there" if data_manager.exist_table("seen") else "gone")


class Fails(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        print("before")
        json.loads("{")


class Memory(CheckpointedModel):
    def dump(self, folder):
        (folder / "memory.json").write_text(json.dumps(self.model))

    def restore(self, folder):
        self.model = json.loads((folder / "memory.json").read_text())


class OwnFile(PilotModel):
    def save_model(self):
        open("own.json", "w").write("saved")

    def load_model(self):
        self.model = 7


class Learn(PeriodicModelUpdateEvent):
    returns = None

    def custom_model_update(self, pilot_model, db_controller, data_manager):
        print("had", pilot_model.model)
        pilot_model.metrics = {"rows": len(data_manager.read_all("seen"))}
        return {"n": len(data_manager.read_update("seen"))}


class Keeps(Learn):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return None


class Unpicklable(Learn):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return {"n": lambda: 1}


class Prepare(PretrainingModelEvent):
    def iterative_data_collection(self, db_controller, train_data_manager):
        return [{"n": self.collection_iteration}], self.collection_iteration == 1

    def custom_model_training(self, bind_pilot_model, db_controller, data_manager):
        print("trains on", list(data_manager.read_all(self.data_saving_table)["n"]))
        return "trained"
"""
CONFIG = """
collect: {table: seen, execution_time: true}
models: {memory: 'drivers.py:Memory', own: {class: 'drivers.py:OwnFile', load: true}}
events:
  - drivers.py:Looks
  - {class: drivers.py:Removes, enabled: false}
  - {class: drivers.py:Fails, enabled: false}
  - {class: drivers.py:Keeps, model: memory, args: {interval_count: 9}}
  - {class: drivers.py:Unpicklable, model: memory, enabled: false, args: {interval_count: 9}}
  - {class: drivers.py:Learn, model: memory, args: {interval_count: 9, execute_on_init: false}}
  - {class: drivers.py:Learn, name: own, model: own, enabled: false, args: {interval_count: 9}}
  - {class: drivers.py:Prepare, model: memory, enabled: false, args: {data_saving_table: prep}}
"""


@pytest.fixture
def stored(project: Project) -> Project:
    """A project whose store has three collected rows, of which the runs 1 and 2 have one and two,
    and that were read before."""
    project.write("drivers.py", DRIVER)
    project.config(CONFIG)
    with manager_of(project) as manager:
        manager.save_data("seen", {"execution_time": 1.0, "run_id": 1})
        manager.save_data_batch("seen", [{"execution_time": 2.0, "run_id": 2}] * 2)
        assert len(manager.read_update("seen")) == 3
        manager.save_data("prep", {"n": 5})
    return project


def manager_of(project: Project) -> DataManager:
    config = load_config(project.folder / "pilot.yaml")
    return DataManager(PostgreSQLConfig.from_run_config(config, embedded=False))


def test_an_event_sees_all_rows_as_new_and_nothing_stays(stored: Project) -> None:
    done = stored.command("events", "fire", "Looks")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == ["first 3", "second 0", "all 3 3", "own 1"]
    assert lines[4].startswith("Looks ended well in ")
    assert lines[5].startswith("nothing is kept, neither rows that the event saved nor how far")
    assert "the store has: 1 row in prep, 3 rows in seen" in done.stderr
    with manager_of(stored) as manager:
        assert not manager.exist_table("own")
        assert len(manager.read_update("seen")) == 0  # as it was read before
    stored.write("w.sql", "SELECT 1 / CAST(current_setting('work_mem') <> '7MB' AS int);")
    assert stored.run("w.sql", events=()).ok == 1


def test_the_rows_of_one_run(stored: Project) -> None:
    done = stored.command("events", "fire", "Looks", "--run", "2")
    assert done.stdout.splitlines()[:4] == ["first 2", "second 0", "all 2 2", "own 1"]
    assert "the store has of run 2: 1 row in prep, 2 rows in seen" in done.stderr
    done = stored.command("events", "fire", "Looks", "--run", "9")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the store has no rows of run 9\n  It has rows of these runs: 1, 2." in done.stderr


def test_a_disabled_event_and_what_it_removes(stored: Project) -> None:
    done = stored.command("events", "fire", "Removes")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "gone")
    with manager_of(stored) as manager:
        assert manager.row_count("seen") == 3


def test_a_failure_shows_the_frames_of_the_drivers_author(stored: Project) -> None:
    done = stored.command("events", "fire", "Fails")
    assert (done.returncode, done.stdout) == (3, "before\n")
    place = "drivers.py:" + str(DRIVER.splitlines().index('        json.loads("{")') + 1)
    assert f"error: Fails failed: {place}: JSONDecodeError: Expecting" in done.stderr
    assert done.stderr.count("  File ") == 1
    assert "--full-traceback shows them" in done.stderr
    whole = stored.command("events", "fire", "Fails", "--full-traceback").stderr
    assert whole.count("  File ") == 4
    assert "--full-traceback" not in whole


def test_a_model_that_comes_back_is_kept_only_if_asked(stored: Project) -> None:
    done = stored.command("events", "fire", "Learn")
    assert done.returncode == 0, done.stderr
    assert "had None\n" in done.stdout
    assert "model memory: a dict, {'n': 0}; rows 3\n" in done.stdout
    assert "model memory: it can be saved and takes 8 B\n" in done.stdout
    assert done.stdout.endswith("; --save keeps the model\n")
    assert not list((stored.folder / ".pilot").glob("models/*/*"))
    done = stored.command("events", "fire", "Learn", "--save")
    assert "model memory: saved as v1, 8 B\n" in done.stdout
    assert "nothing is kept" not in done.stdout
    listed = stored.command("models", "list").stdout.split()
    assert {"memory", "Learn"} <= set(listed)
    again = stored.command("events", "fire", "Learn")
    assert "had {'n': 0}\n" in again.stdout
    assert "model memory v1 loaded" in again.stderr


def test_a_model_that_saves_itself_is_not_saved(stored: Project) -> None:
    done = stored.command("events", "fire", "own")
    assert done.returncode == 0, done.stderr
    assert "had 7\n" in done.stdout
    assert not Path(stored.folder, "own.json").exists()
    assert stored.command("events", "fire", "own", "--save").returncode == 0
    assert Path(stored.folder, "own.json").read_text() == "saved"


def test_an_update_that_returns_none(stored: Project) -> None:
    done = stored.command("events", "fire", "Keeps")
    assert "model memory: None came back, so the model stays as it is\n" in done.stdout
    assert "--save" not in done.stdout


def test_a_model_that_cannot_be_saved_is_found_without_saving_it(stored: Project) -> None:
    done = stored.command("events", "fire", "Unpicklable")
    assert done.returncode == 3
    assert "Unpicklable failed: drivers.py:" in done.stderr


def test_a_pretraining_trains_on_what_is_there(stored: Project) -> None:
    done = stored.command("events", "fire", "Prepare")
    assert done.stdout.splitlines()[0] == "trains on [5]"
    done = stored.command("events", "fire", "Prepare", "--collect")
    assert done.stdout.splitlines()[0] == "trains on [0, 1]"
    assert "Prepare collected 2 rows in 2 calls" in done.stderr
    with manager_of(stored) as manager:
        assert list(manager.read_all("prep")["n"]) == [5]


def test_what_it_cannot_do(stored: Project) -> None:
    done = stored.command("events", "fire", "Look")
    assert (done.returncode, "Did you mean 'Looks'?" in done.stderr) == (2, True)
    done = stored.command("events", "fire", "Looks", "--collect")
    assert (done.returncode, "--collect is for a pretraining event" in done.stderr) == (2, True)
    done = stored.command(
        "events", "fire", "Prepare", "--set", "events.7.args.enable_training=false"
    )
    assert (done.returncode, "does not train" in done.stderr) == (2, True)

"""Checkpoints: saves that are killed or fail, and bytes that have changed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_table import KILLS
from project_folder import Project

from pilotcli.storage.checkpoints import CheckpointStore

KILLED_SAVER = """
import os, pathlib, signal, sys
from pilotcli.storage.checkpoints import CheckpointStore

store = CheckpointStore(pathlib.Path(sys.argv[1]))
steps = int(sys.argv[2])
FILES = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.listdir", "os.scandir",
         "os.chmod", "fcntl.flock")


def count(name, arguments):
    global steps
    if name in FILES:
        steps -= 1
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def write(folder):
    for number in range(3):
        (folder / f"part-{number}").write_text("x" * 10_000)


store.versions("m")  # what is imported is not counted
sys.addaudithook(count)
store.save("m", write, model_class="x")
"""

DRIVER = """
import pickle
from pilotcli import CheckpointedModel, PeriodicModelUpdateEvent


class Pickled(CheckpointedModel):
    def dump(self, folder):
        (folder / "model.pickle").write_bytes(pickle.dumps(self.model))

    def restore(self, folder):
        self.model = pickle.loads((folder / "model.pickle").read_bytes())


class Counts(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return (pilot_model.model or 0) + 1


class Breaks(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return {"weights": [1, 2], "hook": lambda: None}
"""


def test_a_save_that_is_killed_at_any_of_its_steps_leaves_whole_versions(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    store = CheckpointStore(tmp_path / "models")
    store.save("m", lambda folder: (folder / "part").write_text("first"), model_class="x")
    program = [sys.executable, "-c", KILLED_SAVER, str(store.root)]

    def kill_at(step: int) -> int:
        return subprocess.run([*program, str(step)], check=False).returncode

    steps, tried = 1, 0
    while (code := kill_at(steps)) == -signal.SIGKILL:
        versions = store.versions("m")
        assert [one.version for one in versions] == list(range(1, len(versions) + 1))
        for one in versions:
            store.verify(one)
        current = store.current("m")
        assert current is not None
        assert current.version in (len(versions), len(versions) - 1)
        tried += 1
        steps += 1 if KILLS else 5  # all of them by `python -m tests.faults`
    assert code == 0
    record_property("tried", tried)
    assert tried > 5
    newest = store.current("m")
    assert newest == store.versions("m")[-1]
    left = {one.name for one in newest.path.parent.iterdir()}
    assert {name for name in left if not name.isdecimal()} == {"current"}


@pytest.fixture
def trained(project: Project) -> Project:
    project.write("driver.py", DRIVER)
    project.config(
        "models: {m: driver.py:Pickled}\nevents: [{class: 'driver.py:Counts', model: m}]"
    )
    project.write("w.sql", "SELECT 1; SELECT 2;")
    return project


def config_of(name: str) -> str:
    arguments = "args: {interval_count: 2, execute_on_init: false}"
    return (
        "models: {m: driver.py:Pickled}\n"
        f"events: [{{class: 'driver.py:{name}', model: m, {arguments}}}]"
    )


def test_a_model_that_cannot_be_pickled_is_told_and_the_one_before_stays(
    trained: Project,
) -> None:
    trained.config(config_of("Counts"))
    assert trained.run("w.sql").exit_code == 0
    trained.config(config_of("Breaks"))
    done = trained.command("run", "w.sql")
    assert done.returncode == 3
    assert "pickle" in done.stdout and "lambda" in done.stdout, done.stdout
    store = CheckpointStore(trained.folder / ".pilot" / "models")
    assert [one.version for one in store.versions("m")] == [1]
    trained.config(config_of("Counts"))
    assert trained.run("w.sql").exit_code == 0
    newest = store.versions("m")[-1]
    assert (newest.version, newest.path.joinpath("model.pickle").read_bytes()[-2:]) == (
        2,
        b"\x02.",
    )


def test_changed_bytes_are_refused_before_anything_is_unpickled(trained: Project) -> None:
    trained.config(config_of("Counts"))
    assert trained.run("w.sql").exit_code == trained.run("w.sql").exit_code == 0
    store = CheckpointStore(trained.folder / ".pilot" / "models")
    damaged = store.versions("m")[-1].path / "model.pickle"
    # As a pickle this writes a file when it is loaded.
    damaged.write_bytes(b"cbuiltins\nopen\n(Vloaded\nVw\ntR.")
    done = trained.command("run", "w.sql")
    assert done.returncode != 0
    assert "model.pickle is damaged: it is not what was saved" in done.stderr
    way_back = "pilot models rollback m --to 1"
    assert way_back in " ".join(done.stderr.split())
    assert not (trained.folder / "loaded").exists()
    assert trained.command(*way_back.split()[1:]).returncode == 0
    assert trained.command("run", "w.sql").returncode == 0


def test_runs_that_save_one_model_at_once_get_a_version_each(trained: Project) -> None:
    def run(_: int) -> int:
        return trained.command("run", "w.sql").returncode

    trained.config(
        "models: {m: driver.py:Pickled}\n"
        "events: [{class: 'driver.py:Counts', model: m, args: {interval_count: 1}}]"
    )
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(run, range(3))) == [0, 0, 0]
    store = CheckpointStore(trained.folder / ".pilot" / "models")
    versions = store.versions("m")
    assert [one.version for one in versions] == list(range(1, 10))  # three in each run
    for one in versions:
        store.verify(one)
    by_run = [one.run_id for one in versions]
    assert sorted(by_run) == [1, 1, 1, 2, 2, 2, 3, 3, 3]

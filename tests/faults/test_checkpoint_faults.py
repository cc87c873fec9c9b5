"""Checkpoints: killed saves, failed saves, changed bytes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import numpy
import pytest
from fault_table import KILLS
from project_folder import Project
from small_disk import make_larger, small_disk

from pilotcli.common.errors import CheckpointError
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore

FAULTY_WORK = """
import errno, os, pathlib, signal, sys
from pilotcli.common.errors import CheckpointError
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore

store = CheckpointStore(pathlib.Path(sys.argv[1]))
work, fault, steps = sys.argv[2], sys.argv[3], int(sys.argv[4])
FILES = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.listdir", "os.scandir",
         "os.chmod", "fcntl.flock", "os.fsync")


def count(name, arguments):
    global steps
    if name in FILES:
        steps -= 1
        if steps == 0 and fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if steps == 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def counted_fsync(descriptor, fsync=os.fsync):
    count("os.fsync", ())
    fsync(descriptor)


def write(folder):
    for number in range(3):
        (folder / f"part-{number}").write_text("x" * 10_000)


store.versions("m")  # what is imported is not counted
os.fsync = counted_fsync
sys.addaudithook(count)
try:
    if work == "save":
        store.save("m", write, model_class="x")
    elif work == "prune":
        store.prune("m", 1)
    else:
        store.rollback("m", 1)
except CheckpointError as error:
    sys.exit(3 if "No space left on device" in str(error) else 4)
sys.exit(0 if steps > 0 else 5)
"""

LOOPING_SAVER = """
import os, pathlib, signal, sys, threading
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore

store = CheckpointStore(pathlib.Path(sys.argv[1]))
while True:
    store.save("m", lambda folder: (folder / "part").write_text("x" * 50_000), model_class="x")
    if threading.active_count() == 1:  # after its first save it is killed at any moment
        threading.Timer(float(sys.argv[2]), os.kill, (os.getpid(), signal.SIGKILL)).start()
    store.prune("m", 5)
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


def first_version(root: Path) -> CheckpointStore:
    """A store with one version of the model `m`."""
    store = CheckpointStore(root)
    store.save("m", lambda folder: (folder / "part").write_text("first"), model_class="x")
    return store


def whole_versions(store: CheckpointStore) -> list[int]:
    """The versions that are listed, each of which is what was saved."""
    versions = store.versions("m")
    for one in versions:
        store.verify(one)
    return [one.version for one in versions]


def left_behind(store: CheckpointStore) -> set[str]:
    """What is in the model's folder besides its versions and the pointer to the current one."""
    there = {one.name for one in (store.root / "m").iterdir()}
    return {name for name in there if not name.isdecimal()} - {"current"}


@pytest.mark.parametrize("fault", ["kill", "fail"])
def test_a_save_that_ends_at_any_of_its_steps_leaves_whole_versions(
    tmp_path: Path, record_property: Callable[[str, object], None], fault: str
) -> None:
    store = first_version(tmp_path / "models")
    program = [sys.executable, "-c", FAULTY_WORK, str(store.root), "save", fault]
    step = tried = 0
    code = -1
    while code != 0:
        step += 1 if KILLS else 6  # all of them by `python -m tests.faults`
        before = whole_versions(store)
        code = subprocess.run([*program, str(step)], check=False).returncode
        versions = whole_versions(store)
        current = store.current("m")
        assert current is not None
        saved = [*before, before[-1] + 1]
        tried += 1
        if code == -signal.SIGKILL:
            assert versions in (before, saved)
            assert current.version in (before[-1], versions[-1])
        elif code == 3:  # it was told that nothing was saved
            assert (versions, current.version) == (before, before[-1])
        else:  # a step that may fail, such as tidying up behind others; or there is no such step
            assert code in (0, 5)
            assert (versions, current.version) == (saved, saved[-1])
    record_property("tried", tried)
    assert tried > 5
    assert left_behind(store) == set()


@pytest.mark.parametrize("work", ["prune", "rollback"])
def test_versions_stay_whole_when_their_removal_or_a_rollback_is_killed_at_any_step(
    tmp_path: Path, record_property: Callable[[str, object], None], work: str
) -> None:
    tried, step, code = 0, 0, -1
    while code != 0:
        step += 1 if KILLS else 5
        store = first_version(tmp_path / str(step) / "models")
        for _ in range(2):
            store.save("m", lambda folder: (folder / "p").write_text("x"), model_class="x")
        program = [sys.executable, "-c", FAULTY_WORK, str(store.root), work, "kill", str(step)]
        code = subprocess.run(program, check=False).returncode
        tried += 1
        assert code in (-signal.SIGKILL, 0)
        versions, current = whole_versions(store), store.current("m")
        assert current is not None
        if work == "prune":
            assert versions in ([1, 2, 3], [2, 3], [3])
            assert current.version == 3
            store.prune("m", 1)
            assert whole_versions(store) == [3]
        else:
            assert versions == [1, 2, 3]
            assert current.version in (3, 1)
        store.save("m", lambda folder: (folder / "p").write_text("x"), model_class="x")
        assert left_behind(store) == set()
    record_property("tried", tried)
    assert tried > 2


def test_savers_that_are_killed_at_random_moments_leave_whole_versions(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    store = first_version(tmp_path / "models")
    moments, tried = Random(1), 0

    def kill_one(after_s: float) -> int:
        program = [sys.executable, "-c", LOOPING_SAVER, str(store.root), str(after_s)]
        return subprocess.run(program, check=False).returncode

    with ThreadPoolExecutor(3) as pool:
        while tried < max(6, KILLS // 5):
            killed = list(pool.map(kill_one, [moments.uniform(0, 0.2) for _ in range(3)]))
            assert killed == [-signal.SIGKILL] * 3
            whole_versions(store)
            assert store.current("m") is not None
            tried += 3
    record_property("tried", tried)
    newest = store.save("m", lambda folder: (folder / "part").write_text("last"), model_class="x")
    assert store.current("m") == newest
    assert newest.version > tried  # each has saved at least once
    assert left_behind(store) == set()


def test_a_disk_that_is_full_at_any_byte_leaves_the_last_version_and_is_told(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tried = 0
    with small_disk(tmp_path / "small", "200k"):
        store = first_version(tmp_path / "small" / "models")
        ballast = tmp_path / "small" / "ballast"
        model = {"a": "x" * 9000, "b": "x" * 100}

        def write(folder: Path) -> None:
            for name, text in model.items():
                (folder / name).write_text(text)

        for pages in range(12):
            disk = os.statvfs(tmp_path / "small")
            ballast.write_bytes(bytes(disk.f_frsize * (disk.f_bavail - pages)))
            try:
                store.save("m", write, model_class="x")
            except CheckpointError as error:
                assert "cannot save the model 'm' in " in error.message
                assert os.strerror(errno.ENOSPC) in error.message
                assert f"Make room on the disk of {store.root / 'm'}" in str(error.hint)
                assert whole_versions(store) == [1]
                assert left_behind(store) == set()
                tried += 1
            else:
                break
            finally:
                ballast.unlink()
        assert whole_versions(store) == [1, 2]
        assert store.current("m") == store.versions("m")[-1]
        record_property("tried", tried)
        assert tried > 4


def test_an_array_that_finds_the_disk_full_is_told_as_that(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "100k"):
        store = first_version(tmp_path / "small" / "models")
        array = numpy.zeros(20_000)  # 160 kB; numpy's error has no number
        with pytest.raises(CheckpointError, match="the disk is full") as caught:
            store.save("m", lambda folder: numpy.save(folder / "array", array), model_class="x")
        assert "pilot models prune" in str(caught.value.hint)
        make_larger(tmp_path / "small")
        store.save("m", lambda folder: numpy.save(folder / "array", array), model_class="x")
        assert whole_versions(store) == [1, 2]


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
    told = " ".join(done.stdout.split())
    assert "the model 'm' cannot be saved: pickle does not take model['hook'], of the " in told
    assert "lambda" in told
    assert "Leave it out" in told
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
    assert trained.run("w.sql").exit_code == 0
    _, second, third = store.versions("m")
    (second.path / "model.pickle").write_bytes(b"not what was saved either")
    damaged = third.path / "model.pickle"
    # As a pickle this writes a file when it is loaded.
    damaged.write_bytes(b"cbuiltins\nopen\n(Vloaded\nVw\ntR.")
    done = trained.command("run", "w.sql")
    assert done.returncode == 2
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

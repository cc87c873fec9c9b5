"""A checkpoint that this home did not save is not loaded, unless the user says so."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from project_folder import Project

from pilotcli.common.errors import CheckpointError
from pilotcli.common.records import ModelVersion
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore

pytestmark = pytest.mark.slow

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

DRIVERS = """
import pickle

from pilotcli import CheckpointedModel, PeriodicModelUpdateEvent


class Model(CheckpointedModel):
    def dump(self, folder):
        (folder / "weights.pickle").write_bytes(pickle.dumps(self.model))

    def restore(self, folder):
        self.model = pickle.loads((folder / "weights.pickle").read_bytes())


class Counts(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return (pilot_model.model or 0) + 1
"""

CONFIG = """
models: {m: {class: 'drivers.py:Model'}}
events: [{class: 'drivers.py:Counts', model: m, args: {interval_count: 1}}]
"""


def save(store: CheckpointStore, model: str = "m", text: str = "weights") -> ModelVersion:
    return store.save(model, lambda folder: (folder / "w").write_text(text), model_class="a.B")


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "home" / "models")


def test_what_a_home_saved_is_its_own(store: CheckpointStore) -> None:
    version = save(store)
    assert store.origin(version) == "own"
    store.verify(version)
    key = store.root.with_name("models.key")
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_text()
    again = CheckpointStore(store.root)
    again.verify(save(again))
    again.verify(again.get("m", 1))
    assert key.read_text() == before


def test_many_at_once_agree_on_one_key(store: CheckpointStore) -> None:
    def work(number: int) -> None:
        save(CheckpointStore(store.root), f"m{number % 3}")

    threads = [Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = [one for name in store.models() for one in store.versions(name)]
    assert len(versions) == 12
    assert {store.origin(one) for one in versions} == {"own"}


def _copied_in(store: CheckpointStore) -> ModelVersion:
    other = CheckpointStore(store.root.parent.parent / "other" / "models")
    shutil.copytree(save(other).path.parent, store.root / "m")
    return store.get("m", 1)


def _models_folder_copied(store: CheckpointStore) -> ModelVersion:
    other = CheckpointStore(store.root.parent.parent / "other" / "models")
    save(other)
    store.root.parent.mkdir()
    shutil.copytree(other.root, store.root)
    return store.get("m", 1)


def _under_another_name(store: CheckpointStore) -> ModelVersion:
    shutil.copytree(save(store, "n").path.parent, store.root / "m")
    return store.get("m", 1)


def _under_another_number(store: CheckpointStore) -> ModelVersion:
    version = save(store)
    save(store)
    shutil.rmtree(store.root / "m" / "000002")
    shutil.copytree(version.path, store.root / "m" / "000002")
    return store.get("m", 2)


def _manifest_written_anew(store: CheckpointStore) -> ModelVersion:
    save(store)
    other = CheckpointStore(store.root.parent.parent / "other" / "models")
    forged = save(other, text="evil")
    mine = store.root / "m" / "000001"
    seal = json.loads((mine / "manifest.json").read_text())["seal"]
    content = {**json.loads((forged.path / "manifest.json").read_text()), "seal": seal}
    shutil.copy(forged.path / "w", mine / "w")
    (mine / "manifest.json").write_text(json.dumps(content))
    return store.get("m", 1)


def _metrics_changed(store: CheckpointStore) -> ModelVersion:
    return _changed(store, metrics={"mae": 0.0})


def _an_older_pilots(store: CheckpointStore) -> ModelVersion:
    return _changed(store, seal=None)


def _sealed_with_nonsense(store: CheckpointStore) -> ModelVersion:
    return _changed(store, seal=["\udcff"])


def _key_lost(store: CheckpointStore) -> ModelVersion:
    version = save(store)
    store.root.with_name("models.key").unlink()
    return version


def _key_damaged(store: CheckpointStore) -> ModelVersion:
    version = save(store)
    store.root.with_name("models.key").write_text("ab" * 16)
    return version


def _key_readable_by_others(store: CheckpointStore) -> ModelVersion:
    version = save(store)
    store.root.with_name("models.key").chmod(0o644)
    return version


def _changed(store: CheckpointStore, **keys: object) -> ModelVersion:
    path = save(store).path / "manifest.json"
    content = {**json.loads(path.read_text()), **keys}
    if content["seal"] is None:
        del content["seal"]
    path.write_text(json.dumps(content))
    return store.get("m", 1)


FOREIGN = [
    _copied_in,
    _models_folder_copied,
    _under_another_name,
    _under_another_number,
    _manifest_written_anew,
    _metrics_changed,
    _an_older_pilots,
    _sealed_with_nonsense,
    _key_lost,
    _key_damaged,
    _key_readable_by_others,
]


@pytest.mark.parametrize("make", FOREIGN)
def test_what_comes_from_elsewhere_is_refused(
    store: CheckpointStore, make: Callable[[CheckpointStore], ModelVersion]
) -> None:
    version = make(store)
    assert store.origin(version) in ("other", "unsealed")
    with pytest.raises(CheckpointError, match="to load a model runs code") as caught:
        store.verify(version)
    assert "--trust" in (caught.value.hint or "")
    store.trusting().verify(version)


@pytest.mark.parametrize("make", FOREIGN[:-2])
def test_what_is_adopted_is_the_homes_own(
    store: CheckpointStore, make: Callable[[CheckpointStore], ModelVersion]
) -> None:
    version = make(store)
    adopted = store.adopt("m", version.version)
    store.verify(adopted)
    assert CheckpointStore(store.root).origin(adopted) == "own"
    assert not list((store.root / "m").glob(".manifest*"))


def test_the_advice_for_a_copy_names_the_copy(store: CheckpointStore) -> None:
    save(store)
    shutil.copytree(store.root / "m", store.root / "cp1")
    (copy,) = store.versions("cp1")
    with pytest.raises(CheckpointError, match="the model 'cp1'") as caught:
        store.verify(copy)
    assert "pilot models trust cp1 --version 1" in str(caught.value.hint)


def test_a_damaged_checkpoint_is_neither_trusted_nor_adopted(store: CheckpointStore) -> None:
    version = _copied_in(store)
    (version.path / "w").write_text("evil")
    for attempt in (lambda: store.trusting().verify(version), lambda: store.adopt("m", 1)):
        with pytest.raises(CheckpointError, match="is damaged"):
            attempt()


def test_a_file_that_was_added_is_found(store: CheckpointStore) -> None:
    version = save(store)
    (version.path / "best.pickle").write_text("evil")
    with pytest.raises(CheckpointError, match=r"best\.pickle was added after the save"):
        store.verify(version)


def test_a_key_that_is_no_secret_seals_nothing(
    store: CheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    _key_readable_by_others(store)
    logging.getLogger("pilotcli").propagate = True
    assert store.origin(save(store)) == "unsealed"
    assert "has no seal" in caplog.text
    with pytest.raises(CheckpointError, match="cannot vouch") as caught:
        store.adopt("m", 1)
    assert "chmod 600" in (caught.value.hint or "")


@as_root
def test_root_does_not_trust_what_another_user_saved(store: CheckpointStore) -> None:
    version = save(store)
    os.chown(store.root.with_name("models.key"), 1, 1)
    assert store.origin(version) == "other"
    with pytest.raises(CheckpointError):
        store.verify(version)


@pytest.fixture
def copied(project: Project) -> Project:
    """A project whose checkpoint came from another home."""
    project.write("drivers.py", DRIVERS)
    project.write("w.sql", "SELECT 1;\n")
    project.config(CONFIG)
    assert project.command("run", "w.sql").returncode == 0
    (project.folder / ".pilot" / "models.key").unlink()
    return project


def test_a_run_refuses_it_until_it_is_trusted(copied: Project) -> None:
    refused = copied.command("run", "w.sql")
    assert refused.returncode == 2
    assert "was saved elsewhere, or its manifest was changed" in refused.stderr
    assert "pilot models trust m --version 2" in refused.stderr
    assert "Not saved by this home" in copied.command("models", "show", "m").stdout
    shown = copied.command("models", "show", "m", "--version", "2").stdout
    assert "comes from    elsewhere" in shown
    assert copied.command("models", "trust", "m").stdout.count("is trusted from now on") == 2
    assert "nothing to trust" in copied.command("models", "trust", "m").stdout
    assert "Not saved by this home" not in copied.command("models", "show", "m").stdout
    assert (
        "comes from    this home" in copied.command("models", "show", "m", "--version", "2").stdout
    )
    assert copied.command("run", "w.sql").returncode == 0
    found = json.loads(copied.command("models", "show", "m", "--format", "json").stdout)
    assert set(found["origins"].values()) == {"own"}


@pytest.mark.parametrize("how", ["option", "config"])
def test_a_run_says_that_it_loads_one_that_is_trusted(copied: Project, how: str) -> None:
    words = ["run", "w.sql"]
    if how == "option":
        words.append("--trust")
    else:
        copied.config(CONFIG.replace("Model'", "Model', trust: true"))
    done = copied.command(*words)
    assert done.returncode == 0
    assert "it is trusted, and runs what code its files may hold" in done.stdout
    # What this run saved is the home's own: the next one has nothing to say.
    again = copied.command(*words)
    assert again.returncode == 0
    assert "trusted" not in again.stdout


def test_a_model_that_begins_anew_needs_no_trust(copied: Project) -> None:
    assert copied.command("run", "w.sql", "--set", "models.m.load=false").returncode == 0


def test_rolling_back_loads_nothing_and_needs_no_trust(copied: Project) -> None:
    assert copied.command("models", "rollback", "m").returncode == 0
    assert copied.command("run", "w.sql").returncode == 2


def test_a_run_is_continued_with_another_trust(copied: Project) -> None:
    copied.write("w.sql", "SELECT 1;\nSELECT 2;\nSELECT pg_terminate_backend(pg_backend_pid());\n")
    assert copied.command("models", "trust", "m").returncode == 0
    copied.command("run", "w.sql", "--fail-fast")
    (copied.folder / ".pilot" / "models.key").unlink()
    refused = copied.command("run", "--resume")
    assert refused.returncode == 2
    assert "pilot models trust m" in refused.stderr
    done = copied.command("run", "--resume", "--trust")
    assert "has changed" not in done.stderr
    assert "it is trusted, and runs what code its files may hold" in done.stdout

"""The folder of a model: what is written through to the disk, what is believed, what is undone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotcli.common.errors import CheckpointError
from pilotcli.common.records import ModelVersion
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "models")


def save(store: CheckpointStore, **files: str) -> ModelVersion:
    def write(folder: Path) -> None:
        for name, text in (files or {"weights": "w"}).items():
            (folder / name).write_text(text)

    return store.save("m", write, model_class="tests.Model")


def damage(version: ModelVersion) -> None:
    (version.path / "weights").write_text("other")


def test_a_save_is_on_the_disk_before_it_has_its_name(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync: Callable[[int], None] = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    save(store)  # makes the key
    monkeypatch.setattr(os, "fsync", noting)
    version = save(store, weights="w", biases="b")
    model = version.path.parent.name
    (unfinished,) = {name for name in synced if name.startswith(".saving-")}
    assert sorted(synced[:2]) == ["biases", "weights"]
    assert synced[2:] == [unfinished, "manifest.json", unfinished, ".current", model]


def test_a_save_whose_last_step_fails_leaves_no_version(store: CheckpointStore) -> None:
    first = save(store)
    pointer = first.path.parent / "current"
    pointer.unlink()
    pointer.mkdir()
    with pytest.raises(CheckpointError, match="cannot save the model 'm'"):
        save(store)
    assert store.versions("m") == [first]
    assert sorted(entry.name for entry in pointer.parent.iterdir()) == ["000001", "current"]
    pointer.rmdir()
    assert save(store).version == 2


def test_the_newest_is_the_current_one_where_the_pointer_leads_nowhere(
    store: CheckpointStore,
) -> None:
    for _ in range(3):
        last = save(store)
    shutil.rmtree(last.path)
    current = store.current("m")
    assert current is not None and current.version == 2
    (last.path.parent / "current").write_text("no number")
    current = store.current("m")
    assert current is not None and current.version == 2


def test_the_way_back_leads_to_the_last_version_that_is_whole(store: CheckpointStore) -> None:
    whole, second, third = (save(store) for _ in range(3))
    damage(second)
    damage(third)
    with pytest.raises(CheckpointError) as caught:
        store.verify(third)
    assert caught.value.hint is not None and caught.value.hint.endswith("rollback m --to 1")
    damage(whole)
    with pytest.raises(CheckpointError) as caught:
        store.verify(third)
    assert "no older version" in (caught.value.hint or "")


def test_a_checksum_is_over_names_and_contents(store: CheckpointStore) -> None:
    versions = [save(store, a="x"), save(store, b="x"), save(store, a="y"), save(store, a="x")]
    first, renamed, changed, same = (version.sha256 for version in versions)
    assert len({first, renamed, changed}) == 3
    assert first == same


def test_a_key_that_its_group_can_read_seals_nothing(store: CheckpointStore) -> None:
    assert store.origin(save(store)) == "own"
    (key,) = store.root.parent.glob("*.key")
    for mode, origin in ((0o640, "unsealed"), (0o604, "unsealed"), (0o600, "own")):
        key.chmod(mode)
        assert store.origin(save(store)) == origin

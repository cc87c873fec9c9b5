"""A save looks at no other version's manifest, however many there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotcli.storage.checkpoints import checkpoints
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore


def test_a_save_reads_no_manifest_and_a_listing_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    real = checkpoints.read_manifest

    def counted(folder: Path) -> object:
        read.append(folder)
        return real(folder)

    monkeypatch.setattr(checkpoints, "read_manifest", counted)
    store = CheckpointStore(tmp_path)
    for _ in range(40):
        store.save("m", lambda folder: (folder / "a").write_text("a"), model_class="a.B")
    assert read == []
    assert len(store.versions("m")) == 40
    assert len(read) == 40
    read.clear()
    assert store.current("m") is not None
    assert len(read) == 1
    read.clear()
    assert len(store.prune("m", 3)) == 37
    assert len(read) == 37

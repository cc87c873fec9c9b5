"""A model with checkpoints, saved by one process and loaded by the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotcli import CheckpointedModel
from pilotcli.common.errors import CheckpointError


class Numbers(CheckpointedModel):
    """A list of numbers, one a line."""

    def dump(self, folder: Path) -> None:
        (folder / "numbers.txt").write_text("\n".join(map(str, self.model)))

    def restore(self, folder: Path) -> None:
        self.model = [int(line) for line in (folder / "numbers.txt").read_text().split()]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_loaded_model_is_what_was_saved() -> None:
    saved = Numbers("numbers")
    for count in (1, 2):
        saved.model = list(range(count))
        saved.metrics = {"mae_ms": count / 2}
        saved.trained_rows = count * 10
        saved.save_model()
    loaded = Numbers("numbers")
    assert loaded.load_model().version == 2
    assert (loaded.model, loaded.metrics, loaded.trained_rows) == ([0, 1], {"mae_ms": 1.0}, 20)
    assert loaded.load_model(1).version == 1
    assert (loaded.model, loaded.metrics, loaded.trained_rows) == ([0], {"mae_ms": 0.5}, 10)


def test_a_model_that_was_never_saved() -> None:
    with pytest.raises(CheckpointError, match="no checkpoint of the model 'numbers'"):
        Numbers("numbers").load_model()

"""`pilot doctor` says how much space pilot's data takes, and what makes it less."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from project_folder import Project
from written_run import everything, result, write_run

from pilotcli.checks import sizes
from pilotcli.checks.doctor import Check, examine_all
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.store.unsaved_rows import WaitingRows


def save_model(home: Path) -> None:
    store = CheckpointStore(home / "models")
    store.save("m", lambda folder: (folder / "w").write_bytes(b"w" * 50_000), model_class="a.B")


def test_sizes_of_a_home(tmp_path: Path) -> None:
    everything(tmp_path)
    save_model(tmp_path)
    journal, models = sizes.home_sizes(tmp_path)
    assert (journal[0], models[0]) == ("journal", "models")
    assert journal[1].startswith("1 run, ")
    found = re.fullmatch(r"1 checkpoint, ([0-9.]+) kB", models[1])
    assert found is not None
    assert 50 <= float(found[1]) < 100
    assert journal[2] == models[2] == ""


def test_what_is_large_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path, [result(1)])
    save_model(tmp_path)
    monkeypatch.setattr(sizes, "LARGE_BYTES", 1000)
    remedies = [remedy for _, _, remedy in sizes.home_sizes(tmp_path)]
    assert remedies == [sizes.PRUNE_RUNS, sizes.PRUNE_MODELS]


@pytest.mark.slow
def test_doctor_shows_them_and_rows_that_are_not_in_the_store(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\n")
    config = project.config()
    assert project.run("w.sql").exit_code == 0
    waiting = WaitingRows(project.folder / ".pilot", 1)
    waiting.write(1, "t", {"a": 1})
    waiting.close()
    found = {item.what: item for item in examine_all(config, ()) if isinstance(item, Check)}
    assert found["journal"].found.startswith("1 run, ")
    assert (found["rows"].state, "run 1 collected wait" in found["rows"].found) == ("warning", True)
    assert found["rows"].remedy.startswith("The next run with the config")
    assert found["store"].found.startswith(f"{project.store} can be written, ")
    assert found["store"].found.endswith("B")

"""A checkpoint is whole or not there, whatever happens while it is saved."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotcli.common.errors import CheckpointError
from pilotcli.common.records import ModelVersion
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "models")


def content(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "weights.txt").write_text(text)


def save(store: CheckpointStore, text: str = "w", model: str = "m") -> ModelVersion:
    return store.save(model, content(text), model_class="tests.Model")


def test_a_version_says_where_it_came_from(store: CheckpointStore) -> None:
    def write(folder: Path) -> None:
        (folder / "deep").mkdir()
        (folder / "deep" / "part").write_bytes(b"12345")
        (folder / "weights.txt").write_text("abc")

    made = store.save(
        "latency",
        write,
        model_class="my.Model",
        event="Update",
        query_seq=50,
        run_id=3,
        trained_rows=40,
        metrics={"mae": 1.5},
    )
    assert (made.version, made.size_bytes, made.event, made.query_seq) == (1, 8, "Update", 50)
    assert store.get("latency", 1) == store.current("latency") == made
    assert made.path == store.root / "latency" / "000001"
    details = store.details(made)
    assert details["class"] == "my.Model"
    assert [file["name"] for file in details["files"]] == ["deep/part", "weights.txt"]
    store.verify(made)


def test_versions_count_up_and_the_newest_is_current(store: CheckpointStore) -> None:
    assert store.models() == []
    assert store.current("m") is None
    made = [save(store, str(number)) for number in range(3)]
    assert [version.version for version in made] == [1, 2, 3]
    assert store.versions("m") == made
    assert store.current("m") == made[2]
    assert store.models() == ["m"]


def test_unusual_metrics_survive(store: CheckpointStore) -> None:
    metrics = {"a": math.nan, "b": -math.inf, "c": 3, "d": "no number"}
    made = store.save("m", content("w"), model_class="x", metrics=metrics)
    read = store.get("m", 1).metrics
    assert math.isnan(read["a"])
    assert read["b"] == -math.inf
    assert read["c"] == 3.0
    assert "d" not in read
    json.loads(
        (made.path / "manifest.json").read_text(),
        parse_constant=lambda text: pytest.fail(f"{text} is no JSON"),
    )


def test_a_save_that_fails_leaves_everything_as_it_was(store: CheckpointStore) -> None:
    first = save(store)

    def write(folder: Path) -> None:
        (folder / "half").write_text("...")
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        store.save("m", write, model_class="x")
    assert store.versions("m") == [first]
    store.verify(first)
    assert sorted(entry.name for entry in first.path.parent.iterdir()) == ["000001", "current"]


def test_an_error_of_the_model_itself_is_passed_on(store: CheckpointStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.save("m", lambda folder: (folder / "no" / "x").write_text(""), model_class="x")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda folder: None, "wrote no file"),
        (lambda folder: (folder / "only-a-folder").mkdir(), "wrote no file"),
        (lambda folder: (folder / "x").symlink_to("/etc/passwd"), "a symbolic link"),
        (lambda folder: os.mkfifo(folder / "x"), "no ordinary file"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "pilot's own"),
    ],
)
def test_what_is_no_checkpoint_is_refused(
    store: CheckpointStore, write: Callable[[Path], object], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        store.save("m", write, model_class="x")
    assert store.models() == []


def damage_content(folder: Path) -> None:
    (folder / "weights.txt").write_text("W")


def damage_size(folder: Path) -> None:
    (folder / "weights.txt").write_text("ww")


def damage_presence(folder: Path) -> None:
    (folder / "weights.txt").unlink()


def damage_checksums(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"size_bytes": 1,', '"size_bytes": 2,'))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_content, r"000002/weights.txt is damaged"),
        (damage_size, r"000002/weights.txt is damaged"),
        (damage_presence, r"000002/weights.txt is missing"),
        (damage_checksums, r"000002/manifest.json was changed"),
    ],
)
def test_damage_is_found_before_anything_is_loaded(
    store: CheckpointStore, damage: Callable[[Path], None], message: str
) -> None:
    save(store)
    version = save(store)
    damage(version.path)
    with pytest.raises(CheckpointError, match=message) as failed:
        store.verify(version)
    assert failed.value.hint is not None
    assert "pilot models rollback m --to 1" in failed.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1, "metrics": 3}', None])
def test_a_damaged_manifest_is_told_and_the_others_stay(
    store: CheckpointStore, text: str | None
) -> None:
    first, second = save(store), save(store)
    manifest = second.path / "manifest.json"
    if text is None:
        manifest.unlink()
    else:
        manifest.write_text(text)
    with pytest.raises(CheckpointError) as failed:
        store.current("m")
    assert "--to 1" in (failed.value.hint or "")
    assert store.versions("m") == [first]
    assert store.rollback("m") == first
    assert store.current("m") == first
    assert save(store).version == 3


def test_rollback_goes_back_and_the_next_save_goes_on(store: CheckpointStore) -> None:
    made = [save(store, str(number)) for number in range(3)]
    assert store.rollback("m") == made[1] == store.current("m")
    assert store.rollback("m", to=1) == made[0] == store.current("m")
    with pytest.raises(CheckpointError, match="oldest"):
        store.rollback("m")
    with pytest.raises(CheckpointError, match="no version 9"):
        store.rollback("m", to=9)
    assert store.current("m") == made[0]
    assert save(store).version == 4
    assert store.current("m") == store.get("m", 4)
    with pytest.raises(CheckpointError, match="no checkpoint of the model 'other'"):
        store.rollback("other")


def test_rollback_refuses_a_damaged_version(store: CheckpointStore) -> None:
    first, second = save(store), save(store)
    damage_content(first.path)
    with pytest.raises(CheckpointError, match="damaged"):
        store.rollback("m", to=1)
    assert store.current("m") == second


def test_prune_keeps_the_newest_and_the_current(store: CheckpointStore) -> None:
    made = [save(store, str(number)) for number in range(5)]
    store.rollback("m", to=2)
    assert store.prune("m", keep=2) == [made[0], made[2]]
    assert store.versions("m") == [made[1], made[3], made[4]]
    assert store.current("m") == made[1]
    assert save(store).version == 6
    with pytest.raises(CheckpointError, match="at least 1"):
        store.prune("m", keep=0)
    assert store.prune("unknown", keep=1) == []


names = st.text(min_size=1, max_size=20) | st.sampled_from(["..", ".", "../x", "a/b", "/etc", "~"])


@given(name=names, other=names)
def test_any_name_has_a_folder_of_its_own_inside(name: str, other: str) -> None:
    store = CheckpointStore(Path("/nowhere/models"))
    try:
        folder = store._folder(name)
    except CheckpointError:
        return
    assert folder.parent == store.root
    assert folder.name not in ("", ".", "..")
    assert not folder.name.startswith(".")
    assert folder == folder.resolve()
    if name != other:
        try:
            assert store._folder(other) != folder
        except CheckpointError:
            return


def test_unusual_names_are_listed_as_they_are(store: CheckpointStore) -> None:
    for name in ("../up", "ä b", ".hidden", "100%", "plain-1.0"):
        save(store, model=name)
    assert store.models() == sorted(["../up", "ä b", ".hidden", "100%", "plain-1.0"])
    for name in ("", "x" * 300):
        with pytest.raises(CheckpointError, match="cannot be named"):
            save(store, model=name)


SAVER = """
import pathlib, signal, sys
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
def write(folder):
    (folder / "part").write_text("x")
    print(folder.name, flush=True)
    {wait}
CheckpointStore(pathlib.Path(sys.argv[1])).save("m", write, model_class="x")
"""


def test_a_killed_save_is_cleaned_up_and_a_running_one_is_not(store: CheckpointStore) -> None:
    first = save(store)
    command = [sys.executable, "-c", SAVER.format(wait="sys.stdin.read()"), str(store.root)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(command, **pipes) as killed,  # type: ignore[call-overload]
        subprocess.Popen(command, **pipes) as running,  # type: ignore[call-overload]
    ):
        left = first.path.parent / killed.stdout.readline().strip()
        kept = first.path.parent / running.stdout.readline().strip()
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert left.exists()
        assert store.versions("m") == [first]
        save(store)
        assert not left.exists()
        assert kept.exists()
        running.stdin.close()
    assert running.returncode == 0
    assert [version.version for version in store.versions("m")] == [1, 2, 3]
    store.verify(store.get("m", 3))


def test_two_processes_that_save_at_once_get_two_versions(store: CheckpointStore) -> None:
    program = """
import pathlib, sys
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
store = CheckpointStore(pathlib.Path(sys.argv[1]))
for number in range(25):
    store.save("m", lambda folder: (folder / "n").write_text(sys.argv[2] + str(number)),
               model_class="x")
"""
    savers = [
        subprocess.Popen([sys.executable, "-c", program, str(store.root), name])
        for name in ("a", "b")
    ]
    assert [saver.wait() for saver in savers] == [0, 0]
    versions = store.versions("m")
    assert [version.version for version in versions] == list(range(1, 51))
    for version in versions:
        store.verify(version)
    texts = {(version.path / "n").read_text() for version in versions}
    assert texts == {f"{name}{number}" for name in "ab" for number in range(25)}
    assert store.current("m") == versions[-1]


def test_no_room_is_told_and_the_last_version_stays(store: CheckpointStore) -> None:
    first = save(store)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(CheckpointError, match="cannot save the model 'm'") as failed:
            save(store, "x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert "Make room on the disk of" in (failed.value.hint or "")
    assert store.versions("m") == [first]
    assert sorted(entry.name for entry in first.path.parent.iterdir()) == ["000001", "current"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot save the model 'm'"):
        save(CheckpointStore(tmp_path / "file"))

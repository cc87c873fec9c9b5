"""Homes and files with odd names, limits of the system, and what is said about them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from project_folder import PILOT
from server_folder import server_folder

from pilotcli.common.errors import StorageError
from pilotcli.common.os_advice import advice_for
from pilotcli.config.home import LONGEST_HOME_BYTES, make_home
from pilotcli.databases.embedded.admin import reset_servers
from pilotcli.storage.journal import Journal

EVENTS = """
from pathlib import Path

from pilotcli import CheckpointedModel, PeriodicModelUpdateEvent, QueryFinishEvent


class Fails(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        raise ValueError(__file__ + "\\ud800")


class Model(CheckpointedModel):
    def dump(self, folder):
        (folder / "inner").mkdir()
        (folder / "inner" / "weights").write_text("1")

    def restore(self, folder):
        self.model = 1


class Trains(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return 1
"""
CONFIG = """
models: {m: events.py:Model}
events: [{class: events.py:Trains, model: m, args: {interval_count: 1}}, events.py:Fails]
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user can reach."""
    with server_folder() as folder:
        yield folder
        for home in folder.glob("*/.pilot"):
            reset_servers(home)


def _project(folder: Path, name: bytes) -> Path:
    project = folder / os.fsdecode(name)
    project.mkdir(parents=True)
    project.chmod(0o711)
    (project / "events.py").write_text(EVENTS)
    (project / "pilot.yaml").write_text(CONFIG)
    (project / os.fsdecode(b"w\xff.sql")).write_text("SELECT 1 AS one; SELECT 2;")
    return project


def _pilot(project: Path, *words: str, shell: str = "") -> subprocess.CompletedProcess[str]:
    command = [PILOT, *words]
    if shell:
        command = ["/bin/sh", "-c", f'{shell}; exec "$@"', "sh", *command]
    return subprocess.run(
        command,
        cwd=project,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_a_home_that_is_not_utf_8_works_as_any_other(folder: Path) -> None:
    project = _project(folder, b"not-\xff-utf-8")
    workload = os.fsdecode(b"w\xff.sql")
    outputs = [f"--{name}={name}.{end}" for name, end in (("summary", "md"), ("report", "html"))]
    done = _pilot(project, "run", workload, *outputs, "--output", "r.parquet")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "2 ok" in done.stdout
    started = _pilot(project, "db", "start")
    assert started.returncode == 0, started.stderr
    assert "running, process" in _pilot(project, "db", "status").stdout
    refused = _pilot(project, "run", workload, "--resume", "1")
    assert "defect" not in refused.stderr
    for words in (
        ("runs", "show"),
        ("runs", "list"),
        ("runs", "export", "-o", "x.csv"),
        ("runs", "export", "-o", "x.parquet"),
        ("models", "show", "m"),
        ("db", "stop"),
        ("db", "reset", "--yes"),
    ):
        done = _pilot(project, *words)
        assert done.returncode == 0, (words, done.stderr)
    assert "There is no embedded server" in _pilot(project, "db", "status").stdout


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\r\nb"])
def test_a_line_break_in_the_path_of_a_home_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="has a line break") as caught:
        make_home(tmp_path / name / ".pilot")
    assert "\n" not in caught.value.message
    assert "\r" not in caught.value.message
    assert not (tmp_path / name).exists()


def test_the_longest_path_of_a_home_works_and_a_longer_one_is_named(tmp_path: Path) -> None:
    size = LONGEST_HOME_BYTES - len(str(tmp_path)) - 1
    long = tmp_path / Path(*["x" * 99] * (size // 100), "y" * (size % 100))
    assert len(str(long)) == LONGEST_HOME_BYTES
    Journal.open(make_home(long)).close()
    with pytest.raises(StorageError, match=f"has {LONGEST_HOME_BYTES + 1} bytes, more than"):
        make_home(long.with_name(long.name + "y"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("ulimit -n 20", "ulimit -n"),
        ("ulimit -f 1000", "ulimit -f"),
        ("umask 777", "Set another one: umask 077"),
    ],
)
def test_a_limit_is_named(folder: Path, shell: str, words: str) -> None:
    project = _project(folder, b"limited")
    done = _pilot(project, "run", os.fsdecode(b"w\xff.sql"), shell=shell)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert "Make room" not in done.stderr


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            'could not resize shared memory segment "/PostgreSQL.1": No space left on device',
            "/dev/shm",
        ),
        ("could not map anonymous shared memory: Cannot allocate memory", "ulimit -v"),
        ("could not fork: Resource temporarily unavailable", "ulimit -u"),
        ('could not write to file "base/1": No space left on device', "Make room on the disk"),
        ("something else", "as before"),
    ],
)
def test_what_a_program_of_postgresql_says_chooses_the_advice(output: str, words: str) -> None:
    assert words in advice_for(output, "as before")


@pytest.mark.slow
def test_models_are_closed_to_others_whatever_the_umask(folder: Path) -> None:
    project = _project(folder, b"open")
    done = _pilot(project, "run", os.fsdecode(b"w\xff.sql"), shell="umask 000")
    assert done.returncode == 3, done.stdout + done.stderr
    home = project / ".pilot" / "models"
    open_paths = [
        path for path in (home, *home.rglob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert open_paths == []


@pytest.mark.slow
def test_a_home_that_cannot_be_read_has_a_hint(folder: Path) -> None:
    project = _project(folder, b"closed")
    (project / ".pilot").mkdir(mode=0o700)
    setpriv = shutil.which("setpriv")
    as_root = os.geteuid() == 0
    if as_root and setpriv is None:
        pytest.skip("taking root's rights away needs setpriv")
    (project / ".pilot").chmod(0o000)
    dropped = ["-dac_override", "-dac_read_search", "-fowner"]
    code = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
    command = [PILOT, "runs", "list"]
    if as_root:
        command = [str(setpriv), f"--bounding-set={','.join(dropped)}", *command]
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    (project / ".pilot").chmod(0o700)
    assert done.returncode == 2
    assert "Permission denied" in done.stderr
    assert "change their owner or mode" in done.stderr

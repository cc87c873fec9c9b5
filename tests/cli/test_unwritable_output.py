"""Standard output that takes nothing, closed descriptors, and what else the system refuses."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from project_folder import PILOT, Project

from pilotcli.cli.main import _environment_error

FULL = Path("/dev/full")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full"),
]


def _full(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    with FULL.open("w") as full:
        return subprocess.run(
            [PILOT, *words],
            cwd=project.folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def ran(project: Project) -> Project:
    """A project with a run."""
    project.config()
    project.write("w.sql", "SELECT 1; SELECT 2;")
    project.run("w.sql")
    project.run("w.sql")
    return project


@pytest.mark.parametrize(
    "command",
    [
        "run w.sql",
        "run w.sql --format jsonl",
        "run w.sql -q",
        "run w.sql -q --against native --rounds 1",
        "run w.sql --dry-run",
        "runs list",
        "runs show --format json",
        "runs compare 1 2",
        "runs compare 1 2 --format csv",
        "config show",
        "config schema",
        "db status",
        "models list",
        "events plan w.sql",
        "--help",
        "run --help",
        "--version",
        "--show-completion",
    ],
)
def test_a_full_output_has_its_message_and_its_code(ran: Project, command: str) -> None:
    done = _full(ran, *command.split())
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("standard output cannot be written: No space left on device") == 1
    assert "defect" not in done.stderr


def test_what_a_run_came_to_goes_before_a_full_output(ran: Project) -> None:
    ran.write("bad.sql", "SELECT nothing;")
    done = _full(ran, "run", "bad.sql")
    assert done.returncode == 1
    assert "standard output cannot be written" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_end_nothing(ran: Project, closed: str) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    for command in ("run w.sql", "runs list"):
        done = subprocess.run(
            [shell, "-c", f"exec {PILOT} {command} {closed}"],
            cwd=ran.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "defect" not in done.stderr


def test_a_closed_input_is_named(ran: Project) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    codes = {}
    for command in ("run -", "db reset"):
        done = subprocess.run(
            [shell, "-c", f"exec {PILOT} {command} <&-"],
            cwd=ran.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        codes[command] = done.returncode
        assert "closed" in done.stderr or "Nothing was deleted" in done.stderr
    assert codes == {"run -": 2, "db reset": 130}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.ENAMETOOLONG])
def test_a_refusal_of_the_system_names_the_file_and_what_to_do(number: int) -> None:
    try:
        raise OSError(number, os.strerror(number), "/some/file")
    except OSError as exc:
        error = _environment_error(exc)
    assert "/some/file" in error.message
    assert os.strerror(number) in error.message
    assert error.hint
    assert "--debug" not in error.hint
    assert error.exit_code == 2

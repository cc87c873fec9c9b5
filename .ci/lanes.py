"""Runs the tests of servers on one PostgreSQL, and the quick tests on one Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from results import FOLDERS, SUITES, Case, Row, counted
from roots import CACHE, Root, RootError, made, python_root, server_root

PROJECT = Path(__file__).resolve().parents[1]
INSTALLED = Path("/usr/lib/postgresql")
"""Where Debian installs PostgreSQL; tests that take an installed one take the newest there."""

WHEEL = "18"


@dataclass(frozen=True)
class Server:
    """A major version and the root that has it; without a root it is the wheel's.

    `suites` are those that run on it.
    """

    name: str
    source: str
    root: Root | None = None
    suites: tuple[str, ...] = tuple(SUITES)

    @property
    def title(self) -> str:
        """Its name in the table."""
        return f"{self.name.partition('-')[0]} ({self.source})"


SERVERS = (
    Server("13", "bullseye", server_root(13, "bullseye", extensions=["hypopg"])),
    Server("15", "bookworm", server_root(15, "bookworm", extensions=["hypopg"])),
    Server("17", "trixie", server_root(17, "trixie", extensions=["hypopg", "pg-hint-plan"])),
    Server(WHEEL, "the wheel"),
    # The same server as the wheel's, with extensions.
    Server(
        "18-forky",
        "forky",
        server_root(18, "forky", extensions=["hypopg", "pg-hint-plan"]),
        ("steering", "doctor"),
    ),
    Server(
        "19", "experimental", server_root(19, "experimental", "sid", extensions=["pg-hint-plan"])
    ),
)
ONCE = (
    "tests/checks/test_doctor_build.py",
    "tests/checks/test_doctor_store.py",
    "tests/databases/changes/test_crashes.py",
    "tests/databases/changes/test_runs_that_end.py",
    "tests/databases/commands/test_cli_db.py",
    "tests/databases/embedded/test_embedded_accounts.py",
    "tests/databases/embedded/test_embedded_server.py",
    "tests/databases/embedded/test_socket_folder.py",
    "tests/databases/session/test_streaming.py",
    "tests/databases/test_unused_settings.py",
    "tests/demo/test_demo_forum.py",
    "tests/demo/test_demo_plans.py",
    "tests/steering/planner/test_planner_build.py",
)
"""Tests of pilot's own files and processes; one server is enough for them, the wheel's."""

OLDEST_PYTHON, NEWEST_PYTHON = "3.10", "3.14"
NOT_PYTHONS = ("databases", "demo", "project", "steering")
"""Folders of tests whose code asks a server, or reads the project: any Python does that alike."""
PYTHON_ROOTS = {NEWEST_PYTHON: python_root(NEWEST_PYTHON, "forky")}
NEW_WARNING = "hypothesis.errors.HypothesisWarning"
"""What hypothesis warns of on the newest Python alone, about itself: shown there, and no error."""


def run_on_server(
    server: Server, python: Path, work: Path, report: Sequence[Case], *, everything: bool
) -> Row:
    """Run the suites on a server.

    What the tests of `report` have had is counted and not run again: they ran on the wheel's server
    and, those that take an installed one, on the newest of the machine's own. Without `everything`,
    the tests of ONCE run on the wheel's server only.
    """
    row = Row(server.title)
    ignored = {SUITES[name] for name in SUITES if name not in server.suites}
    if server.name != WHEEL and not everything:
        ignored.update(ONCE)
    if report and server.name == WHEEL:
        row.cases = [case for case in report if case.suite and not case.on_installed]
        return row
    if report and server.name == _newest_installed():
        row.cases = [case for case in report if case.suite and case.on_installed]
        ignored.update(case.file for case in row.cases)
    try:
        given = "wheel" if server.name == WHEEL else str(programs_of(server))
    except RootError as error:
        row.missing = str(error)
        return row
    environment = {**os.environ, "PILOT_TEST_SERVER": given}
    folders = [at for at in FOLDERS if at not in ignored]
    options = [f"--ignore={place}" for place in sorted(ignored)]
    _pytest(row, python, environment, work, [*folders, *options])
    return row


def programs_of(server: Server) -> Path:
    """The folder of a server's programs, which is not the wheel's.

    What the machine has installed itself is taken as it is, and otherwise the root, which is made
    if need be. Raises `RootError` if it cannot be made.
    """
    assert server.root is not None
    if server.name == _newest_installed():
        return INSTALLED / server.name / "bin"
    return made(server.root)


def _newest_installed() -> str:
    return max(
        (file.parents[1].name for file in INSTALLED.glob("*/bin/initdb")), key=int, default=""
    )


def run_on_python(version: str, python: Path, work: Path) -> Row:
    """Run the quick tests on a Python, in a virtual environment that is kept beside the roots."""
    row = Row(f"Python {version}, the quick tests")
    try:
        interpreter = environment_of(version, python)
    except RootError as error:
        row.missing = str(error)
        return row
    words = ["-m", "not slow", *(f"--ignore=tests/{name}" for name in NOT_PYTHONS)]
    if version == NEWEST_PYTHON:
        words += ["-W", f"default::{NEW_WARNING}"]
    _pytest(row, interpreter, dict(os.environ), work, words)
    return row


def environment_of(version: str, python: Path) -> Path:
    """A Python of this version with the tests' packages, which the pip of `python` installs.

    Raises `RootError` if it cannot be made.
    """
    folder = CACHE / f"venv-{version}"
    interpreter = folder / "bin" / "python"
    try:
        if not interpreter.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _output([_interpreter(version), "-m", "venv", "--without-pip", folder])
        pip = [str(python), "-m", "pip", "-q", "--python", str(interpreter)]
        _output([*pip, "install", "-c", ".ci/constraints.txt", "-e", ".[test]"])
    except (OSError, subprocess.CalledProcessError) as error:
        said = (error.stderr or "") if isinstance(error, subprocess.CalledProcessError) else ""
        raise RootError(said.strip().splitlines()[-1] if said.strip() else str(error)) from error
    return interpreter


def _interpreter(version: str) -> Path:
    for place in (f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        if Path(place).exists():
            return Path(place)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for found in sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}")):
        return found
    if version in PYTHON_ROOTS:
        return made(PYTHON_ROOTS[version]) / f"python{version}"
    raise RootError(f"there is no python{version} here, and no suite of Debian has one")


def _pytest(
    row: Row, python: Path, environment: dict[str, str], work: Path, words: Sequence[str]
) -> None:
    """Run pytest, show what it prints, and add its tests to the row.

    Tests wait for servers and time limits about a third of their time, so three share two cores.
    """
    report = work / f"{len(list(work.iterdir()))}.xml"
    environment.pop("PYTEST_ADDOPTS", None)
    command = [
        python,
        "-m",
        "pytest",
        "-q",
        "-n",
        "3",
        "--dist",
        "loadfile",
        "-p",
        "no:cacheprovider",
    ]
    command += [f"--junitxml={report}", *words]
    done = subprocess.run(
        [str(word) for word in command], cwd=PROJECT, env=environment, check=False
    )
    if not report.exists():
        row.broken = f"pytest ended with {done.returncode} and without a report"
        return
    row.cases += counted(report)
    if done.returncode not in (0, 1):
        row.broken = f"pytest ended with {done.returncode}"


def _output(command: Sequence[str | Path]) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()

"""What pilot keeps in a home is for its owner alone."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from project_folder import Project

from pilotcli.config import PostgreSQLConfig
from pilotcli.config.home import create_private, make_home
from pilotcli.databases.changes.log import ChangeLog
from pilotcli.databases.embedded.admin import reset_servers
from pilotcli.databases.opening import open_target
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def everything_allowed() -> Iterator[None]:
    """No umask hides that a mode was left to it."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody can enter."""
    with tempfile.TemporaryDirectory(prefix="pilot-modes-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def readable(home: Path, group: int | None = None) -> list[str]:
    """The files and folders in `home` that others can read or list, or a member of `group`."""

    def allows(path: Path, bits: int) -> bool:
        info = path.lstat()
        mode = stat.S_IMODE(info.st_mode)
        if group is not None and info.st_gid == group:
            mode >>= 3
        return mode & bits == bits

    def below(path: Path) -> Iterator[Path]:
        if path.is_symlink():
            return
        if allows(path, 4):
            yield path
        if path.is_dir() and allows(path, 1):
            for one in path.iterdir():
                yield from below(one)

    return sorted(str(path.relative_to(home)) for path in below(home))


def fill(home: Path) -> None:
    """Have pilot write everything that a home can hold."""
    Journal.open(home).close()
    with ChangeLog(home).writing():
        pass
    store = CheckpointStore(home / "models")
    store.save("m", lambda folder: (folder / "w").write_text("w"), model_class="a.B")


def test_a_new_home_is_private(folder: Path) -> None:
    home = make_home(folder / "home")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    fill(home)
    assert readable(home) == []


@pytest.mark.parametrize("first", ["journal", "changes", "models"])
def test_whatever_makes_the_home_makes_it_private(folder: Path, first: str) -> None:
    home = folder / "home"
    if first == "journal":
        Journal.open(home).close()
    elif first == "changes":
        with ChangeLog(home).writing():
            pass
    else:
        fill(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (home / ".gitignore").exists()


def test_in_a_home_that_was_there_what_pilot_makes_is_private(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o755)
    with Journal.open(home) as journal:
        fill(home)
        assert journal.path.with_name("journal.db-wal").exists()
        assert readable(home) == ["."]
    assert stat.S_IMODE(home.stat().st_mode) == 0o755


def test_what_was_there_is_not_changed(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o755)
    (home / "models").mkdir(mode=0o755)
    (home / "journal.db").touch(mode=0o644)
    (home / "changes.db").touch(mode=0o640)
    fill(home)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in home.iterdir()}
    assert (modes["models"], modes["journal.db"], modes["changes.db"]) == (0o755, 0o644, 0o640)
    assert modes["models.key"] == 0o600


def test_an_existing_file_is_left_alone(folder: Path) -> None:
    file = folder / "file"
    file.write_text("there")
    create_private(file)
    assert file.read_text() == "there"


@pytest.mark.parametrize("there", [True, False], ids=["in a home that was there", "in a new home"])
def test_a_home_with_a_server(folder: Path, there: bool) -> None:
    home = folder / "home"
    if there:
        home.mkdir(mode=0o755)
    target = open_target(PostgreSQLConfig(home=home))
    try:
        fill(home)
        assert readable(home) == (["."] if there else [])
        (data,) = home.glob("pg/*/data")
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        if os.geteuid() == 0:
            # The group of the server's user passes through, and reads nothing but its own.
            assert readable(home, data.stat().st_gid) == (["."] if there else [".gitignore"])
    finally:
        target.close()
        reset_servers(home)


def test_a_run_leaves_nothing_readable(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\n")
    project.config("collect: seen\n")
    assert project.command("run", "w.sql").returncode == 0
    assert readable(project.folder / ".pilot") == []

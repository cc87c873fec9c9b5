"""Homes that belong to another user, and links in homes: no link is followed."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from project_folder import COLLECTS, Project
from server_folder import server_folder
from written_run import query, result

from pilotcli.common.errors import CheckpointError, PilotError, StorageError
from pilotcli.common.files import open_there
from pilotcli.common.os_advice import advice
from pilotcli.config import PostgreSQLConfig
from pilotcli.config.home import make_home
from pilotcli.databases.changes.autoconf import FileAutoConf
from pilotcli.databases.changes.log import ChangeLog
from pilotcli.databases.embedded.admin import reset_servers
from pilotcli.databases.embedded.folder import Place, State, give
from pilotcli.databases.embedded.os_user import Account
from pilotcli.databases.opening import acquire_server
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal, RunJournal
from pilotcli.storage.journal.schema import connect_readonly
from pilotcli.storage.store.unsaved_rows import WaitingRows

pytestmark = pytest.mark.slow

NOBODY = 65534
SIDE_FILES = (".db-shm", ".db-wal")
"""What SQLite makes beside a journal that is read; it follows no link there."""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A file to which links lead; it stays as it is."""
    file = tmp_path / "victim"
    file.write_text("precious")
    file.chmod(0o600)
    yield file
    assert file.read_text() == "precious"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_uid == os.geteuid()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return home


@pytest.fixture
def server_home() -> Iterator[Path]:
    """A home that the server's user can reach."""
    with server_folder() as folder:
        yield folder / "home"
        reset_servers(folder / "home")


def start(journal: Journal) -> RunJournal:
    return journal.start_run(
        kind="run", workload="w.sql", config_path=None, config_text="{}", database="x", options={}
    )


@as_root
@pytest.mark.parametrize(
    "command",
    [
        ("run", "w.sql"),
        ("run", "w.sql", "--against", "native"),
        ("run", "--resume"),
        ("pretrain", "--set", "events=[drivers.py:Collects]"),
        ("db", "start", "--set", "database.embedded=true"),
        ("db", "stop"),
        ("db", "reset", "--yes"),
        ("db", "undo"),
        ("doctor",),
    ],
)
def test_a_home_of_another_user_is_refused(
    project: Project, victim: Path, command: tuple[str, ...]
) -> None:
    project.write("w.sql", "SELECT 1;")
    project.write("drivers.py", COLLECTS)
    project.config()
    assert project.command("run", "w.sql").returncode == 0
    home = project.folder / ".pilot"
    os.chown(home, NOBODY, NOBODY)
    for name in ("run-2.tail", "run-2.rows-1", "run-3.tail", "journal.lock", "changes.db"):
        (home / name).symlink_to(victim)
    (home / "pg").mkdir()
    (home / "pg" / "18").symlink_to(victim.parent)
    before = sorted(str(path) for path in home.rglob("*"))
    done = project.command(*command)
    text = done.stdout + done.stderr
    if command != ("run", "--resume"):  # there is nothing to resume
        assert f"the folder {home} belongs to the user nobody, and you are the user root" in text
    assert done.returncode in (1, 2), text
    after = sorted(str(path) for path in home.rglob("*") if path.suffix not in SIDE_FILES)
    assert after == before


@as_root
def test_a_link_of_another_user_to_an_own_folder_is_refused(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)
    assert make_home(link) == home
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(StorageError, match="belongs to the user nobody"):
        make_home(link)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_home_that_everybody_may_write_to_is_refused(home: Path, mode: int) -> None:
    home.chmod(mode)
    with pytest.raises(StorageError, match="everybody may write to the folder") as caught:
        Journal.open(home)
    assert f"chmod o-w {home}" in str(caught.value.hint)
    assert list(home.iterdir()) == []


def make_tail(home: Path) -> None:
    with Journal.open(home) as journal, start(journal) as run:
        run.add_result(query(1), result(1))


def make_rows(home: Path) -> None:
    rows = WaitingRows(home, 1)
    rows.write(1, "seen", {"n": 1})
    rows.close()


def change(home: Path) -> None:
    with ChangeLog(home).writing():
        pass


def save(home: Path) -> None:
    store = CheckpointStore(home / "models")
    store.save("m", lambda folder: (folder / "w").write_text("w"), model_class="a.B")
    store.save("m", lambda folder: (folder / "w").write_text("w"), model_class="a.B")
    store.adopt("m", 1)


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        ("journal.db", make_tail, "it is a symbolic link"),
        ("run-1.tail", make_tail, None),
        ("run-1.lock", make_tail, None),
        ("changes.db", change, "it is a symbolic link"),
        ("run-1.rows-1", make_rows, None),
        ("models.key", save, "cannot vouch for a checkpoint"),
        (".models.key.new", save, None),
        ("models/m/.current", save, None),
        ("models/m/current", save, None),
        ("models/m/.manifest.json", save, None),
    ],
)
def test_no_link_in_a_home_is_followed(
    home: Path, victim: Path, name: str, write: Callable[[Path], None], told: str | None
) -> None:
    link = home / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(victim)
    try:
        write(home)
    except PilotError as error:
        assert told is not None and told in f"{error.message} {error.hint}"
    else:
        assert told is None


def test_a_tail_that_is_a_link_or_a_pipe_is_not_read(home: Path, victim: Path) -> None:
    make_tail(home)
    for make in (lambda tail: tail.symlink_to(victim), os.mkfifo):
        tail = home / "run-1.tail"
        make(tail)
        said = r"cannot be read in .*run-1\.tail: it is "
        with Journal.open(home) as journal, pytest.raises(StorageError, match=said):
            journal.resume_run(1)
        tail.unlink()


@pytest.mark.parametrize("name", ["state.json.new", "state.json", "server.log", "pinned"])
def test_no_link_in_a_servers_folder_is_followed(
    server_home: Path, victim: Path, name: str
) -> None:
    home = server_home
    config = PostgreSQLConfig(home=home)
    acquire_server(config).release()
    (folder,) = home.glob("pg/*")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(victim)
    try:
        with acquire_server(config) as server:
            server.pin()
    except PilotError as error:
        assert name in ("server.log", "pinned")
        assert "it is a symbolic link" in error.message
    finally:
        (folder / name).unlink(missing_ok=True)


@as_root
@pytest.mark.parametrize("name", ["pilot.conf", "pg_hba.conf", "pg_ident.conf"])
def test_root_follows_no_link_that_the_servers_user_has_made(
    server_home: Path, victim: Path, name: str
) -> None:
    home = server_home
    config = PostgreSQLConfig(home=home)
    acquire_server(config).release()
    (data,) = home.glob("pg/*/data")
    assert (data / name).exists()
    (data / name).unlink()
    (data / name).symlink_to(victim)
    acquire_server(config).release()
    assert not (data / name).is_symlink()
    assert (data / name).stat().st_uid == data.stat().st_uid
    (data / "postgresql.auto.conf").unlink()
    (data / "postgresql.auto.conf").symlink_to(victim)
    with pytest.raises(StorageError, match="it is a symbolic link"):
        FileAutoConf(data).write("work_mem", "9MB")


def test_what_a_home_holds_is_made_exclusively(home: Path) -> None:
    """No file of a run is opened for writing with a name that is there already."""
    code = (
        "import os, sys; from pathlib import Path\n"
        "def check(event, arguments):\n"
        "    if event == 'open' and arguments[2] & os.O_CREAT and '/home/' in str(arguments[0])"
        " and '.saving-' not in str(arguments[0]):  # a driver's own file\n"
        "        good = arguments[2] & os.O_NOFOLLOW\n"
        "        assert good, arguments\n"
        "sys.addaudithook(check)\n"
        "sys.path[:0] = [sys.argv[2]]\n"
        "from test_foreign_homes import change, make_rows, make_tail, save\n"
        "for write in (make_tail, make_rows, change, save): write(Path(sys.argv[1]))\n"
    )
    support = Path(__file__).parents[1] / "support"
    subprocess.run(
        [sys.executable, "-c", code, str(home), str(Path(__file__).parent)],
        check=True,
        env={**os.environ, "PYTHONPATH": f"{support}:{os.environ.get('PYTHONPATH', '')}"},
    )


@as_root
def test_root_in_a_users_project_follows_no_link_of_the_user(tmp_path: Path, victim: Path) -> None:
    project = tmp_path / "project"
    home = project / ".pilot"
    (home / "pg").mkdir(parents=True)
    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    (home / "pg" / "18").symlink_to(other)
    (home / "run-1.tail").symlink_to(victim)
    for path in (project, home, home / "pg", home / "pg" / "18"):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(StorageError, match="18 is a link of the user nobody"):
        reset_servers(home)
    with pytest.raises(StorageError, match="18 is a link of the user nobody"):
        acquire_server(PostgreSQLConfig(home=home))
    assert (other / "data").is_dir()
    (home / "models").symlink_to(other)
    os.chown(home / "models", NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(CheckpointError, match="models is a link of the user nobody"):
        save(home)
    assert [path.name for path in other.iterdir()] == ["data"]
    with Journal.open(home) as journal, start(journal) as run:
        assert run.run_id == 2  # the link has the name of the first run's
        run.add_result(query(1), result(1))


@pytest.fixture
def users_folder() -> Iterator[Path]:
    """The server's folder in a project of another user, with a cluster that root has made."""
    with server_folder() as folder:
        home = folder / "project" / ".pilot"
        home.mkdir(parents=True)
        acquire_server(PostgreSQLConfig(home=home)).release()
        for path in (folder / "project", *folder.glob("project/**/*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        (place,) = home.glob("pg/*")
        yield place


def link_of_nobody(link: Path, target: Path) -> None:
    link.symlink_to(target)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)


@as_root
@pytest.mark.parametrize("name", ["run", "data"])
def test_root_gives_no_folder_away_to_which_a_user_links(
    users_folder: Path, tmp_path: Path, name: str
) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o755)
    (own / "postgresql.conf").write_text("precious")
    place = users_folder
    home = place.parents[1]
    (place / name).rename(place / "aside")
    link_of_nobody(place / name, own)
    for work in (lambda: acquire_server(PostgreSQLConfig(home=home)), lambda: reset_servers(home)):
        with pytest.raises(StorageError, match=f"{name} is a link of the user nobody"):
            work()
    assert (own.stat().st_uid, stat.S_IMODE(own.stat().st_mode)) == (0, 0o755)
    assert [path.name for path in own.iterdir()] == ["postgresql.conf"]
    (place / name).unlink()
    (place / "aside").rename(place / name)
    acquire_server(PostgreSQLConfig(home=home)).release()


@as_root
@pytest.mark.parametrize("end", ["release", "reset", "start"])
def test_root_deletes_no_folder_that_a_user_names_as_the_sockets(
    users_folder: Path, tmp_path: Path, end: str
) -> None:
    own = tmp_path / "pilot-own"
    own.mkdir(mode=0o700)
    (own / ".s.PGSQL.5432").write_text("precious")
    home = users_folder.parents[1]
    place = Place(users_folder, int(users_folder.name))
    config = PostgreSQLConfig(home=home)
    if end == "release":
        server = acquire_server(config)
        place.write_state(State(server.version, str(own)))
        server.release()
    else:
        place.write_state(State("18", str(own)))
        (place.data_dir / "postmaster.pid").write_text("1\n")  # as a killed server leaves it
        if end == "reset":
            reset_servers(home)
        else:
            acquire_server(config).release()
    assert (own / ".s.PGSQL.5432").read_text() == "precious"


@as_root
def test_no_part_of_a_path_that_is_given_away_may_be_a_link(tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "run").mkdir(parents=True, mode=0o755)
    (tmp_path / "link").symlink_to(own)
    nobody = Account("nobody", NOBODY, NOBODY)
    for path in (tmp_path / "link" / "run", tmp_path / "link"):
        with pytest.raises(OSError, match="is no folder"):
            give(path, nobody)
    assert {path.stat().st_uid for path in (own, own / "run")} == {0}
    give(own / "run", nobody)
    assert (own / "run").stat().st_uid == NOBODY


@pytest.mark.parametrize(
    "name", ["journal.db", "journal.db-wal", "journal.db-shm", "changes.db-journal"]
)
def test_a_link_in_a_home_is_named_with_what_to_do(home: Path, victim: Path, name: str) -> None:
    make_tail(home)
    change(home)
    (home / name).unlink(missing_ok=True)
    (home / name).symlink_to(victim)
    with pytest.raises(StorageError) as caught:
        (change if name.startswith("changes") else make_tail)(home)
    assert name in caught.value.message
    assert "it is a symbolic link" in caught.value.message
    assert f"Delete the link {home / name}" in str(caught.value.hint)


def test_a_link_beside_a_journal_that_is_read_is_named(home: Path, victim: Path) -> None:
    make_tail(home)
    (home / "journal.db-wal").symlink_to(victim)
    with pytest.raises(StorageError, match=r"journal\.db-wal: it is a symbolic link"):
        connect_readonly(home)


@pytest.mark.parametrize("swapped", ["file", "folder"])
@pytest.mark.parametrize("write", ["make_tail", "change"])
def test_a_link_that_appears_while_a_database_is_opened_is_not_followed(
    home: Path, tmp_path: Path, write: str, swapped: str
) -> None:
    if swapped == "folder" and sqlite3.sqlite_version_info < (3, 39):
        pytest.skip("this SQLite does not say through which folders it went")
    make_tail(home)
    change(home)
    other = tmp_path / "other"
    other.mkdir()
    name = "changes.db" if write == "change" else "journal.db"
    victim = other / name
    with contextlib.closing(sqlite3.connect(victim)) as made:
        made.execute("CREATE TABLE private (a int)")
    before = victim.read_bytes()
    pair = "home / victim.name, victim" if swapped == "file" else "home, victim.parent"
    # Another process would have to be quick: this one swaps at the last moment.
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "home, victim, swapped = Path(sys.argv[1]), Path(sys.argv[2]), []\n"
        "def swap(event, arguments):\n"
        "    if event == 'sqlite3.connect' and victim.name in os.fsdecode(arguments[0]):\n"
        "        if not swapped:\n"
        "            swapped.append(True)\n"
        f"            path, target = {pair}\n"
        "            path.rename(path.with_name('away'))\n"
        "            path.symlink_to(target)\n"
        "from test_foreign_homes import change, make_tail\n"
        "sys.addaudithook(swap)\n"
        "try:\n"
        f"    {write}(home)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
        "print(swapped)\n"
    )
    support = Path(__file__).parents[1] / "support"
    path = f"{support}:{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(home), str(victim)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.startswith("StorageError"), done.stdout
    assert "it is a symbolic link" in done.stdout
    assert done.stdout.endswith("[True]\n")
    assert victim.read_bytes() == before
    assert [file.name for file in other.iterdir()] == [name]


def test_a_link_in_a_servers_folder_is_named_with_what_to_do(victim: Path) -> None:
    with server_folder() as folder:
        project = Project(folder / "project", "", "")
        project.folder.mkdir(mode=0o711)
        assert project.command("db", "start").returncode == 0
        assert project.command("db", "stop").returncode == 0
        (place,) = project.folder.glob(".pilot/pg/*")
        for name in ("server.log", "server.lock", "mutex.lock", "users.lock", "pinned"):
            link = place / name
            link.unlink(missing_ok=True)
            link.symlink_to(victim)
            done = project.command("db", "start")
            link.unlink()
            assert done.returncode == 2, (name, done.stderr)
            assert f"{name}: it is" in done.stderr or f"{name} cannot be made: it is" in done.stderr
            assert "it is a symbolic link" in done.stderr
            assert f"Delete the link {link}" in done.stderr
        project.command("db", "stop")


def test_links_that_do_lead_in_a_circle_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError) as caught:
        open_there(tmp_path / "circle" / "file")
    assert advice(caught.value, "") == "Symbolic links lead in a circle: remove one of them."

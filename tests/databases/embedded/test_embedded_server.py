"""The life of the embedded server, and what it leaves alone."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from pilotcli.common.errors import DatabaseError, StorageError, UsageError
from pilotcli.common.liveness import is_held
from pilotcli.databases.embedded.admin import reset_servers, server_statuses, stop_servers
from pilotcli.databases.embedded.binaries import major_of
from pilotcli.databases.embedded.os_user import server_account
from pilotcli.databases.embedded.process import running_pid
from pilotcli.databases.embedded.server import EmbeddedServer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]

HOLDER = """
import sys
from pathlib import Path
from pilotcli.databases.embedded.server import EmbeddedServer
server = EmbeddedServer.acquire(Path(sys.argv[1]))
print(server.pid, flush=True)
sys.stdin.readline()
server.release()
"""


class Holder:
    """Another process that uses the server until it is told to let go."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(home)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.server_pid = int(self.process.stdout.readline())

    def let_go(self) -> None:
        self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


@pytest.fixture
def holder(home: Path) -> Iterator[Callable[[], Holder]]:
    holders = []

    def make() -> Holder:
        holders.append(Holder(home))
        return holders[-1]

    yield make
    for one in holders:
        if one.process.poll() is None:
            one.kill()


def ask(server: EmbeddedServer, sql: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(**server.conninfo("postgres"))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def pid_in(home: Path) -> int | None:
    return running_pid(next((home / "pg").iterdir()) / "data")


def test_a_first_start(home: Path) -> None:
    steps: list[str] = []
    with EmbeddedServer.acquire(home, on_step=steps.append) as server:
        assert ask(server, "SELECT current_user::text") == [("postgres",)]
        said = str(ask(server, "SHOW server_version")[0][0])
        assert said.split()[0] == server.version
        assert server.data_dir == home / "pg" / str(major_of(server.version)) / "data"
        assert ask(server, "SHOW listen_addresses") == [("",)]
        assert ask(server, "SHOW server_encoding") == [("UTF8",)]
        assert ask(server, "SELECT upper('é')") == [("É",)]
    assert pid_in(home) is None
    assert len(steps) == 2
    assert "creating" in steps[0]
    assert "starting" in steps[1]


def test_the_home_is_closed_to_others(home: Path) -> None:
    with EmbeddedServer.acquire(home) as server:
        for folder in (home, home / "pg", server.data_dir.parent, server.data_dir):
            assert folder.stat().st_mode & 0o067 == 0, folder
        assert Path(server.host).stat().st_mode & 0o077 == 0


def test_planner_and_memory_settings_are_postgresqls_own(home: Path) -> None:
    # What differs from the defaults is named here, so that a benchmark's numbers are explained.
    with EmbeddedServer.acquire(home) as server:
        changed = ask(
            server,
            "SELECT name FROM pg_settings WHERE source = 'configuration file'"
            " AND setting IS DISTINCT FROM boot_val ORDER BY 1",
        )
    by_initdb = {"TimeZone", "log_timezone", "lc_messages", "default_text_search_config"}
    by_initdb |= {"DateStyle", "shared_buffers", "lc_monetary", "lc_numeric", "lc_time"}
    ours = {"listen_addresses", "unix_socket_directories", "synchronous_commit"}
    ours |= {"log_min_messages"}
    assert {str(name) for (name,) in changed} <= by_initdb | ours


def test_users_in_one_process_share(home: Path) -> None:
    first = EmbeddedServer.acquire(home)
    second = EmbeddedServer.acquire(home)
    assert first.pid == second.pid
    first.release()
    first.release()
    assert ask(second, "SELECT 1") == [(1,)]
    second.release()
    assert pid_in(home) is None


def test_two_processes_share_and_the_last_one_stops(
    home: Path, holder: Callable[[], Holder]
) -> None:
    other = holder()
    server = EmbeddedServer.acquire(home)
    assert server.pid == other.server_pid
    server.release()
    assert pid_in(home) == other.server_pid
    server = EmbeddedServer.acquire(home)
    other.let_go()
    assert ask(server, "SELECT 1") == [(1,)]
    server.release()
    assert pid_in(home) is None


def test_many_processes_start_at_once(home: Path) -> None:
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(home)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = {one.communicate("\n", timeout=120)[0] for one in holders}
    assert all(one.returncode == 0 for one in holders)
    assert all(answer.strip().isdigit() for answer in answers)
    assert pid_in(home) is None


def test_a_killed_pilot_leaves_a_server_that_the_next_one_uses(
    home: Path, holder: Callable[[], Holder]
) -> None:
    other = holder()
    other.kill()
    assert pid_in(home) == other.server_pid
    with EmbeddedServer.acquire(home) as server:
        assert server.pid == other.server_pid
    assert pid_in(home) is None


def test_a_process_that_ends_without_release_stops_its_server(home: Path) -> None:
    script = HOLDER.replace("sys.stdin.readline()\nserver.release()\n", "")
    subprocess.run([sys.executable, "-c", script, str(home)], cwd=ROOT, check=True, timeout=60)
    assert pid_in(home) is None


def test_a_forked_child_does_not_stop_the_server(home: Path) -> None:
    script = HOLDER.replace(
        "sys.stdin.readline()\n",
        "import os\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    server.release()\n"
        "    sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "assert server.pid is not None\n",
    )
    subprocess.run([sys.executable, "-c", script, str(home)], cwd=ROOT, check=True, timeout=60)
    assert pid_in(home) is None


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_recovery_after_the_server_was_killed(home: Path) -> None:
    server = EmbeddedServer.acquire(home)
    ask(server, "SET LOCAL synchronous_commit = on; CREATE TABLE kept AS SELECT 42 AS a")
    busy = psycopg2.connect(**server.conninfo("postgres"))
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while _runs(pid) and time.monotonic() < deadline:  # the signal takes effect a moment later
        time.sleep(0.01)
    with EmbeddedServer.acquire(home) as again:
        assert again.pid not in (None, pid)
        assert ask(again, "SELECT a FROM kept") == [(42,)]
        server.release()
        assert again.pid is not None
    busy.close()
    assert pid_in(home) is None


def test_a_stale_process_id_that_is_another_programs_now(home: Path) -> None:
    with EmbeddedServer.acquire(home) as server:
        data_dir = server.data_dir
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
    account = server_account(data_dir)
    as_server: dict[str, object] = {"cwd": "/"}
    if account.is_other:
        as_server.update(user=account.uid, group=account.gid, extra_groups=[])
    stranger = subprocess.Popen(["sleep", "600"], **as_server)  # type: ignore[call-overload]
    try:
        stale = data_dir / "postmaster.pid"
        stale.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        os.chown(stale, account.uid, account.gid)
        lock = data_dir.parent / "run" / ".s.PGSQL.5432.lock"
        lock.write_text(stale.read_text())
        os.chown(lock, account.uid, account.gid)
        with EmbeddedServer.acquire(home) as again:
            assert again.pid != stranger.pid
            assert ask(again, "SELECT 1") == [(1,)]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_dead_process_id_in_the_pid_file(home: Path) -> None:
    with EmbeddedServer.acquire(home) as server:
        data_dir = server.data_dir
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
    ended = subprocess.Popen(["true"])
    ended.wait()
    stale = data_dir / "postmaster.pid"
    stale.write_text("\n".join([str(ended.pid), *lines[1:]]) + "\n")
    account = server_account(data_dir)
    os.chown(stale, account.uid, account.gid)
    with EmbeddedServer.acquire(home) as again:
        assert ask(again, "SELECT 1") == [(1,)]


def test_pinned_until_stopped(home: Path) -> None:
    with EmbeddedServer.acquire(home) as server:
        server.pin()
        pid = server.pid
    assert pid_in(home) == pid
    (status,) = server_statuses(home)
    assert (status.running, status.pid, status.pinned, status.users) == (True, pid, True, ())
    assert status.size_bytes > 1_000_000
    (outcome,) = stop_servers(home)
    assert (outcome.was_running, outcome.stopped) == (True, True)
    assert pid_in(home) is None
    (status,) = server_statuses(home)
    assert (status.running, status.pid, status.pinned) == (False, None, False)


def test_stop_and_reset_leave_a_used_server_alone(home: Path, holder: Callable[[], Holder]) -> None:
    other = holder()
    (outcome,) = stop_servers(home)
    assert (outcome.was_running, outcome.stopped) == (True, False)
    assert outcome.users == (other.process.pid,)
    with pytest.raises(DatabaseError, match=f"in use .*{other.process.pid}"):
        reset_servers(home)
    assert pid_in(home) == other.server_pid
    other.let_go()
    assert pid_in(home) is None


PINNED = """
import sys
from pathlib import Path
from pilotcli.databases.embedded.server import EmbeddedServer
with EmbeddedServer.acquire(Path(sys.argv[1])) as server:
    server.pin()
print("pinned", flush=True)
sys.stdin.readline()
"""
BESIDE = """
import sys
from pathlib import Path
from pilotcli.common.errors import DatabaseError
from pilotcli.databases.embedded.admin import reset_servers, server_statuses, stop_servers
from pilotcli.databases.embedded.server import EmbeddedServer
from pilotcli.views.servers import show_statuses
for work in (EmbeddedServer.acquire, reset_servers, stop_servers):
    try:
        work(Path(sys.argv[1]))
    except DatabaseError as error:
        print(error.message[error.message.index("runs"):])
show_statuses(server_statuses(Path(sys.argv[1])), "table")
"""


@pytest.fixture
def unshare() -> tuple[str, ...]:
    """How to start a program in a container of its own."""
    command = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("this user may not make a PID namespace")
    return command


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "used"])
def test_what_a_container_says_of_a_server_outside(
    home: Path, holder: Callable[[], Holder], unshare: tuple[str, ...], pinned: bool
) -> None:
    if pinned:
        with EmbeddedServer.acquire(home) as server:
            server.pin()
    else:
        holder()
    pid = pid_in(home)
    beside = [*unshare, sys.executable, "-c", BESIDE, str(home)]
    done = subprocess.run(beside, cwd=ROOT, capture_output=True, text=True, check=False)
    *refusals, first, _, _, socket, users = done.stdout.splitlines()
    assert refusals == ["runs in another container"] * 3, done.stderr
    assert first.endswith("  running, in another container")
    assert socket.endswith("/run")
    by = "`pilot db start` (until `pilot db stop`)" if pinned else "a process in another container"
    assert users == f"  used by {by}"
    (status,) = server_statuses(home)
    assert (status.pid, status.pinned, status.hidden_users) == (pid, pinned, False)
    stop_servers(home)


def test_a_server_of_another_container_is_left_alone(home: Path, unshare: tuple[str, ...]) -> None:
    command = [*unshare, sys.executable, "-c", PINNED, str(home)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "pinned\n"
        beside = [*unshare, sys.executable, "-c", BESIDE, str(home)]
        done = subprocess.run(beside, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.stdout.splitlines()[:3] == ["runs in another container"] * 3, done.stderr
        assert server_statuses(home)[0].pinned
        (lock,) = home.glob("pg/*/server.lock")
        assert is_held(lock)
        with EmbeddedServer.acquire(home) as server:  # its processes are seen from here
            assert server_statuses(home)[0].pid == server.pid is not None
        other.kill()  # and with it the namespace, the server too
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
    with EmbeddedServer.acquire(home) as server:
        assert server.pid is not None
    assert stop_servers(home)[0].stopped


def test_reset_deletes_the_data_and_nothing_else(home: Path) -> None:
    with EmbeddedServer.acquire(home) as server:
        server.pin()
        ask(server, "CREATE TABLE gone (a int)")
    (home / "journal.db").write_text("kept")
    assert reset_servers(home) == [server.data_dir]
    assert pid_in(home) is None
    assert (home / "journal.db").read_text() == "kept"
    assert not list(server.data_dir.parent.glob("data*"))
    with EmbeddedServer.acquire(home) as server:
        assert ask(server, "SELECT to_regclass('gone')") == [(None,)]
    assert pid_in(home) is None


def test_nothing_to_look_after(home: Path) -> None:
    assert (server_statuses(home), stop_servers(home), reset_servers(home)) == ([], [], [])
    assert not home.exists()


def test_a_path_too_long_for_a_socket(home: Path) -> None:
    deep = home / ("deep-" * 12) / ("folder," * 8)
    with EmbeddedServer.acquire(deep) as server:
        assert len(server.host) < 40
        assert Path(server.host).stat().st_mode & 0o077 == 0
        assert ask(server, "SELECT 1") == [(1,)]
        with EmbeddedServer.acquire(deep) as second:
            assert second.host == server.host
    assert not Path(server.host).exists()


def test_settings_apply_and_a_change_restarts(home: Path) -> None:
    with EmbeddedServer.acquire(home, settings={"work_mem": "7MB"}) as server:
        server.pin()
        first = server.pid
        assert ask(server, "SHOW work_mem") == [("7MB",)]
    with EmbeddedServer.acquire(home, settings={"work_mem": "8MB"}) as server:
        assert server.pid != first
        assert ask(server, "SHOW work_mem") == [("8MB",)]
    stop_servers(home)


def test_other_settings_are_refused_while_somebody_uses_the_server(
    home: Path, holder: Callable[[], Holder]
) -> None:
    other = holder()
    with pytest.raises(DatabaseError, match="work_mem") as caught:
        EmbeddedServer.acquire(home, settings={"work_mem": "8MB"})
    assert caught.value.hint
    assert pid_in(home) == other.server_pid
    mine = EmbeddedServer.acquire(home)
    other.let_go()
    with pytest.raises(DatabaseError, match="work_mem"):
        EmbeddedServer.acquire(home, settings={"work_mem": "8MB"})
    assert mine.pid == other.server_pid
    mine.release()
    assert pid_in(home) is None


def test_a_setting_that_the_server_refuses(home: Path) -> None:
    with pytest.raises(DatabaseError, match="no_such_knob") as caught:
        EmbeddedServer.acquire(home, settings={"no_such_knob": "1"})
    assert "server.log" in (caught.value.hint or "")
    assert pid_in(home) is None
    with EmbeddedServer.acquire(home) as server:
        assert ask(server, "SELECT 1") == [(1,)]


def test_a_creation_that_was_cut_short_is_cleared_away(home: Path) -> None:
    with EmbeddedServer.acquire(home) as server:
        place = server.data_dir.parent
    reset_servers(home)
    (place / "data.new-cutshort").mkdir()
    (place / "data.new-cutshort" / "PG_VERSION").write_text("18\n")
    with EmbeddedServer.acquire(home) as server:
        assert ask(server, "SELECT 1") == [(1,)]
    assert not (place / "data.new-cutshort").exists()


def test_another_installation_has_a_cluster_of_its_own(home: Path, other_bin: Path) -> None:
    with (
        EmbeddedServer.acquire(home) as own,
        EmbeddedServer.acquire(home, postgres_bin=other_bin) as other,
    ):
        majors = [major_of(server.version) for server in (own, other)]
        assert len({own.data_dir, other.data_dir}) == 2
        assert len(server_statuses(home)) == 2
        for server, major in zip((own, other), majors, strict=True):
            assert major_of(str(ask(server, "SHOW server_version")[0][0])) == major


def test_a_cluster_of_another_major_version(home: Path) -> None:
    with EmbeddedServer.acquire(home) as server:
        version_file = server.data_dir / "PG_VERSION"
    version_file.write_text("12\n")
    with pytest.raises(StorageError, match="PostgreSQL 12, not"):
        EmbeddedServer.acquire(home)


def test_a_folder_without_programs(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no program initdb and no postgres") as caught:
        EmbeddedServer.acquire(home, postgres_bin=tmp_path)
    assert "postgres_bin" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("says", "message"),
    [("echo 'postgres (PostgreSQL) 12.22'", "12.22"), ("echo boom >&2; exit 3", "boom")],
)
def test_programs_that_do_not_do(home: Path, tmp_path: Path, says: str, message: str) -> None:
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(UsageError, match=message):
        EmbeddedServer.acquire(home, postgres_bin=tmp_path)


def test_a_home_that_is_a_file(home: Path) -> None:
    home.write_text("")
    with pytest.raises(StorageError, match="cannot be used") as caught:
        EmbeddedServer.acquire(home)
    assert "home:" in (caught.value.hint or "")
    home.unlink()


def test_a_home_that_cannot_be_made() -> None:
    with pytest.raises(StorageError, match="cannot be used"):
        EmbeddedServer.acquire(Path("/proc/nothing/.pilot"))


def test_a_full_disk(home: Path) -> None:
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", str(home)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system can only be mounted by root, outside of a container")
    try:
        with pytest.raises(StorageError) as caught:
            EmbeddedServer.acquire(home)
        assert "No space left" in caught.value.message
        assert not list(home.glob("pg/*/data*"))
    finally:
        subprocess.run(["umount", str(home)], check=True)

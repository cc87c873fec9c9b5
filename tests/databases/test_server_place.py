"""Where a server runs is seen by its processes, whatever its address says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_folder import server_folder
from tcp_server import TcpServer

from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.embedded import process
from pilotcli.databases.opening import open_target
from pilotcli.databases.session import server_place
from pilotcli.databases.session.server_place import CONTAINER, ServerPlace, find_server_place
from pilotcli.databases.target import PostgresTarget

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[TcpServer]:
    with server_folder() as folder, TcpServer(folder / ".pilot") as server:
        yield server


def look(dsn: str, home: Path) -> ServerPlace:
    target = open_target(PostgreSQLConfig(dsn=dsn, home=home))
    assert isinstance(target, PostgresTarget)
    with contextlib.closing(target), contextlib.closing(target.session()) as session:
        return find_server_place(session)


def test_a_server_of_this_machine(server: TcpServer, tmp_path: Path) -> None:
    found = look(server.dsn(), tmp_path)
    assert (found.elsewhere, found.foreign) == (None, None)
    assert found.process == process.running_pid(server.place.data_dir)
    assert found.programs is not None
    assert (found.programs / "postgres").is_file()
    assert found.libraries is None, "an ordinary role may not ask"


def test_an_address_that_looks_like_another_machine_s(server: TcpServer, tmp_path: Path) -> None:
    """The title of the server's process names this connection's port."""
    found = look(server.dsn().replace("host=127.0.0.1", "host=LOCALHOST"), tmp_path)
    assert found.elsewhere is None


def test_a_server_whose_process_is_not_seen(
    server: TcpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container, or behind a forwarded port: a process of that number is another one."""
    processes = tmp_path / "proc"
    (processes / "1").mkdir(parents=True)
    (processes / "1" / "cmdline").write_text("init")
    monkeypatch.setattr(server_place, "_PROCESSES", processes)
    found = look(server.dsn(), tmp_path / "home")
    assert (found.elsewhere, found.contained, found.programs) == (CONTAINER, True, None)
    other = look(server.dsn().replace("host=127.0.0.1", "host=LOCALHOST"), tmp_path / "home")
    assert other.elsewhere == "the server runs on another machine (LOCALHOST)"
    assert not other.contained


@pytest.mark.parametrize(
    "title", ["kworker/0:1", "postgres: other somewhere 127.0.0.1(1) idle", "python3"]
)
def test_another_process_of_the_same_number(
    server: TcpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str
) -> None:
    target = open_target(PostgreSQLConfig(dsn=server.dsn(), home=tmp_path / "home"))
    assert isinstance(target, PostgresTarget)
    with contextlib.closing(target), contextlib.closing(target.session()) as session:
        for pid, text in ((1, "init"), (session.connection.info.backend_pid, title)):
            folder = tmp_path / "proc" / str(pid)
            folder.mkdir(parents=True)
            (folder / "cmdline").write_text(text)
        monkeypatch.setattr(server_place, "_PROCESSES", tmp_path / "proc")
        assert find_server_place(session).elsewhere == CONTAINER


def test_a_machine_that_hides_the_processes_of_others(
    server: TcpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_place, "_PROCESSES", tmp_path)
    found = look(server.dsn(), tmp_path)
    assert (found.elsewhere, found.programs) == (None, None)

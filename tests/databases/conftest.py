"""Servers for the tests of the databases: the wheel's PostgreSQL and, where installed, others."""

from __future__ import annotations

import itertools
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from server_folder import server_folder
from steered import KINDS, postgres_bin
from tcp_server import TcpServer

from pilotcli.config.pilot_config import PostgreSQLConfig
from pilotcli.databases.embedded.admin import reset_servers
from pilotcli.databases.embedded.binaries import find_binaries
from pilotcli.databases.opening import open_target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget

_names = itertools.count(1)


@pytest.fixture(scope="session")
def other_bin() -> Path:
    """The programs of an installed PostgreSQL, of another major version than pilot's own."""
    folder = postgres_bin("installed")
    assert folder is not None
    version = find_binaries(folder).major
    if version == find_binaries().major:
        pytest.skip(f"PostgreSQL {version} is the only one here")
    return folder


@pytest.fixture(scope="session")
def make_home() -> Iterator[Callable[[], Path]]:
    """Makes home folders that the server's user can reach; all are emptied at the end."""
    with server_folder() as folder:
        homes = []

        def make() -> Path:
            homes.append(folder / str(next(_names)))
            return homes[-1]

        yield make
        for home in homes:
            kill_servers(home)
            reset_servers(home)


@pytest.fixture
def home(make_home: Callable[[], Path]) -> Path:
    """A home of this test's own, not there yet."""
    return make_home()


def kill_servers(home: Path) -> None:
    """End what a failed test has left running."""
    for file in home.glob("pg/*/data/postmaster.pid"):
        pid = int(file.read_text().splitlines()[0])
        program = Path(f"/proc/{pid}/comm")
        # The number of a server that was killed may be another process's by now.
        if program.exists() and program.read_text().startswith("postgres"):
            os.kill(pid, signal.SIGINT)


@pytest.fixture(scope="session", params=KINDS)
def shared_target(
    request: pytest.FixtureRequest, make_home: Callable[[], Path]
) -> Iterator[PostgresTarget]:
    """One running server of each installation, for all tests that only need a database."""
    config = PostgreSQLConfig(home=make_home())
    config.postgres_bin = postgres_bin(request.param)
    target = open_target(config)
    assert isinstance(target, PostgresTarget)
    yield target
    target.close()


@pytest.fixture
def session(shared_target: PostgresTarget) -> Iterator[PostgresSession]:
    """A session in a schema of its own."""
    schema = f"test_{secrets.token_hex(4)}"
    session = shared_target.session()
    session.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}")
    yield session
    session.close()
    cleaner = shared_target.session()
    cleaner.execute(f"DROP SCHEMA {schema} CASCADE")
    cleaner.close()


@pytest.fixture(scope="session")
def tcp_server(make_home: Callable[[], Path]) -> Iterator[TcpServer]:
    """A server with passwords, on a network port."""
    with TcpServer(make_home()) as server:
        yield server


@pytest.fixture(autouse=True)
def no_libpq_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's environment says about PostgreSQL does not reach the tests."""
    for name in list(os.environ):
        if name.startswith("PG"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")

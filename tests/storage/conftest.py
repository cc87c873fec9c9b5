"""A PostgreSQL of its own for the tests of the store."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from pilotcli.config.pilot_config import PostgreSQLConfig
from pilotcli.storage.store.data_manager import DataManager

_EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC"


class Server:
    """A throw-away server behind a Unix socket; as root it runs under an unprivileged user."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder, self.binaries = folder, binaries
        self.data = folder / "data"
        self.user = "postgres"
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres" if _has_user("postgres") else "nobody")
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        self.start()

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
        self._run(
            "pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "-o", options, "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def dsn(self, database: str = "postgres") -> str:
        return f"host={self.folder} user=postgres dbname={database}"

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        connection = psycopg2.connect(self.dsn(database))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self.binaries / program), *map(str, arguments)]
        if os.geteuid() == 0:
            user = "postgres" if _has_user("postgres") else "nobody"
            command = ["setpriv", "--reuid", user, "--regid", "nogroup", "--clear-groups", *command]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)


def _has_user(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    found = shutil.which("initdb") or next(
        map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None
    )
    if found is None:
        pytest.skip("no PostgreSQL binaries to start a server from")
    folder = Path(tempfile.mkdtemp(prefix="pilot-store-", dir="/tmp"))
    server = Server(folder, Path(found).parent)
    server.sql("CREATE DATABASE store")
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """The name of an empty database."""
    yield "store"
    server.sql(_EMPTY, "store")


@pytest.fixture
def config(server: Server, database: str) -> PostgreSQLConfig:
    config = PostgreSQLConfig(dsn=server.dsn())
    config.store_dsn = server.dsn(database)
    return config


@pytest.fixture
def manager(config: PostgreSQLConfig) -> Iterator[DataManager]:
    with DataManager(config) as manager:
        yield manager

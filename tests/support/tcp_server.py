"""A server that asks for passwords, on a network port of this machine."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import psycopg2

from pilotcli.databases.embedded import process
from pilotcli.databases.embedded.binaries import find_binaries, readable_for
from pilotcli.databases.embedded.folder import Place
from pilotcli.databases.embedded.os_user import server_account
from pilotcli.databases.embedded.server import EmbeddedServer


class TcpServer:
    """The wheel's server, opened to 127.0.0.1 with scram passwords."""

    password = "s3cret pass/word@x"

    def __init__(self, home: Path) -> None:
        self._server = EmbeddedServer.acquire(home)
        self.port = 0

    def __enter__(self) -> TcpServer:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        server = self._server
        with psycopg2.connect(**server.conninfo("postgres")) as admin, admin.cursor() as cursor:
            cursor.execute("SET password_encryption = 'scram-sha-256'")  # md5 before PostgreSQL 14
            cursor.execute("CREATE ROLE reader LOGIN PASSWORD %s", (self.password,))
            cursor.execute("CREATE ROLE maker LOGIN CREATEDB PASSWORD %s", (self.password,))
            cursor.execute("CREATE ROLE nobodys LOGIN PASSWORD NULL")
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute("CREATE DATABASE forum")
        admin.close()
        return self._restart()

    def _restart(self) -> TcpServer:
        place = self._server.place
        account = server_account(place.data_dir)
        with place.mutex():
            pid = process.running_pid(place.data_dir)
            assert pid is not None
            process.stop(place, pid)
            with (place.data_dir / "pg_hba.conf").open("a") as file:
                file.write("host all ghost 127.0.0.1/32 trust\n")
                file.write("host all all 127.0.0.1/32 scram-sha-256\n")
            with (place.data_dir / "pilot.conf").open("a") as file:
                file.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\n")
            process.start(place, readable_for(find_binaries(), account), account)
        return self

    @property
    def place(self) -> Place:
        """The server's folder."""
        return self._server.place

    def __exit__(self, *exception: object) -> None:
        self._server.release()

    def dsn(self, user: str = "reader", database: str = "forum", password: str = "") -> str:
        """A key/value connection string."""
        secret = (password or self.password).replace("\\", r"\\").replace("'", r"\'")
        return f"host=127.0.0.1 port={self.port} user={user} dbname={database} password='{secret}'"


class SecretServer(TcpServer):
    """A server whose password no other text holds, with every sign that is spelt in many ways."""

    head, tail = f"Kx{secrets.token_hex(4)}", f"Wz{secrets.token_hex(4)}"
    password = f"{head}'\\ %/@:?&=ü\"{tail}"

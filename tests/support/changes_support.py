"""A server that stays up, and pilots that change it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from pilotcli.config.pilot_config import PostgreSQLConfig
from pilotcli.databases.controller import PostgreSQLController, get_db_controller
from pilotcli.databases.embedded.binaries import major_of
from pilotcli.databases.embedded.server import EmbeddedServer
from pilotcli.databases.opening import open_target
from pilotcli.databases.target import PostgresTarget


@dataclass
class Pilot:
    target: PostgresTarget
    controller: PostgreSQLController
    said: list[str]

    def close(self) -> None:
        self.controller.close()
        self.target.close()


@dataclass
class Bench:
    """A server that stays up, databases on it, and pilots that use them."""

    server: EmbeddedServer
    home: Path
    postgres_bin: Path | None
    database: str = "pilot"

    def config(self) -> PostgreSQLConfig:
        """The embedded server as the target."""
        config = PostgreSQLConfig(home=self.home, db=self.database)
        config.postgres_bin = self.postgres_bin
        return config

    def dsn_config(self, home: Path | None = None, user: str = "postgres") -> PostgreSQLConfig:
        """The same server as one that is not pilot's own."""
        known = {**self.server.conninfo(self.database), "user": user}
        dsn = " ".join(f"{key}={value}" for key, value in known.items())
        return PostgreSQLConfig(dsn=dsn, home=home or self.home)

    def open(self, config: PostgreSQLConfig | None = None) -> Pilot:
        """A target and a controller of it."""
        said: list[str] = []
        target = open_target(config or self.dsn_config(), on_step=said.append)
        assert isinstance(target, PostgresTarget)
        controller = get_db_controller(target.config, target=target)
        assert isinstance(controller, PostgreSQLController)
        return Pilot(target, controller, said)

    def sql(self, text: str) -> list[tuple[object, ...]]:
        """Run something as the administrator, who is no pilot."""
        connection = psycopg2.connect(**self.server.conninfo(self.database))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(text)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    @property
    def version(self) -> int:
        """The server's major version."""
        return major_of(self.server.version)

    def names(self) -> list[str]:
        """The indexes of the database, by name."""
        found = self.sql(
            "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
        )
        return [str(row[0]) for row in found]

    def drop_database(self) -> None:
        """Drop the database, whoever is connected to it."""
        Bench(self.server, self.home, self.postgres_bin, "postgres").sql(
            f"DROP DATABASE {self.database} WITH (FORCE)"
        )

    def forget_owner(self, change_id: int) -> None:
        """Make a change look like one of a pilot that was killed."""
        self.rewrite_log(f"UPDATE changes SET token = 'gone' WHERE change_id = {change_id}")

    def rewrite_log(self, statement: str) -> None:
        """Change the log of changes itself."""
        connection = sqlite3.connect(self.home / "changes.db", isolation_level=None)
        connection.execute(statement)
        connection.close()

    def run_python(self, code: str, exit_code: int = 0, **environment: str) -> str:
        """Run `code` in a process of its own, which has a `target` and a `controller`; what it
        prints."""
        head = (
            "import os, signal, sys; from pathlib import Path\n"
            "from pilotcli import Index, PostgreSQLConfig\n"
            "from pilotcli.databases.controller import get_db_controller\n"
            "from pilotcli.databases.opening import open_target\n"
            "config = PostgreSQLConfig(dsn=sys.argv[1], home=Path(sys.argv[2]))\n"
            "target = open_target(config); controller = get_db_controller(config, target=target)\n"
        )
        dsn = str(self.dsn_config().dsn)
        done = subprocess.run(
            [sys.executable, "-c", head + code, dsn, str(self.home)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **environment},
            check=False,
        )
        assert done.returncode == exit_code, done.stderr
        return done.stdout

    def auto_conf(self) -> dict[str, str]:
        """What ALTER SYSTEM has written."""
        return dict(
            self.sql(
                "SELECT name, setting FROM pg_file_settings"
                " WHERE sourcefile LIKE '%auto.conf' ORDER BY 1"
            )
        )

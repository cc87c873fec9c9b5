"""What `pilot db start|url|psql` do: the embedded server for people and for other programs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from urllib.parse import quote

from pilotcli.common.errors import DatabaseError, UsageError
from pilotcli.config.pilot_config import PilotConfig, PostgreSQLConfig
from pilotcli.databases.embedded.admin import server_statuses
from pilotcli.databases.embedded.binaries import client_program, find_binaries, major_of
from pilotcli.databases.embedded.cluster import SUPERUSER
from pilotcli.databases.embedded.folder import PORT
from pilotcli.databases.opening import DEFAULT_DATABASE, acquire_server, open_target


def require_embedded(config: PilotConfig) -> PostgreSQLConfig:
    """`config`, if its target is the embedded server; raises `UsageError` otherwise."""
    if isinstance(config, PostgreSQLConfig) and config.embedded:
        return config
    raise UsageError(
        "the target is another server, by `database.dsn` or the environment, not the embedded one",
        hint="Add --set database.embedded=true to use the embedded server anyway.",
    )


def start_and_pin(config: PilotConfig, on_step: Callable[[str], None] | None = None) -> str:
    """Start the embedded server, create and fill its database, and keep it up until
    `pilot db stop`; returns its URL."""
    config = require_embedded(config)
    with acquire_server(config, on_step) as server:
        open_target(config, on_step=on_step).close()
        server.pin()
        return _url(server.host, config.db or DEFAULT_DATABASE)


def server_url(config: PilotConfig) -> str:
    """A libpq URL of the running embedded server; it holds no secret, for there is none.

    Raises `DatabaseError` when the server does not run.
    """
    config = require_embedded(config)
    major = find_binaries(config.postgres_bin).major
    for status in server_statuses(config.home):
        if major_of(status.version) != major:
            continue
        if status.socket_dir is not None:
            return _url(status.socket_dir, config.db or DEFAULT_DATABASE)
        if status.running:
            raise DatabaseError(
                f"the embedded server in {config.home} runs in another container, and its socket "
                "is not visible here",
                hint="Use it there, or another folder with `home:`.",
            )
    raise DatabaseError(
        f"the embedded server in {config.home} does not run", hint="Start it with `pilot db start`."
    )


def run_psql(
    config: PilotConfig, arguments: Sequence[str], on_step: Callable[[str], None] | None = None
) -> int:
    """Run psql on the embedded server's database and return its exit code.

    The server is started for it where needed, and stays up for as long as psql runs.
    """
    config = require_embedded(config)
    program = client_program("psql", config.postgres_bin)
    target = open_target(config, on_step=on_step)
    try:
        with acquire_server(config) as server:
            wanted = server.conninfo(config.db or DEFAULT_DATABASE)
            return _run(program, arguments, wanted)
    finally:
        target.close()


def _run(program: str, arguments: Sequence[str], wanted: dict[str, str]) -> int:
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    environment = {key: value for key, value in os.environ.items() if key != "PGSERVICE"}
    environment.update({names[key]: value for key, value in wanted.items()})
    # Ctrl-C is psql's to handle. A handler, unlike SIG_IGN, is not inherited by psql.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run([program, *arguments], env=environment, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _url(host: str, database: str) -> str:
    name = quote(database, safe="")
    return f"postgresql:///{name}?host={quote(host, safe='/')}&port={PORT}&user={SUPERUSER}"

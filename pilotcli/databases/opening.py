"""From a config to the target and to the store."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2 import sql as compose

from pilotcli.common.errors import DatabaseError, PilotError, StoreError, UsageError
from pilotcli.config.home import shown_path
from pilotcli.config.model import DEFAULT_STORE
from pilotcli.config.pilot_config import PilotConfig, PostgreSQLConfig
from pilotcli.databases.changes.changes import mend_stopped_server
from pilotcli.databases.embedded.server import EmbeddedServer
from pilotcli.databases.fill import run_setup
from pilotcli.databases.protocols import Target
from pilotcli.databases.session.connection import (
    Server,
    close_names,
    connect,
    database_names,
    server_from_dsn,
)
from pilotcli.databases.session.service_file import service_database
from pilotcli.databases.target import PostgresTarget

DEFAULT_DATABASE = "pilot"
"""The database of the embedded server when the config names none."""

NOT_UNDONE = "changes of an earlier pilot are not undone"
"""The first words of that warning."""

_EXISTS_ALREADY = ("42P04", "23505")  # duplicate_database, or lost the race for its name
_NOT_ALLOWED = "42501"

Step = Callable[[str], None]


def open_target(config: PilotConfig, *, on_step: Step | None = None) -> Target:
    """The database under test, reachable when this returns; to be closed by the caller.

    The embedded server is created, started and filled from `config.setup` as needed. `on_step`
    gets a line about each step that takes a while, and about each warning.

    Raises `DatabaseError` when the database cannot be reached, `StorageError` when the folder of
    the embedded server cannot be used, `WorkloadError` when a setup file fails, `UsageError` when
    the config does not allow it.
    """
    return open_postgres(config, on_step)


def open_postgres(config: PilotConfig, on_step: Step | None = None) -> PostgresTarget:
    """See `open_target`; the PostgreSQL that `config` names."""
    config = _postgres(config)
    if not config.embedded:
        target = PostgresTarget(config, _outside(config), report_line=on_step)
        _undo_left(target)
        return target
    embedded = acquire_server(config, on_step)
    try:
        name = config.db or DEFAULT_DATABASE
        server = _embedded(config, embedded, name)
        _provide(server, name, may_create=name == DEFAULT_DATABASE or bool(config.setup))
        if config.setup:
            run_setup(server, config.setup, on_step or (lambda _: None))
        target = PostgresTarget(
            config,
            server,
            name=f"embedded in {shown_path(config.home)}",
            release=embedded.release,
            control=embedded,
            report_line=on_step,
        )
        _undo_left(target)
        return target
    except BaseException:
        embedded.release()
        raise


def _undo_left(target: PostgresTarget) -> None:
    """Undo what killed pilots have left. The target works without that: a failure is a warning."""
    try:
        target.undo_left()
    except PilotError as error:
        target.changes.warn(f"{NOT_UNDONE}: {error.message}")


def connect_store(config: PilotConfig, *, may_create: bool = True) -> Any:
    """A new psycopg2 connection to the store's database, in autocommit mode.

    A missing database is created with `may_create`, unless `store.dsn` names it. Commits wait for
    the disk, also on the embedded server. Raises `StoreError` when the database can be neither
    reached nor created.
    """
    config = _postgres(config)
    name = config.user_data_db_name
    settings = {"synchronous_commit": "on"}
    try:
        if config.store_dsn is not None:
            timeout_s = config.connect_timeout
            dsn = server_from_dsn(config.store_dsn, connect_timeout_s=timeout_s, what="store.dsn")
            service = dsn.params.get("service")
            named = "dbname" in dsn.params or (service and service_database(service, os.environ))
            if not named and name != DEFAULT_STORE:
                dsn = dsn.with_database(name)
            return connect(dsn, settings)
        if not config.embedded:
            beside = _outside(config)
            if may_create:
                _provide(beside, name, may_create=True)
            return connect(beside.with_database(name), settings)
        embedded = acquire_server(config)
        try:
            server = _embedded(config, embedded, name)
            if may_create:
                _provide(server, name, may_create=True)
            connection = connect(server, settings)
        except BaseException:
            embedded.release()
            raise
    except StoreError:
        raise
    except DatabaseError as error:
        raise StoreError(f"the store: {error.message}", hint=error.hint) from error
    # The server stays up for as long as somebody holds the connection.
    weakref.finalize(connection, embedded.release)
    return connection


def check_connection_string(dsn: str | None, *, what: str) -> None:
    """Raise `UsageError` for a connection string that libpq cannot read; `what` is its name."""
    server_from_dsn(dsn, what=what)


def acquire_server(config: PilotConfig, on_step: Step | None = None) -> EmbeddedServer:
    """The embedded server of `config`, running."""
    config = _postgres(config)
    return EmbeddedServer.acquire(
        config.home,
        postgres_bin=config.postgres_bin,
        settings=config.server_settings,
        on_step=on_step,
        mend=mend_stopped_server(config.home, on_step),
    )


def _postgres(config: PilotConfig) -> PostgreSQLConfig:
    if isinstance(config, PostgreSQLConfig):
        return config
    raise UsageError(
        f"a {type(config).__name__} names no database",
        hint="Use PostgreSQLConfig, which is the embedded server when it is given no arguments.",
    )


def _outside(config: PostgreSQLConfig) -> Server:
    if config.dsn is not None:
        server = server_from_dsn(config.dsn, connect_timeout_s=config.connect_timeout)
    else:
        given = {
            "host": config.db_host,
            "port": config.db_port,
            "user": config.db_user,
            "password": config.db_user_pwd,
        }
        known = {key: str(value) for key, value in given.items() if value is not None}
        server = Server(known, config.connect_timeout)
    return server if config.db is None else server.with_database(config.db)


def _embedded(config: PostgreSQLConfig, embedded: EmbeddedServer, name: str) -> Server:
    return Server(
        embedded.conninfo(name),
        config.connect_timeout,
        start_hint=f"The embedded server's log is {embedded.log_file}.",
    )


def _provide(server: Server, name: str, *, may_create: bool) -> None:
    """See to it that the database `name` exists on the server."""
    first = server.with_database("postgres") if server.database == name else server
    connection = connect(first)
    try:
        names = database_names(connection)
        if name in names:
            return
        if not may_create:
            raise DatabaseError(
                f"the embedded server has no database {name!r}",
                hint=f"{close_names(name, names)} It is created when `database.setup` says how to "
                "fill it.",
            )
        # From template0: a connection to the template would prevent it, and template0 has none.
        statement = compose.SQL("CREATE DATABASE {} TEMPLATE template0")
        with connection.cursor() as cursor:
            cursor.execute(statement.format(compose.Identifier(name)))
    except psycopg2.Error as error:
        if error.pgcode not in _EXISTS_ALREADY:
            raise _not_created(name, connection.info.user, error) from error
    finally:
        connection.close()


def _not_created(name: str, user: str, error: psycopg2.Error) -> PilotError:
    said = error.diag.message_primary or str(error).strip()
    hint = "The server's log may say more."
    if error.pgcode == _NOT_ALLOWED:
        hint = (
            f'Have an administrator run CREATE DATABASE "{name}" OWNER "{user}"; or name another '
            "place for the store with `store.dsn`, or `store.database`."
        )
    return StoreError(f"the database {name!r} cannot be created: {said}", hint=hint)

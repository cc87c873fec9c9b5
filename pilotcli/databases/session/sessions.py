"""The sessions of one target."""

from __future__ import annotations

import contextlib
import weakref

from pilotcli.common.errors import QueryError
from pilotcli.config.pilot_config import PilotConfig
from pilotcli.databases.session import watchdog
from pilotcli.databases.session.connection import (
    Server,
    connect,
    connect_patiently,
    version_text,
)
from pilotcli.databases.session.session import PostgresSession, SchemaChanges
from pilotcli.databases.session.streaming import StreamingSession

_CHECK_INTERVAL = "client_connection_check_interval"


class Sessions:
    """Opens the sessions of one target, and closes them all when its server is restarted.

    The config's settings for sessions hold for each one that is opened. `name` says where the
    server is, None for its address.
    Raises `DatabaseError` when the server cannot be reached.
    """

    def __init__(self, server: Server, config: PilotConfig, *, name: str | None) -> None:
        self.server = server
        self.schema_changes = SchemaChanges()
        self._config = config
        self._open: weakref.WeakSet[PostgresSession] = weakref.WeakSet()
        connection = connect(server)
        try:
            self.version = version_text(connection)
            where = f"at {server.where}" if name is None else name
            database = connection.info.dbname
            self.description = f"PostgreSQL {self.version} {where}, database {database}"
        finally:
            connection.close()

    def open(
        self, *, timeout_s: float | None = None, max_rows: int | None = None
    ) -> PostgresSession:
        """Open a session; see `Target.session`."""
        settings = dict(getattr(self._config, "session_settings", {}))
        if timeout_s is not None:
            settings["statement_timeout"] = f"{max(1, round(timeout_s * 1000))}ms"
        connection = connect(self.server, settings)
        if max_rows is None:
            session = PostgresSession(connection, self.description, timeout_s, self.schema_changes)
        else:
            session = StreamingSession(
                connection, self.description, timeout_s, self.schema_changes, max_rows=max_rows
            )
        watchdog.watch(session)
        if _CHECK_INTERVAL not in settings:
            _end_with_client(session)
        self._open.add(session)
        return session

    def open_plain(self) -> PostgresSession:
        """Open a session with the server's own settings, without the config's."""
        return PostgresSession(connect(self.server), self.description)

    def open_patient(self) -> PostgresSession:
        """Open a plain session whose work no setting of the server ends."""
        return PostgresSession(connect_patiently(self.server), self.description)

    def close(self) -> None:
        """Close all sessions that are open; a restart of the server has ended them anyway."""
        for session in list(self._open):
            session.close()


def _end_with_client(session: PostgresSession) -> None:
    """Have the server end a statement whose client is gone: a killed pilot's statement would run
    on, and prevent its knobs from being undone.

    Servers before 14, and those of some systems, cannot (PostgreSQL manual 19.3.2).
    """
    with contextlib.suppress(QueryError):
        session.execute(f"SET {_CHECK_INTERVAL} = '1s'")

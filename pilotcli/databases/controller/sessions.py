"""A connection for each thread that uses a controller."""

from __future__ import annotations

import threading
from typing import Any

from psycopg2 import sql as compose

from pilotcli.common.errors import DatabaseError, QueryError, UsageError
from pilotcli.config.pilot_config import PilotConfig
from pilotcli.databases.changes.objects import run
from pilotcli.databases.opening import open_postgres
from pilotcli.databases.protocols import BaseDBController, Target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget

# Everything that a driver may have left in its session, except temporary tables.
_CLEAN = (
    "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *;"
    " SELECT pg_advisory_unlock_all()"
)


class SessionsOfThreads(BaseDBController):
    """Opens a session for each thread when it is first used, and again when it was lost."""

    def __init__(self, config: PilotConfig, *, target: Target | None = None) -> None:
        self.config = config
        self._target = target
        self._owns_target = target is None
        self._own = threading.local()
        self._guard = threading.Lock()
        self._sessions: dict[PostgresSession, threading.Thread] = {}

    def reset(self) -> None:
        """Leave the calling thread's session as it was when new, except for temporary tables.

        Costs nothing when the session was not used since the last reset. A session that cannot be
        cleaned is closed, and the next call opens another.
        """
        self._forget_ended_threads()
        session: PostgresSession | None = getattr(self._own, "session", None)
        if session is None or not self._own.used or session.closed:
            return
        try:
            session.rollback()
            session.execute(_CLEAN)
        except (DatabaseError, QueryError):
            session.close()
        self._own.used = False

    def cancel(self) -> None:
        """Cancel what runs in any of this controller's sessions."""
        with self._guard:
            sessions = list(self._sessions)
        for session in sessions:
            session.cancel()

    def close(self) -> None:
        """Close the connections of all threads. A later call opens a new one."""
        with self._guard:
            sessions, self._sessions = self._sessions, {}
            target = self._target if self._owns_target else None
            if self._owns_target:
                self._target = None
        for session in sessions:
            session.close()
        if target is not None:
            target.close()

    def session(self) -> PostgresSession:
        """The calling thread's session, opened if needed; the controller closes it."""
        own = self._own
        session: PostgresSession | None = getattr(own, "session", None)
        if session is not None and not session.in_transaction and session.was_hung_up:
            session.close()  # the server was restarted meanwhile, by another controller perhaps
        if session is None or session.closed:
            session = own.session = self.target().session(
                timeout_s=self.config.sql_execution_timeout
            )
            self._forget_ended_threads()
            with self._guard:
                self._sessions[session] = threading.current_thread()
        own.used = True
        self._prepare(session)
        return session

    def target(self) -> PostgresTarget:
        """The database that this works with, opened if needed. Raises as `open_target` does."""
        with self._guard:
            if self._target is None:
                self._target = open_postgres(self.config)
            target = self._target
        if not isinstance(target, PostgresTarget):
            raise UsageError(f"a PostgreSQL is needed, not {type(target).__name__}")
        return target

    def _prepare(self, session: PostgresSession) -> None:
        """Bring a session up to date before it is used."""

    def _forget_ended_threads(self) -> None:
        with self._guard:
            gone = [
                session
                for session, thread in self._sessions.items()
                if session.closed or not thread.is_alive()
            ]
            for session in gone:
                del self._sessions[session]
        for session in gone:
            session.close()

    def _run(self, template: str, *parts: compose.Composable) -> list[tuple[Any, ...]]:
        return run(self.session(), template, *parts)

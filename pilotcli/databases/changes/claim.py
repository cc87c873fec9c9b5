"""One home at a time changes a server's settings.

Each undoes its own changes by what was there before. If two homes changed one setting in turn, the
one that undoes last would bring back what the other had put there. Pilots of one home know each
other by their log. Of those of different homes only the server knows: the claim is an advisory
lock on it, which ends with its connection, and so with its pilot, however that ends.
"""

from __future__ import annotations

import contextlib
import platform
import zlib
from collections.abc import Callable
from pathlib import Path

from pilotcli.databases.postgres import PostgresSession
from pilotcli.errors import CapabilityError, DatabaseError, QueryError

__all__ = ["Claim"]

_CLASS = 0x70696C6F  # "pilo"
_GATE = 0
"""The lock that is held while one looks who else holds a claim."""


class Claim:
    """The claim of the pilots of `home`. `connect` opens a session in the database that it is
    given. Used by one thread at a time."""

    def __init__(self, home: Path, connect: Callable[[str], PostgresSession]) -> None:
        name = f"{platform.node()}:{home.absolute()}".encode("utf-8", "surrogateescape")
        self._number = zlib.crc32(name) % 0x7FFF_FFFF + 1
        self._connect = connect
        self._session: PostgresSession | None = None

    def take(self) -> None:
        """Take the claim unless it is held already.

        Raises `CapabilityError` when a pilot of another home has it, `DatabaseError` when the
        server cannot be reached.
        """
        if self._session is not None and self._is_alive(self._session):
            return
        session = self._opened()
        try:
            session.execute(f"SELECT pg_advisory_lock({_CLASS}, {_GATE})")
            others = session.execute(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted "  # noqa: S608
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
                f"AND classid = {_CLASS} AND objid NOT IN ({_GATE}, {self._number}) LIMIT 1"
            ).rows
            if others:
                raise CapabilityError(
                    "the settings of this server are changed by a pilot of another folder "
                    f"(its connection has the process id {others[0][0]})",
                    hint="It undoes them when it ends; begin when it has.",
                )
            session.execute(
                f"SELECT pg_advisory_lock_shared({_CLASS}, {self._number}), "
                f"pg_advisory_unlock({_CLASS}, {_GATE})"
            )
        except BaseException:
            session.close()
            raise
        self._session = session

    def release(self) -> None:
        """Give the claim up; safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _opened(self) -> PostgresSession:
        # Advisory locks are those of one database: all pilots must meet in the same.
        for name in ("postgres", "template1"):
            with contextlib.suppress(DatabaseError):
                return self._connect(name)
        return self._connect("")

    def _is_alive(self, session: PostgresSession) -> bool:
        try:
            session.execute("SELECT 1")
        except (DatabaseError, QueryError):
            return False
        return True

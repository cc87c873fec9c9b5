"""One home at a time changes a server's settings, or a database's indexes.

A pilot undoes its changes by bringing back what was there before. If two homes changed the same
setting, or one dropped an index that the other had made, the last one to undo would bring back the
other's change. Pilots of one home see each other in their log. Pilots of different homes meet only
on the server: a claim is an advisory lock there, which ends with its connection, and so with its
pilot, however the pilot ends.
"""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

from pilotcli.common.errors import CapabilityError, DatabaseError, QueryError
from pilotcli.common.liveness import this_process
from pilotcli.config.home import make_home
from pilotcli.databases.session.session import PostgresSession

_SETTINGS = 0x70696C6F  # "pilo"
_INDEXES = 0x70696C69  # "pili"
_GATE = 0
"""The lock that a pilot holds while it looks for other claims."""

Connect = Callable[[str], PostgresSession]
"""Opens a session in the database of this name, or without a name in the target's own."""


def claim_settings(home: Path, connect: Connect) -> Claim:
    """The claim of the pilots of `home` to the settings of a server."""

    def opened() -> PostgresSession:
        # Advisory locks are those of one database: all pilots must meet in the same.
        for name in ("postgres", "template1"):
            with contextlib.suppress(DatabaseError):
                return connect(name)
        return connect("")

    return Claim(home, _SETTINGS, "settings of this server", opened)


def claim_indexes(home: Path, connect: Connect, database: str) -> Claim:
    """The claim of the pilots of `home` to the indexes of a database."""
    what = f"indexes of the database {database!r}"
    return Claim(home, _INDEXES, what, lambda: connect(database))


class Claim:
    """The claim of the pilots of `home` to `what`: advisory locks of the class `number`.

    `open_session` opens a session in the database where they meet. Safe for several threads.
    """

    def __init__(
        self, home: Path, number: int, what: str, open_session: Callable[[], PostgresSession]
    ) -> None:
        self._class = number
        self._home_folder = home
        self._what = what
        self._open_session = open_session
        self._session: PostgresSession | None = None
        self._guard = threading.Lock()

    @property
    def is_taken(self) -> bool:
        """Whether the claim was taken and not released; a restart may have ended it."""
        return self._session is not None

    def take(self) -> None:
        """Take the claim unless it is held already.

        Raises `CapabilityError` when a pilot of another home has it, `DatabaseError` when the
        server cannot be reached.
        """
        with self._guard:
            if self._session is None or not _is_alive(self._session):
                self._session = self._lock()

    def release(self) -> None:
        """Give the claim up; safe to call twice."""
        with self._guard:
            session, self._session = self._session, None
            if session is not None:
                session.close()

    def _lock(self) -> PostgresSession:
        home = _number_of(self._home_folder)
        session = self._open_session()
        try:
            session.execute(f"SELECT pg_advisory_lock({self._class}, {_GATE})")
            others = session.execute(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted "  # noqa: S608
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
                f"AND classid = {self._class} AND objid NOT IN ({_GATE}, {home}) "
                "AND objsubid = 2 LIMIT 1"
            ).rows
            if others:
                raise CapabilityError(
                    f"the {self._what} are changed by a pilot of another folder "
                    f"(its connection has the process id {others[0][0]})",
                    hint="Wait until that pilot has ended; it undoes its changes then.",
                )
            session.execute(
                f"SELECT pg_advisory_lock_shared({self._class}, {home}), "
                f"pg_advisory_unlock({self._class}, {_GATE})"
            )
        except BaseException:
            session.close()
            raise
        return session


def _number_of(home: Path) -> int:
    """A number for the folder `home`: the same in all containers that share it on one machine,
    another for a copy of it, and on another machine."""
    try:
        machine = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        machine, _ = this_process()
    info = make_home(home).stat()
    name = f"{machine}:{info.st_dev}:{info.st_ino}"
    return zlib.crc32(name.encode("utf-8", "surrogateescape")) % 0x7FFF_FFFF + 1


def _is_alive(session: PostgresSession) -> bool:
    try:
        session.execute("SELECT 1")
    except (DatabaseError, QueryError):
        return False
    return True

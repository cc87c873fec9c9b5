"""The log of changes that outlive a query: written before a change is made, so that none is lost.

`<home>/changes.db`, a SQLite file that waits for the disk with every write. Every pilot of the
folder writes it; a change stays in it until it is undone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pilotcli.common.errors import StorageError
from pilotcli.common.liveness import Hold, hold, is_held, remove_unheld, this_process
from pilotcli.common.os_advice import advice_for_link, reason
from pilotcli.common.sqlite_files import open_database
from pilotcli.config.home import create_private, make_home

if TYPE_CHECKING:
    import sqlite3

log = logging.getLogger(__name__)

FILE_NAME = "changes.db"
_BUSY_TIMEOUT_S = 30.0
_VERSION = 1

ChangeKind = Literal["setting", "index made", "index dropped", "extension made"]

ChangeState = Literal["planned", "done", "in force"]
"""`planned`: about to be made, or never made, for its maker was killed; `done`: made; `in force`:
a setting that the server was seen to run with."""

_TABLE = """
CREATE TABLE IF NOT EXISTS changes (
    change_id INTEGER PRIMARY KEY AUTOINCREMENT,
    server TEXT NOT NULL,
    place TEXT NOT NULL,
    database_oid INTEGER NOT NULL,
    database TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    detail TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'planned',
    lock INTEGER NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    pid_start TEXT NOT NULL,
    token TEXT NOT NULL,
    made_at REAL NOT NULL
)"""

_COLUMNS = (
    "change_id, server, place, database_oid, database, kind, name, detail, state, lock,"
    " host, pid, token, made_at"
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who makes changes: one target of one process. `token` says which; the others are shown."""

    host: str
    pid: int
    token: str

    @classmethod
    def new(cls) -> Owner:
        """An owner in this process."""
        return cls(*this_process(), secrets.token_hex(8))


@dataclass(frozen=True, slots=True)
class Entry:
    """A change as it is planned; `detail` depends on its kind."""

    kind: ChangeKind
    name: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One change in the log.

    - `server`: the cluster's system identifier; `place` says where it was reached;
    - `database_oid`, `database`: where the change is; 0 and empty for the whole server's;
    - `lock`: the advisory lock that its maker holds while it makes the change; changes that are
      made in one transaction share it;
    - `made_at`: seconds since the epoch.
    """

    change_id: int
    server: str
    place: str
    database_oid: int
    database: str
    kind: ChangeKind
    name: str
    detail: Mapping[str, Any]
    state: ChangeState
    lock: int
    owner: Owner
    made_at: float


class ChangeLog:
    """The log of one home folder. Safe to use from several threads and processes.

    Every method raises `StorageError` when the file cannot be read or written.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / FILE_NAME
        self._home = home
        self._tokens: set[str] = set()
        """Those of the owners that plan changes through this log."""
        self._own: list[Change] = []
        """Their changes that are not undone: what is written again if the file is deleted."""
        self._file: tuple[int, int] | None = None

    def hold(self, owner: Owner) -> Hold | None:
        """The lock that says that `owner` lives; it is held while changes are pending."""
        make_home(self._home)
        return hold(self._lock_path(owner))

    def keep(self, life: Hold) -> None:
        """Take the lock of `hold` again if somebody has deleted it."""
        if not life.is_there:
            make_home(self._home)
            life.renew()

    def is_left(self, change: Change) -> bool:
        """Whether the owner of `change` has ended without undoing it."""
        return not is_held(self._lock_path(change.owner))

    def remove_left_locks(self) -> None:
        """Remove the locks of owners that were killed."""
        remove_unheld(self._home.glob("changes-*.lock"))

    def _lock_path(self, owner: Owner) -> Path:
        return self._home / f"changes-{owner.token}.lock"

    def pending(self, server: str | None = None, token: str | None = None) -> list[Change]:
        """What is not undone, in the order in which it was made; creates no file."""
        if not self.path.exists() and not self._own:
            return []
        with self.writing() as pen:
            return pen.pending(server, token)

    @contextlib.contextmanager
    def writing(self) -> Iterator[_Pen]:
        """One transaction; others wait at its begin. What it wrote is on the disk at its end."""
        import sqlite3

        try:
            make_home(self._home)
            create_private(self.path)
            connection = open_database(self.path, timeout_s=_BUSY_TIMEOUT_S)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                is_new = _prepare(connection, self.path)
                try:
                    pen = _Pen(connection, self.path)
                    self._write_again(pen, is_new=is_new)
                    yield pen
                    self._tokens.update(pen.tokens)
                    own = [c for token in self._tokens for c in pen.pending(token=token)]
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
                self._own = own
            finally:
                connection.close()
        except (sqlite3.Error, UnicodeDecodeError, OSError) as error:
            # SQLite's of a file that cannot be written, Python's of a damaged one or of no file.
            hint = "It says what pilot has to undo on your servers; do not delete it lightly."
            why: object = error
            if isinstance(error, OSError):
                why, hint = reason(error), advice_for_link(error) or hint
            raise StorageError(
                f"the log of changes {self.path} cannot be used: {why}",
                hint=hint,
            ) from error

    def _write_again(self, pen: _Pen, *, is_new: bool) -> None:
        """Write what is not undone if the file was deleted since it was written last."""
        info = self.path.stat()
        before, self._file = self._file, (info.st_dev, info.st_ino)
        if self._own and (is_new or before != self._file):
            log.warning("%s was deleted or replaced; it is written again", self.path)
            pen.add(self._own)

    def update(
        self, change_id: int, *, detail: Mapping[str, Any] | None = None, state: ChangeState
    ) -> None:
        """Write a change's new state."""
        with self.writing() as pen:
            pen.update(change_id, detail=detail, state=state)

    def forget(self, change_ids: Iterable[int]) -> None:
        """Remove changes that are undone, or are to stay."""
        if numbers := list(change_ids):
            with self.writing() as pen:
                pen.forget(numbers)


class _Pen:
    """What can be done in one transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self.tokens: set[str] = set()
        """The owners of what was planned."""

    def pending(self, server: str | None = None, token: str | None = None) -> list[Change]:
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM changes WHERE (?1 IS NULL OR server = ?1)"  # noqa: S608
            " AND (?2 IS NULL OR token = ?2) ORDER BY change_id",
            (server, token),
        )
        return [_change(row, self._path) for row in rows]

    def plan(self, book: Book, entries: Sequence[Entry]) -> list[Change]:
        lock, owner = secrets.randbits(62), book.owner
        self.tokens.add(owner.token)
        made = []
        for entry in entries:
            now, detail = time.time(), dict(entry.detail)
            what = (book.server, book.place, *book.database, entry.kind, entry.name)
            cursor = self._connection.execute(
                "INSERT INTO changes (server, place, database_oid, database, kind, name, detail,"
                " lock, host, pid, pid_start, token, made_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?)",  # pid_start is of older pilots
                (*what, json.dumps(detail), lock, owner.host, owner.pid, owner.token, now),
            )
            number = cursor.lastrowid
            assert number is not None
            made.append(Change(number, *what, detail, "planned", lock, owner, now))
        return made

    def add(self, changes: Iterable[Change]) -> None:
        taken = dict(self._connection.execute("SELECT change_id, token FROM changes"))
        self._connection.executemany(
            "INSERT INTO changes (change_id, server, place, database_oid, database, kind, name,"
            " detail, state, lock, host, pid, pid_start, token, made_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?)",
            [
                (
                    None if one.change_id in taken else one.change_id,
                    *(one.server, one.place, one.database_oid, one.database),
                    *(one.kind, one.name, json.dumps(dict(one.detail)), one.state, one.lock),
                    *(one.owner.host, one.owner.pid, one.owner.token, one.made_at),
                )
                for one in changes
                if taken.get(one.change_id) != one.owner.token
            ],
        )

    def update(
        self,
        change_id: int,
        *,
        detail: Mapping[str, Any] | None = None,
        state: ChangeState | None = None,
    ) -> None:
        self._connection.execute(
            "UPDATE changes SET detail = coalesce(?, detail), state = coalesce(?, state)"
            " WHERE change_id = ?",
            (None if detail is None else json.dumps(dict(detail)), state, change_id),
        )

    def forget(self, change_ids: Iterable[int]) -> None:
        self._connection.executemany(
            "DELETE FROM changes WHERE change_id = ?", [(number,) for number in change_ids]
        )


def _change(row: Sequence[Any], path: Path) -> Change:
    number, server, place, oid, database, kind, name, detail, state, lock, *owner, made_at = row
    try:
        read = json.loads(detail)
    except (ValueError, TypeError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise StorageError(
            f"the log of changes {path} is damaged: its change {number} cannot be read",
            hint=f"The change is to {name!r} ({kind}) on {place}; undo it by hand.",
        )
    what = (server, place, oid, database, kind, name, read)
    return Change(number, *what, state, lock, Owner(*owner), made_at)


def _prepare(connection: sqlite3.Connection, path: Path) -> bool:
    """Make the table where there is none; returns whether it was made."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise StorageError(
            f"the log of changes {path} was written by a newer pilot (format {version})",
            hint="Use that pilot: `pilot db undo` undoes what is pending.",
        )
    if version < _VERSION:
        connection.execute(_TABLE)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    return bool(version < _VERSION)


@dataclass(frozen=True, slots=True)
class Book:
    """The log as one target writes it: whose entries, and about which server and database.

    `database` is its number and its name, or 0 and no name for the whole server.
    """

    log: ChangeLog
    owner: Owner
    server: str
    place: str
    database: tuple[int, str] = (0, "")

    def plan(self, entries: Sequence[Entry]) -> list[Change]:
        """Write changes that are about to be made in one transaction."""
        with self.log.writing() as pen:
            return pen.plan(self, entries)

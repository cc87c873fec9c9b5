"""Notices that the files of a run are deleted or replaced while it is written, and saves the rest.

A deleted file can be read for as long as it is open, and so can a deleted journal: SQLite goes on
as if nothing had happened, and everything is gone when the run ends.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from pilotcli.common.sqlite_files import open_database
from pilotcli.config.home import create_private, make_home
from pilotcli.storage.journal.schema import BUSY_TIMEOUT_S, FILE_NAME, journal_errors

_SIDE_FILES = ("-wal", "-shm")


class Presence:
    """Which files a run writes, and that they are still there.

    Each is open by its name only (`O_PATH`), which keeps its number from being given to another.
    To close such a descriptor releases none of the locks that SQLite has on the file. macOS has no
    such descriptors: there only the number is compared.
    """

    def __init__(self) -> None:
        self._files: dict[Path, os.stat_result] = {}
        self._descriptors: list[int] = []

    def note(self, *paths: Path) -> None:
        """Watch those of the files that are there and not watched yet."""
        for path in paths:
            if path not in self._files:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._files[path] = self._identity(path)

    def note_journal(self, path: Path) -> None:
        """Watch the journal, with the files that SQLite keeps beside it."""
        self.note(path, *side_files(path))

    def is_same(self, path: Path) -> bool:
        """Whether a watched file is there and was not replaced."""
        try:
            return os.path.samestat(path.lstat(), self._files[path])
        except (FileNotFoundError, NotADirectoryError):
            return False

    def lost(self) -> Path | None:
        """A file that is not there any more, or is another one now; the journal before others."""
        missing = [path for path in self._files if not self.is_same(path)]
        return min(missing, key=lambda path: path.name != FILE_NAME, default=None)

    def close(self) -> None:
        """Watch no file any more; safe to call twice."""
        self._files.clear()
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _identity(self, path: Path) -> os.stat_result:
        if not hasattr(os, "O_PATH"):
            return path.lstat()
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._descriptors.append(descriptor)
        return os.fstat(descriptor)


def side_files(path: Path) -> list[Path]:
    """The files that SQLite keeps beside a journal."""
    return [path.with_name(path.name + end) for end in _SIDE_FILES]


def save_copy(
    connection: sqlite3.Connection, path: Path, run_id: int, *, may_replace: bool
) -> Path:
    """Write all that `connection` can still read where its journal was, at `path`; returns the
    file's path.

    Without `may_replace`, a journal that is there now stays. If it has the run, another writer of
    the deleted journal has saved that already; otherwise the copy is a file beside it. Raises
    `StorageError`.
    """
    home = make_home(path.parent)
    new = home / f".journal-{run_id}.new"
    with journal_errors(path):
        new.unlink(missing_ok=True)
        create_private(new)
        try:
            with contextlib.closing(open_database(new, timeout_s=BUSY_TIMEOUT_S)) as copy:
                connection.backup(copy)
            if not may_replace and path.exists():
                if _has_run(path, connection, run_id):
                    return path
                path = _free(home)
            for file in side_files(path):
                file.unlink(missing_ok=True)
            new.replace(path)
        finally:
            for file in (new, *side_files(new)):
                file.unlink(missing_ok=True)
    return path


def _has_run(path: Path, deleted: sqlite3.Connection, run_id: int) -> bool:
    sql = "SELECT started_at FROM runs WHERE run_id = ?"
    with contextlib.closing(
        open_database(path, timeout_s=BUSY_TIMEOUT_S, options="mode=ro")
    ) as found:
        try:
            return (
                found.execute(sql, (run_id,)).fetchall()
                == deleted.execute(sql, (run_id,)).fetchall()
            )
        except sqlite3.DatabaseError:
            return False


def _free(home: Path) -> Path:
    number = 1
    while (path := home / f"journal-saved-{number}.db").exists():
        number += 1
    return path

"""Opens SQLite's files, and follows no symbolic link to them."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pilotcli.common.files import require_regular
from pilotcli.common.os_advice import IS_LINK

if TYPE_CHECKING:
    import sqlite3

_ENDS = ("-wal", "-shm", "-journal")


def open_database(file: Path, *, timeout_s: float, options: str = "") -> sqlite3.Connection:
    """Returns a connection to the file `file`, without transactions of Python's own.

    `options` are those of SQLite's URIs (`mode=ro`). Raises `OSError` if the file, or one of those
    that SQLite keeps beside it, is a symbolic link or no regular file; also if it becomes a link,
    or a folder on the way does, while this function looks. SQLite would follow that link. Nothing
    has been read or written by then.
    """
    import sqlite3

    place = Path(os.path.realpath(file.parent)) / file.name
    for path in (place, *(place.with_name(place.name + end) for end in _ENDS)):
        with contextlib.suppress(FileNotFoundError):
            require_regular(path)
    uri = f"{place.as_uri()}?{options}".rstrip("?")
    connection = sqlite3.connect(
        uri, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False
    )
    try:
        connection.text_factory = os.fsdecode
        ((_, _, opened),) = connection.execute("PRAGMA database_list")
        connection.text_factory = str
        if opened != str(place):
            raise OSError(errno.ELOOP, IS_LINK, str(file))
    except BaseException:
        connection.close()
        raise
    return connection

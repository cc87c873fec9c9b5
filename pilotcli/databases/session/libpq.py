"""Calls of libpq that psycopg2 does not offer, or not without blocking every other thread.

They are made on the library that psycopg2 itself has loaded, with the pointer that it documents
for this purpose (`connection.pgconn_ptr`; PostgreSQL manual 32.7 for cancelling).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

_POINTER, _TEXT, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "PQgetCancel": (_POINTER, (_POINTER,)),
    "PQfreeCancel": (None, (_POINTER,)),
    "PQcancel": (_INT, (_POINTER, _TEXT, _INT)),
    "PQsetErrorVerbosity": (_INT, (_POINTER, _INT)),
    "PQsetErrorContextVisibility": (_INT, (_POINTER, _INT)),
    "PQsendQuery": (_INT, (_POINTER, _TEXT)),
    "PQsetSingleRowMode": (_INT, (_POINTER,)),
    "PQgetResult": (_POINTER, (_POINTER,)),
    "PQstatus": (_INT, (_POINTER,)),
    "PQresultStatus": (_INT, (_POINTER,)),
    "PQclear": (None, (_POINTER,)),
    "PQntuples": (_INT, (_POINTER,)),
    "PQnfields": (_INT, (_POINTER,)),
    "PQfname": (_TEXT, (_POINTER, _INT)),
    "PQftype": (ctypes.c_uint, (_POINTER, _INT)),
    "PQgetisnull": (_INT, (_POINTER, _INT, _INT)),
    "PQgetvalue": (_POINTER, (_POINTER, _INT, _INT)),
    "PQgetlength": (_INT, (_POINTER, _INT, _INT)),
    "PQcmdStatus": (_TEXT, (_POINTER,)),
    "PQcmdTuples": (_TEXT, (_POINTER,)),
    "PQresultErrorField": (_TEXT, (_POINTER, _INT)),
    "PQerrorMessage": (_TEXT, (_POINTER,)),
    "PQputCopyEnd": (_INT, (_POINTER, _TEXT)),
    "PQgetCopyData": (_INT, (_POINTER, ctypes.POINTER(_POINTER), _INT)),
    "PQfreemem": (None, (_POINTER,)),
}
"""Each function's result and arguments."""

_ERROR_BYTES = 256
_ERRORS_TERSE, _ERRORS_DEFAULT = 0, 1  # PGVerbosity (libpq-fe.h)
_CONTEXT_ERRORS, _CONTEXT_ALWAYS = 1, 2  # PGContextVisibility


@functools.cache
def library() -> ctypes.CDLL | None:
    """The libpq of this process; None where it cannot be found: psycopg2 was linked otherwise."""
    try:
        paths = _loaded_files()
        if len(paths) != 1:
            return None
        found = ctypes.CDLL(paths.pop(), mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    return found


def _loaded_files() -> set[str]:
    """The files of libpq that this process has loaded; where the system does not say which, those
    that came with psycopg2-binary."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
        return {line.split(maxsplit=5)[-1] for line in maps.splitlines() if "/libpq" in line}
    except OSError:
        package = Path(psycopg2.__file__).parent
        folders = (package / ".dylibs", package.with_name("psycopg2_binary.libs"))
        return {str(path) for folder in folders for path in folder.glob("libpq*")}


def shorten_errors(connection: Any) -> None:
    """Have libpq leave the statement out of what it writes about errors.

    To point at the place of an error it copies the statement and makes two numbers for each of its
    characters: a gigabyte for a statement of 100 MB. pilot reads the parts of an error, which stay
    as they are.
    """
    libpq = library()
    if libpq is not None:
        libpq.PQsetErrorVerbosity(connection.pgconn_ptr, _ERRORS_TERSE)


@contextlib.contextmanager
def whole_messages(connection: Any) -> Iterator[None]:
    """Have libpq write messages with their DETAIL, and with the CONTEXT of those that come from
    inside a function. For short statements: see `shorten_errors`."""
    libpq = library()
    if libpq is None:
        yield
        return
    libpq.PQsetErrorVerbosity(connection.pgconn_ptr, _ERRORS_DEFAULT)
    libpq.PQsetErrorContextVisibility(connection.pgconn_ptr, _CONTEXT_ALWAYS)
    try:
        yield
    finally:
        if not connection.closed:
            libpq.PQsetErrorVerbosity(connection.pgconn_ptr, _ERRORS_TERSE)
            libpq.PQsetErrorContextVisibility(connection.pgconn_ptr, _CONTEXT_ERRORS)


class Line:
    """A way to a connection past the statement that runs on it; for any thread, at any time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._library = library()
        self._cancel = None
        if self._library is not None:
            self._cancel = self._library.PQgetCancel(connection.pgconn_ptr)
        # A number of its own for the same socket: the connection's may later be another file's.
        self._socket = os.dup(connection.fileno())

    def cancel(self) -> None:
        """Send a cancel request. Returns when the server has taken it, which may be never."""
        if self._library is None or self._cancel is None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.cancel()
            return
        self._library.PQcancel(
            self._cancel, ctypes.create_string_buffer(_ERROR_BYTES), _ERROR_BYTES
        )

    def cut(self) -> None:
        """Shut the socket: whoever waits for the server gets the error of a lost connection."""
        with contextlib.suppress(OSError):
            shared = socket.socket(fileno=os.dup(self._socket))
            try:
                shared.shutdown(socket.SHUT_RDWR)
            finally:
                shared.close()

    def __del__(self) -> None:
        # Here and not in a method: a thread that is still cancelling keeps the object alive.
        if getattr(self, "_cancel", None) is not None and self._library is not None:
            self._library.PQfreeCancel(self._cancel)
        if getattr(self, "_socket", None) is not None:
            os.close(self._socket)

"""Sessions that keep the first rows of a result and count the others.

psycopg2 takes a result into memory as a whole. Here the statement is sent through libpq itself,
which hands over some rows at a time (PostgreSQL manual 32.6, retrieving query results in chunks).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import psycopg2
from psycopg2 import extensions

from pilotcli.common.errors import CapabilityError
from pilotcli.databases.session.libpq import library
from pilotcli.databases.session.session import PostgresSession, SchemaChanges

__all__ = ["StreamingSession"]

CHUNK_ROWS = 1000

# ExecStatusType and the fields of an error (libpq-fe.h, postgres_ext.h).
_EMPTY, _COMMAND_OK, _TUPLES_OK, _COPY_OUT, _COPY_IN = 0, 1, 2, 3, 4
_SINGLE_TUPLE, _TUPLES_CHUNK = 9, 12
_STATE, _PRIMARY, _DETAIL, _HINT = b"C", b"M", b"D", b"H"

_POINTER, _TEXT, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
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


class StreamingSession(PostgresSession):
    """As its base; keeps `max_rows` rows of a result and counts all.

    Raises `CapabilityError` where psycopg2's libpq cannot be reached.
    """

    def __init__(
        self,
        connection: Any,
        where: str,
        timeout_s: float | None,
        schema_changes: SchemaChanges,
        *,
        max_rows: int,
    ) -> None:
        super().__init__(connection, where, timeout_s, schema_changes)
        found = library()
        if found is None:
            connection.close()
            raise CapabilityError(
                "collect.max_rows needs psycopg2's libpq, which was not found in this process",
                hint="Install psycopg2-binary, or leave collect.max_rows out.",
            )
        self._cursor = _Cursor(connection, _declared(found), max_rows)


class _Failure(psycopg2.Error):
    """What the server, or libpq, said, with what is looked at of psycopg2's own errors."""

    # Without these the base's own stand in the way, which cannot be written.
    pgcode: str | None = None
    diag: Any = None

    def __init__(self, code: str | None, message: str, detail: str | None, hint: str | None):
        super().__init__(message)
        self.pgcode = code
        self.diag = SimpleNamespace(
            message_primary=message if code else None, message_detail=detail, message_hint=hint
        )


class _Cursor:
    """What `PostgresSession` uses of a cursor. It has the result of the last statement sent."""

    def __init__(self, connection: Any, libpq: Any, max_rows: int) -> None:
        self._connection = connection
        self._libpq = libpq
        self._max_rows = max_rows
        self._plain = connection.cursor()
        self._result = _Result(libpq, max_rows, self._cast)

    @property
    def description(self) -> Sequence[tuple[Any, ...]] | None:
        return self._result.columns

    @property
    def rowcount(self) -> int:
        return self._result.count

    @property
    def statusmessage(self) -> str:
        return self._result.tag

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._result.kept

    def copy_expert(self, sql: str, file: Any) -> None:
        """As psycopg2's."""
        self._plain.copy_expert(sql, file)
        self._result.count = self._plain.rowcount

    def execute(self, sql: str) -> None:
        """Send `sql`, and take what comes back. Raises `psycopg2.Error`."""
        libpq, connection = self._libpq, self._connection.pgconn_ptr
        self._result = result = _Result(libpq, self._max_rows, self._cast)
        if not (libpq.PQsendQuery(connection, sql.encode()) and libpq.in_chunks(connection)):
            raise self._lost()
        failure: _Failure | None = None
        while (taken := libpq.PQgetResult(connection)) is not None:
            try:
                status = libpq.PQresultStatus(taken)
                if status in (_COPY_IN, _COPY_OUT):
                    self._end_copy(status)
                    failure = _Failure(None, "COPY runs only alone", None, None)
                elif failure is None:
                    failure = self._take(result, taken, status)
            finally:
                libpq.PQclear(taken)
        if failure is not None and libpq.PQstatus(connection):
            self._connection.close()
            raise failure
        self._connection.poll()  # hands over the notices that have come
        if failure is not None:
            raise failure

    def _take(self, result: _Result, taken: int, status: int) -> _Failure | None:
        libpq = self._libpq
        if status in (_SINGLE_TUPLE, _TUPLES_CHUNK, _TUPLES_OK):
            result.add(taken, ends=status == _TUPLES_OK)
        elif status == _COMMAND_OK:
            result.end(_text(libpq.PQcmdStatus(taken)) or "", libpq.PQcmdTuples(taken))
        elif status != _EMPTY:
            fields = (_STATE, _PRIMARY, _DETAIL, _HINT)
            code, message, detail, hint = (
                _text(libpq.PQresultErrorField(taken, ord(field))) for field in fields
            )
            return self._lost() if message is None else _Failure(code, message, detail, hint)
        return None

    def _end_copy(self, status: int) -> None:
        libpq, connection = self._libpq, self._connection.pgconn_ptr
        if status == _COPY_IN:
            libpq.PQputCopyEnd(connection, b"not supported")
            return
        buffer = ctypes.c_void_p()
        while libpq.PQgetCopyData(connection, ctypes.byref(buffer), 0) > 0:
            libpq.PQfreemem(buffer)

    def _lost(self) -> _Failure:
        said = _text(self._libpq.PQerrorMessage(self._connection.pgconn_ptr)) or "no reason given"
        return _Failure(None, said, None, None)

    def _cast(self, oid: int, text: str) -> Any:
        caster = self._connection.string_types.get(oid) or extensions.string_types.get(oid)
        return text if caster is None else caster(text, self._plain)


class _Result:
    """The rows that are kept of the statement that runs, and how many there were."""

    def __init__(self, libpq: Any, max_rows: int, cast: Callable[[int, str], Any]) -> None:
        self.kept: list[tuple[Any, ...]] = []
        self.count = -1
        self.columns: list[tuple[Any, ...]] | None = None
        self.tag = ""
        self._libpq = libpq
        self._max_rows = max_rows
        self._cast = cast
        self._ended = True

    def add(self, taken: int, *, ends: bool) -> None:
        """Rows have come; with `ends` they are the statement's last ones."""
        libpq = self._libpq
        if self._ended:
            self.kept, self.count = [], 0
            self.columns = [
                (_text(libpq.PQfname(taken, number)), libpq.PQftype(taken, number))
                for number in range(libpq.PQnfields(taken))
            ]
        self._ended = ends
        here = libpq.PQntuples(taken)
        self.count += here
        for row in range(min(here, self._max_rows - len(self.kept))):
            self.kept.append(tuple(self._values(taken, row)))

    def end(self, tag: str, count: bytes) -> None:
        """A statement without rows has ended; `count` is how many it has changed, if any."""
        self.kept, self.columns, self._ended = [], None, True
        self.tag, self.count = tag, int(count) if count else -1

    def _values(self, taken: int, row: int) -> Iterator[Any]:
        libpq = self._libpq
        assert self.columns is not None
        for number, (_, oid) in enumerate(self.columns):
            if libpq.PQgetisnull(taken, row, number):
                yield None
            else:
                size = libpq.PQgetlength(taken, row, number)
                data = ctypes.string_at(libpq.PQgetvalue(taken, row, number), size)
                yield self._cast(oid, data.decode())


def _declared(libpq: Any) -> Any:
    if not hasattr(libpq, "in_chunks"):
        for name, (returns, takes) in _SIGNATURES.items():
            function = getattr(libpq, name)
            function.restype, function.argtypes = returns, list(takes)
        chunked = getattr(libpq, "PQsetChunkedRowsMode", None)  # libpq 17 and newer
        if chunked is not None:
            chunked.restype, chunked.argtypes = _INT, [_POINTER, _INT]
        libpq.in_chunks = (
            libpq.PQsetSingleRowMode
            if chunked is None
            else lambda connection: chunked(connection, CHUNK_ROWS)
        )
    return libpq


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")

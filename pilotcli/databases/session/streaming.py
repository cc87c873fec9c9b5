"""Sessions that keep the first rows of a result and count the others.

psycopg2 takes a result into memory as a whole. Here the statement is sent through libpq itself,
which hands over some rows at a time (PostgreSQL manual 32.6, retrieving query results in chunks).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg2
from psycopg2 import extensions

from pilotcli.common.errors import CapabilityError
from pilotcli.databases.session.libpq import library
from pilotcli.databases.session.session import PostgresSession, SchemaChanges

CHUNK_ROWS = 1000

# ExecStatusType and the fields of an error (libpq-fe.h, postgres_ext.h).
_EMPTY, _COMMAND_OK, _TUPLES_OK, _COPY_OUT, _COPY_IN = 0, 1, 2, 3, 4
_SINGLE_TUPLE, _TUPLES_CHUNK = 9, 12
_STATE, _PRIMARY, _DETAIL, _HINT = b"C", b"M", b"D", b"H"


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
        self._cursor = _Cursor(connection, found, max_rows)


class _Failure(psycopg2.Error):
    """An error of the server or libpq, with what pilot reads of psycopg2's own errors."""

    # The base's own attributes cannot be written.
    pgcode: str | None = None
    diag: Any = None

    def __init__(self, code: str | None, message: str, detail: str | None, hint: str | None):
        super().__init__(message)
        self.pgcode = code
        self.diag = SimpleNamespace(
            message_primary=message if code else None, message_detail=detail, message_hint=hint
        )


class _Cursor:
    """What `PostgresSession` uses of a cursor: the result of the last statement sent."""

    def __init__(self, connection: Any, libpq: Any, max_rows: int) -> None:
        self._connection = connection
        self._libpq = libpq
        self._max_rows = max_rows
        self._plain = connection.cursor()
        self._forget()

    def _forget(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self.rowcount = -1
        self.description: list[tuple[Any, ...]] | None = None
        self.statusmessage = ""
        self._ended = True
        """Whether the next rows are those of another statement."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows

    def copy_expert(self, sql: str, file: Any) -> None:
        """As psycopg2's."""
        self._plain.copy_expert(sql, file)
        self.rowcount = self._plain.rowcount

    def execute(self, sql: str) -> None:
        """Send `sql`, and take what comes back. Raises `psycopg2.Error`."""
        libpq, connection = self._libpq, self._connection.pgconn_ptr
        self._forget()
        if not (libpq.PQsendQuery(connection, sql.encode()) and _in_chunks(libpq, connection)):
            raise self._lost()
        failure: _Failure | None = None
        while (taken := libpq.PQgetResult(connection)) is not None:
            try:
                status = libpq.PQresultStatus(taken)
                if status in (_COPY_IN, _COPY_OUT):
                    self._end_copy(status)
                    failure = _Failure(None, "COPY runs only alone", None, None)
                elif failure is None:
                    failure = self._take(taken, status)
            finally:
                libpq.PQclear(taken)
        if failure is not None and libpq.PQstatus(connection):
            self._connection.close()
            raise failure
        self._connection.poll()  # hands over the notices that have come
        if failure is not None:
            raise failure

    def _take(self, taken: int, status: int) -> _Failure | None:
        libpq = self._libpq
        if status in (_SINGLE_TUPLE, _TUPLES_CHUNK, _TUPLES_OK):
            self._add_rows(taken, ends=status == _TUPLES_OK)
        elif status == _COMMAND_OK:
            self._forget()
            self.statusmessage = _text(libpq.PQcmdStatus(taken)) or ""
            changed = libpq.PQcmdTuples(taken)
            self.rowcount = int(changed) if changed else -1
        elif status != _EMPTY:
            fields = (_STATE, _PRIMARY, _DETAIL, _HINT)
            code, message, detail, hint = (
                _text(libpq.PQresultErrorField(taken, ord(field))) for field in fields
            )
            return self._lost() if message is None else _Failure(code, message, detail, hint)
        return None

    def _add_rows(self, taken: int, *, ends: bool) -> None:
        """Keep and count rows that have come; with `ends` they are the statement's last ones."""
        libpq = self._libpq
        if self._ended:
            self._rows, self.rowcount = [], 0
            self.description = [
                (_text(libpq.PQfname(taken, number)), libpq.PQftype(taken, number))
                for number in range(libpq.PQnfields(taken))
            ]
        self._ended = ends
        here = libpq.PQntuples(taken)
        self.rowcount += here
        for row in range(min(here, self._max_rows - len(self._rows))):
            self._rows.append(tuple(self._values(taken, row)))

    def _values(self, taken: int, row: int) -> Iterator[Any]:
        libpq = self._libpq
        for number, (_, oid) in enumerate(self.description or ()):
            if libpq.PQgetisnull(taken, row, number):
                yield None
            else:
                size = libpq.PQgetlength(taken, row, number)
                data = ctypes.string_at(libpq.PQgetvalue(taken, row, number), size)
                yield self._cast(oid, data.decode())

    def _cast(self, oid: int, text: str) -> Any:
        caster = self._connection.string_types.get(oid) or extensions.string_types.get(oid)
        return text if caster is None else caster(text, self._plain)

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


def _in_chunks(libpq: Any, connection: int) -> Any:
    """Have the rows of the statement just sent come some at a time; 0 when that fails."""
    if hasattr(libpq, "PQsetChunkedRowsMode"):  # libpq 17 and newer
        return libpq.PQsetChunkedRowsMode(ctypes.c_void_p(connection), CHUNK_ROWS)
    return libpq.PQsetSingleRowMode(connection)


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")

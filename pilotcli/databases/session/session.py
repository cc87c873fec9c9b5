"""A PostgreSQL session; its errors are raised as pilot's own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import socket
import time
from collections import deque
from io import BytesIO
from threading import get_ident
from typing import IO, Any

import psycopg2

from pilotcli.common.errors import DatabaseError, QueryCancelled, QueryError, QueryTimeout
from pilotcli.common.records import CopyData
from pilotcli.common.sql_commands import words_where
from pilotcli.config.kinds import duration_s
from pilotcli.databases.protocols import Rows
from pilotcli.databases.session import watchdog
from pilotcli.databases.session.libpq import Line

NOTICES_KEPT = 100_000
_IN_TRANSACTION = (2, 3)  # libpq's PQTRANS_INTRANS and PQTRANS_INERROR
_IN_FAILED_TRANSACTION = 3

_GAP = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|;)*")
_COPY = re.compile(r"copy\b", re.IGNORECASE)

# Error codes after which the connection cannot be used any more (PostgreSQL manual, appendix A).
_LOST = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "25P03"})
# Command tags (PostgreSQL manual 55.7, CommandComplete) of statements without rows; the tag of
# CREATE TABLE AS is SELECT.
_SCHEMA_TAGS = (
    *words_where(lambda command: command.changes_schema),
    *("SELECT", "PREPARE TRANSACTION", "COMMIT PREPARED"),
)
_NO_ANSWER = "the server did not answer, so the connection was cut"
_QUERY_CANCELED = "57014"
_TIMED_OUT = "statement timeout"
_BEFORE_IT_BEGAN_S = 0.1
"""A statement that is cancelled sooner after it was sent may not have begun."""


class SchemaChanges:
    """Counts statements of a target's sessions after which a name may mean another object."""

    def __init__(self) -> None:
        self.count = 0


class PostgresSession:
    """One connection; implements `Session`.

    `connection` is psycopg2's, in autocommit mode. `timeout_s` is the time-out that was set in the
    server at the start; None if there is none. All sessions of a target share `schema_changes`.
    """

    def __init__(
        self,
        connection: Any,
        where: str,
        timeout_s: float | None = None,
        schema_changes: SchemaChanges | None = None,
    ) -> None:
        self.connection = connection
        self._cursor: Any = connection.cursor()
        self._where = where
        self._timeout_s = timeout_s
        self.schema_changes = schema_changes or SchemaChanges()
        self.keeps_schema = False
        """Whether statements do not count as changes of the schema: pilot's own undo them."""
        self._cancel_asked = False
        self._sql = ""
        self._too_large: int | None = None
        self._repeats = False
        self._cut: str | None = None
        """Why pilot itself has cut the connection: `time-out` or `cancel`."""
        self.thread = 0
        self.began = 0.0
        self.line = Line(connection)

    def listen(self) -> None:
        """Keep all notices from now on until they are taken; otherwise psycopg2 keeps only 50."""
        self.connection.notices = deque(maxlen=NOTICES_KEPT)

    def take_notices(self) -> list[str]:
        """The notices since the last call, oldest first; at most the last 100,000."""
        notices = list(self.connection.notices)
        self.connection.notices.clear()
        return notices

    def execute(self, sql: str, copy: CopyData | None = None) -> Rows:
        """Run `sql` unchanged and fetch all rows; see `Session.execute`."""
        cursor = self._cursor
        self._cancel_asked = False
        self._sql = sql
        self.thread = get_ident()
        self.began = began = time.monotonic()
        try:
            if "\0" in sql:  # the protocol ends a statement there, so the rest would be lost
                raise QueryError("the statement contains a character with the code 0 (NUL)")
            # A statement that begins with a letter other than c is not a COPY: no need to parse it.
            if copy is not None or (sql[:1] in _MAYBE_COPY and _is_copy(sql)):
                return self._copy(sql, copy)
            cursor.execute(sql)
            self.began = 0.0  # the whole result is here; the rest is pilot's own work
            description = cursor.description
            if description is None:
                tag = cursor.statusmessage or ""
                if tag.startswith(_SCHEMA_TAGS) and not self.keeps_schema:
                    self.schema_changes.count += 1
                count = cursor.rowcount
                return Rows((), count if count >= 0 else None)
            rows = cursor.fetchall()
            # What Rows(...) does, without the call in between: this is on every query's path.
            return tuple.__new__(Rows, (rows, cursor.rowcount, description))
        except psycopg2.Error as error:
            if error.pgcode is None and not self.connection.closed and _is_empty(sql):
                return Rows()
            elapsed_s = time.monotonic() - began
            if error.pgcode == _QUERY_CANCELED and self._meant_the_one_before(error, elapsed_s):
                return self._repeat(sql, copy)
            failure = self._failure(error, elapsed_s)
            failure.statement = sql
            raise failure.standing_for(error) from None
        except (UnicodeError, OverflowError) as error:
            raise QueryError(f"the text cannot be exchanged with the server: {error}") from None
        except ValueError as error:
            raise QueryError(f"a value of the result cannot be read: {error}") from None
        finally:
            self.began = 0.0

    def _meant_the_one_before(self, error: psycopg2.Error, elapsed_s: float) -> bool:
        """Whether the server has cancelled a statement by the time-out of the one before it.

        PostgreSQL does that where a statement ends in the moment in which its time-out does: the
        next one is cancelled before it begins. Only the text tells it from a cancel by somebody
        else, so it is found where the server speaks English.
        """
        if (
            _TIMED_OUT not in _message(error)
            or self._repeats
            or self._cancel_asked
            or self._too_large is not None
            or elapsed_s > _BEFORE_IT_BEGAN_S
            or self.closed
            or self.in_transaction
        ):
            return False
        if self._timeout_s is not None:
            return elapsed_s < self._timeout_s
        try:  # a driver may have set one
            self._cursor.execute("SHOW statement_timeout")
            timeout_s = duration_s(str(self._cursor.fetchall()[0][0]))
        except psycopg2.Error:
            return False
        return timeout_s is None or elapsed_s < timeout_s  # None: it is given in days

    def _repeat(self, sql: str, copy: CopyData | None) -> Rows:
        self._repeats = True
        try:
            return self.execute(sql, copy)
        finally:
            self._repeats = False

    def overdue_at(self) -> float | None:
        """See `watchdog.Watched`. A message of several statements has a time-out for each."""
        if self._timeout_s is None:
            return None
        return self.began + self._timeout_s * (1 + self._sql.rstrip("; \n").count(";"))

    def cut(self, *, timed_out: bool) -> None:
        self._cut = "time-out" if timed_out else "cancel"
        self.line.cut()

    def stop_too_large(self, grown_bytes: int) -> None:
        self._too_large = grown_bytes

    def _copy(self, sql: str, copy: CopyData | None) -> Rows:
        with contextlib.closing(_CopyChannel(copy)) as channel:
            self._cursor.copy_expert(sql, channel)
        count = self._cursor.rowcount
        return Rows((), count if count >= 0 else None)

    def explain(self, sql: str) -> dict[str, Any]:
        """The planner's plan of `sql`: the dict that holds the key `Plan`."""
        return plan_of(self.execute(f"EXPLAIN (FORMAT JSON) {sql}"))

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction block is open."""
        return self.connection.get_transaction_status() in _IN_TRANSACTION

    @property
    def transaction_failed(self) -> bool:
        """Whether the open block has failed."""
        return bool(self.connection.get_transaction_status() == _IN_FAILED_TRANSACTION)

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return bool(self.connection.closed)

    @property
    def was_hung_up(self) -> bool:
        """Whether the server ended the connection while it was idle: a message about that, or the
        end of the stream, can be read. An encrypted connection does not show it."""
        if self.closed:
            return True
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        if not poll.poll(0):
            return False
        with socket.socket(fileno=os.dup(self.connection.fileno())) as line:
            try:
                return line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) in (b"", b"E")
            except OSError:
                return True

    def rollback(self) -> None:
        """End an open transaction block; does nothing without one."""
        if not self.closed and self.in_transaction:
            self.execute("ROLLBACK")

    def cancel(self) -> None:
        """See `Session.cancel`; does nothing while nothing runs. Returns at once."""
        self._cancel_asked = True
        watchdog.cancel(self)

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        self.connection.close()

    def _failure(self, error: psycopg2.Error, elapsed_s: float) -> DatabaseError | QueryError:
        code = error.pgcode
        message = _message(error)
        if self._too_large is not None and code == _QUERY_CANCELED:
            size_gib, self._too_large = self._too_large / (1 << 30), None
            return QueryError(
                f"cancelled: pilot's memory grew by {size_gib:.1f} GiB while it read the result",
                sqlstate=code,
                hint="Set `collect.max_rows`: pilot then only counts further rows.",
            )
        if code == _QUERY_CANCELED:
            timeout_s = self._timeout_s
            if self._cancel_asked or timeout_s is None or elapsed_s < timeout_s:
                return QueryCancelled(message, sqlstate=code)
            return QueryTimeout(f"ended after its time-out of {timeout_s:g} s", sqlstate=code)
        if self._cut is not None and self.closed:
            self.close()
            if self._cut == "cancel":
                return QueryCancelled(f"cancelled; {_NO_ANSWER}")
            return QueryTimeout(f"ended after its time-out of {self._timeout_s:g} s: {_NO_ANSWER}")
        # psycopg2 does not notice it at once if the server has died while the session was idle.
        if self.closed or code in _LOST or (code is None and self.was_hung_up):
            self.close()
            return DatabaseError(
                f"the connection to {self._where} was lost: {message}",
                hint="Look into the server's log: it says why the server ended the connection.",
            )
        hint = getattr(error.diag, "message_hint", None)
        return QueryError(message, sqlstate=code, hint=hint)


_MAYBE_COPY = frozenset("cC-/; \t\r\n\f\v")


def _skip_gap(sql: str) -> int:
    """Where the first statement begins, after white space, semicolons and comments."""
    position = 0
    while True:
        found = _GAP.match(sql, position)
        assert found is not None
        position = found.end()
        if not sql.startswith("/*", position):
            return position
        position = _comment_end(sql, position)


def _comment_end(sql: str, position: int) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(sql, position):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)


def _is_copy(sql: str) -> bool:
    return _COPY.match(sql, _skip_gap(sql)) is not None


def _is_empty(sql: str) -> bool:
    return _skip_gap(sql) == len(sql)


def _message(error: psycopg2.Error) -> str:
    primary = error.diag.message_primary
    if primary is None:
        return " ".join(str(error).split()) or type(error).__name__
    # Of a COPY, the context says which line and column the server refuses.
    context = str(getattr(error.diag, "context", None) or "").partition("\n")[0]
    more = [error.diag.message_detail, context if context.startswith("COPY ") else None]
    shown = "; ".join(text for text in more if text)
    return f"{primary} ({shown})" if shown else str(primary)


def plan_of(result: Rows) -> dict[str, Any]:
    """The dict of an `EXPLAIN (FORMAT JSON)`."""
    value = result.rows[0][0]
    plan: dict[str, Any] = (json.loads(value) if isinstance(value, str) else value)[0]
    return plan


class _CopyChannel:
    """The file of a COPY: reads a slice of a file, and drops what is written."""

    def __init__(self, copy: CopyData | None) -> None:
        self._file: IO[bytes] = BytesIO() if copy is None else copy.path.open("rb")
        self._left = 0
        if copy is not None:
            self._file.seek(copy.offset)
            self._left = copy.size_bytes
        self.close = self._file.close

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        return data

    def write(self, data: Any) -> int:
        return len(data)

"""The connection to the store: transactions on it, and its errors in words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pilotcli.common.errors import StoreError
from pilotcli.config.pilot_config import PilotConfig
from pilotcli.databases.opening import connect_store
from pilotcli.storage.store.json_text import json_value

if TYPE_CHECKING:
    import psycopg2
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

LOCK_TIMEOUT_S = 60
_JSON_OIDS = (114, 3802)
"""json and jsonb, which have had these numbers in every PostgreSQL (pg_type.dat)."""

_COMMITTED = ("BEGIN", "COMMIT", "ROLLBACK")
_REHEARSED = (
    "SAVEPOINT pilot_rehearsal",
    "RELEASE SAVEPOINT pilot_rehearsal",
    "ROLLBACK TO SAVEPOINT pilot_rehearsal; RELEASE SAVEPOINT pilot_rehearsal",
)
"""How a transaction begins, how it is committed, and how it is rolled back."""
_BEGIN_REHEARSAL = (
    "BEGIN; SELECT set_config(name, '0', true) FROM pg_catalog.pg_settings "
    "WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"
)
"""A rehearsal may wait at the prompt of a debugger."""

Result = TypeVar("Result")


class StoreConnection:
    """One connection to the store, opened when it is needed and again when it was lost.

    Safe to use from several threads, one transaction at a time.
    """

    def __init__(self, config: PilotConfig) -> None:
        self._config = config
        self._connection: Connection | None = None
        self._name = config.user_data_db_name
        self._lock = threading.RLock()
        self._closed = False
        self._rehearses = False

    def rehearse(self) -> None:
        """Do everything from here on in one transaction, which `close` rolls back."""
        self._rehearses = True

    def transaction(self, work: Callable[[Cursor], Result], table: str | None = None) -> Result:
        """Run `work`, which is about `table`, in a transaction and commit it.

        If the connection is lost before the commit (the server was restarted), `work` runs once
        more on a new one: nothing of its first run has stayed. A connection lost during the commit
        is an error, because nobody knows whether the commit took place, and so is one lost in a
        rehearsal, because what was done before is gone.

        Raises `StoreError`.
        """
        import psycopg2

        with self._lock:
            try:
                try:
                    return self._run(work, table)
                except _ConnectionLost:
                    if self._rehearses:
                        raise
                    return self._run(work, table)
            except (_ConnectionLost, psycopg2.Error) as error:
                cause = error.error if isinstance(error, _ConnectionLost) else error
                raise store_error(cause, self._name, table) from cause

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None and not self._connection.closed

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _run(self, work: Callable[[Cursor], Result], table: str | None) -> Result:
        import psycopg2

        connection = self._connected()
        begin, commit, roll_back = _REHEARSED if self._rehearses else _COMMITTED
        with connection.cursor() as cursor:
            try:
                cursor.execute(begin)
                result = work(cursor)
            except BaseException as error:
                if isinstance(error, psycopg2.Error) and connection.closed:
                    raise _ConnectionLost(error) from error
                with suppress(psycopg2.Error):
                    cursor.execute(roll_back)
                raise
            try:
                cursor.execute(commit)
            except psycopg2.Error as error:
                if connection.closed:
                    rows = "last rows" if table is None else f"last rows for the table {table!r}"
                    raise StoreError(
                        f"the connection to the store {self._name!r} was lost during a commit; "
                        f"the {rows} may or may not be in it"
                    ) from error
                raise
        return result

    def _connected(self) -> Connection:
        if self._closed:
            raise StoreError("this DataManager was closed")
        if self._connection is None or self._connection.closed:
            # A database that was dropped meanwhile is not created again, as if it had been empty.
            self._connection = _opened(self._config, may_create=self._connection is None)
            self._name = self._connection.info.dbname
            if self._rehearses:
                with self._connection.cursor() as cursor:
                    cursor.execute(_BEGIN_REHEARSAL)
        return self._connection


class StoreUnreachableError(StoreError):
    """The store does not answer, or takes nothing now; the same request may work later."""


class _ConnectionLost(Exception):
    """The connection was gone before the commit; nothing has happened."""

    def __init__(self, error: psycopg2.Error) -> None:
        super().__init__(str(error))
        self.error = error


def _opened(config: PilotConfig, *, may_create: bool) -> Connection:
    import psycopg2
    from psycopg2 import extensions, extras

    try:
        connection: Connection = connect_store(config, may_create=may_create)
    except StoreError as error:
        raise StoreUnreachableError(error.message, hint=error.hint) from error
    name = connection.info.dbname
    try:
        connection.autocommit = True
        connection.set_client_encoding("UTF8")
        with connection.cursor() as cursor:
            # Times are read in UTC and in ISO style; floats with all of their digits.
            cursor.execute(
                "SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false)"
                ", set_config('IntervalStyle', 'postgres', false)"
                ", set_config('extra_float_digits', '1', false)"
                ", set_config('lock_timeout', %s, false)",
                (f"{LOCK_TIMEOUT_S}s",),
            )
            if (schema := config.store_schema) is not None:
                name_of_schema = extensions.quote_ident(schema, connection)
                cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {name_of_schema}")
                cursor.execute(f"SET search_path = {name_of_schema}")
    except psycopg2.Error as error:
        raise store_error(error, name) from error
    extras.register_uuid(conn_or_curs=connection)  # type: ignore[no-untyped-call]
    extensions.register_type(extensions.new_type(_JSON_OIDS, "PILOT_JSON", _read_json), connection)
    return connection


def _read_json(text: Any, cursor: Any) -> Any:
    return None if text is None else json_value(text)


def _user_of(error: psycopg2.Error) -> str:
    """The role of the store's connection, as SQL writes it."""
    from psycopg2 import Error
    from psycopg2.extensions import quote_ident

    cursor = getattr(error, "cursor", None)
    with suppress(Error):
        if cursor is not None and "role" not in (cursor.connection.info.options or ""):
            return str(quote_ident(cursor.connection.info.user, cursor.connection))
    return "the store's role"


def store_error(error: psycopg2.Error, store: str, table: str | None = None) -> StoreError:
    """The server's error as a `StoreError` with what to do next.

    An error without a code means that the client lost the server. The code classes 08, 40, 53 and
    57 mean that the server cannot do it now (PostgreSQL manual, appendix A); so does a store that
    may not be written, since somebody can change that.
    """
    state = error.pgcode or ""
    message = getattr(error.diag, "message_primary", None) or str(error).strip() or "no connection"
    where = f"the store {store!r}" + (f", table {table!r}" if table is not None else "")
    may_create = (
        "Have an administrator run in the store's database `GRANT CREATE ON SCHEMA public TO "
        f"{_user_of(error)}`. Tables of pilot that another role has made there must belong to this "
        "role, too."
    )
    hints = {
        "3F000": may_create,
        "42501": may_create,
        "53100": "The store's disk is full: make room there.",
        "55P03": f"Another session has held the table for {LOCK_TIMEOUT_S} s.",
        "25006": "The store takes no writes; name another one as `store.dsn`.",
    }
    if not state or state[:2] in ("08", "57"):
        hint = "Is its server running? `pilot doctor` looks."
        return StoreUnreachableError(f"{where}: {message}", hint=hint)
    if state in hints or state[:2] in ("40", "53"):
        return StoreUnreachableError(f"{where}: {message}", hint=hints.get(state))
    return StoreError(f"{where}: {message}")

"""The connection to the store: transactions on it, and its errors in words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pilotcli.config.pilot_config import PilotConfig
from pilotcli.errors import StoreError
from pilotcli.storage.json_text import json_value

if TYPE_CHECKING:
    import psycopg2
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

__all__ = ["StoreConnection", "StoreUnreachableError"]

LOCK_TIMEOUT_S = 60
_JSON_OIDS = (114, 3802)
"""json and jsonb, which have had these numbers in every PostgreSQL (pg_type.dat)."""

Result = TypeVar("Result")


class StoreConnection:
    """One connection to the store, opened when it is needed and again when it was lost.

    Safe to use from several threads, one transaction at a time.
    """

    def __init__(self, config: PilotConfig) -> None:
        self._config = config
        self._connection: Connection | None = None
        self._lock = threading.RLock()
        self._closed = False

    def transaction(self, work: Callable[[Cursor], Result]) -> Result:
        """Run `work` in a transaction and commit it.

        When the connection turns out to be lost before the commit (the server was restarted),
        `work` runs once more on a new one: nothing of its first run has stayed. A connection
        that is lost during the commit is an error, because nobody knows whether it took place.

        Raises `StoreError`.
        """
        import psycopg2

        with self._lock:
            try:
                return self._run(work)
            except _ConnectionLost:
                try:
                    return self._run(work)
                except _ConnectionLost as again:
                    raise store_error(again.error) from again.error
            except psycopg2.Error as error:
                raise store_error(error) from error

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

    def _run(self, work: Callable[[Cursor], Result]) -> Result:
        import psycopg2

        connection = self._connected()
        with connection.cursor() as cursor:
            try:
                cursor.execute("BEGIN")
                result = work(cursor)
            except psycopg2.Error as error:
                if connection.closed:
                    raise _ConnectionLost(error) from error
                self._roll_back(connection)
                raise store_error(error) from error
            except BaseException:
                self._roll_back(connection)
                raise
            try:
                cursor.execute("COMMIT")
            except psycopg2.Error as error:
                if connection.closed:
                    raise StoreError(
                        "the connection to the store was lost during a commit; "
                        "the last rows may or may not be in it"
                    ) from error
                raise store_error(error) from error
        return result

    def _roll_back(self, connection: Connection) -> None:
        import psycopg2

        with suppress(psycopg2.Error), connection.cursor() as cursor:
            cursor.execute("ROLLBACK")

    def _connected(self) -> Connection:
        if self._closed:
            raise StoreError("this DataManager was closed")
        if self._connection is None or self._connection.closed:
            # One that has gone in between is not made anew, as if nothing had been in it.
            self._connection = _opened(self._config, may_create=self._connection is None)
        return self._connection


class StoreUnreachableError(StoreError):
    """The store does not answer; what was asked may work later."""


class _ConnectionLost(Exception):
    """The connection was gone before the commit; nothing has happened."""

    def __init__(self, error: psycopg2.Error) -> None:
        super().__init__(str(error))
        self.error = error


def _opened(config: PilotConfig, *, may_create: bool) -> Connection:
    import psycopg2
    from psycopg2 import extensions, extras

    from pilotcli.databases import connect_store

    try:
        connection: Connection = connect_store(config, may_create=may_create)
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
    except StoreError as error:
        raise StoreUnreachableError(error.message, hint=error.hint) from error
    except psycopg2.Error as error:
        raise store_error(error) from error
    extras.register_uuid(conn_or_curs=connection)  # type: ignore[no-untyped-call]
    extensions.register_type(extensions.new_type(_JSON_OIDS, "PILOT_JSON", _read_json), connection)
    return connection


def _read_json(text: Any, cursor: Any) -> Any:
    return None if text is None else json_value(text)


def store_error(error: psycopg2.Error) -> StoreError:
    """What the server said, as a `StoreError` with what to do next.

    Without a code the client lost the server; the classes 08 and 57 are the server's own words for
    that (manual of PostgreSQL, appendix A).
    """
    state = error.pgcode or ""
    message = getattr(error.diag, "message_primary", None) or str(error).strip() or "no connection"
    may_create = "The store's user must be allowed to create tables (GRANT CREATE ON SCHEMA)."
    hints = {
        "3F000": may_create,
        "42501": may_create,
        "53100": "The store's disk is full: make room there.",
        "55P03": f"Another session has held the table for {LOCK_TIMEOUT_S} s.",
        "25006": "The store's server takes no writes; name another one as `store.dsn`.",
    }
    if not state or state[:2] in ("08", "57"):
        return StoreUnreachableError(
            f"the store: {message}", hint="Is its server running? `pilot doctor` looks."
        )
    return StoreError(f"the store: {message}", hint=hints.get(state))

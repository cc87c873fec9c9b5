"""Rows that are saved a little later, by a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pilotcli.errors import StoreError
from pilotcli.storage.store_connection import StoreUnreachableError

__all__ = ["Appender"]

BATCH_ROWS = 500
BATCH_AGE_S = 1.0
WAITING_ROWS = 20_000
"""How many rows may wait for the store before the caller waits too: memory stays bounded."""

Row = Mapping[str, Any]


class Appender:
    """Collects rows by table and hands them to `save` every second or 500 rows.

    A thread is started with the first row. While the store does not answer, rows wait; `flush`
    and `close` tell. Rows that the store refused are dropped, and the error that the next call
    raises says how many; the others are saved nevertheless.
    """

    def __init__(self, save: Callable[[str, list[Row]], None]) -> None:
        self._save = save
        self._waiting: dict[str, list[Row]] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._error: StoreError | None = None

    def append(self, table: str, row: Row) -> None:
        """Take `row` for `table`. Raises what an earlier save in the background raised."""
        self._raise_error()
        with self._lock:
            if self._closed:
                raise StoreError("this DataManager was closed")
            self._waiting.setdefault(table, []).append(row)
            self._count += 1
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._save_regularly, name="store-append", daemon=True
                )
                self._thread.start()
        if self._count >= BATCH_ROWS:
            self._wake.set()
            if self._count >= WAITING_ROWS:
                self.flush()

    def flush(self) -> None:
        """Save all rows taken so far. Raises `StoreError` when that fails, now or before."""
        if self._count or self._saving.locked():
            self._save_waiting()
        self._raise_error()

    def close(self) -> None:
        """Save what is left and end the thread; safe to call twice."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join()
        try:
            self.flush()
        except StoreUnreachableError as error:
            lost, self._waiting, self._count = self._count, {}, 0
            raise StoreError(f"{lost} rows are lost: {error.message}", hint=error.hint) from error

    def _save_regularly(self) -> None:
        while not self._closed:
            self._wake.wait(BATCH_AGE_S)
            self._wake.clear()
            with suppress(StoreUnreachableError):
                self._save_waiting()

    def _save_waiting(self) -> None:
        """Save what waits. Raises `StoreUnreachableError`; the rows wait on then."""
        # The lock also makes flush() wait for a save that the thread has begun.
        with self._saving:
            with self._lock:
                taken, self._waiting, self._count = self._waiting, {}, 0
            try:
                while taken:
                    table = next(iter(taken))
                    self._save_rows(table, taken[table])
                    del taken[table]
            finally:
                self._put_back(taken)

    def _put_back(self, taken: dict[str, list[Row]]) -> None:
        with self._lock:
            for table, rows in taken.items():
                self._waiting[table] = rows + self._waiting.get(table, [])
                self._count += len(rows)

    def _save_rows(self, table: str, rows: list[Row]) -> None:
        try:
            self._save(table, rows)
        except StoreUnreachableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a driver's row raises is told later
            message = f"{len(rows)} rows for the table {table!r} are lost: {error}"
            self._error = StoreError(message, hint=getattr(error, "hint", None))

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

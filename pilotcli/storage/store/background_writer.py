"""Rows that are saved a little later, by a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pilotcli.common.errors import StoreError
from pilotcli.common.quantities import plural
from pilotcli.storage.store.connection import StoreUnreachableError
from pilotcli.storage.store.unsaved_rows import WaitingRows
from pilotcli.storage.writer_thread import WriterThread

log = logging.getLogger(__name__)

BATCH_ROWS = 500
BATCH_AGE_S = 1.0
WAITING_ROWS = 20_000
"""How many rows may wait for the store before the caller waits too: memory stays bounded."""

Row = Mapping[str, Any]


class RowsLostError(StoreError):
    """Rows that the store refuses, and that were dropped: how many, by table and reason."""

    def __init__(self, lost: Counter[tuple[str, str]], hint: str | None = None) -> None:
        self.lost = lost
        super().__init__(
            "; ".join(
                plural(
                    count,
                    f"row for the table {table!r} is lost: {why}",
                    f"rows for the table {table!r} are lost: {why}",
                )
                for (table, why), count in lost.items()
            ),
            hint=hint,
        )

    def __add__(self, other: RowsLostError) -> RowsLostError:
        return RowsLostError(self.lost + other.lost, self.hint or other.hint)


class Appender:
    """Collects rows by table and hands them to `save` every second or every 500 rows.

    The first row starts a thread. While the store takes nothing, rows wait, and `flush` and `close`
    raise an error. Rows that the store refuses are dropped, and the next call raises an error that
    says how many; the other rows are saved anyway.
    """

    def __init__(self, save: Callable[[str, list[Row], int | None], None]) -> None:
        self._save = save
        self._kept: WaitingRows | None = None
        self._last: int | None = None
        """The number of the last row that was taken, among those that have one."""
        self._waiting: dict[str, list[Row]] = {}
        self._count = 0
        self._lost: RowsLostError | None = None
        self._kept_rows: Counter[str] = Counter()
        """How many of the waiting rows of each table are in a file too."""
        self._lock = threading.Lock()
        self._background = WriterThread(
            self._save_waiting,
            name="store-append",
            every_s=BATCH_AGE_S,
            retried=(StoreUnreachableError,),
        )

    def keep_in(self, kept: WaitingRows) -> None:
        """Keep rows that have a number in `kept` until the store has them."""
        self._kept = kept

    def keep(self, table: str, row: Row, number: int) -> int | None:
        """Keep a row before `append` takes it; returns the number of its file. Raises
        `StorageError`."""
        with self._lock:
            return None if self._kept is None else self._kept.write(number, table, row)

    def append(
        self, table: str, row: Row, number: int | None = None, file: int | None = None
    ) -> None:
        """Take `row` for `table`. A row that is kept in a file has a `number`, higher than those
        before it. Raises the error of an earlier save in the background; the row is taken anyway.
        """
        with self._lock:
            if self._background.ended:
                raise StoreError("this DataManager was closed")
            if number is not None:
                self._last = number
                if self._kept is not None and file != self._kept.segment:
                    # Its file has ended meanwhile, and is removed although this row is not saved.
                    self._kept.write(number, table, row)
                self._kept_rows[table] += self._kept is not None
            self._waiting.setdefault(table, []).append(row)
            self._count += 1
            self._background.start()
        if self._count >= BATCH_ROWS:
            self._background.wake()
            if self._count >= WAITING_ROWS:
                self.flush()
        self._background.raise_error()

    @contextlib.contextmanager
    def losing(self) -> Iterator[None]:
        """Count rows that the store refuses as lost, for `close` to raise; the first are logged.
        Other errors are passed on."""
        try:
            yield
        except RowsLostError as error:
            if self._lost is None:
                log.warning("%s", error.message)
            self._lost = error if self._lost is None else self._lost + error

    def flush(self) -> None:
        """Save all rows taken so far. Raises `StoreError` when that fails, now or before."""
        if self._count or self._background.writing.locked():
            self._save_waiting()
        self._background.raise_error()

    def close(self) -> None:
        """Save what is left and end the thread; safe to call twice.

        Raises `StoreError` when the store does not take them; the message says how many rows wait
        in files, and how many are lost.
        """
        with self._lock:
            self._background.end()
        self._background.join()
        failures: list[StoreError] = []
        try:
            with self.losing():
                self.flush()
            if self._kept is not None:
                self._kept.forget(self._kept.cut())
                self._kept.close()
        except StoreUnreachableError as error:
            failures.append(StoreError(f"{self._left()}: {error.message}", hint=error.hint))
        if self._lost is not None:
            failures.append(self._lost)
            self._lost = None
        if failures:
            text = "; ".join(error.message for error in failures)
            hint = next((error.hint for error in failures if error.hint), None)
            raise StoreError(text, hint=hint)

    def _left(self) -> str:
        """Give up the waiting rows; returns how many are in files, and how many are lost."""
        kept = self._kept_rows.total()
        lost = self._count - kept
        self._waiting, self._count, self._kept_rows = {}, 0, Counter()
        parts = []
        if self._kept is not None:
            if kept:
                where = self._kept.where
                waiting = plural(kept, "row waits", "rows wait")
                parts.append(f"{waiting} in {where} until the run is resumed")
            # The files stay, also when this is closed a second time.
            self._kept.close()
            self._kept = None
        if lost:
            parts.append(plural(lost, "row is lost", "rows are lost"))
        return "; ".join(parts)

    def _save_waiting(self) -> None:
        """Save the waiting rows. When it raises `StoreUnreachableError`, they wait further."""
        # The lock also makes flush() wait for a save that the thread has begun.
        with self._background.writing:
            with self._lock:
                taken, self._waiting, self._count = self._waiting, {}, 0
                kept, self._kept_rows = self._kept_rows, Counter()
                last = self._last
                file = self._kept.cut() if self._kept is not None else 0
            try:
                while taken:
                    table = next(iter(taken))
                    self._save_rows(table, taken[table], last)
                    del taken[table]
            finally:
                self._put_back(taken, kept)
            if self._kept is not None:
                with self._lock:
                    self._kept.forget(file)

    def _put_back(self, taken: dict[str, list[Row]], kept: Counter[str]) -> None:
        with self._lock:
            for table, rows in taken.items():
                self._waiting[table] = rows + self._waiting.get(table, [])
                self._count += len(rows)
                self._kept_rows[table] += kept[table]

    def _save_rows(self, table: str, rows: list[Row], last: int | None) -> None:
        try:
            self._save(table, rows, last)
        except StoreUnreachableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a driver's row raises is reported later
            lost = Counter({(table, str(error)): len(rows)})
            refused = RowsLostError(lost, getattr(error, "hint", None))
            before = self._background.error
            self._background.error = (
                before + refused if isinstance(before, RowsLostError) else refused
            )

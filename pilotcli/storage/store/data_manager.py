"""PilotScope's `DataManager`: tables of collected data, kept in the store."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pilotcli.common import quantities
from pilotcli.common.closing import Closing
from pilotcli.common.errors import StoreError, UsageError
from pilotcli.common.suggestions import MOST_LISTED, did_you_mean
from pilotcli.config.pilot_config import PilotConfig
from pilotcli.storage.store import tables
from pilotcli.storage.store.background_writer import Appender
from pilotcli.storage.store.connection import Result, StoreConnection
from pilotcli.storage.store.copy_batch import KEY, Batch, checked_name
from pilotcli.storage.store.frames import frame_of
from pilotcli.storage.store.unsaved_rows import WaitingRow, WaitingRows

if TYPE_CHECKING:
    import pandas
    from psycopg2.extensions import cursor as Cursor

log = logging.getLogger(__name__)


class DataManager(Closing):
    """Saves rows in tables of the store and reads them as DataFrames.

    The first rows saved in a table define it; later rows add columns and widen numbers (see
    `pilotcli.storage.store.column_types` for the types). Each table also has the key
    `pilot_data_id`, which numbers the rows in the order of their commits; it is the last column of
    every frame. Table and column names are used unchanged and are case-sensitive.

    `read_update` continues where the last `read_all` or `read_update` ended. The store keeps that
    place for each table and `reader`, so that it outlives the process.

    Safe to use from several threads. Connects on first use. Every method raises `StoreError` when
    the store cannot be reached or written.
    """

    def __init__(self, config: PilotConfig) -> None:
        self.config = config
        self._store = StoreConnection(config)
        self._appender = Appender(self._save_appended)
        self._rows_of: str | None = None
        self._firing: str | None = None
        self._run_id: int | None = None

    def rehearse(self, run_id: int | None = None) -> None:
        """From here on, keep nothing: `close` takes back all that was saved, removed and read.
        Every reader begins with the first row.

        With `run_id`, tables that have a column of that name show the rows of that run alone.
        Raises `UsageError` if no table has rows of it.
        """
        self._store.rehearse()

        def begin(cursor: Cursor) -> None:
            tables.shadow_visits(cursor)
            if run_id is not None and run_id not in (runs := tables.run_ids(cursor)):
                listed = quantities.listed(list(map(str, runs)), MOST_LISTED)
                raise UsageError(
                    f"the store has no rows of run {run_id}",
                    hint=f"It has rows of these runs: {listed}."
                    if runs
                    else "No row in it says which run it is of.",
                )

        self._store.transaction(begin)
        self._run_id = run_id

    def row_counts(self) -> dict[str, int]:
        """The number of rows in each table that has some."""

        def count(cursor: Cursor) -> dict[str, int]:
            names = tables.data_tables(cursor)
            return {name: tables.row_count(cursor, name, self._run_id) for name in names}

        return {name: rows for name, rows in self._store.transaction(count).items() if rows}

    def connect(self) -> None:
        """Connect now; raises `StoreError` when the store cannot be reached."""
        self._store.transaction(lambda cursor: None)

    def try_writing(
        self, row: Mapping[str, Any], table: str | None = None, others: Collection[str] = ()
    ) -> None:
        """Make a table, write `row` to it, and leave marks and visits; write the row to `table`,
        too, if it is there, and look whether the tables `others` are the store's. All of it is
        taken back. Raises `StoreError` when something is refused."""
        probe = f"pilot_probe_{secrets.token_hex(8)}"

        def work(cursor: Cursor) -> None:
            for name in others:
                tables.columns_of(cursor, name)
            wanted = [probe]
            if table is not None and tables.columns_of(cursor, table) is not None:
                wanted.append(table)
            for name in wanted:
                with Batch(name, [row]) as batch:
                    _write(cursor, batch, (probe, "1"))
                tables.visit(cursor, name, probe)
                tables.set_visit(cursor, name, probe, 1, None)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            raise _Tried

        with suppress(_Tried):
            self._store.transaction(work, table)

    def save_data(self, table: str, column_2_value: Mapping[str, Any]) -> None:
        """Save one row, a mapping of column to value. An empty row is not saved."""
        self._save(table, [column_2_value])

    def save_data_batch(
        self,
        table: str,
        column_2_value_list: Iterable[Mapping[str, Any]],
        *,
        mark: tuple[str, str] | None = None,
    ) -> None:
        """Save many rows in one transaction: all of them or, if one cannot be stored, none.

        The rows may come from a generator and need not fit into memory. A column that a row lacks
        is NULL. `mark`, a name and a text, is saved in the same transaction.
        """
        self._save(table, column_2_value_list, mark)

    def mark(self, table: str, name: str) -> str | None:
        """Returns the text of the mark `name` saved with rows of `table`; None without one."""
        return self._store.transaction(lambda cursor: tables.mark(cursor, table, name), table)

    def append(
        self,
        table: str,
        column_2_value: Mapping[str, Any],
        *,
        number: int | None = None,
        file: int | None = None,
    ) -> None:
        """Save one row soon: a background thread saves rows in batches.

        The row is in the store after the next `flush`, `read_all`, `read_update` or `close` at the
        latest. The next call raises the thread's error. `number` and `file` belong to a row that
        `keep` has kept.
        """
        self._appender.append(checked_name("table", table), column_2_value, number, file)

    def keep_rows(self, waiting: WaitingRows, run: str) -> None:
        """Keep numbered rows of the run `run` in `waiting` until they are saved."""
        self._rows_of = f"rows of run {run}"
        self._appender.keep_in(waiting)

    def keep(self, table: str, column_2_value: Mapping[str, Any], number: int) -> int | None:
        """Keep a row before `append` takes it, so that a kill does not lose it; returns the number
        of the row's file. Raises `StorageError`."""
        return self._appender.keep(table, column_2_value, number)

    def append_kept(self, rows: Sequence[WaitingRow], table: str, most: int) -> int:
        """Append those of `rows` that the store does not have, up to the row number `most`; returns
        how many were appended."""
        assert self._rows_of is not None
        last = int(self.mark(table, self._rows_of) or 0)
        left = [row for row in rows if row.table == table and last < row.number <= most]
        for row in left:
            self.collect(table, row.row, row.number)
        self.flush_collected()
        return len(left)

    def begin_firing(self, firing: str, *, resumed: bool) -> None:
        """Record which firing reads from now on. A `resumed` firing reads the same rows again."""
        self._firing = firing
        if resumed:
            self._store.transaction(lambda cursor: tables.take_back_visits(cursor, firing))

    def flush(self) -> None:
        """Save all rows that `append` has taken. Raises the background thread's error."""
        self._appender.flush()

    def flush_collected(self) -> None:
        """Save the rows that a run has collected. Rows that the store refuses count as lost, which
        `close` reports. Raises `StoreUnreachableError` if the store takes nothing now."""
        with self._appender.losing():
            self._appender.flush()

    def collect(
        self, table: str, column_2_value: Mapping[str, Any], number: int, file: int | None = None
    ) -> None:
        """Append a row that a run has collected, as `append` does; rows that the store has refused
        count as lost, which `close` reports."""
        with self._appender.losing():
            self.append(table, column_2_value, number=number, file=file)

    def read_all(self, table: str, *, reader: str = "") -> pandas.DataFrame:
        """Returns all rows of `table`, in the order of the key.

        For a table that does not exist, returns an empty frame without columns and logs the nearest
        name that exists: events may read before anything was collected.
        """
        return self._read(table, reader, only_new=False)

    def read_update(self, table: str, *, reader: str = "") -> pandas.DataFrame:
        """Returns the rows saved in `table` since `reader` last read it, in the order of the key.

        Each row is returned once, even if others write at the same time; a firing that is
        resumed gets its rows again. A table that does not exist is handled as in `read_all`.
        """
        return self._read(table, reader, only_new=True)

    def remove_table_and_tracker(self, table: str) -> None:
        """Remove `table` and every reader's place in it; does nothing for a missing table."""
        self._saved(table, lambda cursor: tables.drop(cursor, table))

    def exist_table(self, table: str) -> bool:
        """Returns whether the store has `table`."""
        return self._saved(table, lambda cursor: tables.columns_of(cursor, table) is not None)

    def row_count(self, table: str) -> int:
        """Returns the number of rows in `table`; 0 for a missing table."""
        return self._saved(table, lambda cursor: tables.row_count(cursor, table, self._run_id))

    def close(self) -> None:
        """Save the rows that `append` has taken and close the connection; safe to call twice."""
        try:
            self._appender.close()
            if self._rows_of is not None and self._store.is_open:
                name = self._rows_of
                self._store.transaction(lambda cursor: tables.remove_mark(cursor, name))
                self._rows_of = None
        finally:
            self._store.close()

    def _save_appended(
        self, table: str, rows: Iterable[Mapping[str, Any]], last: int | None
    ) -> None:
        mark = None if self._rows_of is None or last is None else (self._rows_of, str(last))
        self._save(table, rows, mark)

    def _save(
        self,
        table: str,
        rows: Iterable[Mapping[str, Any]],
        mark: tuple[str, str] | None = None,
    ) -> None:
        if table in tables.OWN:
            raise StoreError(f"the table {table!r} is the store's own", hint="Use another name.")
        with Batch(table, rows) as batch:
            if batch.row_count or mark is not None:
                self._store.transaction(lambda cursor: _write(cursor, batch, mark), table)

    def _read(self, table: str, reader: str, *, only_new: bool) -> pandas.DataFrame:
        def read(cursor: Cursor) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
            columns = tables.columns_of(cursor, table)
            if columns is None:
                hint = did_you_mean(table, tables.names(cursor), listed="It has")
                log.warning("the store has no table %r. %s", table, hint)
                return {}, []
            visited = tables.visit(cursor, table, reader)
            last = visited or 0 if only_new else 0
            columns[KEY] = "bigint"
            # Without arguments to fill in, so that a percent sign in a name is only that.
            cursor.execute(
                f"SELECT {', '.join(map(tables.quoted, columns))} FROM {tables.quoted(table)} "  # noqa: S608
                f"WHERE {KEY} > {last:d} AND {tables.of_run(columns, self._run_id)} ORDER BY {KEY}"
            )
            rows = cursor.fetchall()
            if rows:
                tables.set_visit(cursor, table, reader, rows[-1][-1], self._firing)
            return columns, rows

        return frame_of(*self._saved(table, read))

    def _saved(self, table: str, work: Callable[[Cursor], Result]) -> Result:
        """Save what `append` has taken, then run `work` on `table` in a transaction."""
        checked_name("table", table)
        self.flush()
        return self._store.transaction(work, table)


class _Tried(Exception):
    """Ends a transaction that is only tried."""


def _write(cursor: Cursor, batch: Batch, mark: tuple[str, str] | None) -> None:
    if batch.row_count:
        tables.write(cursor, batch)
    if mark is not None:
        tables.set_mark(cursor, batch.table, *mark)

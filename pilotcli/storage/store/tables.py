"""The store's tables: made from rows, widened by rows, and read from a given key on.

Every function works inside the transaction of its psycopg2 cursor, and quotes all names. A writer
gives out the keys of a table under a lock that it holds until the commit. So the order of keys is
the order of commits, and a reader that has read up to a key has missed no row below it. This holds
for rows that pilot writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from pilotcli.common.errors import StoreError
from pilotcli.storage.store.column_types import Kind, joined
from pilotcli.storage.store.copy_batch import KEY, Batch

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

VISITS = "pilot_visits"
"""The table that has the key up to which each reader has read; where an event's firing has moved
it, also the key before that, and the firing."""

MARKS = "pilot_marks"
"""The table of marks, which are set together with rows: how much their writer has saved."""

RUN_ID = "run_id"
"""The column of collected rows that has the number of their run."""

OWN = (VISITS, MARKS)
"""Tables of the store that are no data."""

COPY_BLOCK_BYTES = 1 << 18

_KINDS = {kind.sql: kind for kind in Kind if kind is not Kind.EMPTY}
_NARROW = {"smallint": Kind.INT, "integer": Kind.INT, "real": Kind.FLOAT}
"""Types that pilot does not make; a write changes columns of these types to pilot's."""
_ALIKE = {"jsonb": Kind.JSON, "character varying": Kind.TEXT, "character": Kind.TEXT}


def quoted(name: str) -> str:
    """`name` as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def names(cursor: Cursor) -> list[str]:
    """The store's tables, sorted."""
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relname <> ALL (%s) "
        "AND relnamespace = current_schema()::regnamespace ORDER BY relname",
        (list(OWN),),
    )
    return [row[0] for row in cursor.fetchall()]


def columns_of(cursor: Cursor, table: str) -> dict[str, str] | None:
    """Column to type (as `format_type` writes it), without the key; None without a table.

    Raises `StoreError` for a table that lacks the key: it is not one of the store's.
    """
    cursor.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (quoted(table),),
    )
    columns = dict(cursor.fetchall())
    if not columns:
        return None
    if columns.pop(KEY, None) is None:
        raise StoreError(
            f"the table {table!r} in the store was not made by pilot: it has no column {KEY!r}",
            hint="Use another name for the table, or another database for the store.",
        )
    return columns


def lock_for_writing(cursor: Cursor, table: str) -> None:
    """Become the only writer of `table` until the end of the transaction."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"pilot:{table}",))


def write(cursor: Cursor, batch: Batch) -> None:
    """Save the rows of `batch` in its table, which is created or changed as needed.

    Raises `StoreError` when a column cannot take the values of the rows.
    """
    table = batch.table
    lock_for_writing(cursor, table)
    existing = columns_of(cursor, table)
    if existing is None:
        columns = [f"{quoted(name)} {kind.sql}, " for name, kind in batch.columns.items()]
        cursor.execute(
            f"CREATE TABLE {quoted(table)} ({''.join(columns)}"
            f"{quoted(KEY)} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)"
        )
    else:
        _fit(cursor, table, existing, batch.columns)
    for columns, part in batch.parts():
        listed = ", ".join(map(quoted, columns))
        cursor.copy_expert(
            f"COPY {quoted(table)} ({listed}) FROM STDIN",
            part,  # type: ignore[arg-type]  # the stubs ask for readline too, which is not used
            COPY_BLOCK_BYTES,
        )


def _fit(
    cursor: Cursor, table: str, existing: Mapping[str, str], wanted: Mapping[str, Kind]
) -> None:
    """Change `table` so that its columns take values of the kinds `wanted`."""
    changes = []
    for name, kind in wanted.items():
        if name not in existing:
            changes.append(f"ADD COLUMN {quoted(name)} {kind.sql}")
        elif kind is not Kind.EMPTY:
            changes.append(_widening(cursor, table, name, existing[name], kind))
    if any(changes):
        cursor.execute(f"ALTER TABLE {quoted(table)} {', '.join(filter(None, changes))}")


def _widening(cursor: Cursor, table: str, name: str, has: str, kind: Kind) -> str:
    """The change that makes the column `name` take values of `kind`; empty when it does so now."""
    here = _KINDS.get(has) or _NARROW.get(has) or _ALIKE.get(has.partition("(")[0])
    both = joined(here, kind) if here is not None else None
    if both is not None and both is here and has not in _NARROW:
        return ""
    if both is not None:
        # A double goes to numeric as its text: the cast itself keeps 15 digits only.
        through = "::text" if here is Kind.FLOAT and both is Kind.DECIMAL else ""
        using = f"{quoted(name)}{through}::{both.sql}"
    elif _is_empty(cursor, table, name):
        both, using = kind, f"NULL::{kind.sql}"
    else:
        raise StoreError(
            f"nothing was saved: the column {name!r} of the table {table!r} is {has}, "
            f"and the new rows bring {kind.sql}",
            hint="Give the values that type, or use another column or table.",
        )
    return f"ALTER COLUMN {quoted(name)} TYPE {both.sql} USING {using}"


def _is_empty(cursor: Cursor, table: str, name: str) -> bool:
    """Whether the column holds no value, so that it can take any type."""
    filled = f"SELECT FROM {quoted(table)} WHERE {quoted(name)} IS NOT NULL"
    return bool(_value(cursor, f"SELECT NOT EXISTS ({filled})"))


def row_count(cursor: Cursor, table: str, run_id: int | None = None) -> int:
    """The number of rows in `table`, or of those that `of_run` takes; 0 without a table."""
    columns = columns_of(cursor, table)
    if columns is None:
        return 0
    condition = of_run(columns, run_id)
    return int(_value(cursor, f"SELECT count(*) FROM {quoted(table)} WHERE {condition}"))  # noqa: S608


def of_run(columns: Collection[str], run_id: int | None) -> str:
    """A condition for the rows of one run; for all rows without a run, or in a table whose rows do
    not say which run they are of."""
    return "true" if run_id is None or RUN_ID not in columns else f"{RUN_ID}::text = '{run_id:d}'"


def data_tables(cursor: Cursor) -> dict[str, set[str]]:
    """The columns of each table that pilot has made for rows."""
    cursor.execute(
        "SELECT relname, array_agg(attname::text) FROM pg_class JOIN pg_attribute "
        "ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped "
        "WHERE relname = ANY (%s) AND relnamespace = current_schema()::regnamespace "
        "GROUP BY relname ORDER BY relname",
        (names(cursor),),
    )
    return {name: set(columns) for name, columns in cursor.fetchall() if KEY in columns}


def run_ids(cursor: Cursor) -> list[int]:
    """The runs of which there are rows, in their order."""
    found: set[int] = set()
    for table, columns in data_tables(cursor).items():
        if RUN_ID in columns:
            cursor.execute(f"SELECT DISTINCT {RUN_ID} FROM {quoted(table)}")  # noqa: S608
            found.update(row[0] for row in cursor.fetchall() if isinstance(row[0], int))
    return sorted(found)


def shadow_visits(cursor: Cursor) -> None:
    """Have this session see a table of visits of its own, which is empty: temporary tables come
    first where a name is looked up."""
    _make_own(cursor)
    cursor.execute(f"CREATE TEMPORARY TABLE {VISITS} (LIKE {VISITS} INCLUDING ALL)")


def drop(cursor: Cursor, table: str) -> None:
    """Remove `table` and every reader's place in it; does nothing without one."""
    lock_for_writing(cursor, table)
    if columns_of(cursor, table) is not None:
        forget_visits(cursor, table)
        cursor.execute(f"DELETE FROM {MARKS} WHERE table_name = %s", (table,))  # noqa: S608
        cursor.execute(f"DROP TABLE {quoted(table)}")


def visit(cursor: Cursor, table: str, reader: str) -> int | None:
    """The key up to which `reader` has read `table`, None before its first visit.

    Other visits of the same reader wait until the end of the transaction.
    """
    _make_own(cursor)
    last_read_id: int | None = _value(
        cursor,
        f"INSERT INTO {VISITS} (table_name, reader) VALUES (%s, %s) "  # noqa: S608
        "ON CONFLICT (table_name, reader) DO UPDATE SET reader = excluded.reader "
        "RETURNING last_read_id",
        *(table, reader),
    )
    return last_read_id


def forget_visits(cursor: Cursor, table: str) -> None:
    """Forget every reader's place in `table`."""
    _make_own(cursor)
    cursor.execute(f"DELETE FROM {VISITS} WHERE table_name = %s", (table,))  # noqa: S608


def set_visit(
    cursor: Cursor, table: str, reader: str, last_read_id: int, firing: str | None
) -> None:
    """Remember that `reader` has read `table` up to `last_read_id`, and in which `firing`."""
    cursor.execute(
        f"UPDATE {VISITS} SET last_read_id = %s, firing = %s, "  # noqa: S608
        "before_id = CASE WHEN firing = %s THEN before_id ELSE last_read_id END "
        "WHERE table_name = %s AND reader = %s",
        (last_read_id, firing, firing, table, reader),
    )


def take_back_visits(cursor: Cursor, firing: str) -> None:
    """Set all places that `firing` has moved to where they were before it."""
    _make_own(cursor)
    cursor.execute(
        f"UPDATE {VISITS} SET last_read_id = before_id WHERE firing = %s",  # noqa: S608
        (firing,),
    )


def set_mark(cursor: Cursor, table: str, name: str, text: str) -> None:
    """Set the mark `name` of `table`."""
    _make_own(cursor)
    cursor.execute(
        f"INSERT INTO {MARKS} (table_name, name, text) VALUES (%s, %s, %s) "  # noqa: S608
        "ON CONFLICT (table_name, name) DO UPDATE SET text = excluded.text",
        (table, name, text),
    )


def mark(cursor: Cursor, table: str, name: str) -> str | None:
    """The text of the mark `name` of `table`; None without one."""
    _make_own(cursor)
    cursor.execute(
        f"SELECT text FROM {MARKS} WHERE table_name = %s AND name = %s",  # noqa: S608
        (table, name),
    )
    row = cursor.fetchone()
    return None if row is None else str(row[0])


def remove_mark(cursor: Cursor, name: str) -> None:
    """Remove the mark `name` of every table."""
    _make_own(cursor)
    cursor.execute(f"DELETE FROM {MARKS} WHERE name = %s", (name,))  # noqa: S608


def _make_own(cursor: Cursor) -> None:
    """Make the tables of visits and of marks; an older pilot's visits get the newer columns."""
    sql = (
        "SELECT count(*) FROM pg_attribute WHERE attname IN ('firing', 'text') "
        "AND attrelid IN (to_regclass(%s), to_regclass(%s))"
    )
    if _value(cursor, sql, *OWN) < len(OWN):
        lock_for_writing(cursor, VISITS)
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {VISITS} (table_name text, reader text, "
            "last_read_id bigint, PRIMARY KEY (table_name, reader)); "
            f"ALTER TABLE {VISITS} ADD COLUMN IF NOT EXISTS before_id bigint, "
            "ADD COLUMN IF NOT EXISTS firing text; "
            f"CREATE TABLE IF NOT EXISTS {MARKS} (table_name text, name text, text text, "
            "PRIMARY KEY (table_name, name))"
        )


def _value(cursor: Cursor, sql: str, *arguments: object) -> Any:
    """Returns the first value of a statement that returns a row."""
    cursor.execute(sql, arguments or None)
    row = cursor.fetchone()
    assert row is not None
    return row[0]

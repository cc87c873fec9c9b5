"""Data and queries of DuckDB's extensions, which come from PyPI and need no download."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotcli.common.errors import UsageError

INSTALL = "pip install duckdb duckdb-extension-tpch duckdb-extension-tpcds"
"""What brings the packages of the extra `benchmarks`."""

_MOST_IN_MEMORY = 2.0
"""The largest scale whose data DuckDB keeps in memory (about 1 GB for each)."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns as (name, type), its primary key (or an empty text), its foreign
    keys and its indexes.

    A foreign key is (columns, table, columns), with the columns as text: `ps_partkey, ps_suppkey`.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    key: str
    references: tuple[tuple[str, str, str], ...] = ()
    indexes: tuple[str, ...] = ()


@contextlib.contextmanager
def connection(file: Path | None = None) -> Iterator[Any]:
    """Gives a connection of DuckDB, to a new database in memory or in `file`.

    `file` is deleted at the end. What DuckDB refuses becomes a `UsageError`.
    """
    import duckdb

    try:
        with contextlib.closing(duckdb.connect(str(file or ":memory:"))) as duck:
            yield duck
    except duckdb.Error as exc:
        raise UsageError(
            f"DuckDB failed: {str(exc).partition(chr(10))[0]}",
            hint="Look at the space on the disk and in memory, or choose a smaller --scale.",
        ) from exc
    except RuntimeError as exc:
        if str(exc) != "Query interrupted":
            raise
        raise KeyboardInterrupt from exc  # DuckDB's own error for Ctrl-C
    if file is not None:
        file.unlink()


@contextlib.contextmanager
def generator(name: str, scale: float, folder: Path) -> Iterator[Any]:
    """Gives a connection of DuckDB that holds the data of `name` (`tpch`, `tpcds`) in `scale`.

    Much data is kept in a file in `folder`, which is deleted at the end. Raises `UsageError` where
    the extension does not fit to DuckDB.
    """
    import duckdb

    file = folder / f".{name}.duckdb" if scale > _MOST_IN_MEMORY else None
    with connection(file) as duck:
        found = sorted(
            package_folder(f"duckdb_extension_{name}").glob(
                f"extensions/v{duckdb.__version__}/*.duckdb_extension"
            )
        )
        if not found:
            raise UsageError(
                f"duckdb-extension-{name} is not for the installed duckdb {duckdb.__version__}",
                hint=f"Install releases that fit to each other: {INSTALL} --upgrade",
            )
        try:
            duck.execute(f"LOAD {quoted(found[0])}")
        except duckdb.Error as exc:
            raise UsageError(
                f"DuckDB cannot load its extension {name}: {exc}",
                hint=f"Install both again: {INSTALL} --upgrade --force-reinstall",
            ) from exc
        make = {"tpch": "dbgen", "tpcds": "dsdgen"}[name]
        _run(duck, f"CALL {make}(sf = {scale!r})")
        yield duck


def _run(duck: Any, sql: str) -> None:
    """Runs a statement that may take minutes, so that a signal ends it soon.

    DuckDB's generators look for a signal of the terminal when all rows are made only; an
    interruption from another thread is heard at once.
    """
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(duck.execute, sql)
        try:
            wait([running])
        except BaseException:
            duck.interrupt()
            raise
        running.result()


def package_folder(package: str) -> Path:
    """Returns the folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def quoted(path: Path) -> str:
    """Returns a path as a SQL string."""
    return "'" + str(path).replace("'", "''") + "'"


def queries(duck: Any, name: str) -> list[str]:
    """Returns the texts of the benchmark's queries, in the order of their numbers."""
    found = duck.execute(f"SELECT query FROM {name}_queries() ORDER BY query_nr").fetchall()  # noqa: S608 - ours
    return [sql for (sql,) in found]


def write_schema(duck: Any, tables: Sequence[Table], folder: Path, title: str) -> None:
    """Write `schema.sql`, and a file in `data/` for each table, with its rows for COPY.

    Keys and indexes are made after the rows are there. FREEZE leaves nothing to do to a vacuum
    that would run while queries are measured.
    """
    (folder / "data").mkdir()
    parts = [f"-- {title}. Runs in one transaction: psql -1 -f schema.sql\n"]
    for table in tables:
        columns = ",\n".join(f"    {name} {kind}" for name, kind in table.columns)
        parts.append(f"CREATE TABLE {table.name} (\n{columns}\n);\n")
    parts += [
        f"\\ir data/{table.name}.sql"
        for table in tables
        if _write_rows(duck, table.name, folder / "data" / f"{table.name}.sql")
    ]
    parts.append("")
    keyed = [table for table in tables if table.key]
    parts += [f"ALTER TABLE {table.name} ADD PRIMARY KEY ({table.key});" for table in keyed]
    parts += [
        f"CREATE INDEX ON {table.name} ({index});" for table in tables for index in table.indexes
    ]
    parts += [
        f"ALTER TABLE {table.name} ADD FOREIGN KEY ({columns}) REFERENCES {target} ({key});"
        for table in tables
        for columns, target, key in table.references
    ]
    parts += [f"ANALYZE {table.name};" for table in tables]
    (folder / "schema.sql").write_text("\n".join(parts) + "\n", "utf-8")


def _write_rows(duck: Any, table: str, path: Path) -> bool:
    """Write the rows of a table; returns False for a table without rows, and writes nothing."""
    if not duck.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall():  # noqa: S608 - ours
        return False
    head = f"COPY {table} FROM STDIN (FREEZE);\n"
    # COPY's text format: psql 17 and older send the last line of other formats as a row.
    duck.execute(
        f"COPY ({_rows(duck, table)}) TO {quoted(path)} (FORMAT csv, HEADER false,"
        f" DELIMITER '\t', QUOTE '', ESCAPE '', NULLSTR '\\N', PREFIX '{head}', SUFFIX '\n\\.\n')"
    )
    return True


_ESCAPES = (("'\\'", r"'\\'"), ("chr(9)", r"'\t'"), ("chr(10)", r"'\n'"), ("chr(13)", r"'\r'"))
"""What COPY's text format escapes, first the backslash, and how; both as SQL."""


def _rows(duck: Any, table: str) -> str:
    """Returns a query for the rows, with escapes in the columns that need them."""
    columns = []
    for name, kind, *_ in duck.execute(f"DESCRIBE {table}").fetchall():
        column = f'"{name}"'
        special = " OR ".join(f"contains({column}, {character})" for character, _ in _ESCAPES)
        found = f"SELECT 1 FROM {table} WHERE {special} LIMIT 1"  # noqa: S608 - ours
        if kind == "VARCHAR" and duck.execute(found).fetchall():
            for character, escape in _ESCAPES:
                column = f"replace({column}, {character}, {escape})"
        columns.append(column)
    return f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - ours

"""Data and queries of DuckDB's extensions, which come from PyPI and need no download."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
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
    """A table: its columns as (name, type), its primary key, and its foreign keys.

    A foreign key is (columns, table, columns), with the columns as text: `ps_partkey, ps_suppkey`.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    key: str
    references: tuple[tuple[str, str, str], ...] = ()
    indexes: tuple[str, ...] = ()


@contextlib.contextmanager
def generator(name: str, scale: float, folder: Path) -> Iterator[Any]:
    """Gives a connection of DuckDB that holds the data of `name` (`tpch`, `tpcds`) in `scale`.

    Much data is kept in a file in `folder`, which is deleted at the end. Raises `UsageError` where
    a package is missing or does not fit.
    """
    extension = _extension_folder(name)
    import duckdb

    file = folder / f".{name}.duckdb" if scale > _MOST_IN_MEMORY else None
    try:
        duck = duckdb.connect(str(file or ":memory:"))
    except duckdb.Error as exc:
        raise UsageError(f"DuckDB does not start: {exc}", hint=f"Renew it: {INSTALL}") from exc
    with contextlib.closing(duck):
        found = sorted(extension.glob(f"extensions/v{duckdb.__version__}/*.duckdb_extension"))
        if not found:
            raise UsageError(
                f"duckdb-extension-{name} is not for the installed duckdb {duckdb.__version__}",
                hint=f"Install releases that fit to each other: {INSTALL} --upgrade",
            )
        try:
            duck.execute(f"LOAD {_quoted(found[0])}")
        except duckdb.Error as exc:
            raise UsageError(
                f"DuckDB cannot load its extension {name}: {exc}",
                hint=f"Install both again: {INSTALL} --upgrade --force-reinstall",
            ) from exc
        make = {"tpch": "dbgen", "tpcds": "dsdgen"}[name]
        duck.execute(f"CALL {make}(sf = {scale!r})")
        yield duck
    if file is not None:
        file.unlink()


def _extension_folder(name: str) -> Path:
    missing = [
        package
        for package in ("duckdb", f"duckdb_extension_{name}")
        if importlib.util.find_spec(package) is None
    ]
    if missing:
        packages = " and ".join(package.replace("_", "-") for package in missing)
        raise UsageError(
            f"{name} needs {packages}, which {'is' if len(missing) == 1 else 'are'} not installed",
            hint=f"Install pilot's extra `benchmarks`: {INSTALL}",
        )
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _quoted(path: Path) -> str:
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
    parts += [f"ALTER TABLE {table.name} ADD PRIMARY KEY ({table.key});" for table in tables]
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
    head = f"COPY {table} FROM STDIN (FORMAT csv, FREEZE);\n"
    duck.execute(
        f"COPY {table} TO {_quoted(path)}"
        f" (FORMAT csv, HEADER false, PREFIX '{head}', SUFFIX '\n\\.\n')"
    )
    return True

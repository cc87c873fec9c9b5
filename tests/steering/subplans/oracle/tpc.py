"""TPC-H and TPC-DS for PostgreSQL, made by DuckDB's extensions.

They come from PyPI: `duckdb`, `duckdb-extension-tpch` and `duckdb-extension-tpcds`.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from .records import Case

BENCHMARKS = {"tpch": "dbgen", "tpcds": "dsdgen"}
_SCALE = 0.01

# The other tables have their first column as key.
_KEYS = {
    "lineitem": "l_orderkey, l_linenumber",
    "partsupp": "ps_partkey, ps_suppkey",
    "store_sales": "ss_item_sk, ss_ticket_number",
    "store_returns": "sr_item_sk, sr_ticket_number",
    "catalog_sales": "cs_item_sk, cs_order_number",
    "catalog_returns": "cr_item_sk, cr_order_number",
    "web_sales": "ws_item_sk, ws_order_number",
    "web_returns": "wr_item_sk, wr_order_number",
    "inventory": "inv_date_sk, inv_item_sk, inv_warehouse_sk",
}
_SPELLINGS = ((re.compile(r"\binterval\s+(\d+)\s+(\w+)", re.IGNORECASE), r"interval '\1 \2'"),)
"""DuckDB's spellings and PostgreSQL's."""


class NotAvailable(Exception):
    """DuckDB or its extension is not installed."""


def benchmark(name: str, folder: Path) -> tuple[Path, list[Case]]:
    """Returns a script that makes the benchmark's tables, and the benchmark's queries.

    `folder` takes the script and the tables' rows, which the server reads. Raises `NotAvailable`.
    """
    duck = _loaded(name)
    duck.execute(f"CALL {BENCHMARKS[name]}(sf = {_SCALE})")
    statements = []
    for (table,) in duck.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        rows = folder / f"{name}_{table}.csv"
        duck.execute(f"COPY {table} TO '{rows}' (FORMAT csv, HEADER false)")
        columns = duck.execute(
            f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{table}'"
            " ORDER BY column_index"
        ).fetchall()
        listed = ", ".join(f"{column} {_type(kind)}" for column, kind in columns)
        key = _KEYS.get(table, columns[0][0])
        statements += [
            f"CREATE TABLE {table} ({listed})",
            f"COPY {table} FROM '{rows}' (FORMAT csv)",
            f"ALTER TABLE {table} ADD PRIMARY KEY ({key})",
        ]
    script = folder / f"{name}.sql"
    script.write_text(";\n".join([*statements, "ANALYZE"]) + ";\n", "utf-8")
    queries = duck.execute(f"SELECT query_nr, query FROM {name}_queries()").fetchall()
    return script, [Case(f"{name}:{number}", _spelt(sql), borrowed=True) for number, sql in queries]


def _loaded(name: str) -> Any:
    """Returns a connection of DuckDB with the benchmark's extension."""
    package = f"duckdb_extension_{name}"
    if importlib.util.find_spec("duckdb") is None or importlib.util.find_spec(package) is None:
        raise NotAvailable(f"duckdb and {package.replace('_', '-')} are not installed")
    import duckdb

    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    place = Path(next(iter(spec.submodule_search_locations)))
    duck = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    duck.execute(f"LOAD '{next(place.rglob('*.duckdb_extension'))}'")
    return duck


def _type(kind: str) -> str:
    return "text" if kind == "VARCHAR" else kind


def _spelt(sql: str) -> str:
    sql = sql.strip().rstrip(";")
    for duckdb, postgres in _SPELLINGS:
        sql = duckdb.sub(postgres, sql)
    return sql

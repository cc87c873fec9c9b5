"""TPC-DS: DuckDB's dsdgen and its 99 queries, for PostgreSQL."""

from __future__ import annotations

import re
from typing import Any

from pilotcli.benchmarks.duck import Table

_KEYS = {
    "store_sales": "ss_item_sk, ss_ticket_number",
    "store_returns": "sr_item_sk, sr_ticket_number",
    "catalog_sales": "cs_item_sk, cs_order_number",
    "catalog_returns": "cr_item_sk, cr_order_number",
    "web_sales": "ws_item_sk, ws_order_number",
    "web_returns": "wr_item_sk, wr_order_number",
    "inventory": "inv_date_sk, inv_item_sk, inv_warehouse_sk",
}
"""The primary keys of the fact tables; the other tables have their first column as key."""

_TARGETS = {
    "date": ("date_dim", "d_date_sk"),
    "time": ("time_dim", "t_time_sk"),
    "item": ("item", "i_item_sk"),
    "customer": ("customer", "c_customer_sk"),
    "cdemo": ("customer_demographics", "cd_demo_sk"),
    "hdemo": ("household_demographics", "hd_demo_sk"),
    "addr": ("customer_address", "ca_address_sk"),
    "store": ("store", "s_store_sk"),
    "promo": ("promotion", "p_promo_sk"),
    "call_center": ("call_center", "cc_call_center_sk"),
    "catalog_page": ("catalog_page", "cp_catalog_page_sk"),
    "ship_mode": ("ship_mode", "sm_ship_mode_sk"),
    "warehouse": ("warehouse", "w_warehouse_sk"),
    "reason": ("reason", "r_reason_sk"),
    "page": ("web_page", "wp_web_page_sk"),
    "site": ("web_site", "web_site_sk"),
    "income_band": ("income_band", "ib_income_band_sk"),
}
"""By the end of a column's name before `_sk`: the key that the column refers to."""

_SALES = {"sr": ("store_sales", "ss"), "cr": ("catalog_sales", "cs"), "wr": ("web_sales", "ws")}

_WIDE = re.compile(r"_(ticket|order)_number$")


def tables(duck: Any) -> list[Table]:
    """Returns the tables that DuckDB has made, with the keys and references of the standard."""
    found = duck.execute(
        "SELECT table_name, list(column_name ORDER BY column_index),"
        " list(data_type ORDER BY column_index)"
        " FROM duckdb_columns() WHERE NOT internal GROUP BY table_name ORDER BY table_name"
    ).fetchall()
    return [_table(name, columns, kinds) for name, columns, kinds in found]


def _table(name: str, columns: list[str], kinds: list[str]) -> Table:
    key = _KEYS.get(name, columns[0])
    needed = set(key.split(", "))
    references, indexes = [], []
    for column in columns:
        target = _target(column)
        if target is None or target == (name, column):
            continue
        references.append((column, *target))
        if name in _KEYS and not key.startswith(column):
            indexes.append(column)
    for short, (sales, other) in _SALES.items():
        if key.startswith(f"{short}_"):
            references.append((key, sales, key.replace(f"{short}_", f"{other}_")))
    return Table(
        name,
        tuple(
            (column, _type(column, kind) + (" NOT NULL" if column in needed else ""))
            for column, kind in zip(columns, kinds, strict=True)
        ),
        key,
        tuple(references),
        tuple(indexes),
    )


def _target(column: str) -> tuple[str, str] | None:
    ends = [end for end in _TARGETS if column.endswith(f"_{end}_sk")]
    return _TARGETS[max(ends, key=len)] if ends else None


def _type(column: str, kind: str) -> str:
    if kind == "VARCHAR":
        return "text"
    if kind == "BIGINT":
        return "bigint" if _WIDE.search(column) else "integer"
    return kind.lower()


_INTERVAL = re.compile(r"\binterval\s+(\d+)\s+(\w+)", re.IGNORECASE)


def in_postgres(sql: str) -> str:
    """Returns a query of DuckDB in PostgreSQL's dialect."""
    return _INTERVAL.sub(r"interval '\1 \2'", sql)

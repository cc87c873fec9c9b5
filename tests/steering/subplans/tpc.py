"""Loads TPC-H and TPC-DS from DuckDB's extensions, as scripts for PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from oracle import Case

BENCHMARKS = ("tpch", "tpcds")


class NotAvailable(Exception):
    """DuckDB or its extension is not installed."""


def benchmark(name: str, folder: Path) -> tuple[Path, list[Case]]:
    """Returns a script that makes the benchmark's tables, and its queries."""
    raise NotAvailable("not yet")

"""Rows of a table as JSON lines, CSV or Parquet, one after the other."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pilotcli.common.errors import UsageError
from pilotcli.common.extras import install
from pilotcli.common.unsafe import csv_cell, escaped_json
from pilotcli.reports.tables import SCHEMA_VERSION, Row, Table

BATCH_ROWS = 10_000
BATCH_CHARS = 16_000_000
"""Text that a group of rows in a Parquet file holds at most, beside that of its last row."""

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def check_format(format: str, named: str) -> None:
    """Refuse a format that cannot be written here (`UsageError`); `named` is what asked for it."""
    if format != "parquet":
        return
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UsageError(
            f"{named}: Parquet needs pyarrow",
            hint=f"Install it: {install('parquet')}; or write CSV or JSON lines.",
        ) from None


def as_finite(value: Any) -> Any:
    """`value` with null for the numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {key: as_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json(value: Any) -> str:
    try:
        return _encode(value)
    except ValueError:  # a number that JSON does not have
        return _encode(as_finite(value))


def _jsonl(path: Path, table: Table, rows: Iterable[Row]) -> None:
    names = [column.name for column in table.columns]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(escaped_json(_json(dict(zip(names, row, strict=True)))) + "\n")


def without_formulas(row: Row) -> Row:
    """`row` with a quote before each text that a spreadsheet would take for a formula."""
    return tuple(
        [
            f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA else value
            for value in row
        ]
    )


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def _csv(path: Path, table: Table, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.name for column in table.columns])
        writer.writerows(map(csv_cell, row) for row in _flat(table, rows))


def _parquet(path: Path, table: Table, rows: Iterable[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        "integer": pa.int64(),
        "number": pa.float64(),
        "text": pa.string(),
        "json": pa.string(),
    }
    schema = pa.schema(
        [
            pa.field(column.name, types[column.kind], nullable=column.optional)
            for column in table.columns
        ],
        metadata={"pilot.schema_version": str(SCHEMA_VERSION), "pilot.table": table.name},
    )
    # A path that is not UTF-8 is for Python to open.
    with path.open("wb") as file, pq.ParquetWriter(file, schema) as writer:
        for batch in _batches(_flat(table, rows)):
            columns = zip(zip(*batch, strict=True), schema, strict=True)
            arrays = [pa.array(values, field.type) for values, field in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _flat(table: Table, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows for formats that know no objects: those as JSON text."""
    places = [place for place, column in enumerate(table.columns) if column.kind == "json"]
    for row in rows:
        if all(row[place] is None for place in places):
            yield row
            continue
        values = list(row)
        for place in places:
            if values[place] is not None:
                text = _json(values[place])
                values[place] = text.encode("utf-8", "backslashreplace").decode()
        yield tuple(values)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    chars = 0
    for row in rows:
        batch.append(row)
        chars += sum(len(value) for value in row if isinstance(value, str))
        if len(batch) == BATCH_ROWS or chars >= BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


FORMATS: dict[str, Callable[[Path, Table, Iterable[Row]], None]] = {
    "parquet": _parquet,
    "csv": _csv,
    "jsonl": _jsonl,
}
"""What writes rows to a file, by the format's name, which is also how the file's name ends. Only
some rows are in memory at a time. Raises `OSError`."""

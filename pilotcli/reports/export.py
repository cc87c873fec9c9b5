"""Runs as files for other tools: JSON lines, CSV or Parquet, by a schema that has a version.

Each table's columns stand in `docs/export.md`. Within a version, columns and tables are only added.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pilotcli.errors import UsageError
from pilotcli.names import did_you_mean
from pilotcli.records import QueryResult
from pilotcli.reports.files import check_file, whole_file
from pilotcli.storage.journal import JournalReader

__all__ = ["ENDINGS", "SCHEMA_VERSION", "TABLES", "check_export", "export_table", "export_tables"]

SCHEMA_VERSION = 1
BATCH_ROWS = 10_000
Kind = Literal["integer", "number", "text", "boolean", "json"]

TABLES: Mapping[str, Mapping[str, Kind]] = {
    "results": {
        "seq": "integer",
        "label": "text",
        "status": "text",
        "started_at": "number",
        "elapsed_s": "number",
        "row_count": "integer",
        "error": "text",
        "sqlstate": "text",
        "inference_s": "number",
        "collection_s": "number",
        "round": "integer",
        "worker": "integer",
        "file": "text",
        "line": "integer",
        "steering": "json",
        "attempts": "integer",
        "planning_s": "number",
        "execution_s": "number",
        "steering_s": "number",
        "answer": "text",
    },
    "queries": {
        "seq": "integer",
        "label": "text",
        "file": "text",
        "line": "integer",
        "command": "text",
        "sql": "text",
        "sql_chars": "integer",
    },
    "firings": {
        "event": "text",
        "kind": "text",
        "reason": "text",
        "after_query": "integer",
        "outcome": "text",
        "duration_s": "number",
        "fired": "integer",
        "fired_at": "number",
        "error": "text",
        "traceback": "text",
    },
    "models": {
        "model": "text",
        "version": "integer",
        "path": "text",
        "created_at": "number",
        "size_bytes": "integer",
        "sha256": "text",
        "event": "text",
        "query_seq": "integer",
        "trained_rows": "integer",
        "metrics": "json",
    },
    "plans": {"seq": "integer", "round": "integer", "plan": "json"},
    "runs": {
        "run_id": "integer",
        "kind": "text",
        "workload": "text",
        "config_path": "text",
        "database": "text",
        "options": "json",
        "started_at": "number",
        "finished_at": "number",
        "status": "text",
        "exit_code": "integer",
        "paired_with": "integer",
        "arm": "text",
    },
}
"""The tables, and the kind of each column."""


def check_export(
    path: Path, option: str, workload: Sequence[str] = (), *, made: bool = False
) -> None:
    """Refuse a file that could not be written, or that is part of the `workload` (`UsageError`).
    With `made` its folder is yet to be made."""
    if path.resolve() in {Path(one).resolve() for one in workload}:
        raise UsageError(
            f"{option} {path} is the workload itself, which it would replace",
            hint="Name another file.",
        )
    if path.suffix not in ENDINGS:
        raise UsageError(
            f"{option} {path}: results are written as {', '.join(ENDINGS)}",
            hint="The ending of the file's name chooses.",
        )
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise UsageError(
                f"{option} {path}: Parquet needs pyarrow",
                hint="Install it with: pip install 'pilot-db[parquet]'; or write .jsonl or .csv.",
            ) from None
    if not made:
        check_file(path, option)


def export_table(path: Path, journal: JournalReader, run_id: int, table: str = "results") -> None:
    """Write one table of a run to `path`, whole or not at all; its ending chooses the format.

    Raises `UsageError` for an unknown table, `StorageError` when it cannot be written.
    """
    columns = TABLES.get(table)
    if columns is None:
        raise UsageError(
            f"there is no table {table!r}", hint=did_you_mean(table, list(TABLES), listed="Tables")
        )
    record = journal.run(run_id)
    with whole_file(path) as temporary:
        _WRITERS[path.suffix](temporary, columns, _rows(journal, record.run_id, table))


def export_tables(folder: Path, journal: JournalReader, run_id: int, ending: str) -> list[Path]:
    """Write every table of a run into `folder`, which is made when it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"the folder {folder} cannot be made: {exc.strerror}") from exc
    paths = [folder / f"{table}{ending}" for table in TABLES]
    for path in paths:
        export_table(path, journal, run_id, path.stem)
    return paths


def _rows(journal: JournalReader, run_id: int, table: str) -> Iterator[dict[str, Any]]:
    if table == "results":
        return (_result(one) for one in journal.results(run_id))
    if table == "queries":
        return (asdict(one) for one in journal.queries(run_id))
    if table == "firings":
        return ({**asdict(one), "kind": one.kind.value} for one in journal.firings(run_id))
    if table == "models":
        return (
            {**asdict(one), "path": str(one.path), "metrics": dict(one.metrics)}
            for one in journal.models(run_id)
        )
    if table == "plans":
        return (asdict(one) for one in journal.plans(run_id))
    return iter([asdict(journal.run(run_id))])


def _result(result: QueryResult) -> dict[str, Any]:
    row = result._asdict()
    if result.steering is not None:
        row["steering"] = asdict(result.steering)
    return row


def _flat(row: Mapping[str, Any], columns: Mapping[str, Kind]) -> dict[str, Any]:
    """A row for files that know no objects: these as JSON text."""
    return {
        name: json.dumps(row[name], ensure_ascii=False)
        if kind == "json" and row[name] is not None
        else row[name]
        for name, kind in columns.items()
    }


def _jsonl(path: Path, columns: Mapping[str, Kind], rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            told = {name: row[name] for name in columns}
            file.write(json.dumps(told, ensure_ascii=False) + "\n")


def _csv(path: Path, columns: Mapping[str, Kind], rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(_flat(row, columns) for row in rows)


def _parquet(path: Path, columns: Mapping[str, Kind], rows: Iterator[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
    schema = pa.schema(
        [(name, types.get(kind, pa.string())) for name, kind in columns.items()],
        metadata={"pilot.schema_version": str(SCHEMA_VERSION)},
    )
    with pq.ParquetWriter(path, schema) as writer:
        while batch := [_flat(row, columns) for row in islice(rows, BATCH_ROWS)]:
            writer.write_table(pa.Table.from_pylist(batch, schema))


_WRITERS: dict[str, Callable[[Path, Mapping[str, Kind], Iterator[dict[str, Any]]], None]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
ENDINGS = tuple(_WRITERS)
"""The endings of file names that choose a format."""

"""The results of a run as a file for other tools: JSON lines, CSV or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_type_hints

from pilotcli.errors import UsageError
from pilotcli.records import QueryResult
from pilotcli.reports.files import check_file, whole_file
from pilotcli.storage.journal import Journal

__all__ = ["check_output", "write_results"]

COLUMNS = QueryResult._fields
BATCH_ROWS = 10_000


def check_output(path: Path, workload: Sequence[str] = ()) -> None:
    """Refuse, before a run, a file that could not be written after it, or that is part of the
    `workload` (`UsageError`)."""
    if path.resolve() in {Path(one).resolve() for one in workload}:
        raise UsageError(
            f"--output {path} is the workload itself, which it would replace",
            hint="Name another file.",
        )
    if path.suffix not in _WRITERS:
        raise UsageError(
            f"--output {path}: results are written as {', '.join(_WRITERS)}",
            hint="The ending of the file's name chooses.",
        )
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise UsageError(
                f"--output {path}: Parquet needs pyarrow",
                hint="Install it with: pip install 'pilot-db[parquet]'; or write .jsonl or .csv.",
            ) from None
    check_file(path, "--output")


def write_results(home: Path, run_id: int, path: Path) -> None:
    """Write every result of the run to `path`, one row each with the fields of `QueryResult`.

    The file appears whole or not at all. Raises `StorageError` when it cannot be written.
    """
    with Journal.open(home) as journal, whole_file(path) as temporary:
        _WRITERS[path.suffix](temporary, journal.results(run_id))


def _jsonl(path: Path, results: Iterator[QueryResult]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for result in results:
            file.write(json.dumps(_row(result), ensure_ascii=False) + "\n")


def _row(result: QueryResult) -> dict[str, Any]:
    row = result._asdict()
    if result.steering is not None:
        row["steering"] = asdict(result.steering)
    return row


def _flat(result: QueryResult) -> dict[str, Any]:
    """A row for files that know no objects: `steering` as JSON text."""
    row = _row(result)
    if result.steering is not None:
        row["steering"] = json.dumps(row["steering"], ensure_ascii=False)
    return row


def _csv(path: Path, results: Iterator[QueryResult]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(_flat(result) for result in results)


def _parquet(path: Path, results: Iterator[QueryResult]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    hints = get_type_hints(QueryResult)
    types: dict[Any, Any] = {int: pa.int64(), int | None: pa.int64(), float: pa.float64()}
    schema = pa.schema((name, types.get(hints[name], pa.string())) for name in COLUMNS)
    with pq.ParquetWriter(path, schema) as writer:
        batch: list[dict[str, Any]] = []
        for result in results:
            batch.append(_flat(result))
            if len(batch) == BATCH_ROWS:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch.clear()
        writer.write_table(pa.Table.from_pylist(batch, schema))


_WRITERS: dict[str, Callable[[Path, Iterator[QueryResult]], None]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}

"""A run as tables for other tools: their columns, and their rows as they stand in the journal.

The tables are part of the public format (`docs/export.md`): a column may be added, none changes its
name, type or meaning within a `SCHEMA_VERSION`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass
from typing import Any, Literal

from pilotcli.common.records import EPOCH_S, ModelVersion, QueryResult, Stored
from pilotcli.storage.journal import FiringRecord, JournalReader, RunRecord
from pilotcli.storage.journal.rows import RESULT_FIELDS

__all__ = ["SCHEMA_VERSION", "TABLES", "Column", "Kind", "Row", "Table"]

SCHEMA_VERSION = 1

Kind = Literal["integer", "number", "text", "json"]
"""What a column holds: `json` is an object in JSON lines, and its text in the other formats."""

Row = tuple[Any, ...]
"""The values of a row, in the order of its table's columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `optional` ones may be null; `unit` is empty for what has none."""

    name: str
    kind: Kind
    optional: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a run. `read` yields its rows, one at a time, from the journal."""

    name: str
    columns: tuple[Column, ...]
    read: Callable[[JournalReader, int], Iterator[Row]]

    def rows(self, journal: JournalReader, run_id: int) -> Iterator[Row]:
        """Its rows, each with the schema's version and the number of the run first."""
        return ((SCHEMA_VERSION, run_id, *row) for row in self.read(journal, run_id))


_FIRST = (Column("schema_version", "integer"), Column("run_id", "integer"))


_KINDS: dict[str, Kind] = {"INTEGER": "integer", "REAL": "number", "TEXT": "text"}


def _column(name: str, field: Stored) -> Column:
    kind = "json" if field.json else _KINDS[field.type.split()[0]]
    return Column(name, kind, "NOT NULL" not in field.type, field.unit)


def _runs(journal: JournalReader, run_id: int) -> Iterator[Row]:
    run: RunRecord = journal.run(run_id)
    status = "killed" if run.status == "running" and not run.alive else run.status
    yield (
        run.kind,
        run.workload,
        run.config_path,
        run.config_text,
        run.database,
        dict(run.options),
        run.started_at,
        run.finished_at,
        status,
        run.exit_code,
        dict(run.summary),
        run.paired_with,
        run.arm,
    )


def _results(journal: JournalReader, run_id: int) -> Iterator[Row]:
    place = QueryResult._fields.index("steering")
    for result in journal.results(run_id):
        if result.steering is None:
            yield result
        else:
            yield (*result[:place], asdict(result.steering), *result[place + 1 :])


def _queries(journal: JournalReader, run_id: int) -> Iterator[Row]:
    return (astuple(query) for query in journal.queries(run_id))


def _firings(journal: JournalReader, run_id: int) -> Iterator[Row]:
    return (_firing(one) for one in journal.each_firing(run_id))


def _firing(one: FiringRecord) -> Row:
    return (
        one.event,
        one.kind.value,
        one.reason,
        one.after_query,
        one.outcome,
        one.duration_s,
        one.fired,
        one.fired_at,
        one.error,
        one.traceback,
    )


def _models(journal: JournalReader, run_id: int) -> Iterator[Row]:
    return (_model(one) for one in journal.models(run_id))


def _model(one: ModelVersion) -> Row:
    return (
        one.model,
        one.version,
        str(one.path),
        one.created_at,
        one.size_bytes,
        one.sha256,
        one.event,
        one.query_seq,
        one.trained_rows,
        dict(one.metrics),
    )


def _plans(journal: JournalReader, run_id: int) -> Iterator[Row]:
    return ((one.seq, one.round, one.plan) for one in journal.plans(run_id))


_ALL = (
    Table(
        "runs",
        (
            *_FIRST,
            Column("kind", "text"),
            Column("workload", "text"),
            Column("config_path", "text", optional=True),
            Column("config_text", "text"),
            Column("database", "text"),
            Column("options", "json"),
            Column("started_at", "number", unit=EPOCH_S),
            Column("finished_at", "number", optional=True, unit=EPOCH_S),
            Column("status", "text"),
            Column("exit_code", "integer", optional=True),
            Column("summary", "json"),
            Column("paired_with", "integer", optional=True),
            Column("arm", "text", optional=True),
        ),
        _runs,
    ),
    Table(
        "results",
        (
            *_FIRST,
            *(_column(name, field) for name, field in RESULT_FIELDS.items()),
        ),
        _results,
    ),
    Table(
        "queries",
        (
            *_FIRST,
            Column("seq", "integer"),
            Column("label", "text"),
            Column("file", "text", optional=True),
            Column("line", "integer", optional=True),
            Column("command", "text"),
            Column("sql", "text"),
            Column("sql_chars", "integer", unit="characters"),
        ),
        _queries,
    ),
    Table(
        "firings",
        (
            *_FIRST,
            Column("event", "text"),
            Column("kind", "text"),
            Column("reason", "text"),
            Column("after_query", "integer"),
            Column("outcome", "text"),
            Column("duration_s", "number", unit="s"),
            Column("fired", "integer"),
            Column("fired_at", "number", unit=EPOCH_S),
            Column("error", "text", optional=True),
            Column("traceback", "text", optional=True),
        ),
        _firings,
    ),
    Table(
        "models",
        (
            *_FIRST,
            Column("model", "text"),
            Column("version", "integer"),
            Column("path", "text"),
            Column("created_at", "number", unit=EPOCH_S),
            Column("size_bytes", "integer", unit="bytes"),
            Column("sha256", "text"),
            Column("event", "text", optional=True),
            Column("query_seq", "integer", optional=True),
            Column("trained_rows", "integer", optional=True, unit="rows"),
            Column("metrics", "json"),
        ),
        _models,
    ),
    Table(
        "plans",
        (
            *_FIRST,
            Column("seq", "integer"),
            Column("round", "integer"),
            Column("plan", "json"),
        ),
        _plans,
    ),
)

TABLES = {table.name: table for table in _ALL}

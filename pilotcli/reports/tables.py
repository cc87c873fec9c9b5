"""A run as tables for other tools: their columns, and their rows as the journal has them.

The tables are part of the public format (`docs/export.md`): a column may be added, none changes its
name, type or meaning within a `SCHEMA_VERSION`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from pilotcli.common.records import EPOCH_S, QueryResult, Stored
from pilotcli.storage.journal import JournalReader
from pilotcli.storage.journal.rows import RESULT_FIELDS

SCHEMA_VERSION = 1

Kind = Literal["integer", "number", "text", "json"]
"""What a column holds: `json` is an object or a list in JSON lines, and text in other formats."""

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


def _values(record: object, table: str, **changes: object) -> Row:
    """The attributes of `record` that the columns of `table` name, but for `changes`."""
    names = [column.name for column in TABLES[table].columns[len(_FIRST) :]]
    return tuple(
        changes[name] if name in changes else _exported(getattr(record, name)) for name in names
    )


def _exported(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _runs(journal: JournalReader, run_id: int) -> Iterator[Row]:
    run = journal.run(run_id)
    yield _values(run, "runs", status=run.outcome)


def _results(journal: JournalReader, run_id: int) -> Iterator[Row]:
    place = QueryResult._fields.index("steering")
    for result in journal.results(run_id):
        if result.steering is None:
            yield result
        else:
            yield (*result[:place], asdict(result.steering), *result[place + 1 :])


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
            Column("name", "text", optional=True),
            Column("tags", "json"),
            Column("note", "text", optional=True),
            Column("provenance", "json"),
            Column("experiment", "integer", optional=True),
            Column("fold", "integer", optional=True),
        ),
        _runs,
    ),
    Table(
        "results",
        (*_FIRST, *(_column(name, field) for name, field in RESULT_FIELDS.items())),
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
        lambda journal, run_id: (astuple(query) for query in journal.queries(run_id)),
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
        lambda journal, run_id: (_values(row, "firings") for row in journal.each_firing(run_id)),
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
        lambda journal, run_id: (_values(row, "models") for row in journal.models(run_id)),
    ),
    Table(
        "plans",
        (*_FIRST, Column("seq", "integer"), Column("round", "integer"), Column("plan", "json")),
        lambda journal, run_id: (_values(row, "plans") for row in journal.plans(run_id)),
    ),
)

TABLES = {table.name: table for table in _ALL}

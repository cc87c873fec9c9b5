"""The rows of the journal's tables: their columns, and how records become rows.

The columns of results follow from the declaration of `QueryResult`. Most results are usual: they
ended `ok` and have no special values. Their rows have few columns; the others keep their defaults.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from operator import itemgetter
from typing import Any, get_type_hints

from pilotcli.common.labels import RunLabels
from pilotcli.common.records import ModelVersion, Query, QueryResult, SteeringReport, Stored
from pilotcli.storage.journal.records import FiringRecord, QueryRecord

MAX_SQL_CHARS = 1_000_000

RESULT_FIELDS: dict[str, Stored] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(QueryResult, include_extras=True).items()
}
"""By field of a result, in order: how it is stored."""

_PACKED = sorted((field.packed[0], name) for name, field in RESULT_FIELDS.items() if field.packed)
_USUAL = [name for _, name in _PACKED]
USUAL_COLUMNS = ("result", *_USUAL)
OTHER_COLUMNS = tuple(
    name for name, field in RESULT_FIELDS.items() if field.table == "results" and not field.packed
)
QUERY_COLUMNS, FIRING_COLUMNS, MODEL_COLUMNS = (
    tuple(field.name for field in fields(record))
    for record in (QueryRecord, FiringRecord, ModelVersion)
)


def _usually(name: str) -> object:
    return QueryResult._field_defaults.get(name, RESULT_FIELDS[name].usually)


def default_sql(name: str) -> str:
    """The default value of a result's column in SQL."""
    usually = None if name in _USUAL else _usually(name)
    return "NULL" if usually is None else repr(usually)


def column_sql(name: str) -> str:
    """The definition of a result's column in SQL."""
    default = default_sql(name)
    return f"{name} {RESULT_FIELDS[name].type}" + (
        "" if default == "NULL" else f" DEFAULT {default}"
    )


def _getter(names: Sequence[str]) -> Callable[[QueryResult], tuple[Any, ...]]:
    return itemgetter(*map(QueryResult._fields.index, names))


usual_values = _getter(_USUAL)
"""The values of a result in `USUAL_COLUMNS`, without its number."""

_others = _getter(OTHER_COLUMNS)
_USUALLY = tuple(map(_usually, OTHER_COLUMNS))


def other_values(result: QueryResult) -> tuple[Any, ...] | None:
    """The values of a result in `OTHER_COLUMNS`; None for a usual one, which has the defaults."""
    values = _others(result)
    if values == _USUALLY:
        return None
    for place, encode in _ENCODED:
        if values[place] is not None:
            values = (*values[:place], encode(values[place]), *values[place + 1 :])
    return values


def query_row(query: Query) -> tuple[Any, ...]:
    """The values of a query in `QUERY_COLUMNS`."""
    sql = query.sql
    return (
        query.seq,
        storable(query.label).replace("\0", "\\0"),
        storable(query.file) if query.file is not None else None,
        query.line,
        query.command,
        text_in_journal(sql),
        len(sql),
    )


def model_row(version: ModelVersion) -> tuple[Any, ...]:
    """The values of a checkpoint in `MODEL_COLUMNS`."""
    metrics = json.dumps(dict(version.metrics))
    path = storable(str(version.path))
    return tuple({**asdict(version), "path": path, "metrics": metrics}.values())


def label_values(labels: RunLabels) -> tuple[str | None, str | None, str | None]:
    """The values of a run's `name`, `tags` and `note`; null for what it does not have."""
    name, note = (None if text is None else storable(text) for text in (labels.name, labels.note))
    return name, storable(json.dumps(labels.tags)) if labels.tags else None, note


def text_in_journal(sql: str) -> str:
    """A statement's text as the journal has it: cut, and storable."""
    return storable(sql if len(sql) <= MAX_SQL_CHARS else sql[:MAX_SQL_CHARS])


def storable(text: str) -> str:
    """`text` with invalid UTF-8 bytes escaped, since SQLite takes only UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _steering_text(report: SteeringReport) -> str:
    stored = asdict(report)
    # A sub-plan query is long: it is stored once, with its rows.
    keys = dict(report.cards)
    stored["applied"] = [push for push in report.applied if push not in keys]
    return storable(json.dumps({key: value for key, value in stored.items() if value}))


def steering_report(text: str) -> SteeringReport:
    """The report that the journal has as `text`."""
    report = json.loads(text)
    cards = tuple((key, rows) for key, rows in report.get("cards", ()))
    return SteeringReport(
        (*report.get("applied", ()), *(key for key, _ in cards)),
        tuple((push, reason) for push, reason in report.get("ignored", ())),
        report.get("native"),
        cards,
    )


_JSON: dict[str, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "steering": (_steering_text, steering_report),
    "logged": (json.dumps, json.loads),
}
"""By field with JSON: what makes its text, and what reads the text."""
_ENCODED = [
    (place, _JSON[name][0] if RESULT_FIELDS[name].json else storable)
    for place, name in enumerate(OTHER_COLUMNS)
    if RESULT_FIELDS[name].type.startswith("TEXT")
]
_DECODED = [(QueryResult._fields.index(name), decode) for name, (_, decode) in _JSON.items()]


def result_of(row: tuple[Any, ...]) -> QueryResult:
    """The result that the journal has as `row`, with a value for each field."""
    for place, decode in _DECODED:
        if row[place] is not None:
            row = (*row[:place], decode(row[place]), *row[place + 1 :])
    return QueryResult._make(row)

"""Tables and JSON for commands that list: as wide as the terminal, uncut in a pipe."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from pilotcli.common.quantities import MISSING
from pilotcli.common.records import QueryResult
from pilotcli.common.unsafe import escaped_json
from pilotcli.views import console
from pilotcli.views.console import out
from pilotcli.views.layout import Column, table
from pilotcli.views.text import clean, line_text, wrapped

T = TypeVar("T")
_INDENT = " " * 7


def show_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    below: Sequence[Sequence[str]] = (),
) -> None:
    """Write a table, one line per row, with the texts `below` each row indented under it. On a
    terminal a row never wraps, and a text between its words."""
    cells = [[(clean(cell), "") for cell in row] for row in rows]
    header, *lines = table(columns, cells, console.columns())
    out(line_text(header).rstrip())
    for line, texts in zip_longest(lines, below, fillvalue=()):
        out(line_text(list(line)).rstrip())
        for text in texts:
            for part in wrapped(text, console.columns(), _INDENT):
                out(part)


def show_items(
    items: Sequence[T],
    columns: Sequence[tuple[Column, Callable[[T], str]]],
    below: Callable[[T], Sequence[str]] | None = None,
) -> None:
    """Write a table of `items`, one line each; a column comes with what makes its cells, and
    `below` makes the texts that stand under an item."""
    cells = {column: [text(item) for item in items] for column, text in columns}
    shown = [column for column in cells if not column.optional or any(cells[column])]
    texts = [] if below is None else list(map(below, items))
    show_table(shown, list(zip(*(cells[column] for column in shown), strict=True)), texts)


def show_json(value: Any) -> None:
    """Write `value` as indented JSON; dataclasses become objects."""
    text = json.dumps(as_json(value), indent=2, ensure_ascii=False, allow_nan=False)
    out(escaped_json(text), exact=True)


def as_json(value: Any) -> Any:
    """`value` as what JSON can hold: NaN and infinities, which it cannot, become null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, QueryResult):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def when(seconds: float | None) -> str:
    """A point in time (seconds since the epoch) in the local time zone: `2025-03-01 14:05:09`."""
    if seconds is None:
        return MISSING
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")

"""Tables and bars that fit a given number of columns: made of lines, without a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilotcli.views.text import Line, clip, clip_line, width

_GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    `least` columns are kept free for it from the start, so that it does not jump as values grow.
    A `flexible` one is cut down to `least` where the table is too wide; after that, columns are
    left out, the highest `drop` first (0: never). An `optional` one is left out of a list where
    all of its cells are empty.
    """

    title: str
    least: int = 0
    right: bool = False
    flexible: bool = False
    drop: int = 0
    optional: bool = False


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[tuple[str, str]]], limit: int
) -> list[Line]:
    """A header and one line a row, none wider than `limit` columns. A cell is text and style."""
    natural = [
        max([column.least, width(column.title), *(width(row[place][0]) for row in rows)])
        for place, column in enumerate(columns)
    ]
    shown = _fitting(columns, natural, limit)
    header = [(column.title, "dim") for column in columns]
    return [clip_line(_row(row, columns, shown), limit) for row in (header, *rows)]


def bar(share: float, columns: int) -> Line:
    """A progress bar `columns` wide, `share` (0 to 1) of it done."""
    done = round(columns * min(1.0, max(0.0, share)))
    return [("━" * done, "green"), ("─" * (columns - done), "dim")]


def _fitting(columns: Sequence[Column], natural: Sequence[int], limit: int) -> dict[int, int]:
    """The places of the columns that are shown, each with its width."""
    shown = dict(enumerate(natural))
    while True:
        excess = sum(shown.values()) + len(_GAP) * (len(shown) - 1) - limit
        for place in shown:
            if excess > 0 and columns[place].flexible:
                cut = min(excess, shown[place] - columns[place].least)
                shown[place] -= cut
                excess -= cut
        droppable = [place for place in shown if columns[place].drop]
        if excess <= 0 or not droppable:
            return shown
        last = max(droppable, key=lambda place: columns[place].drop)
        shown = {place: natural[place] for place in shown if place != last}


def _row(
    cells: Sequence[tuple[str, str]], columns: Sequence[Column], shown: dict[int, int]
) -> Line:
    line: Line = []
    for place, columns_wide in shown.items():
        text, style = cells[place]
        text = clip(text, columns_wide)
        padding = (" " * (columns_wide - width(text)), "")
        if line:
            line.append((_GAP, ""))
        line += [padding, (text, style)] if columns[place].right else [(text, style), padding]
    return line

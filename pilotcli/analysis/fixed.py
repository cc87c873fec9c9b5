"""What of a result its query fixes, and the rows as far as they are fixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilotcli.databases.protocols import Row

Column = int | str
"""An output column: its place, negative from the end, or its name."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What a query determines.

    - `count`: the number of rows; without it nothing is;
    - `rows`: all values of all rows;
    - `open`: columns whose values are open, None for all of them;
    - `cut`: only some rows were wanted (LIMIT, DISTINCT ON). Then `keys` are the columns that are
      fixed all the same. Rows that differ in `ties` from the last row, and with an `offset` from
      the first, are fixed; all are where there were fewer than `limit`.
    """

    count: bool = True
    rows: bool = True
    open: tuple[int, ...] | None = ()
    cut: bool = False
    keys: tuple[Column, ...] = ()
    ties: tuple[Column, ...] = ()
    limit: int | None = None
    offset: bool = False


ALL = Fixed()
COUNT = Fixed(rows=False, open=None)
NOTHING = Fixed(count=False, rows=False, open=None)


def fixed_rows(rows: Sequence[Row], names: Sequence[str], fixed: Fixed) -> Sequence[Row]:
    """Returns `rows` without the values that are open; `names` are those of their columns."""
    if fixed.rows or not rows:
        return rows
    width = len(rows[0])
    left = range(width) if fixed.open is not None else range(0)
    kept = [place for place in left if place not in {each % width for each in fixed.open or ()}]
    if not fixed.cut or (fixed.limit is not None and len(rows) < fixed.limit and not fixed.offset):
        return [tuple(row[place] for place in kept) for row in rows]
    keys = [place for key in fixed.keys if (place := _place(key, names)) is not None]
    ties: list[int] = []
    for key in fixed.ties:
        place = _place(key, names)
        if place is None:
            break
        ties.append(place)
    edges = [rows[-1], rows[0]] if fixed.offset else [rows[-1]]
    tied = [[edge[place] for place in ties] for edge in edges]
    return [
        tuple(row[place] for place in (keys if [row[at] for at in ties] in tied else kept))
        for row in rows
    ]


def _place(column: Column, names: Sequence[str]) -> int | None:
    if isinstance(column, int):
        return column % len(names) if -len(names) <= column < len(names) else None
    return names.index(column) if names.count(column) == 1 else None

"""Rows of results as SQLAlchemy gives them to PilotScope's drivers: tuples with named values."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

_KINDS_KEPT = 256


class Row(tuple[Any, ...]):
    """One row: a tuple, whose values are attributes of the columns' names, too."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    @property
    def _mapping(self) -> Mapping[str, Any]:
        """Column to value."""
        return self._asdict()

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def _tuple(self) -> tuple[Any, ...]:
        return tuple(self)

    def __reduce__(self) -> Any:
        return _row, (self._fields, tuple(self))


def named_rows(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """Returns the rows of a result with their columns' names."""
    return list(map(_kind_of(tuple(columns)), rows))


@functools.lru_cache(_KINDS_KEPT)
def _kind_of(columns: tuple[str, ...]) -> type[Row]:
    members: dict[str, Any] = {"__slots__": (), "_fields": columns}
    for place, name in enumerate(columns):
        if name not in members and name not in vars(Row) and not name.startswith("__"):
            members[name] = property(itemgetter(place))
    return type("Row", (Row,), members)


def _row(columns: tuple[str, ...], values: tuple[Any, ...]) -> Row:
    return _kind_of(columns)(values)

"""Rows of the store as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pilotcli.storage.store.column_types import Kind

if TYPE_CHECKING:
    import pandas

EXACT_IN_A_FLOAT = 2**53
_AS_THEY_ARE = {
    kind.sql
    for kind in (Kind.BIG_INT, Kind.BYTES, Kind.DECIMAL, Kind.JSON, Kind.TEXT, Kind.DATE, Kind.TIME)
}
_DTYPES = {Kind.BOOL.sql: "bool", Kind.INT.sql: "int64", Kind.FLOAT.sql: "float64"}


def frame_of(columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> pandas.DataFrame:
    """A frame of `rows`; `columns` has the PostgreSQL type of each column by its name.

    Texts, lists, dicts and bytes are columns of Python objects, None where there is no value.
    Numbers are numpy columns; an integer column with missing values becomes float with NaN, as in
    pandas, or `Int64` where a float cannot hold the values exactly.
    """
    import pandas

    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    series = {
        place: _series(pandas, kind, list(column))
        for place, (kind, column) in enumerate(zip(columns.values(), values, strict=True))
    }
    frame: pandas.DataFrame = pandas.DataFrame(series, index=pandas.RangeIndex(len(rows)))
    frame.columns = pandas.Index(list(columns), dtype=object)
    return frame


def _series(pandas: Any, kind: str, values: list[Any]) -> Any:
    if kind == Kind.BYTES.sql:
        values = [None if value is None else bytes(value) for value in values]
    elif kind == Kind.BIG_INT.sql:
        values = [None if value is None else int(value) for value in values]
    if kind in _AS_THEY_ARE:
        return pandas.Series(values, dtype=object)
    if not values:
        return pandas.Series(values, dtype=_DTYPES.get(kind, object))
    if kind == Kind.INT.sql and None in values:
        exact = all(abs(value) <= EXACT_IN_A_FLOAT for value in values if value is not None)
        return pandas.Series(values, dtype="float64" if exact else "Int64")
    if kind == Kind.BOOL.sql and None in values:
        return pandas.Series(values, dtype=object)
    if kind in _DTYPES:
        return pandas.Series(values, dtype=_DTYPES[kind])
    try:
        return pandas.Series(values)
    except (OverflowError, ValueError):
        # A time outside the range of this pandas' times.
        return pandas.Series(values, dtype=object)

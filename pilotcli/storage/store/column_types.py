"""What a column of the store holds, and how Python values become text for PostgreSQL's `COPY`.

| Python | column |
| --- | --- |
| bool | boolean |
| int | bigint; numeric(1000,0) once one needs more than 64 bits |
| float | double precision, NaN and infinities included |
| Decimal | numeric |
| str | text |
| bytes, bytearray, memoryview | bytea |
| date, time, timedelta | date, time, interval |
| datetime | timestamp; with a time zone: timestamptz (the moment is kept, the zone is not) |
| UUID | uuid |
| JsonText | json, unchanged |
| list, tuple, dict, array, Series | json (which keeps the order of keys and the digits of floats) |
| None, pandas.NA, NaT | NULL |

Numbers of numpy and pandas count as Python's; times finer than a microsecond are cut to it.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import functools
import sys
import uuid
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any

from pilotcli.common.records import JsonText
from pilotcli.common.value_texts import as_sent
from pilotcli.storage.store.json_text import json_text

NULL = "\\N"
"""NULL in the text format of `COPY`."""


class UnstorableError(Exception):
    """A value cannot be stored, or not with the other values of its column; says why."""


class Kind(enum.Enum):
    """What a column holds; the value is its PostgreSQL type as `format_type` writes it."""

    EMPTY = ""
    """No value so far: the column is made as text and takes the type of its first value."""
    BOOL = "boolean"
    INT = "bigint"
    BIG_INT = "numeric(1000,0)"
    FLOAT = "double precision"
    DECIMAL = "numeric"
    TEXT = "text"
    BYTES = "bytea"
    DATE = "date"
    TIME = "time without time zone"
    TIMESTAMP = "timestamp without time zone"
    TIMESTAMPTZ = "timestamp with time zone"
    INTERVAL = "interval"
    UUID = "uuid"
    JSON = "json"

    @property
    def sql(self) -> str:
        """The type's name in SQL."""
        return self.value or "text"


_WIDENING = (Kind.INT, Kind.BIG_INT, Kind.FLOAT, Kind.DECIMAL)
"""Each of these takes the values of those before it."""


def joined(kind: Kind, other: Kind) -> Kind | None:
    """The kind that holds the values of both; None when there is none."""
    if kind is other or other is Kind.EMPTY:
        return kind
    if kind is Kind.EMPTY:
        return other
    if kind in _WIDENING and other in _WIDENING:
        return max(kind, other, key=_WIDENING.index)
    return None


Encoder = Callable[[Sequence[Any]], "tuple[Kind, Sequence[str]]"]


def encoded(values: Sequence[Any]) -> tuple[Kind, Sequence[str]]:
    """The kind of a column's values, and each as a field of `COPY`'s text format.

    Raises `UnstorableError`.
    """
    types = set(map(type, values))
    if len(types) == 1:
        return _encoder(types.pop())(values)
    types.discard(NoneType)
    kind = Kind.EMPTY
    texts = [NULL] * len(values)
    for value_type in types:
        places = [place for place, value in enumerate(values) if type(value) is value_type]
        part_kind, part = _encoder(value_type)([values[place] for place in places])
        both = joined(kind, part_kind)
        if both is None:
            raise UnstorableError(f"holds {kind.sql} and {part_kind.sql} values")
        kind = both
        for place, text in zip(places, part, strict=True):
            texts[place] = text
    return kind, texts


@functools.lru_cache(maxsize=256)
def _encoder(value_type: type) -> Encoder:
    if value_type.__name__ in ("NAType", "NaTType") and value_type.__module__.startswith("pandas"):
        return _nulls
    for base, encoder in _ENCODERS:
        if issubclass(value_type, base):
            return encoder
    return _numpy_encoder(value_type) or _unstorable(value_type)


def _numpy_encoder(value_type: type) -> Encoder | None:
    # Such a value exists only where numpy was imported; nobody else pays for it.
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        for base, encoder in (
            (numpy.bool_, _bools),
            (numpy.datetime64, _numpy_times("datetime64[us]")),
            (numpy.timedelta64, _numpy_times("timedelta64[us]")),  # an integer to numpy
            (numpy.integer, _ints),
            (numpy.floating, _floats),
        ):
            if issubclass(value_type, base):
                return encoder
        if issubclass(value_type, numpy.generic):
            return None
    return _json if hasattr(value_type, "tolist") else None


def _unstorable(value_type: type) -> Encoder:
    def refuse(values: Sequence[Any]) -> tuple[Kind, Sequence[str]]:
        raise UnstorableError(
            f"brings a value of type {value_type.__qualname__}, which is not stored"
        )

    return refuse


def _one_by_one(kind: Kind, text: Callable[[Any], str]) -> Encoder:
    """Returns the encoder that writes each value as `text` does."""
    return lambda values: (kind, list(map(text, values)))


_nulls = _one_by_one(Kind.EMPTY, lambda value: NULL)
_bools = _one_by_one(Kind.BOOL, lambda value: "t" if value else "f")


def _ints(values: Sequence[Any]) -> tuple[Kind, Sequence[str]]:
    numbers = list(map(int, values))
    low, high = min(numbers), max(numbers)
    kind = Kind.INT if low >= -(2**63) and high < 2**63 else Kind.BIG_INT
    if kind is Kind.BIG_INT and max(abs(low), abs(high)) >= 10**1000:
        raise UnstorableError("holds an integer of more than 1000 digits")
    return kind, list(map(str, numbers))


def _floats(values: Sequence[Any]) -> tuple[Kind, Sequence[str]]:
    return Kind.FLOAT, list(map(float.__repr__, map(float, values)))


def _texts(kind: Kind) -> Encoder:
    return lambda values: (kind, escaped([str.__str__(value) for value in values]))


def escaped(texts: Sequence[str]) -> Sequence[str]:
    """The texts with the characters escaped that `COPY` uses (PostgreSQL manual, COPY)."""
    together = "".join(texts)
    if "\0" in together:
        raise UnstorableError("holds a text with a NUL character, which PostgreSQL does not store")
    for character, escape in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        if character in together:
            texts = [text.replace(character, escape) for text in texts]
    return texts


def _times(values: Sequence[Any]) -> tuple[Kind, Sequence[str]]:
    if any(value.tzinfo is not None for value in values):
        raise UnstorableError("holds a time of day with a time zone; store a datetime instead")
    return Kind.TIME, [value.isoformat() for value in values]


def _datetimes(values: Sequence[Any]) -> tuple[Kind, Sequence[str]]:
    if hasattr(values[0], "to_pydatetime"):  # pandas.Timestamp, with its nanoseconds
        values = [value.to_pydatetime(warn=False) for value in values]
    aware = {value.utcoffset() is not None for value in values}
    if len(aware) > 1:
        raise UnstorableError("holds datetimes with and without a time zone")
    kind = Kind.TIMESTAMPTZ if aware.pop() else Kind.TIMESTAMP
    return kind, [value.isoformat(" ") for value in values]


def _timedeltas(values: Sequence[Any]) -> tuple[Kind, Sequence[str]]:
    if hasattr(values[0], "to_pytimedelta"):  # pandas.Timedelta
        values = [value.to_pytimedelta() for value in values]
    # Days are apart: in microseconds the whole value would not fit PostgreSQL's 64 bits.
    return Kind.INTERVAL, list(map(as_sent, values))


def _numpy_times(unit: str) -> Encoder:
    def encode(values: Sequence[Any]) -> tuple[Kind, Sequence[str]]:
        return encoded([value.astype(unit).item() for value in values])

    return encode


def _json(values: Sequence[Any]) -> tuple[Kind, Sequence[str]]:
    try:
        texts = [json_text(value) for value in values]
    except (TypeError, ValueError, RecursionError) as error:
        raise UnstorableError(f"holds what JSON cannot: {error}") from error
    return Kind.JSON, escaped(texts)


# The first match counts: bool is an int, and a datetime a date.
_ENCODERS: tuple[tuple[Any, Encoder], ...] = (
    (NoneType, _nulls),
    (bool, _bools),
    (int, _ints),
    (float, _floats),
    (JsonText, _texts(Kind.JSON)),
    (str, _texts(Kind.TEXT)),
    (
        (bytes, bytearray, memoryview),
        _one_by_one(Kind.BYTES, lambda value: "\\\\x" + bytes(value).hex()),
    ),
    (dt.datetime, _datetimes),
    (dt.date, _one_by_one(Kind.DATE, lambda value: value.isoformat())),
    (dt.time, _times),
    (dt.timedelta, _timedeltas),
    (decimal.Decimal, _one_by_one(Kind.DECIMAL, str)),
    (uuid.UUID, _one_by_one(Kind.UUID, str)),
    ((list, tuple, dict), _json),
)

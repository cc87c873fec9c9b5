"""Values as the server sent them, whatever the session's settings.

psycopg2 reads the default formats of DateStyle and IntervalStyle, and makes another value of some
texts: `infinity` becomes the year 9999, a month 30 days, `25:00:00` a day and an hour. A value is
converted only where it can be written back as the same text; otherwise it stays a text.
"""

from __future__ import annotations

import datetime
import functools
import re
from typing import Any

from psycopg2 import Error, extensions

_TIME_OIDS = (
    *(1082, 1083, 1114, 1184, 1186, 1266),  # date, time, timestamp, timestamptz, interval, timetz
    *(1182, 1183, 1115, 1185, 1187, 1270),  # arrays of them
)
_JSON_OIDS = (114, 3802, 199, 3807)
"""json, jsonb and their arrays (src/include/catalog/pg_type.dat): an integer of 5,000 digits is
one that Python does not read."""
_QUOTED = re.compile(r'[{}(),"\\\s\[\]]|\A\Z|\Anull\Z', re.IGNORECASE)


def as_sent(value: Any) -> str:
    """Returns the text that the server sends for `value` in its default formats."""
    if isinstance(value, datetime.timedelta):
        return _interval(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        text = value.isoformat(*(" ",) if isinstance(value, datetime.datetime) else ())
        # The server leaves out zeros at the end of a fraction, and the minutes of a whole hour.
        text = re.sub(r"(\.\d*?)0+(?=[+-]|\Z)", r"\1", text)
        return re.sub(r"([+-]\d\d):00\Z", r"\1", text) if ":" in text else text
    if isinstance(value, (memoryview, bytes)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, list):
        return "{" + ",".join("NULL" if v is None else _part(v) for v in value) + "}"
    if hasattr(value, "isempty"):  # psycopg2's ranges
        if value.isempty:
            return "empty"
        low, high = ("" if v is None else _part(v) for v in (value.lower, value.upper))
        return f"{value._bounds[0]}{low},{high}{value._bounds[1]}"
    return str(value)


def _part(value: Any) -> str:
    text = as_sent(value)
    if isinstance(value, list) or not _QUOTED.search(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _interval(value: datetime.timedelta) -> str:
    days = value.days + (value < datetime.timedelta(0) and value != datetime.timedelta(value.days))
    rest = value - datetime.timedelta(days)
    sign = "-" if rest < datetime.timedelta(0) else ""
    whole, micro = divmod(abs(rest) // datetime.timedelta(microseconds=1), 1_000_000)
    clock = f"{sign}{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    clock += f".{micro:06d}".rstrip("0") if micro else ""
    if not days:
        return clock
    day = f"{days} day" + ("" if days == 1 else "s")
    return f"{day} {clock}" if rest else day


@functools.cache
def casters() -> tuple[Any, ...]:
    """psycopg2's own casters, which hand over the text of a value that they do not keep.

    Ranges read their bounds through these.
    """

    def made(oid: int) -> Any:
        convert: Any = extensions.string_types[oid]
        exact = oid in _TIME_OIDS

        def cast(text: Any, cursor: Any) -> Any:
            try:
                value = convert(text, cursor)
            except (ValueError, OverflowError, Error):
                return text
            return text if exact and text is not None and as_sent(value) != text else value

        return extensions.new_type((oid,), f"PILOT_{oid}", cast)

    return tuple(made(oid) for oid in (*_TIME_OIDS, *_JSON_OIDS) if oid in extensions.string_types)

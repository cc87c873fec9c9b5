"""Values as the texts that a server sends."""

from __future__ import annotations

import datetime
import re
from typing import Any

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

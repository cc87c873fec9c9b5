"""Lists and dicts as JSON text and back, also with values that JSON does not have.

A float that is NaN or infinite becomes `{"__float__": "NaN"}` (or `"Infinity"`, `"-Infinity"`)
and is read back as that float. Inside lists and dicts, numbers of numpy become Python's, Decimals
become floats, dates, times and UUIDs become text, and keys become text as `json` does it.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import uuid
from collections.abc import Mapping
from typing import Any

MARK = "__float__"


def json_text(value: Any) -> str:
    """`value` as JSON. Raises `TypeError` or `ValueError` for a value that JSON cannot hold."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except (ValueError, TypeError):
        return json.dumps(_marked(value), ensure_ascii=False, allow_nan=False)


def json_value(text: str) -> Any:
    """The value that `json_text` wrote as `text`."""
    return json.loads(text, object_hook=_unmarked if MARK in text else None)


def _plain(value: Any) -> Any:
    """A value that `json` does not know as a value that it knows."""
    if hasattr(value, "tolist"):  # numpy scalars and arrays, pandas Series and arrays
        return value.tolist()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def _marked(value: Any) -> Any:
    """`value` with plain keys and values, its unusual floats marked: the slow way round."""
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return {MARK: "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, dict):
        return {_key(key): _marked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_marked(item) for item in value]
    return _marked(_plain(value))


def _key(key: Any) -> Any:
    return key.item() if hasattr(key, "item") else key


def _unmarked(value: dict[str, Any]) -> Any:
    if value.keys() == {MARK} and value[MARK] in ("NaN", "Infinity", "-Infinity"):
        return float(value[MARK])
    return value

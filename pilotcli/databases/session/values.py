"""Values as the server sent them, whatever the session's settings.

psycopg2 reads the default formats of DateStyle and IntervalStyle, and makes another value of some
texts: `infinity` becomes the year 9999, a month 30 days, `25:00:00` a day and an hour; an array
loses its bounds, JSON the digits that a float does not have. A value is converted only where it
says the same as its text; otherwise it stays a text.
"""

from __future__ import annotations

import functools
import json
import re
from decimal import Decimal
from typing import Any

from psycopg2 import Error, extensions

from pilotcli.common.value_texts import as_sent

_DATE, _CLOCK = r"\d{4}-\d\d-\d\d", r"(?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d+)?"
_ZONE = r"[+-]\d\d(?::\d\d){0,2}"
_FORMS = {
    1082: _DATE,  # date
    1083: _CLOCK,  # time
    1114: f"{_DATE} {_CLOCK}",  # timestamp
    1184: f"{_DATE} {_CLOCK}{_ZONE}",  # timestamptz
    1266: f"{_CLOCK}{_ZONE}",  # timetz
    # interval; a timedelta does not tell `-1 days +02:00:00` from `-22:00:00`
    1186: rf"\d+ days?|(?:\d+ days? )?{_CLOCK}|-\d+ days?|(?:-\d+ days? )?-{_CLOCK}",
}
"""The texts that psycopg2 reads rightly, by the number of their type (pg_type.dat)."""
_ARRAYS = (1182, 1183, 1115, 1185, 1187, 1270)
_JSON, _JSON_ARRAYS = (114, 3802), {199: 114, 3807: 3802}
_SAFE_DIGITS = 15
"""Any number of so many digits is the float that it is read as, and back."""
_LEVELS = 100
"""The most levels of JSON that are read: what walks through a value calls itself at each."""


@functools.cache
def casters() -> tuple[Any, ...]:
    """psycopg2's own casters, which hand over the text of a value that they do not keep.

    Ranges read their bounds through these.
    """
    known = extensions.string_types
    arrays = {oid for oid, caster in known.items() if caster.name.endswith("ARRAY")}
    own = [_caster(oid, known[oid]) for oid in {*_FORMS, *arrays} - _JSON_ARRAYS.keys()]
    own += [_caster(oid, _read_json) for oid in _JSON]
    for oid, item in _JSON_ARRAYS.items():
        read = extensions.new_type((item,), "PILOT_JSON", _read_json)
        own.append(_caster(oid, extensions.new_array_type((oid,), "PILOT_JSONS", read)))
    return tuple(own)


def _caster(oid: int, convert: Any) -> Any:
    # Each value of a result comes through here, within the query's measured time.
    is_kept = re.compile(_FORMS[oid]).fullmatch if oid in _FORMS else None
    is_array = oid in _ARRAYS

    def cast(text: Any, cursor: Any) -> Any:
        if text is None or (is_kept is not None and not is_kept(text)):
            return text
        if text.startswith("[") and oid not in _JSON:
            return text  # an array with bounds of its own: [0:1]={a,b}
        try:
            value = convert(text, cursor)
        except (ValueError, OverflowError, RecursionError, Error):
            return text
        return text if is_array and as_sent(value) != text else value

    return extensions.new_type((oid,), f"PILOT_{oid}", cast)


def _read_json(text: Any, cursor: Any) -> Any:
    """Reads JSON. Raises `ValueError` where Python's lists and dicts would not say the same."""
    if text is None:
        return None
    value = json.loads(text, parse_float=_number, object_pairs_hook=_members)
    if "\\u" in text:
        # Half a surrogate pair cannot be encoded, and no store takes it.
        json.dumps(value, ensure_ascii=False, default=str).encode()
    if text.count("[") + text.count("{") > _LEVELS and _is_deep(value):
        raise ValueError("it has too many levels")
    return value


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(_LEVELS):
        lists = (v.values() if isinstance(v, dict) else v for v in level)
        level = [item for items in lists for item in items if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _number(text: str) -> float | Decimal:
    value = float(text)
    if len(text) <= _SAFE_DIGITS and "e" not in text and "E" not in text:
        return value
    exact = Decimal(text)
    return value if Decimal(repr(value)) == exact else exact


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key occurs twice")
    return members

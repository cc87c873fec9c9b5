"""Values as the server sent them, whatever the session's settings.

psycopg2 reads the default formats of DateStyle and IntervalStyle, and makes another value of some
texts: `infinity` becomes the year 9999, a month 30 days, `25:00:00` a day and an hour. A value is
converted only where it says the same as its text; otherwise it stays a text.
"""

from __future__ import annotations

import functools
import re
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
    # interval; psycopg2 writes a negative timedelta with a positive clock
    1186: rf"\d+ days?|(?:\d+ days? )?{_CLOCK}|-\d+ days?|(?:-\d+ days? )?-{_CLOCK}"
    rf"|-\d+ days? \+{_CLOCK}",
}
"""The texts that psycopg2 reads rightly, by the number of their type (pg_type.dat)."""
_ARRAYS = (1182, 1183, 1115, 1185, 1187, 1270)
_JSON = (114, 3802, 199, 3807)
"""json, jsonb and their arrays: an integer of 5,000 digits is one that Python does not read."""


@functools.cache
def casters() -> tuple[Any, ...]:
    """psycopg2's own casters, which hand over the text of a value that they do not keep.

    Ranges read their bounds through these.
    """
    oids = (*_FORMS, *_ARRAYS, *_JSON)
    return tuple(_caster(oid) for oid in oids if oid in extensions.string_types)


def _caster(oid: int) -> Any:
    convert: Any = extensions.string_types[oid]
    # Each value of a result comes through here, within the query's measured time.
    is_kept = re.compile(_FORMS[oid]).fullmatch if oid in _FORMS else None
    is_array = oid in _ARRAYS

    def cast(text: Any, cursor: Any) -> Any:
        if text is None or (is_kept is not None and not is_kept(text)):
            return text
        try:
            value = convert(text, cursor)
        except (ValueError, OverflowError, Error):
            return text
        return text if is_array and as_sent(value) != text else value

    return extensions.new_type((oid,), f"PILOT_{oid}", cast)

"""Values as the server sent them, whatever the session's settings.

psycopg2 reads the default formats of DateStyle and IntervalStyle, and makes another value of some
texts: `infinity` becomes the year 9999, a month 30 days, `25:00:00` a day and an hour. A value is
converted only where it can be written back as the same text; otherwise it stays a text.
"""

from __future__ import annotations

import functools
from typing import Any

from psycopg2 import Error, extensions

from pilotcli.common.value_texts import has_text

_TIME_OIDS = (
    *(1082, 1083, 1114, 1184, 1186, 1266),  # date, time, timestamp, timestamptz, interval, timetz
    *(1182, 1183, 1115, 1185, 1187, 1270),  # arrays of them
)
_JSON_OIDS = (114, 3802, 199, 3807)
"""json, jsonb and their arrays (src/include/catalog/pg_type.dat): an integer of 5,000 digits is
one that Python does not read."""


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
            return text if exact and text is not None and not has_text(value, text) else value

        return extensions.new_type((oid,), f"PILOT_{oid}", cast)

    return tuple(made(oid) for oid in (*_TIME_OIDS, *_JSON_OIDS) if oid in extensions.string_types)

"""The values that handlers log for a query."""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from pilotcli.common.errors import DriverError
from pilotcli.common.records import LoggedValue
from pilotcli.common.redaction import redacted


def logged_value(name: str, value: Any) -> LoggedValue:
    """Returns `value` as JSON has it: a number, a text, a bool or None.

    Numbers of numpy and other libraries become Python's, secrets in texts are masked, and NaN and
    infinity become None. Raises `DriverError` for any other value.
    """
    kind = type(value)
    if kind is float:  # the usual kinds first: the checks below are slow
        return value if math.isfinite(value) else None
    if value is None or kind is bool or kind is int:
        return value  # type: ignore[no-any-return]
    if isinstance(value, str):
        return redacted(str(value))
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, (Real, Decimal)):
        number = float(value)
        return number if math.isfinite(number) else None
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return logged_value(name, value.item())  # one number of numpy, torch, ...
    raise DriverError(
        f"{name!r} cannot be logged: its value is a {type(value).__name__}, "
        "not a number, a text, a bool or None",
        hint="Log each part under a name of its own, or its text: str(...).",
    )

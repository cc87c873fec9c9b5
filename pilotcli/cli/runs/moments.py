"""Moments and ages as users write them."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime

from pilotcli.common.errors import UsageError

_AGE = re.compile(r"([0-9]{1,6}(?:\.[0-9]+)?)\s*(min|h|d|w)")
_SECONDS = {"min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_AGES = "30min, 12h, 7d, 4w"


def age_s(text: str, option: str) -> float:
    """Returns the seconds of an age: `12h`, `7d`. Raises `UsageError`, which names the `option`."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{option} takes an age, not {text!r}", hint=f"Write {_AGES}.")
    return float(found[1]) * _SECONDS[found[2]]


def since_s(text: str, option: str, now: float) -> float:
    """Returns the moment of an age before `now`, or of a date (`2026-01-31`, also with a time) in
    the local time zone, in seconds since the epoch. Raises `UsageError`."""
    if _AGE.fullmatch(text.strip()):
        return now - age_s(text, option)
    with contextlib.suppress(ValueError, OverflowError):
        return datetime.fromisoformat(text.strip()).timestamp()
    raise UsageError(
        f"{option} takes an age or a date, not {text!r}", hint=f"Write {_AGES}, or 2026-01-31."
    )

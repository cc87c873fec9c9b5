"""Finds the known name that an unknown name is most like."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pilotcli.common import quantities

MOST_LISTED = 12
"""So many names are listed; with more, nobody finds the one that was meant."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None when none comes close."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str], *, listed: str = "Known") -> str:
    """A sentence for a hint: the nearest known name, or the known ones, of many only the first."""
    choices = sorted(known)
    match = nearest(name, choices)
    if match is not None:
        return f"Did you mean {match!r}?"
    return f"{listed}: {quantities.listed(choices, MOST_LISTED) or 'none'}."


def sentences(message: str, hint: str | None) -> str:
    """A message and what to do next on one line."""
    if hint is None:
        return message
    return f"{message} {hint}" if message.endswith((".", "!", "?")) else f"{message}. {hint}"

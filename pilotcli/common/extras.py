"""Packages that only some users need, which extras bring."""

from __future__ import annotations


def install(extra: str) -> str:
    """Returns the command that adds an extra to an installed pilot."""
    return f"pip install 'pilot-db[{extra}]'"

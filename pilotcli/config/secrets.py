"""Hides what must not be shown: passwords in connection strings, arguments that are secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["MASK", "masked", "masked_dsn"]

MASK = "***"

_SECRET_KEY = re.compile(r"pass(word|wd|phrase)?$|pwd$|secret|token|api_?key|credential", re.I)
# A URL's user part (RFC 3986 section 3.2.1), its query, and libpq's `key = value` form, in which a
# value may be quoted (PostgreSQL manual, section 34.1.1).
_URL_PASSWORD = re.compile(r"(?<=://)([^/@:?#]*):[^/?#]*(?=@)")
_URL_QUERY = re.compile(r"([?&](?:ssl)?password=)[^&#]*", re.I)
_PAIR = re.compile(r"(\b(?:ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|\S+)", re.I)


def masked_dsn(dsn: str) -> str:
    """A connection string or URL without its password."""
    if "://" in dsn:
        return _URL_QUERY.sub(rf"\1{MASK}", _URL_PASSWORD.sub(rf"\1:{MASK}", dsn))
    return _PAIR.sub(rf"\1{MASK}", dsn)


def masked(value: Any, key: str = "") -> Any:
    """`value` with every secret in it masked, at any depth."""
    if isinstance(value, Mapping):
        return {name: masked(one, str(name)) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(one, key) for one in value]
    if value not in (None, "") and _SECRET_KEY.search(key):
        return MASK
    if isinstance(value, str) and ("://" in value or "password" in value.lower()):
        return masked_dsn(value)
    return value

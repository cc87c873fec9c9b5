"""Hides what must not be shown: passwords in connection strings, arguments that are secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from pilotcli.common.redaction import MASK, SHORTEST_PART, masked_dsn

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|pwd$|secret|token$|(api|access|auth|private)[_-]?key$|credentials?$",
    re.IGNORECASE,
)
_KEY = re.compile(r"(?<![\w-])[\w-]+(?=['\"]?\s*:(?!//))")


def is_secret_name(name: str) -> bool:
    """Whether what has this name is a secret: `password`, `API_KEY`, `auth-token`, ..."""
    return _SECRET_NAME.search(name) is not None


def names_secret(yaml: str) -> bool:
    """Whether a text of YAML has a key that is the name of a secret, as far as can be seen without
    reading it, since it may be broken."""
    return any(is_secret_name(found[0]) for found in _KEY.finditer(yaml))


def masked(value: Any, key: str = "", secrets: Collection[str] = ()) -> Any:
    """`value` with every secret in it masked, at any depth.

    Secrets are what stands under the name of one (`key`, or a key within), what is a password in a
    connection string, and the texts in `secrets`.
    """
    if value is None or value == "":
        return value
    if is_secret_name(key):
        return MASK
    if isinstance(value, Mapping):
        return {name: masked(inner, str(name), secrets) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(inner, key, secrets) for inner in value]
    if isinstance(value, bool):
        return value
    if str(value) in secrets:
        return MASK
    if isinstance(value, str):
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= SHORTEST_PART:
                value = value.replace(secret, MASK)
        return masked_dsn(value)
    return value


def secrets_in(value: Any, key: str = "") -> set[str]:
    """The texts at any depth of `value` that have a secret's name (`key`, or a key within)."""
    if isinstance(value, Mapping):
        pairs = [
            (inner, key if is_secret_name(key) else str(name)) for name, inner in value.items()
        ]
    elif isinstance(value, (list, tuple)):
        pairs = [(inner, key) for inner in value]
    else:
        return {value} if isinstance(value, str) and value and is_secret_name(key) else set()
    return set().union(*(secrets_in(inner, name) for inner, name in pairs))

"""Hides what must not be shown: passwords in connection strings, arguments that are secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote

__all__ = ["MASK", "is_secret_name", "masked", "masked_dsn", "names_secret", "secrets_in"]

MASK = "***"

SHORTEST_PART = 4
"""Characters that a secret needs to be masked within a longer text; a shorter one is masked only
where it is the whole text."""

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|pwd$|secret|token$|(api|access|auth|private)[_-]?key$|credentials?$",
    re.IGNORECASE,
)
# The connection parameters of libpq that are secrets (PostgreSQL manual, section 34.1.2).
_SECRET_PARAMETERS = (
    "password",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
)
# A URL's user part (RFC 3986, section 3.2.1). It is taken to reach to the last @, since a password
# may hold characters that should have been percent-encoded.
_URL_PASSWORD = re.compile(r"(?<=://)([^/@:?#\s]*):.*@", re.DOTALL)
_URL_PARAMETER = re.compile(r"([?&])([^=&#]*)=([^&#]*)")
# libpq's `key = value` form, in which a value may be quoted and a backslash escapes (34.1.1.1).
_PAIR = re.compile(
    rf"(?<![?&\w])((?:{'|'.join(_SECRET_PARAMETERS)})\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|(?:\\.|\S)+)",
    re.IGNORECASE | re.DOTALL,
)
_KEY = re.compile(r"[\w-]+(?=['\"]?\s*:(?!//))")


def is_secret_name(name: str) -> bool:
    """Whether what has this name is a secret: `password`, `API_KEY`, `auth-token`, ..."""
    return _SECRET_NAME.search(name) is not None


def names_secret(yaml: str) -> bool:
    """Whether a text of YAML has a key that is the name of a secret, as far as can be seen without
    reading it, since it may be broken."""
    return any(is_secret_name(found[0]) for found in _KEY.finditer(yaml))


def masked_dsn(dsn: str) -> str:
    """A connection string or URL without its secrets."""
    if "://" in dsn:
        dsn = _URL_PASSWORD.sub(rf"\1:{MASK}@", dsn)
        dsn = _URL_PARAMETER.sub(_masked_parameter, dsn)
    return _PAIR.sub(rf"\1{MASK}", dsn)


def _masked_parameter(found: re.Match[str]) -> str:
    secret = unquote(found[2]).strip().lower() in _SECRET_PARAMETERS
    return f"{found[1]}{found[2]}={MASK}" if secret else found[0]


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
        return {name: masked(one, str(name), secrets) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(one, key, secrets) for one in value]
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
        inner = [(one, key if is_secret_name(key) else str(name)) for name, one in value.items()]
    elif isinstance(value, (list, tuple)):
        inner = [(one, key) for one in value]
    else:
        return {value} if isinstance(value, str) and value and is_secret_name(key) else set()
    return set().union(*(secrets_in(one, name) for one, name in inner))

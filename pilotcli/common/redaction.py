"""Keeps the secrets of this process, and removes them from text that others have written.

Passwords reach pilot in a config, a connection string or the environment, and come back in drivers'
output, in tracebacks and in the server's messages. `keep_secret` records all secrets that pilot
reads, and `redacted` removes them from text as it enters pilot: from errors, and from drivers'
output and tracebacks.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote

MASK = "***"

SHORTEST_PART = 4
"""The fewest characters of a secret that is masked within a longer text; a shorter secret is masked
only where it is the whole text, or in the place of a password."""

# The connection parameters of libpq that are secrets (PostgreSQL manual, section 34.1.2).
_SECRET_PARAMETERS = (
    "password",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
)
_NAMES = "|".join(_SECRET_PARAMETERS)
# A URL's user part (RFC 3986, section 3.2.1). It is taken to reach to the last @, since a password
# may hold characters that should have been percent-encoded.
_URL_PASSWORD = re.compile(r"(?<=://)([^/@:?#\s]*):(.*)@", re.DOTALL)
_URL_PARAMETER = re.compile(r"([?&])([^=&#?]*)=([^&#]*)")
# libpq's `key = value` form, in which a value may be quoted and a backslash escapes (34.1.1.1).
_PAIR = re.compile(
    rf"(?<![?&\w])((?:{_NAMES})\s*=\s*)('(?:[^'\\]|\\.)*'?|(?:\\.|\S)+)",
    re.IGNORECASE | re.DOTALL,
)
# The same within a longer text: none reaches beyond its line, nor a URL's beyond the next @.
_URL_IN_TEXT = re.compile(r"(?<=://)([^/@:?#\s]*):[^@\s]+@")
_PAIR_IN_TEXT = re.compile(
    rf"(?<!\w)((?:{_NAMES})=)(?:'(?:[^'\\\n]|\\.)*'?|(?:\\.|[^\s&])+)", re.IGNORECASE
)

_guard = threading.Lock()
_known: frozenset[str] = frozenset()
_pattern: re.Pattern[str] | None = None


def masked_dsn(dsn: str) -> str:
    """A connection string or URL without its secrets."""
    if "://" in dsn:
        # Up to the last @ only, after which the pattern would look for one again and again.
        end = dsn.rfind("@") + 1
        dsn = _URL_PASSWORD.sub(rf"\1:{MASK}@", dsn[:end]) + dsn[end:]
        dsn = _URL_PARAMETER.sub(_masked_parameter, dsn)
    return _PAIR.sub(rf"\1{MASK}", dsn)


def dsn_secrets(dsn: str | None) -> set[str]:
    """The secrets in a connection string or URL, each with and without its escapes.

    A password that is also the name of the role or the database is not secret.
    """
    if dsn is None:
        return set()
    written = {found[2] for found in _PAIR.finditer(dsn)}
    meant = {_unquoted(value) for value in written}
    if "://" in dsn:
        parts = {found[2] for found in _URL_PASSWORD.finditer(dsn)}
        parts |= {found[3] for found in _URL_PARAMETER.finditer(dsn) if _is_secret(found[2])}
        written |= parts
        meant |= {unquote(value) for value in parts}
    in_the_open = masked_dsn(dsn)
    return {value for value in written | meant if value and value not in in_the_open}


def keep_secret(secrets: Iterable[str]) -> None:
    """Mask `secrets` in all spellings from now on, in this process.

    Secrets of fewer than four characters are left out: too many words contain them.
    """
    global _known, _pattern
    new = {secret for secret in secrets if len(secret) >= SHORTEST_PART} - _known
    if not new:
        return
    with _guard:
        _known |= new
        spellings = set().union(*map(_spellings, _known))
        longest_first = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
        _pattern = re.compile("|".join(map(re.escape, longest_first)))


def forget_secrets() -> None:
    """Forget all secrets; for a process that continues with other configs."""
    global _known, _pattern
    with _guard:
        _known, _pattern = frozenset(), None


def redacted(text: str) -> str:
    """`text` without the secrets that this process knows, and without the passwords of connection
    strings."""
    if _pattern is not None:
        text = _pattern.sub(MASK, text)
    if "://" in text:
        text = _URL_IN_TEXT.sub(rf"\1:{MASK}@", text)
    return _PAIR_IN_TEXT.sub(rf"\1{MASK}", text) if "=" in text else text


def _is_secret(parameter: str) -> bool:
    return unquote(parameter).strip().lower() in _SECRET_PARAMETERS


def _masked_parameter(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}={MASK}" if _is_secret(found[2]) else found[0]


def _unquoted(value: str) -> str:
    """A value of libpq's `key = value` form, without its quotes and escapes."""
    return re.sub(r"\\(.)", r"\1", value.removeprefix("'").removesuffix("'"), flags=re.DOTALL)


def _spellings(secret: str) -> set[str]:
    """The spellings of a secret in a URL, a connection string, SQL, Python and JSON."""
    encoded = {quote(secret, safe="", errors="replace"), quote(secret, errors="replace")}
    encoded.add(quote_plus(secret, errors="replace"))
    encoded |= {re.sub(r"%..", lambda found: found[0].lower(), text) for text in encoded}
    escaped = secret.replace("\\", "\\\\").replace("'", "\\'")
    in_code = {repr(secret)[1:-1], ascii(secret)[1:-1], json.dumps(secret)[1:-1]}
    return {secret, escaped, secret.replace("'", "''"), *encoded, *in_code}

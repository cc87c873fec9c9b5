"""What a PostgreSQL is set to, and what is installed in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pilotcli.common.redaction import masked_dsn
from pilotcli.config.secrets import is_secret_name
from pilotcli.databases.protocols import ServerFacts

# `override` are those that PostgreSQL sets itself, `client` those of pilot's own connection.
_FACTS = """SELECT version(),
(SELECT json_object_agg(name, current_setting(name) ORDER BY name) FROM pg_settings
    WHERE source NOT IN ('default', 'override', 'client', 'session')
    AND setting IS DISTINCT FROM boot_val),
(SELECT json_object_agg(extname, extversion ORDER BY extname) FROM pg_extension)"""

# Their values may have passwords: connection strings, and commands of the shell.
_WITHHELD = ("primary_conninfo", "ssl_passphrase_command")


def read_facts(rows_of: Callable[[str], Sequence[Sequence[Any]]]) -> ServerFacts:
    """Reads them with `rows_of`, which runs a query and returns its rows."""
    ((build, settings, extensions),) = rows_of(_FACTS)
    kept = {
        name: masked_dsn(value) for name, value in (settings or {}).items() if not _withheld(name)
    }
    return ServerFacts(build, kept, extensions or {})


def _withheld(name: str) -> bool:
    return name in _WITHHELD or name.endswith("_command") or is_secret_name(name)

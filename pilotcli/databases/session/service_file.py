"""Finds the database that a connection service of libpq names (PostgreSQL manual 32.17).

libpq reads its service file as it connects. pilot must know before that whether the file and the
config name two databases.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_NAME = "pg_service.conf"
_DEBIAN = "/etc/postgresql-common"


def service_database(service: str, environ: Mapping[str, str]) -> str | None:
    """The database of a service; None if it names none or is not found, which libpq reports."""
    own = environ.get("PGSERVICEFILE")
    home = environ.get("HOME") or Path.home()
    files = (
        Path(own) if own else Path(home, f".{_NAME}"),
        Path(environ.get("PGSYSCONFDIR") or _DEBIAN, _NAME),
    )
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except OSError:
            continue
        settings = _section(lines, service)
        if settings is not None:
            return settings.get("dbname") or None
    return None


def _section(lines: list[str], service: str) -> dict[str, str] | None:
    """The settings below the line `[service]`; of two of one name the first counts."""
    found: dict[str, str] | None = None
    for line in (line.strip() for line in lines):
        if line.startswith("["):
            if found is not None:
                break
            if line.startswith(f"[{service}]"):
                found = {}
        elif found is not None and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, value)
    return found

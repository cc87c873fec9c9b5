"""SQL for settings: to set, show and restore them; and the server's messages about a statement."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from pilotcli.common.errors import SteeringError
from pilotcli.databases.session.session import PostgresSession

_LISTS = frozenset({"search_path", "datestyle", "temp_tablespaces", "local_preload_libraries"})
"""Settings that are lists: SET takes their parts as separate values."""

Settings = tuple[tuple[str, str], ...]


def literal(text: str) -> str:
    """Returns `text` as a string constant, valid with any `standard_conforming_strings`."""
    quoted = text.replace("'", "''")
    if "\\" not in quoted:
        return f"'{quoted}'"
    return " E'" + quoted.replace("\\", "\\\\") + "'"


def _name(setting: str) -> str:
    """Returns a setting's name as SQL, each part between the dots in quotes."""
    if "\0" in setting or not setting.strip():
        raise SteeringError(f"{setting!r} is not the name of a setting")
    return ".".join('"' + part.replace('"', '""') + '"' for part in setting.split("."))


@functools.lru_cache(maxsize=1024)
def set_all(settings: Settings, scope: str = "LOCAL ") -> str:
    """Returns `SET LOCAL "enable_nestloop" = 'off'; ` for each setting.

    `scope` is `LOCAL ` for the transaction and empty for the session.
    """
    return "".join(
        f"SET {scope}{_name(name)} = {_value(name, value)}; " for name, value in settings
    )


def _value(name: str, value: str) -> str:
    if name.lower() not in _LISTS:
        return literal(value)
    return ", ".join(literal(part.strip().strip('"')) for part in value.split(","))


def show_settings(names: Iterable[str]) -> str:
    """Returns a statement for the values of settings; an unknown one is null."""
    return f"SELECT {', '.join(map(_current, names))}"


def restore_settings(
    names: Sequence[str],
    values: Sequence[str | None],
    scope: str,
    pushed: Sequence[str | None] | None = None,
) -> str:
    """Returns a statement that gives settings the `values` that the server showed before.

    None means empty. A setting that does not have its `pushed` value any more was set by the query
    itself, and stays as it is.
    """
    local = "true" if scope else "false"
    calls = []
    for at, (name, value) in enumerate(zip(names, values, strict=True)):
        new = literal(value or "")
        if pushed is not None:
            now, then = _current(name), literal(pushed[at] or "")
            new = f"CASE coalesce({now}, '') WHEN {then} THEN {new} ELSE {now} END"
        calls.append(f"set_config({literal(name)}, {new}, {local})")
    return f"SELECT {', '.join(calls)}"


@contextmanager
def own_statements(session: PostgresSession) -> Iterator[list[str]]:
    """Gives the caller a list of the server's messages, and keeps them from other readers.

    Within it, pilot sends statements of its own, which leave the schema as it is.
    """
    before, kept = session.connection.notices, session.keeps_schema
    notices: list[str] = []
    session.connection.notices, session.keeps_schema = notices, True
    try:
        yield notices
    finally:
        session.connection.notices, session.keeps_schema = before, kept


def _current(name: str) -> str:
    return f"current_setting({literal(name)}, true)"

"""The SQL that steers: settings in front of a query, quoted."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from pilotcli.common.errors import SteeringError

__all__ = ["literal", "restored", "set_all", "shown"]

_LISTS = frozenset({"search_path", "datestyle", "temp_tablespaces", "local_preload_libraries"})
"""Settings that are lists: SET takes their parts one by one."""

Settings = tuple[tuple[str, str], ...]


def literal(text: str) -> str:
    """`text` as a string constant, whatever `standard_conforming_strings` says."""
    quoted = text.replace("'", "''")
    if "\\" not in quoted:
        return f"'{quoted}'"
    return " E'" + quoted.replace("\\", "\\\\") + "'"


def _name(setting: str) -> str:
    """A setting's name as SQL: each part between the dots quoted, so that no text leaves it."""
    if "\0" in setting or not setting.strip():
        raise SteeringError(f"{setting!r} is no name of a setting")
    return ".".join('"' + part.replace('"', '""') + '"' for part in setting.split("."))


@functools.lru_cache(maxsize=1024)
def set_all(settings: Settings, scope: str = "LOCAL ") -> str:
    """`SET LOCAL "enable_nestloop" = 'off'; ...` with a blank at the end, or nothing.

    `scope` is `LOCAL ` for the transaction and empty for the session.
    """
    return "".join(
        f"SET {scope}{_name(name)} = {_value(name, value)}; " for name, value in settings
    )


def _value(name: str, value: str) -> str:
    if name.lower() not in _LISTS:
        return literal(value)
    return ", ".join(literal(one.strip().strip('"')) for one in value.split(","))


def shown(names: Iterable[str]) -> str:
    """A statement that tells what settings are; null for one that is not known."""
    return f"SELECT {', '.join(map(_current, names))}"


def restored(
    names: Sequence[str],
    values: Sequence[str | None],
    scope: str,
    pushed: Sequence[str | None] | None = None,
) -> str:
    """A statement that brings settings to `values` as the server shows them; None is empty.

    One that is not as `pushed` any more was set by the query itself, and stays so.
    """
    local = "true" if scope else "false"
    calls = []
    for at, (name, value) in enumerate(zip(names, values, strict=True)):
        wanted = literal(value or "")
        if pushed is not None:
            now, then = _current(name), literal(pushed[at] or "")
            wanted = f"CASE coalesce({now}, '') WHEN {then} THEN {wanted} ELSE {now} END"
        calls.append(f"set_config({literal(name)}, {wanted}, {local})")
    return f"SELECT {', '.join(calls)}"


def _current(name: str) -> str:
    return f"current_setting({literal(name)}, true)"

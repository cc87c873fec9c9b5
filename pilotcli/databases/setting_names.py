"""The setting that a name probably stands for, where the server has none of that name."""

from __future__ import annotations

from collections.abc import Iterable

from pilotcli.common.suggestions import nearest

SETTING_NAMES = "SELECT name::text FROM pg_catalog.pg_settings"
UNKNOWN_SETTING = "42704"
"""The SQLSTATE with which a server refuses a setting that it does not have (undefined_object)."""


def meant_setting(names: Iterable[str], known: Iterable[str]) -> str | None:
    """A sentence with the setting that the first unknown one of `names` probably stands for; None
    if all are known, or none is like it. A name with a dot is an extension's, which may be loaded
    later."""
    by_lower = {name.lower(): name for name in known}
    for name in names:
        if "." in name or name.lower() in by_lower:
            continue
        match = nearest(name, by_lower.values())
        return f"Did you mean {match!r}?" if match is not None else None
    return None

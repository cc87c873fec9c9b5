"""What `pilot db undo` shows of changes to a server."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pilotcli.databases.changes.log import Change
from pilotcli.databases.commands.undo import PendingChange
from pilotcli.views.console import out
from pilotcli.views.tables import show_json
from pilotcli.views.text import clean


def show_changes(changes: Sequence[PendingChange], format: str) -> None:
    """Changes with their states, for people or as JSON."""
    if format == "json":
        show_json([_plain(pending) for pending in changes])
        return
    if not changes:
        out("Nothing is pending: every change to a server was undone.")
    for pending in changes:
        change = pending.change
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(change.made_at))
        out(f"{change.change_id:>4}  {pending.status:<8}  {clean(_what(change))}")
        database = f", database {change.database}" if change.database else ""
        out(f"      {made} by process {change.owner.pid}, {clean(change.place)}{database}")


def _what(change: Change) -> str:
    if change.kind == "setting":
        old, new = change.detail["old"], change.detail["new"]
        before = "not set" if old is None else repr(old)
        return f"{change.name} set to {new!r}, before: {before}"
    if change.kind == "index dropped":
        return f"index dropped: {change.detail['facts']['definition']}"
    return f"{change.kind}: {change.name}"


def _plain(pending: PendingChange) -> dict[str, object]:
    change = pending.change
    return {
        "id": change.change_id,
        "status": pending.status,
        "kind": change.kind,
        "name": change.name,
        "detail": dict(change.detail),
        "server": change.place,
        "system_identifier": change.server,
        "database": change.database or None,
        "host": change.owner.host,
        "pid": change.owner.pid,
        "made_at": change.made_at,
    }

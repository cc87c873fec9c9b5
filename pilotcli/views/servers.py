"""What `pilot db status|stop|reset` show of the embedded servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pilotcli.databases.embedded.admin import ServerStatus, Stopped
from pilotcli.views.console import out
from pilotcli.views.tables import show_json

_HIDDEN = "a process in another container"


def show_statuses(statuses: Sequence[ServerStatus], format: str) -> None:
    """The embedded servers, for people or as JSON."""
    if format == "json":
        show_json(statuses)
        return
    if not statuses:
        out("There is no embedded server here yet. Create and start one with: pilot db start")
        return
    for server in statuses:
        where = f"process {server.pid}" if server.pid is not None else "in another container"
        state = f"running, {where}" if server.running else "stopped"
        out(f"PostgreSQL {server.version}  {state}")
        out(f"  data    {server.data_dir} ({server.size_bytes / 1e6:.0f} MB)")
        out(f"  log     {server.log_file}")
        if server.socket_dir is not None:
            out(f"  socket  {server.socket_dir}")
        out(f"  used by {_users(server)}")


def _users(status: ServerStatus) -> str:
    holders = [f"process {pid}" for pid in status.users]
    if status.hidden_users:
        holders.append(_HIDDEN)
    if status.pinned and status.running:
        holders.append("`pilot db start` (until `pilot db stop`)")
    return ", ".join(holders) or "nobody"


def show_stopped(outcomes: Sequence[Stopped]) -> None:
    """What `pilot db stop` did to each server."""
    if not any(server.was_running for server in outcomes):
        out("No embedded server is running.")
    for server in outcomes:
        if not server.was_running:
            continue
        if server.stopped:
            out(f"PostgreSQL {server.version} stopped.")
        else:
            users = ", ".join(map(str, server.users))
            out(
                f"PostgreSQL {server.version} is in use "
                f"({f'process {users}' if users else _HIDDEN}); it stops when the last of them has "
                "ended."
            )


def show_deleted(folders: Sequence[Path]) -> None:
    """Which clusters `pilot db reset` deleted."""
    for folder in folders:
        out(f"Deleted {folder}")
    if not folders:
        out("There was nothing to delete.")

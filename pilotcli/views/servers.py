"""What `pilot db status|stop|reset` show of the embedded servers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pilotcli.databases.embedded import ServerStatus, Stopped
from pilotcli.views.console import out

__all__ = ["show_deleted", "show_statuses", "show_stopped"]


def show_statuses(statuses: Sequence[ServerStatus], format: str) -> None:
    """The embedded servers, for people or as JSON."""
    if format == "json":
        out(json.dumps([asdict(one) for one in statuses], default=str, indent=2))
        return
    if not statuses:
        out("There is no embedded server here yet. Create and start one with: pilot db start")
        return
    for one in statuses:
        state = f"running, process {one.pid}" if one.running else "stopped"
        out(f"PostgreSQL {one.version}  {state}")
        out(f"  data    {one.data_dir} ({one.size_bytes / 1e6:.0f} MB)")
        out(f"  log     {one.log_file}")
        if one.socket_dir is not None:
            out(f"  socket  {one.socket_dir}")
        out(f"  used by {_users(one)}")


def _users(status: ServerStatus) -> str:
    holders = [f"process {pid}" for pid in status.users]
    if status.pinned and status.running:
        holders.append("`pilot db start` (until `pilot db stop`)")
    return ", ".join(holders) or "nobody"


def show_stopped(outcomes: Sequence[Stopped]) -> None:
    """What `pilot db stop` did to each server."""
    if not any(one.was_running for one in outcomes):
        out("No embedded server is running.")
    for one in outcomes:
        if not one.was_running:
            continue
        if one.stopped:
            out(f"PostgreSQL {one.version} stopped.")
        else:
            users = ", ".join(map(str, one.users)) or "unknown"
            out(
                f"PostgreSQL {one.version} is in use (process {users}); it stops when the last "
                "of them has ended."
            )


def show_deleted(folders: Sequence[Path]) -> None:
    """Which clusters `pilot db reset` deleted."""
    for folder in folders:
        out(f"Deleted {folder}")
    if not folders:
        out("There was nothing to delete.")

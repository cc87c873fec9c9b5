"""The embedded PostgreSQL: a private server in pilot's folder, reached over a Unix socket."""

from __future__ import annotations

from pilotcli.databases.embedded.admin import (
    ServerStatus,
    Stopped,
    reset_servers,
    server_statuses,
    stop_servers,
)
from pilotcli.databases.embedded.server import EmbeddedServer

__all__ = [
    "EmbeddedServer",
    "ServerStatus",
    "Stopped",
    "reset_servers",
    "server_statuses",
    "stop_servers",
]

"""The embedded PostgreSQL: a private server in pilot's folder, reached over a Unix socket."""

from __future__ import annotations

from pilotcli.databases.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer"]

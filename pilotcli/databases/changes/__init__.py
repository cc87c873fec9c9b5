"""Changes to a server that outlive a query: settings, indexes, extensions, and their undoing.

Each is in a log before it is made, and is undone when its target is closed, or, after a pilot was
killed, by the next one that opens a target on that server.
"""

from __future__ import annotations

from pilotcli.databases.changes.autoconf import (
    FileAutoConf,
    ServerAutoConf,
    not_allowed,
    system_identifier,
)
from pilotcli.databases.changes.changes import Changes, mend_stopped_server
from pilotcli.databases.changes.log import Change, ChangeLog
from pilotcli.databases.changes.undo import Undone

__all__ = [
    "Change",
    "ChangeLog",
    "Changes",
    "FileAutoConf",
    "ServerAutoConf",
    "Undone",
    "mend_stopped_server",
    "not_allowed",
    "system_identifier",
]

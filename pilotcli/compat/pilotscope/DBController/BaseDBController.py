"""The base of controllers."""

from __future__ import annotations

from pilotcli.databases.protocols import BaseDBController

__all__ = ["BaseDBController"]

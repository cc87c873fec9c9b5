"""The base of controllers."""

from __future__ import annotations

from pilotcli.databases.base import BaseDBController

__all__ = ["BaseDBController"]

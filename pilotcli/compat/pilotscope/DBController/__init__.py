"""`pilotscope.DBController`: as in PilotScope, whose drivers import the modules themselves."""

from __future__ import annotations

from pilotcli.compat.pilotscope.DBController import BaseDBController, PostgreSQLController

__all__ = ["BaseDBController", "PostgreSQLController"]

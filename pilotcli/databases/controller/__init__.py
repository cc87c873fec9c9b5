"""What drivers do with a PostgreSQL, under PilotScope's documented names."""

from __future__ import annotations

from pilotcli.databases.controller.controller import (
    DBControllerFactory,
    PostgreSQLController,
    get_db_controller,
)

__all__ = ["DBControllerFactory", "PostgreSQLController", "get_db_controller"]

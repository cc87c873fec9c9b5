"""How far a reader has read the store's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotcli.storage import tables

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

    from pilotcli.databases.controller import PostgreSQLController
    from pilotcli.storage.data_manager import DataManager

__all__ = ["TableVisitedTracker"]


class TableVisitedTracker:
    """The places of the reader `""`, which `read_all` and `read_update` use by default.

    Made from a `DataManager`, whose store it looks into, or as PilotScope does, from a controller:
    then it is the store of that controller's config.
    """

    data_visit_table = tables.VISITS

    def __init__(self, data_manager: DataManager | PostgreSQLController) -> None:
        from pilotcli.storage.data_manager import DataManager

        if not isinstance(data_manager, DataManager):
            data_manager = DataManager(data_manager.config)
        self._store = data_manager._store

    def read_data_visit_id(self, table_name: str) -> int | None:
        """The key up to which the table was read; None before."""
        return self._store.transaction(lambda cursor: tables.visit(cursor, table_name, ""))

    def update_data_visit_id(self, table_name: str, cur_id: int) -> None:
        """Set the key up to which the table counts as read."""

        def update(cursor: Cursor) -> None:
            tables.visit(cursor, table_name, "")
            tables.set_visit(cursor, table_name, "", cur_id, None)

        self._store.transaction(update)

    def delete_visited_record(self, table: str) -> None:
        """Forget that the table was read."""
        self._store.transaction(lambda cursor: tables.forget_visits(cursor, table))

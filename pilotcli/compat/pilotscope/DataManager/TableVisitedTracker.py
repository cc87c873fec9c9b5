"""How far a reader has read the store's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotcli.compat.refused import Refused
from pilotcli.storage.store import tables

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

__all__ = ["TableVisitedTracker"]


class TableVisitedTracker:
    """The places of the reader `""`, which `read_all` and `read_update` use by default.

    Made from a `DataManager`, whose store it looks into, or as PilotScope does, from a controller:
    then it is the store of that controller's config.
    """

    data_visit_table = tables.VISITS
    table_2_last_read_id = Refused(
        "nothing is kept here, the store alone knows", "Use read_data_visit_id(table_name)."
    )

    def __init__(self, db_controller: Any) -> None:
        from pilotcli.compat.pilotscope.DataManager.DataManager import DataManager
        from pilotcli.storage.store import data_manager

        is_manager = isinstance(db_controller, data_manager.DataManager)
        self._manager = db_controller if is_manager else DataManager(db_controller.config)
        self._store = self._manager._store

    @property
    def db_controller(self) -> Any:
        """A controller on the store's database."""
        return self._manager.db_controller

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

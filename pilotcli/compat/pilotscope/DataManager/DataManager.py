"""The store's tables."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pilotcli.compat.errors import raises_theirs, raising_theirs
from pilotcli.compat.pilotscope.DBController.PostgreSQLController import PostgreSQLController
from pilotcli.compat.pilotscope.PilotSysConfig import PilotSysConfig
from pilotcli.compat.refused import Refused
from pilotcli.storage.store import tables
from pilotcli.storage.store.data_manager import DataManager as _Own

if TYPE_CHECKING:
    import pandas
    from psycopg2.extensions import cursor as Cursor

__all__ = ["DataManager", "TableVisitedTracker"]


@raises_theirs
class DataManager(_Own):
    """pilot's data manager, which gives JSON as text: PilotScope's drivers parse it themselves."""

    table_primary_key = PilotSysConfig.DATA_COLLECT_TABLE_PRIMARY_ID

    @cached_property
    @raising_theirs
    def db_controller(self) -> PostgreSQLController:
        """A controller on the store's database; what it changes there is its user's business."""
        self.flush()
        self.connect()
        config: Any = copy.copy(self.config)
        config.db, config.session_settings, config.setup = self.config.user_data_db_name, {}, ()
        if config.store_dsn is not None:
            config.db, config.dsn, config.embedded = None, config.store_dsn, False
        return PostgreSQLController(config)

    def close(self) -> None:
        """Save what `append` has taken and close the connections; safe to call twice."""
        made = vars(self).pop("db_controller", None)
        if made is not None:
            made.close()
        super().close()

    def save_data(self, table_name: str, column_2_value: Mapping[str, Any]) -> None:
        """Save one row: column to value. An empty one saves nothing."""
        super().save_data(table_name, column_2_value)

    def save_data_batch(
        self,
        table_name: str,
        column_2_value_list: Iterable[Mapping[str, Any]],
        *,
        mark: tuple[str, str] | None = None,
    ) -> None:
        """Save many rows, all of them or none."""
        super().save_data_batch(table_name, column_2_value_list, mark=mark)

    def remove_table_and_tracker(self, table_name: str) -> None:
        """Remove a table, and how far it was read."""
        super().remove_table_and_tracker(table_name)

    @property
    def table_visited_tracker(self) -> TableVisitedTracker:
        """How far this reader has read."""
        return TableVisitedTracker(self)

    def read_all(self, table_name: str, *, reader: str = "") -> pandas.DataFrame:
        """All rows of a table."""
        return _with_texts(super().read_all(table_name, reader=reader))

    def read_update(self, table_name: str, *, reader: str = "") -> pandas.DataFrame:
        """The rows since the last read."""
        return _with_texts(super().read_update(table_name, reader=reader))

    def _create_table_if_absence(self, table_name: str, column_2_value: dict[str, Any]) -> None:
        """Make a table of these columns, without rows."""
        if not self.exist_table(table_name):
            self.save_data(table_name, column_2_value)
            self._store.transaction(lambda cursor: _empty(cursor, table_name))


@raises_theirs
class TableVisitedTracker:
    """How far the reader `""`, which is the default, has read the store's tables.

    Made from a `DataManager`, whose store it reads, or, as PilotScope does it, from a controller:
    then it reads the store of that controller's config.
    """

    data_visit_table = tables.VISITS
    table_2_last_read_id = Refused(
        "nothing is kept here, the store alone knows", "Use read_data_visit_id(table_name)."
    )

    def __init__(self, db_controller: Any) -> None:
        is_manager = isinstance(db_controller, _Own)
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


def _empty(cursor: Any, table: str) -> None:
    cursor.execute(f"TRUNCATE {tables.quoted(table)} RESTART IDENTITY")


def _with_texts(frame: pandas.DataFrame) -> pandas.DataFrame:
    import pandas

    for name in frame.columns:
        if frame[name].map(lambda value: isinstance(value, (dict, list))).any():
            texts = [
                json.dumps(value) if isinstance(value, (dict, list)) else value
                for value in frame[name]
            ]
            # Not pandas' own kind for texts: drivers put what they have parsed into the column.
            frame[name] = pandas.Series(texts, index=frame.index, dtype=object)
    return frame

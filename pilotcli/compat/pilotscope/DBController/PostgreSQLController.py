"""The controller of a PostgreSQL."""

from __future__ import annotations

from typing import Any

from pilotcli.compat.pilotscope.Common.Index import Index
from pilotcli.databases.controller import PostgreSQLController as _Own
from pilotcli.databases.controller.what_if import same_index
from pilotcli.databases.postgres import plan_of
from pilotcli.errors import CapabilityError

__all__ = ["PostgreSQLController"]


class PostgreSQLController(_Own):
    """pilot's controller, with what else PilotScope's drivers call."""

    def _connect_if_loss(self) -> None:
        """Connect unless that is so: pilot does it whenever it is needed."""
        self.session()

    def _reset(self) -> None:
        """Leave the session as it was when new."""
        self.reset()

    def _surun(self, cmd: str) -> int:
        raise CapabilityError(
            "pilot runs no shell commands as the server's user",
            hint="Use start(), shutdown() and restart().",
        )

    def drop_index(self, index: Any) -> None:
        """Drop the index of this name where there is one."""
        known = self.get_existed_indexes(index.table)
        if any(same_index(one, index) for one in known):
            super().drop_index(index)

    def get_all_indexes(self) -> list[Any]:
        """As pilot's, in PilotScope's class."""
        return [_as_theirs(one) for one in super().get_all_indexes()]

    def get_existed_indexes(self, table_name: str) -> list[Any]:
        """As pilot's, in PilotScope's class."""
        return [_as_theirs(one) for one in super().get_existed_indexes(table_name)]

    def get_existed_index(self, table_name: str) -> list[Any]:
        """The older name of `get_existed_indexes`."""
        return self.get_existed_indexes(table_name)

    def explain_physical_plan(self, sql: str, comment: str = "") -> dict[str, Any]:
        """The planner's plan of `sql`, which is not run: `Plan` and `Planning Time` (ms)."""
        text = f"{comment} EXPLAIN (VERBOSE, SUMMARY, FORMAT JSON) {sql}"
        with self.simulating() as session:
            return plan_of(session.execute(text.strip()))

    def explain_logical_plan(self, sql: str, comment: str = "") -> dict[str, Any]:
        """The same: a PostgreSQL tells no other plan."""
        return self.explain_physical_plan(sql, comment)

    def explain_execution_plan(self, sql: str, comment: str = "") -> dict[str, Any]:
        """Run `sql` under `EXPLAIN ANALYZE`: `Plan` and `Execution Time` (ms)."""
        text = f"{comment} EXPLAIN (ANALYZE, VERBOSE, SUMMARY, FORMAT JSON) {sql}"
        return plan_of(self.session().execute(text.strip()))

    def get_estimated_cost(self, sql: str, comment: str = "") -> float:
        """The planner's total cost of `sql`, in its own units."""
        return float(self.explain_physical_plan(sql, comment)["Plan"]["Total Cost"])

    def get_available_extensions(self) -> list[str]:
        """The extensions that are installed in the database."""
        rows = self.session().execute("SELECT extname FROM pg_extension ORDER BY extname").rows
        return [str(row[0]) for row in rows]

    def get_table_column_name_all_schema(self, table_name: str) -> list[str]:
        """The names of a table's columns."""
        return [str(one) for one in self.get_table_columns(table_name)]

    def get_relation_content(
        self, relation_names: str, fetch_column_name: bool = False
    ) -> list[tuple[Any, ...]]:
        """All rows of a relation."""
        from psycopg2 import sql

        name = sql.Identifier(*relation_names.split("."))
        text = sql.SQL("SELECT * FROM {}").format(name).as_string(self.session().connection)
        found: list[tuple[Any, ...]] = self.execute(text, True, fetch_column_name)
        return found

    def get_column_number_of_distinct_value(self, table_name: str, column_name: str) -> int:
        """The number of different values of a column."""
        return int(self.get_number_of_distinct_value(table_name, column_name))


def _as_theirs(index: Any) -> Index:
    if isinstance(index, Index):
        return index
    return Index(list(index.columns), index.table, index.index_name)

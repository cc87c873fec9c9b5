"""What drivers do with a PostgreSQL, under PilotScope's documented names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2 import sql as compose

from pilotcli.config.pilot_config import PilotConfig
from pilotcli.databases.controller.indexes import IndexMethods
from pilotcli.databases.controller.server import ServerMethods
from pilotcli.databases.controller.setting_plans import plans_under
from pilotcli.databases.knobs.values import setting_text
from pilotcli.databases.protocols import BaseDBController, Target
from pilotcli.databases.session.session import plan_of


class PostgreSQLController(ServerMethods, IndexMethods):
    """A driver's way to the database: a connection for each thread, opened when first used.

    Statements end after `config.sql_execution_timeout` seconds. A connection that was lost is
    opened again by the next call. Names of tables and columns are quoted, so upper and lower case
    matter; `schema.table` names a table of a schema outside the `search_path`. With
    `enable_simulate_index` all indexes are what-if ones.

    Knobs, indexes and extensions that are changed here are undone when the target is closed.

    Every method raises `QueryError` when the server refuses the statement (`QueryTimeout`,
    `QueryCancelled` when it was ended) and `DatabaseError` when there is no connection.
    """

    def execute(
        self,
        sql: str,
        fetch: bool = False,
        fetch_column_name: bool = False,
        *,
        is_reset: bool = False,
    ) -> Any:
        """Run `sql`; see `BaseDBController.execute`. With `is_reset`, in a session as it was when
        new: what was set before (`set_hint`) is reset first."""
        if is_reset:
            self.reset()
        rows = self.session().execute(sql)
        if not fetch:
            return None
        found = list(rows.rows)
        return [tuple(rows.columns), *found] if fetch_column_name else found

    def explain_physical_plan(self, sql: str) -> dict[str, Any]:
        with self.simulating() as session:
            return session.explain(sql)

    def explain_under(
        self, sql: str, choices: Sequence[Mapping[str, object]]
    ) -> list[dict[str, Any]]:
        """The planner's plans of `sql`, one for each of `choices`, which are settings with values:
        `[{}, {"enable_nestloop": "off"}]`. They are asked for in one message."""
        with self.simulating() as session:
            return plans_under(session, sql, choices)

    def explain_execution_plan(self, sql: str) -> dict[str, Any]:
        return plan_of(self.session().execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}"))

    def get_estimated_cost(self, sql: str) -> float:
        return float(self.explain_physical_plan(sql)["Plan"]["Total Cost"])

    def set_hint(self, key: str, value: object) -> None:
        """Set the server setting `key` for the calling thread's session, until `reset`."""
        text = setting_text(value) or str(value)
        self._run("SELECT set_config({}, {}, false)", compose.Literal(key), compose.Literal(text))


def get_db_controller(
    config: PilotConfig, enable_simulate_index: bool = False, *, target: Target | None = None
) -> BaseDBController:
    """A new controller for the database that `config` names; with `enable_simulate_index` its
    indexes are what-if ones. With `target` it works on that, and leaves it open."""
    return PostgreSQLController(config, target=target, enable_simulate_index=enable_simulate_index)


class DBControllerFactory:
    """Makes controllers; PilotScope's documented class."""

    get_db_controller = staticmethod(get_db_controller)

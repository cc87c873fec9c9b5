"""The controller of a PostgreSQL."""

from __future__ import annotations

import logging
import subprocess
import weakref
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from psycopg2 import sql as compose

from pilotcli.common.errors import CapabilityError, QueryError, SteeringError
from pilotcli.common.records import Index as _OwnIndex
from pilotcli.compat import sqla
from pilotcli.compat.errors import no_such_table, raises_theirs
from pilotcli.compat.pilotscope.Common.Index import Index
from pilotcli.compat.pilotscope.Exception.Exception import PilotScopeExecCommandException
from pilotcli.compat.refused import Refused
from pilotcli.compat.rows import named_rows
from pilotcli.databases.controller.index_sql import same_index
from pilotcli.databases.controller.names import literal_name
from pilotcli.databases.session.session import plan_of
from pilotcli.steering.controller import PostgreSQLController as _Own
from pilotcli.steering.hint_plan import ENABLE_SETTING
from pilotcli.steering.sql import set_all

if TYPE_CHECKING:
    from pilotcli.config import PilotConfig
    from pilotcli.databases.protocols import Target

log = logging.getLogger(__name__)

__all__ = ["PostgreSQLController", "SimulateIndexVisitor"]

_UNDEFINED_TABLE = "42P01"
_DROPPED = frozenset(
    (
        *("force_parallel_mode", "old_snapshot_threshold", "operator_precedence_warning"),
        *("promote_trigger_file", "stats_temp_directory", "vacuum_cleanup_index_scale_factor"),
        *("vacuum_defer_cleanup_age", "db_user_namespace", "trace_recovery_messages"),
    )
)
"""Knobs of PostgreSQL 13, for which PilotScope's drivers were written, that a later one has
dropped (release notes of 14 to 18). A server does not start with one."""
_KNOWN_KNOBS = "SELECT name FROM pg_settings WHERE name = ANY({}::text[])"
_COLUMNS_ANYWHERE = """
SELECT a.attname::text FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.relname = {} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0
  AND NOT a.attisdropped ORDER BY c.relnamespace, c.oid, a.attnum
"""


@raises_theirs
class PostgreSQLController(_Own):
    """pilot's controller, with what else PilotScope's drivers call.

    `echo` is kept, and shows what `engine` sends; what pilot sends is in the server's log.
    """

    instances: ClassVar[weakref.WeakSet[PostgreSQLController]] = weakref.WeakSet()
    """All controllers that somebody holds."""

    connection_thread = Refused(
        "pilot keeps a session of its own for each thread",
        "Use execute(), or SQLAlchemy's connections: engine.connect().",
    )

    def __init__(
        self,
        config: PilotConfig,
        echo: bool = False,
        enable_simulate_index: bool = False,
        *,
        target: Target | None = None,
    ) -> None:
        super().__init__(config, target=target, enable_simulate_index=enable_simulate_index)
        self.echo = echo
        self.instances.add(self)

    @cached_property
    def engine(self) -> Any:
        """SQLAlchemy's engine on this database, whose connections are apart from this controller's
        sessions. Raises `CapabilityError` where SQLAlchemy is not installed."""
        return sqla.engine_of(self, echo=self.echo)

    @cached_property
    def metadata(self) -> Any:
        """SQLAlchemy's collection of the tables that were asked for. Raises as `engine`."""
        return sqla.metadata()

    @property
    def simulate_index_visitor(self) -> SimulateIndexVisitor:
        """What-if indexes by themselves. Raises `CapabilityError` without `enable_simulate_index`,
        since the methods would change real ones."""
        return SimulateIndexVisitor(self)

    def get_sqla_table(self, table_name: str) -> Any:
        """SQLAlchemy's description of a table; as `engine`."""
        return sqla.table_of(table_name, self.metadata, self.engine)

    def get_connection(self) -> Any:
        """Refused, as `connection_thread`. Raises `CapabilityError`."""
        return self.connection_thread

    def connect_if_loss(self) -> None:
        """Connect unless that is so: pilot does it whenever it is needed."""
        self.session()

    def disconnect(self) -> None:
        """Close the calling thread's session; the next call opens another."""
        session = getattr(self._own, "session", None)
        if session is not None:
            session.close()

    def is_connect(self) -> bool:
        """Whether the calling thread has a session; the server may have ended it meanwhile."""
        session = getattr(self._own, "session", None)
        return session is not None and not session.closed

    _connect_if_loss = connect_if_loss
    _disconnect = disconnect
    _is_connect = is_connect
    _get_connection = get_connection
    _get_sqla_table = get_sqla_table

    def _reset(self) -> None:
        """Leave the session as it was when new."""
        self.reset()

    def execute(
        self,
        sql: Any,
        fetch: bool = False,
        fetch_column_name: bool = False,
        *,
        is_reset: bool = False,
    ) -> Any:
        """See `pilotcli.PostgreSQLController.execute`; `sql` may be a statement of SQLAlchemy's
        too. The values of a row are its attributes, too (`row.id`)."""
        if not isinstance(sql, str) and hasattr(sql, "compile"):
            sql = sqla.statement_text(sql, self.session().connection)
        if not fetch:
            return super().execute(sql, is_reset=is_reset)
        columns, *rows = super().execute(sql, True, True, is_reset=is_reset)
        named = named_rows(columns, rows)
        return [columns, *named] if fetch_column_name else named

    def _require_table(self, table_name: str) -> None:
        try:
            super()._require_table(table_name)
        except SteeringError as error:
            raise no_such_table(error, table_name) from None

    def _require_columns(self, index: Any) -> None:
        # A real index is judged by the server, whose errors PilotScope's drivers know.
        if self.enable_simulate_index or not isinstance(index, _OwnIndex):
            super()._require_columns(index)

    def get_index_byte(self, index: Any) -> int:
        """See `pilotcli.PostgreSQLController.get_index_byte`; raises the server's error where there
        is no such index."""
        try:
            return super().get_index_byte(index)
        except SteeringError:
            if not self.enable_simulate_index:
                self._run("SELECT pg_table_size({})", literal_name(index.get_index_name()))
            raise

    def _described(self, method: Callable[..., Any], table_name: str, *arguments: Any) -> Any:
        """What a method says about a table, which SQLAlchemy describes first in PilotScope."""
        try:
            return method(table_name, *arguments)
        except QueryError as error:
            if error.sqlstate == _UNDEFINED_TABLE:
                raise no_such_table(error, table_name) from None
            raise

    def insert(self, table_name: str, column_2_value: Mapping[str, object]) -> None:
        """See `pilotcli.PostgreSQLController.insert`."""
        self._described(super().insert, table_name, column_2_value)

    def get_table_row_count(self, table_name: str) -> int:
        """How many rows a table has."""
        return int(self._described(super().get_table_row_count, table_name))

    def get_column_max(self, table_name: str, column_name: str) -> Any:
        """The largest value of a column."""
        return self._described(super().get_column_max, table_name, column_name)

    def get_column_min(self, table_name: str, column_name: str) -> Any:
        """The smallest value of a column."""
        return self._described(super().get_column_min, table_name, column_name)

    def status(self) -> str:
        """Whether the server takes connections, in words like those of `pg_ctl status`."""
        return "server is running" if self.is_running() else "no server is running"

    def write_knob_to_file(self, key_2_value_knob: Mapping[str, object]) -> None:
        """See `pilotcli.PostgreSQLController.write_knob_to_file`; knobs that this server no longer
        has are left out, with a warning."""
        super().write_knob_to_file(self._without_dropped(key_2_value_knob))

    def set_knobs(self, key_2_value_for_knob: Mapping[str, object]) -> None:
        """See `pilotcli.PostgreSQLController.set_knobs`; as `write_knob_to_file`."""
        super().set_knobs(self._without_dropped(key_2_value_for_knob))

    def _without_dropped(self, knobs: Mapping[str, object]) -> Mapping[str, object]:
        doubtful = sorted(name for name in knobs if name.lower() in _DROPPED)
        if not doubtful or not self.is_running():
            return knobs
        names = compose.Literal([name.lower() for name in doubtful])
        known = {name for (name,) in self._run(_KNOWN_KNOBS, names)}
        dropped = {name for name in doubtful if name.lower() not in known}
        if dropped:
            log.warning("this server no longer has these knobs: %s", ", ".join(sorted(dropped)))
        return {name: value for name, value in knobs.items() if name not in dropped}

    def get_table_columns(self, table_name: str, enable_all_schema: bool = False) -> list[str]:
        """The names of a table's columns, in their order; none for a table that is not there.

        `enable_all_schema` looks for the table in all schemas; else it is the one that a query
        would find.
        """
        if enable_all_schema:
            found = self._run(_COLUMNS_ANYWHERE, compose.Literal(table_name))
            return [str(name) for (name,) in found]
        return super().get_table_columns(table_name) if self.exist_table(table_name) else []

    def _surun(self, cmd: str) -> tuple[str, str]:
        """Run a driver's own shell command; gives what it writes to both of its outputs.

        pilot itself runs none. Raises `PilotScopeExecCommandException` for one that writes errors.
        """
        done = subprocess.run(cmd, shell=True, capture_output=True, text=True, check=False)  # noqa: S602 - the driver's own
        if done.stderr:
            raise PilotScopeExecCommandException(cmd, done.stderr)
        return done.stdout, done.stderr

    def drop_index(self, index: Any) -> None:
        """Drop the index of this name where there is one."""
        known = self.get_existed_indexes(index.table) if self.exist_table(index.table) else []
        if any(same_index(existing, index) for existing in known):
            super().drop_index(index)

    def get_all_indexes(self) -> list[Any]:
        """As pilot's, in PilotScope's class."""
        return [_as_theirs(index) for index in super().get_all_indexes()]

    def get_existed_indexes(self, table: str) -> list[Any]:
        """As pilot's, in PilotScope's class."""
        return [_as_theirs(index) for index in super().get_existed_indexes(table)]

    def get_existed_index(self, table: str) -> list[Any]:
        """The older name of `get_existed_indexes`."""
        return self.get_existed_indexes(table)

    def get_index_number(self, table: str) -> int:
        """How many indexes a table has, without those of constraints."""
        return super().get_index_number(table)

    def get_explain_sql(self, sql: str, execute: bool, comment: str = "") -> str:
        """The `EXPLAIN` of `sql`, which runs it where `execute`."""
        analyze = "ANALYZE, " if execute else ""
        return f"{comment} EXPLAIN ({analyze}VERBOSE, SETTINGS, SUMMARY, FORMAT JSON) {sql}".strip()

    def modify_sql_for_ignore_records(self, sql: str, is_execute: bool) -> str:
        """The same, without a comment: its result has the plan and no rows."""
        return self.get_explain_sql(sql, is_execute)

    def explain_physical_plan(self, sql: str, comment: str = "") -> dict[str, Any]:
        """The planner's plan of `sql`, which is not run: `Plan` and `Planning Time` (ms)."""
        with self.simulating() as session:
            return plan_of(session.execute(_hinted(self.get_explain_sql(sql, False, comment))))

    def explain_logical_plan(self, sql: str, comment: str = "") -> dict[str, Any]:
        """The same: PostgreSQL shows no other plan."""
        return self.explain_physical_plan(sql, comment)

    def explain_execution_plan(self, sql: str, comment: str = "") -> dict[str, Any]:
        """Run `sql` under `EXPLAIN ANALYZE`: `Plan` and `Execution Time` (ms)."""
        return plan_of(self.session().execute(_hinted(self.get_explain_sql(sql, True, comment))))

    def get_estimated_cost(self, sql: str, comment: str = "") -> float:
        """The planner's total cost of `sql`, in its own units."""
        return float(self.explain_physical_plan(sql, comment)["Plan"]["Total Cost"])

    def get_available_extensions(self) -> list[str]:
        """The extensions that are installed in the database."""
        rows = self.session().execute("SELECT extname FROM pg_extension ORDER BY extname").rows
        return [str(row[0]) for row in rows]

    def get_table_column_name_all_schema(self, table_name: str) -> list[str]:
        """The names of a table's columns."""
        return self.get_table_columns(table_name, enable_all_schema=True)

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


class SimulateIndexVisitor:
    """The what-if indexes of a controller with `enable_simulate_index`; what its methods do and
    raise is what the controller's of the same names do. Raises `CapabilityError` for another."""

    def __init__(self, db_controller: PostgreSQLController) -> None:
        if not db_controller.enable_simulate_index:
            raise CapabilityError(
                "this controller has no what-if indexes",
                hint="Make one with enable_simulate_index=True.",
            )
        self.db_controller = db_controller
        self.create_index = db_controller.create_index
        self.drop_index = db_controller.drop_index
        self.drop_all_indexes = db_controller.drop_all_indexes
        self.get_all_indexes = db_controller.get_all_indexes
        self.get_all_indexes_byte = db_controller.get_all_indexes_byte
        self.get_table_indexes_byte = db_controller.get_table_indexes_byte
        self.get_index_byte = db_controller.get_index_byte
        self.get_index_number = db_controller.get_index_number
        self.get_existed_index = db_controller.get_existed_index


def _as_theirs(index: Any) -> Index:
    if isinstance(index, Index):
        return index
    named = ("columns", "table", "index_name")
    kinds = {field.name: getattr(index, field.name) for field in fields(_OwnIndex)}
    return Index(
        list(index.columns),
        index.table,
        index.index_name,
        **{name: value for name, value in kinds.items() if name not in named},
    )


def _hinted(explain: str) -> str:
    """Returns a statement with a setting by which pg_hint_plan takes the hints in front of it, also
    where pilot has loaded it for pushed hints alone."""
    mark, end, rest = explain.partition("*/")
    if not (mark.startswith("/*+") and end):
        return explain
    return f"{mark}{end} {set_all(((ENABLE_SETTING, 'on'),))}{rest}"

"""What-if indexes by the planner module."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakSet

from pilotcli.common.errors import QueryError
from pilotcli.databases.controller.what_if import index_names, rolled_back
from pilotcli.databases.session.session import PostgresSession, plan_of
from pilotcli.steering.planner.loading import Planner
from pilotcli.steering.planner.messages import parse_report
from pilotcli.steering.planner.settings import HIDDEN_SETTING, INDEXES_SETTING, REPORT_SETTING
from pilotcli.steering.sql import literal, own_statements

_PROBED = "pg_class_oid_index"
_PROBE = (
    f"SET LOCAL {HIDDEN_SETTING} = 'pg_catalog.{_PROBED}'; SET LOCAL enable_seqscan = off;"
    " EXPLAIN (FORMAT JSON) SELECT FROM pg_catalog.pg_class WHERE oid = 1"
)


def sees_indexes(session: PostgresSession) -> bool:
    """Whether the module that is loaded in `session` hides an index, as a plan shows. One that an
    earlier version of pilot has installed does not. The session must not be in a transaction."""
    try:
        with own_statements(session):
            session.execute(f"SET {HIDDEN_SETTING} = ''")
            plan = plan_of(session.execute(_PROBE))
    except QueryError:
        return False
    return _PROBED not in index_names(plan["Plan"])


class PlannerIndexes:
    """The module's what-if indexes; implements `PlansWithIndexes`.

    `planner` is the module, which `session` has loaded.
    """

    name = "the planner module"

    def __init__(self, planner: Planner, session: PostgresSession) -> None:
        self._planner = planner
        self._loaded = WeakSet([session])

    def show(
        self, session: PostgresSession, statements: Sequence[str], hidden: Sequence[int]
    ) -> None:
        """See `PlansWithIndexes.show`."""
        wanted = (";\n".join(statements), ", ".join(map(str, hidden)))
        # The server says when a setting changes, also by RESET ALL and ROLLBACK.
        status = session.connection.get_parameter_status
        known = (status(INDEXES_SETTING) or "", status(HIDDEN_SETTING) or "")
        if known == wanted or (wanted == ("", "") and session not in self._loaded):
            return
        with own_statements(session):
            session.execute(
                f"{self._loading(session)}SET {INDEXES_SETTING} = {literal(wanted[0])};"
                f" SET {HIDDEN_SETTING} = {literal(wanted[1])}"
            )
        self._loaded.add(session)

    def size_bytes(self, session: PostgresSession, statement: str, table: str) -> int:
        """See `PlansWithIndexes.size_bytes`."""
        with own_statements(session) as notices, rolled_back(session):
            session.execute(
                f"{self._loading(session)}SET LOCAL {INDEXES_SETTING} = {literal(statement)};"
                f" SET LOCAL {REPORT_SETTING} = 'indexes'; EXPLAIN SELECT FROM {table}"
            )
        self._loaded.add(session)
        return sum(size_bytes for _, size_bytes in parse_report(notices).indexes)

    def _loading(self, session: PostgresSession) -> str:
        return "" if session in self._loaded else f"{self._planner.statement}; "

"""Knows the sub-plans of a session's queries, as the planner module describes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pilotcli.common.errors import QueryError
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.planner import REPORT_SETTING, Report, parse_report
from pilotcli.steering.sql import own_notices
from pilotcli.steering.subplans import DescribedQuery, NamedCards, NotAnalysable, SubPlan
from pilotcli.workload import is_one_statement

_KEPT = 4096
_SAVEPOINT = "pilot_naming"
# EXPLAIN of an EXPLAIN is refused: its query is explained instead.
_EXPLAIN = re.compile(
    r"\s*EXPLAIN\s*(\([^)]*\)|((ANALYZE|ANALYSE|VERBOSE)\b\s*)*)\s*", re.IGNORECASE
)


class Namer:
    """The sub-plans of the queries of one session, which has the planner module.

    Used by the session's thread. Call `forget` after a change of the schema.
    """

    def __init__(self, session: PostgresSession) -> None:
        self._session = session
        self._queries: dict[str, DescribedQuery] = {}
        self._canonical: dict[str, str | None] = {}

    def forget(self) -> None:
        """Ask the server again when a query is next met."""
        self._queries.clear()
        self._canonical.clear()

    def name(self, sql: str, report: Report) -> NamedCards:
        """Returns the sub-plans in the module's report about a planning of `sql`.

        Raises `NotAnalysable` for a report without them.
        """
        if report.blocks_text is None:
            raise NotAnalysable("the statement has no query that is planned")
        known = self._queries.get(sql)
        if known is None or known.text != report.blocks_text:
            try:
                known = DescribedQuery(report.blocks_text)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                message = f"the planner module's description cannot be read: {error!r:.200}"
                raise NotAnalysable(message) from None
            if len(self._queries) >= _KEPT:
                del self._queries[next(iter(self._queries))]
            self._queries[sql] = known
        return known.name(report.sets)

    def read(self, sql: str) -> NamedCards:
        """Returns the sub-plans of `sql`, which is planned and not run.

        Raises `NotAnalysable` for a statement that the server does not explain.
        """
        return self.name(sql, self._planned(sql))

    def find(self, sql: str, key: str) -> Sequence[SubPlan]:
        """Returns the sub-plans of `sql` that `key` counts, a query in any spelling; none if it is
        not a sub-plan of `sql`.

        An unknown query, and an unknown spelling of a key, cost one planning. Raises
        `NotAnalysable` for a statement that the server does not explain.
        """
        query = self._queries.get(sql)
        if query is None:
            self.read(sql)
            query = self._queries[sql]
        found = query.find(key)
        if found:
            return found
        if key not in self._canonical:
            if len(self._canonical) >= _KEPT:
                del self._canonical[next(iter(self._canonical))]
            self._canonical[key] = self._spelled(key)
        canonical = self._canonical[key]
        return query.find(canonical) if canonical is not None else ()

    def _spelled(self, key: str) -> str | None:
        """Returns the canonical spelling of a sub-plan's query; None for another query."""
        try:
            report = self._planned(key)
            if report.blocks_text is None:
                return None
            query = DescribedQuery(report.blocks_text)
            outermost = query.blocks["1"]
            return outermost.key(outermost.whole)
        except (NotAnalysable, KeyError):
            return None

    def _planned(self, sql: str) -> Report:
        if not is_one_statement(sql):  # EXPLAIN would run the second one
            raise NotAnalysable("several statements in one have no sub-plans")
        session = self._session
        explained = f"EXPLAIN {_EXPLAIN.sub('', sql, count=1) if _EXPLAIN.match(sql) else sql}"
        report = f"SET LOCAL {REPORT_SETTING} = 'blocks'; "
        with own_notices(session) as notices:
            try:
                if session.in_transaction:
                    session.execute(f"SAVEPOINT {_SAVEPOINT}; {report}")
                    try:
                        session.execute(explained)
                    finally:
                        session.execute(
                            f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}; RELEASE SAVEPOINT {_SAVEPOINT}"
                        )
                else:
                    session.execute(report + explained)
            except QueryError as error:
                message = f"the server does not explain it: {error.message}"
                raise NotAnalysable(message, hint=error.hint) from None
        return parse_report(notices)

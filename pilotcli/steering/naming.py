"""Names the sub-plans of a session's queries, from the planner module's descriptions.

Without the module, `subplans` names them from the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pilotcli.common.errors import QueryError
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.planned_query import fills_view, planned_query, refreshed_view
from pilotcli.steering.planner import REPORT_SETTING, Report, parse_report
from pilotcli.steering.sql import literal, own_statements
from pilotcli.steering.subplans import (
    DescribedQuery,
    NamedCards,
    NotAnalysable,
    QueryGraph,
    SubPlan,
    estimates_by_explain,
)
from pilotcli.steering.subplans.printing import ask
from pilotcli.workload import is_one_statement

_KEPT = 4096
_SAVEPOINT = "pilot_naming"
_AROUND = re.compile(r"\A\s*/\*.*?\*/\s*|[\s;]+\Z", re.DOTALL)
"""What may stand around a key: a comment, as drivers for PilotScope write it, and a semicolon."""
_VIEW = """SELECT json_agg(json_build_array(
        pg_get_viewdef(oid), relowner::regrole, relowner = current_user::regrole))
    FROM pg_class WHERE oid = to_regclass({}) AND relkind = 'm'"""


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
        if fills_view(sql):  # the report's names are those of another search path
            described = self._describe(sql, self._planned(sql))
            theirs = _described(report.blocks_text)
            if _relations(described) != _relations(theirs):
                raise NotAnalysable("the server plans the view's query in another way than alone")
        else:
            described = self._describe(sql, report)
        return described.name(report.sets)

    def _describe(self, sql: str, report: Report) -> DescribedQuery:
        known = self._queries.get(sql)
        if report.blocks_text is None:
            raise NotAnalysable("the statement has no query that is planned")
        if known is None or known.text != report.blocks_text:
            known = _described(report.blocks_text)
            if len(self._queries) >= _KEPT:
                del self._queries[next(iter(self._queries))]
            self._queries[sql] = known
        return known

    def read(self, sql: str) -> NamedCards:
        """Returns the sub-plans of `sql`, which is planned and not run.

        Raises `NotAnalysable` for a statement that the server does not explain.
        """
        report = self._planned(sql)
        return self._describe(sql, report).name(report.sets)

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
        key = _AROUND.sub("", key)
        found = query.find(key)
        if found:
            return found
        if key not in self._canonical:
            if len(self._canonical) >= _KEPT:
                del self._canonical[next(iter(self._canonical))]
            self._canonical[key] = self._spelled(key)
        canonical = self._canonical[key]
        return query.find(canonical) if canonical is not None else ()

    def relations(self, sql: str) -> frozenset[str]:
        """Returns the names of the relations of `sql` that the planner plans."""
        if sql not in self._queries:
            self.read(sql)
        return frozenset(
            name for block in self._queries[sql].blocks.values() for name in block.names
        )

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

    def query_in(self, sql: str) -> str:
        """Returns the query that `sql` plans, which may be `sql` itself.

        Raises `NotAnalysable` for several statements, and for REFRESH of a view that is missing or
        belongs to another role; `QueryError` if the server fails.
        """
        if not is_one_statement(sql):  # EXPLAIN would run the second one
            raise NotAnalysable("several statements in one have no sub-plans")
        view = refreshed_view(sql)
        if view is None:
            return planned_query(sql) or sql
        (found,) = ask(self._session, [_VIEW.format(literal(view))])
        if isinstance(found, NotAnalysable):
            raise found
        if not found:
            raise NotAnalysable(f"there is no materialized view {view}")
        definition, owner, is_own = found[0]
        if not is_own:
            raise NotAnalysable(f"the server plans the query of {view} in the name of {owner}")
        return str(definition).rstrip().removesuffix(";")

    def _planned(self, sql: str) -> Report:
        session = self._session
        report = f"SET LOCAL {REPORT_SETTING} = 'blocks'; EXPLAIN "
        with own_statements(session) as notices:
            try:
                if session.in_transaction:
                    session.execute(f"SAVEPOINT {_SAVEPOINT}")
                    try:
                        query = self.query_in(sql)
                        notices.clear()
                        session.execute(report + query)
                    finally:
                        session.execute(
                            f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}; RELEASE SAVEPOINT {_SAVEPOINT}"
                        )
                else:
                    query = self.query_in(sql)
                    notices.clear()
                    session.execute(report + query)
            except QueryError as error:
                message = f"the server does not explain it: {error.message}"
                raise NotAnalysable(message, hint=error.hint) from None
        return parse_report(notices)


def _described(text: str) -> DescribedQuery:
    try:
        return DescribedQuery(text)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        message = f"the planner module's description cannot be read: {error!r:.200}"
        raise NotAnalysable(message) from None


def _relations(query: DescribedQuery) -> dict[str, tuple[str, ...]]:
    return {number: block.names for number, block in query.blocks.items()}


def name_by_explain(session: PostgresSession, graph: QueryGraph) -> NamedCards:
    """Returns the sub-plans of `graph` without the planner module, by one EXPLAIN for each.

    Raises as `estimates_by_explain`.
    """
    failures: dict[frozenset[str], str] = {}
    estimates = estimates_by_explain(session, graph, failures=failures)
    keys = {SubPlan("", names): str(graph.key(names)) for names in estimates}
    left_out = [(SubPlan("", names), reason) for names, reason in graph.left_out]
    left_out += [
        (SubPlan("", names), f"the server does not plan its query: {failure}")
        for names, failure in failures.items()
    ]
    cards = dict(zip(keys.values(), estimates.values(), strict=True))
    return NamedCards(cards, left_out, lambda: keys)

"""The planner's estimates for sub-plans on a server without the planner module.

Each sub-plan's query is planned on its own, all of them in one round trip: a DO block runs EXPLAIN
for one after the other and sends the rows back as one message.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pilotcli.common.errors import QueryError
from pilotcli.steering.sql import literal
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.graph import QueryGraph

if TYPE_CHECKING:
    from pilotcli.databases.session.session import PostgresSession

__all__ = ["EXPLAIN_LIMIT", "estimates_by_explain"]

EXPLAIN_LIMIT = 2_000
"""The most sub-plans that are planned one by one, unless more are asked for."""

_HEAD = "pilot_subplans "
_DONE = "PIL0T"

# A parallel plan's rows are those of one worker; more joins than the limits would be planned in
# the order of the text. Settings are local to the block, which is undone at its end by an error of
# our own, so that they do not last in a transaction of the workload.
_BLOCK = """DO $pilot_block$
DECLARE
    query text;
    plan json;
    found double precision[] := '{{}}';
    failure text;
BEGIN
    BEGIN
        PERFORM set_config('max_parallel_workers_per_gather', '0', true),
            set_config('join_collapse_limit', '100', true),
            set_config('from_collapse_limit', '100', true);
        FOREACH query IN ARRAY ARRAY[{queries}]::text[] LOOP
            EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
            found := found || (plan -> 0 -> 'Plan' ->> 'Plan Rows')::double precision;
        END LOOP;
        RAISE SQLSTATE '{done}';
    EXCEPTION
        WHEN SQLSTATE '{done}' THEN NULL;
        WHEN OTHERS THEN failure := SQLERRM || ' in ' || query;
    END;
    RAISE INFO USING MESSAGE = '{head}' || json_build_object('rows', found, 'failure', failure);
END
$pilot_block$"""


def estimates_by_explain(
    session: PostgresSession,
    graph: QueryGraph,
    *,
    subsets: Iterable[frozenset[str]] | None = None,
    limit: int = EXPLAIN_LIMIT,
) -> dict[frozenset[str], float]:
    """The rows that the planner expects from each sub-plan (all, or those of `subsets`).

    Costs one round trip and one planning for each sub-plan. Leaves no settings and no failed
    transaction behind. Raises `NotAnalysable` for more than `limit` sub-plans, and otherwise as
    `Session.execute` does.
    """
    wanted = list(graph.subsets(limit) if subsets is None else subsets)
    if len(wanted) > limit:
        raise NotAnalysable(f"{len(wanted)} sub-plans are more than the {limit} to be planned")
    if not wanted:
        return {}
    queries = ", ".join(literal(graph.planned_query(names)) for names in wanted)
    heard: list[str] = []
    before = session.connection.notices
    session.connection.notices = heard
    try:
        session.execute(_BLOCK.format(queries=queries, done=_DONE, head=_HEAD))
    finally:
        session.connection.notices = before
    told = _told(heard)
    if told["failure"] is not None:
        raise QueryError(f"a sub-plan's query cannot be planned: {told['failure']}")
    return {names: float(rows) for names, rows in zip(wanted, told["rows"], strict=True)}


def _told(notices: Iterable[str]) -> dict[str, Any]:
    for notice in notices:
        at = notice.find(_HEAD)
        if at < 0:
            continue
        try:
            told: dict[str, Any] = json.loads(notice[at + len(_HEAD) :])
            if told["failure"] is not None or isinstance(told["rows"], list):
                return told
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # raised by a function of the query, not by the block
    raise QueryError("the server did not send the sub-plans' estimates")

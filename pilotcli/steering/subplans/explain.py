"""The planner's estimates for sub-plans on a server without the planner module.

Each sub-plan's query is planned alone, all of them in one round trip: a DO block runs EXPLAIN for
each query and sends the estimates back as one message.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from typing import Any

from pilotcli.common.errors import QueryError
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.sql import literal, own_statements
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.graph import QueryGraph

EXPLAIN_LIMIT = 2_000
"""The most sub-plans that are planned by default."""

_HEAD = "pilot_subplans "
_DONE = "PIL0T"

# The rows of a parallel plan are those of one worker. With more joins than the limits the order of
# the text would decide. The block ends with an error of its own, which undoes its settings, so that
# they do not last in a transaction of the workload. The first line of EXPLAIN has the rows, and its
# text costs less than its JSON.
_BLOCK = """DO $pilot_block$
DECLARE
    query text;
    plan text;
    found double precision[] := '{{}}';
    failure text;
    failures text[] := '{{}}';
BEGIN
    BEGIN
        PERFORM set_config('max_parallel_workers_per_gather', '0', true),
            set_config('join_collapse_limit', '100', true),
            set_config('from_collapse_limit', '100', true);
        FOREACH query IN ARRAY ARRAY[{queries}]::text[] LOOP
            BEGIN
                plan := NULL;
                failure := NULL;
                EXECUTE 'EXPLAIN ' || query INTO plan;
            EXCEPTION
                WHEN OTHERS THEN failure := SQLERRM;
            END;
            found := found || substring(plan, 'rows=([0-9]+) width=[0-9]+[)]$')::double precision;
            failures := failures || failure;
        END LOOP;
        RAISE SQLSTATE '{done}';
    EXCEPTION
        WHEN SQLSTATE '{done}' THEN NULL;
    END;
    RAISE INFO USING MESSAGE = '{head}' || json_build_object('rows', found, 'failures', failures);
END
$pilot_block$"""


def estimates_by_explain(
    session: PostgresSession,
    graph: QueryGraph,
    *,
    subsets: Iterable[frozenset[str]] | None = None,
    limit: int = EXPLAIN_LIMIT,
    failures: dict[frozenset[str], str] | None = None,
) -> dict[frozenset[str], float]:
    """Returns the rows that the planner expects from each sub-plan (all, or those of `subsets`).

    Costs one round trip, and one planning for each sub-plan. Leaves no settings and no failed
    transaction behind. Sub-plans that the server does not plan are added to `failures`, each with
    the reason. Raises `NotAnalysable` for more than `limit` sub-plans, `QueryError` for one that is
    not planned if there is no `failures`, and otherwise as `Session.execute` does.
    """
    subplans = list(graph.subsets(limit) if subsets is None else subsets)
    if len(subplans) > limit:
        raise NotAnalysable(f"{len(subplans)} sub-plans are more than the limit of {limit}")
    if not subplans:
        return {}
    queries = ", ".join(literal(graph.planned_query(names)) for names in subplans)
    with own_statements(session) as notices:
        # A function of the workload that is called while its query is planned may raise anything.
        head = f"{_HEAD}{secrets.token_hex(8)} "
        session.execute(_BLOCK.format(queries=queries, done=_DONE, head=head))
    report = _read_report(notices, head, len(subplans))
    refused = {
        names: str(failure)
        for names, failure in zip(subplans, report["failures"], strict=True)
        if failure is not None
    }
    if refused and failures is None:
        names, failure = next(iter(refused.items()))
        query = graph.planned_query(names)
        raise QueryError(f"a sub-plan's query cannot be planned: {failure} in {query}")
    if failures is not None:
        failures |= refused
    found = zip(subplans, report["rows"], strict=True)
    return {names: float(rows) for names, rows in found if names not in refused}


def _read_report(notices: Iterable[str], head: str, count: int) -> dict[str, Any]:
    for notice in notices:
        at = notice.find(head)
        if at < 0:
            continue
        try:
            report: dict[str, Any] = json.loads(notice[at + len(head) :])
            found = list(zip(report["rows"], report["failures"], strict=True))
            for rows, failure in found:
                if failure is None:
                    float(rows)
            if len(found) == count:
                return report
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue  # raised by a function of the query, not by the block
    raise QueryError("the server did not send the sub-plans' estimates")

"""Why a push was not applied: in the planner module's words, whoever says that it was not."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pilotcli.common.errors import SteeringError
from pilotcli.steering.hint_plan import Hint
from pilotcli.steering.planned_query import planned_query
from pilotcli.steering.subplans import GraphCatalog, query_names, relation_names

REMOVED = "the planner removed "
NO_ROWS = "the planner has proven that it returns no rows"
_NUMBER = re.compile(r"_[0-9]+\Z")


def why_not_planned(sql: str, name: str, catalog: GraphCatalog) -> str:
    """Returns why a plan of `sql` has no relation `name`; `catalog` knows the views."""
    sql = planned_query(sql) or sql
    known = relation_names(sql)
    if name in query_names(sql, catalog):
        # The planner has merged or removed it, or planned it without a node of its own.
        return f"the plan has no relation {name}, which is a view or a query inside the query"
    if known is not None and name in known:
        return f"{REMOVED}{name}, which the result does not depend on"
    return f"the query has no relation {name}"


def why_no_subplan(
    sql: str,
    key: str,
    catalog: GraphCatalog,
    planned: Collection[str],
    left_out: Iterable[tuple[frozenset[str], str]] = (),
) -> str:
    """Returns why the query `key` is no sub-plan of `sql`, which has it in its text.

    `planned` are the relations that the planner plans; `left_out` sets of them without a key, each
    with the reason. Raises `SteeringError` for a query that is no part of `sql`.
    """
    names = relation_names(key) or frozenset()
    known = relation_names(sql) or frozenset()
    if names and names <= known:
        for name in sorted(names.difference(planned)):
            return why_not_planned(sql, name, catalog)
        for subset, reason in left_out:
            if subset == names:
                return reason
    raise SteeringError(
        f"this is not a sub-plan query of the query: {key}",
        hint="`pull_subquery_card` gives the sub-plan queries that a query has.",
    )


def why_unused(sql: str, plan: Mapping[str, Any] | None, hint: Hint, catalog: GraphCatalog) -> str:
    """Returns why pg_hint_plan did not use a hint that it has read.

    `plan` is the plan of `sql`, None if it is not known.
    """
    known = relation_names(planned_query(sql) or sql)
    nodes = list(_nodes(plan)) if plan is not None else []
    planned = {_NUMBER.sub("", str(node.get("Alias", ""))) for node in nodes} | {
        str(node.get("Alias", "")) for node in nodes
    }
    is_empty = any(node.get("One-Time Filter") == "false" for node in nodes)
    for name in hint.relations:
        if known is not None and name not in known and name not in planned:
            return f"the query has no relation {name}"
    for name in hint.relations:
        if nodes and name not in planned:
            return NO_ROWS if is_empty else why_not_planned(sql, name, catalog)
    if len(hint.relations) > 1:
        return "the planner considered no such join"
    return "the planner did not consider it"


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    children: Sequence[Mapping[str, Any]] = [plan]
    while children:
        yield from children
        children = [child for node in children for child in node.get("Plans", ())]

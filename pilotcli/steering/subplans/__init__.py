"""Finds the sub-plans of a query, and the SQL of each.

With the planner module: `described` reads what the module says of a query. Without it, `analyse`
reads the text as the planner does: `parsing` (sqlglot), `from_clause` and `scope` (names),
`pull_up` (sub-queries), `conditions`, `printing` (the server writes them), `spelling` (their form),
`joins` and `join_search` (which sets there are), `block`, `query_blocks` and `graph`. Both ways
share `join_tree`, `equivalences` and the writers `subplan_sql` and `flat_sql`. `actual_rows` reads
executed plans, `join_order` writes a pushed order.
"""

from __future__ import annotations

from pilotcli.steering.subplans.actual_rows import observed_cardinalities, observed_rows
from pilotcli.steering.subplans.analysis import GraphCatalog, analyse, query_names, relation_names
from pilotcli.steering.subplans.described import DescribedQuery, NamedCards, SubPlan
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.explain import estimates_by_explain
from pilotcli.steering.subplans.graph import QueryGraph
from pilotcli.steering.subplans.join_order import rewrite_join_order

__all__ = [
    "DescribedQuery",
    "GraphCatalog",
    "NamedCards",
    "NotAnalysable",
    "QueryGraph",
    "SubPlan",
    "analyse",
    "estimates_by_explain",
    "observed_cardinalities",
    "observed_rows",
    "query_names",
    "relation_names",
    "rewrite_join_order",
]

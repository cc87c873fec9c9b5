"""Finds the sub-plans of a query from its text, and the SQL of each.

`analyse` reads a query as PostgreSQL's planner does. The first analysis imports sqlglot, which
parses the text (`parsing`).
"""

from __future__ import annotations

from pilotcli.steering.subplans.actual_rows import observed_cardinalities, observed_rows
from pilotcli.steering.subplans.analysis import GraphCatalog, analyse, relation_names
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
    "relation_names",
    "rewrite_join_order",
]

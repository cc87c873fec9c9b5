"""Plans as numbers that a small model can learn from.

Nothing here raises for a damaged plan: a missing key counts as 0, and a value that is not a plan
has no nodes and no features. Node and key names are those of PostgreSQL's `EXPLAIN (FORMAT JSON)`
(manual: "EXPLAIN" and "Using EXPLAIN").
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pilotcli.analysis.node_costs import finite_number

_JOINS = frozenset({"Nested Loop", "Hash Join", "Merge Join"})
_RESCANNED = frozenset({"Seq Scan", "Materialize", *_JOINS})
_FEW_ROWS = 5
_CONDITIONS = ("Filter", "Index Cond", "Hash Cond", "Merge Cond", "Join Filter", "Recheck Cond")


class PlanNode(NamedTuple):
    """One node of a plan, its depth (0 for the root), and its child nodes."""

    node: Mapping[str, Any]
    depth: int
    children: tuple[Mapping[str, Any], ...]


class Misestimate(NamedTuple):
    """A node whose row estimate is wrong by `factor` (at least 1), too high or too low.

    `estimated` and `actual` are rows per execution of the node; `what` is its type and relation.
    """

    what: str
    estimated: float
    actual: float
    factor: float


def plan_nodes(plan: object) -> Iterator[PlanNode]:
    """Yields the nodes of `plan`, each before its children.

    `plan` is a dict with the key `Plan`, a node, one of these as JSON text, or a list with one of
    these, as the server returns it. Anything else has no nodes.
    """
    pending = [(root, 0) for root in _roots(plan)]
    while pending:
        node, depth = pending.pop()
        below = node.get("Plans")
        below = below if isinstance(below, (list, tuple)) else ()
        children = tuple(child for child in below if isinstance(child, Mapping))
        yield PlanNode(node, depth, children)
        pending.extend((child, depth + 1) for child in reversed(children))


def plan_features(plan: object) -> dict[str, float]:
    """Returns named numbers that describe `plan`, all of them positive; a missing name means 0.

    Rows, costs and sizes are given as `log10(1 + x)`, since they span many orders of magnitude.

    - `cost`, `startup_cost`, `rows`, `width`: of the root;
    - `nodes`, `depth`, `joins`, `relations`, `conditions`, `workers`: the size of the plan;
      `conditions` counts the terms of all predicates;
    - `bottomed`: nodes estimated at one row, the planner's minimum. Such estimates are often far
      too low, since further predicates do not lower them;
    - `inner_cost`, `loops`: over all nested loops, the cost of the inner side and the expected
      number of its executions;
    - `blind_loops`, `blind_rescans`: nested loops that expect at most five outer rows, and those
      of them whose inner side uses no index: more outer rows than expected make these slow;
    - `count:X`, `rows:X`, for each node type X: the number of nodes, and the sum of their rows;
    - `scan:T`, for each relation T: how often it is read.
    """
    features: defaultdict[str, float] = defaultdict(float)
    for node, depth, children in plan_nodes(plan):
        kind = str(node.get("Node Type", "?"))
        rows = _number(node, "Plan Rows")
        if depth == 0:
            features["cost"] = _log(_number(node, "Total Cost"))
            features["startup_cost"] = _log(_number(node, "Startup Cost"))
            features["rows"] = _log(rows)
            features["width"] = _log(_number(node, "Plan Width"))
        features["nodes"] += 1
        features["depth"] = max(features["depth"], depth)
        features["joins"] += kind in _JOINS
        features["workers"] += _number(node, "Workers Planned")
        features["bottomed"] += rows <= 1
        features["conditions"] += sum(_terms(node.get(key)) for key in _CONDITIONS)
        features[f"count:{kind}"] += 1
        features[f"rows:{kind}"] += _log(rows)
        if isinstance(node.get("Relation Name"), str):
            features["relations"] += 1
            features[f"scan:{node['Relation Name']}"] += 1
        if kind == "Nested Loop" and len(children) == 2:
            outer, inner = children
            loops = _number(outer, "Plan Rows")
            blind = loops <= _FEW_ROWS
            features["loops"] += _log(loops)
            features["inner_cost"] += _log(_number(inner, "Total Cost"))
            features["blind_loops"] += blind
            features["blind_rescans"] += blind and str(inner.get("Node Type")) in _RESCANNED
    return {name: value for name, value in features.items() if value}


def worst_misestimate(plan: object) -> Misestimate | None:
    """Returns the node whose row estimate is furthest from the rows that `EXPLAIN ANALYZE` counted.

    Of equally wrong nodes it is the deepest, where the error begins. A node without rows counts
    as one row, so that the factor is finite; nodes that never ran are left out. None for a plan
    that was not executed.
    """
    worst: Misestimate | None = None
    for node, _, _ in plan_nodes(plan):
        if "Actual Rows" not in node or _number(node, "Actual Loops") < 1:
            continue
        estimated, actual = _number(node, "Plan Rows"), _number(node, "Actual Rows")
        least, most = sorted((max(estimated, 1.0), max(actual, 1.0)))
        factor = most / least
        if worst is None or factor >= worst.factor:
            what = str(node.get("Node Type", "?"))
            relation = node.get("Relation Name")
            what = f"{what} on {relation}" if isinstance(relation, str) else what
            worst = Misestimate(what, estimated, actual, factor)
    return worst


def _roots(plan: object) -> list[Mapping[str, Any]]:
    if isinstance(plan, str):
        try:
            plan = json.loads(plan)
        except (ValueError, RecursionError):
            return []
    if isinstance(plan, (list, tuple)):
        plan = plan[0] if plan else None
    if isinstance(plan, Mapping) and "Plan" in plan:
        plan = plan["Plan"]
    return [plan] if isinstance(plan, Mapping) and plan else []


def _number(node: Mapping[str, Any], key: str) -> float:
    """Returns a number of 0 or more; 0 for any other value."""
    return max(0.0, finite_number(node.get(key)) or 0.0)


def _log(value: float) -> float:
    return math.log10(1.0 + value)


def _terms(condition: object) -> int:
    """Returns the number of predicates in a condition, which is the server's text with brackets."""
    if not isinstance(condition, str) or not condition:
        return 0
    return 1 + condition.count(" AND ") + condition.count(" OR ")

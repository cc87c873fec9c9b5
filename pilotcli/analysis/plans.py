"""Query plans as trees: what each node is, expected and found, and what it cost."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotcli.analysis.node_costs import (
    NodeCosts,
    finite_number,
    node_costs,
    processes_below,
    total_s,
)
from pilotcli.storage.journal import PlanRecord

_CONDITIONS = (
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "Filter",
    "One-Time Filter",
)
JOINS = frozenset({"Nested Loop", "Hash Join", "Merge Join"})
SCANS_BELOW = frozenset({"Bitmap Index Scan", "BitmapAnd", "BitmapOr"})
"""Nodes that belong to the bitmap scan above them."""
_AGGREGATES = {"Hashed": "HashAggregate", "Sorted": "GroupAggregate", "Mixed": "MixedAggregate"}


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node of a plan of `EXPLAIN (FORMAT JSON)`.

    `kind` is its node type, `way` that with what EXPLAIN's text adds to it (`Parallel Seq Scan`,
    `HashAggregate`). `relation`, `alias` and `index` are None for nodes without. `estimated` and
    `actual` are rows in all loops together, as `loops` says; `actual` and `loops` are None where
    the plan was not run. `role` says what it is to its parent (`Outer`, `InitPlan`); `names` are
    the relations in and below it, by their aliases. `costs` are what it cost.
    """

    kind: str
    way: str
    join: str | None
    relation: str | None
    alias: str | None
    index: str | None
    role: str | None
    estimated: float
    actual: float | None
    loops: int | None
    conditions: Sequence[str]
    names: frozenset[str]
    children: Sequence[PlanNode]
    costs: NodeCosts

    @property
    def joining(self) -> str:
        """Its way, with the type of a join that is no inner one: `Hash Left Join`."""
        if self.join in (None, "Inner") or self.kind not in JOINS:
            return self.way
        return f"{self.way.removesuffix(' Join')} {self.join} Join"

    @property
    def title(self) -> str:
        """The node in words: `Hash Left Join`, `Index Scan using i on t a`."""
        kind = self.joining
        if self.index is not None:
            kind += f" using {self.index}"
        name = self.relation or self.alias
        if name is None:
            return kind
        other = self.alias if self.alias not in (None, name) else None
        return f"{kind} on {name}" + (f" {other}" if other else "")

    @property
    def q_error(self) -> float | None:
        """By what factor the estimate of one loop is wrong; None where the node never ran.

        A loop's, since the planner expects one row at least of each, and servers before 18 round
        the rows of a loop: multiplied by many loops, both would look like errors of the estimate.
        """
        if self.actual is None or not self.loops:
            return None
        return q_error(self.estimated / self.loops, self.actual / self.loops)

    @property
    def rows_text(self) -> str:
        """Its rows, expected and true: in all loops, and what `q_error` compares, in each."""
        text = f"{self.estimated:,.0f}"
        if self.loops == 0:
            return f"{text}, never run"
        if self.actual is None:
            return text
        text += f" → {self.actual:,.0f}"
        if self.loops is None or self.loops <= 1:
            return text
        estimated, actual = (rows / self.loops for rows in (self.estimated, self.actual))
        return f"{text} in {self.loops:,} loops, {_rows(estimated)} → {_rows(actual)} in each"

    def walk(self) -> Iterator[PlanNode]:
        """This node and all below it, the upper ones first."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def _rows(rows: float) -> str:
    """Rows of one loop, which may be a fraction."""
    return f"{rows:,.0f}" if rows >= 100 else f"{rows:.3g}"


def tree_of(plan: Mapping[str, Any]) -> PlanNode | None:
    """Returns the tree of `plan`, an object with the key `Plan`; None where there is none.

    Never raises: a value that is missing or of another type counts as unknown.
    """
    root = plan.get("Plan") if isinstance(plan, Mapping) else None
    if not isinstance(root, Mapping):
        return None
    # Without recursion: plans of a thousand nested sub-queries exist.
    made: dict[int, PlanNode] = {}
    of_ctes: dict[str, float] = {}
    waiting: list[tuple[Mapping[str, Any], bool, float]] = [(root, False, 1.0)]
    while waiting:
        node, ready, processes = waiting.pop()
        below = [child for child in _list(node.get("Plans")) if isinstance(child, Mapping)]
        if not ready:
            waiting.append((node, True, processes))
            each = processes_below(node, below, processes)
            waiting.extend((child, False, each) for child in below)
            for child in below:
                name = _text(child.get("Subplan Name")) or ""
                of_ctes[name.removeprefix("CTE ")] = total_s(child, each) or 0.0
        else:
            costs = node_costs(node, below, processes, of_ctes)
            made[id(node)] = _node(node, [made[id(child)] for child in below], costs)
    return made[id(root)]


def q_error(estimated: float, actual: float) -> float:
    """Returns the factor between an estimate and the truth, 1 or more; both count as 1 at least
    (Moerkotte et al., VLDB 2009)."""
    a, b = max(1.0, estimated), max(1.0, actual)
    if a == b:  # both may be infinite
        return 1.0
    return max(a / b, b / a)


def plan_shape(plan: Mapping[str, Any]) -> str:
    """Returns a short digest of a plan's nodes, relations and indexes, without numbers."""
    tree = tree_of(plan)
    if tree is None:
        return ""
    text = "\n".join(
        f"{depth} {node.way} {node.join} {node.relation} {node.alias} {node.index} {node.role}"
        for depth, node in _with_depth(tree)
    )
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def same_plan(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Returns whether two plans have the same structure."""
    return plan_shape(a) == plan_shape(b)


def plans_that_ran(plans: Iterable[PlanRecord]) -> dict[int, PlanRecord]:
    """Returns for each query of a run the plan of its last execution; with actual rows, where the
    plan that was taken with them after the last round is the same."""
    last: dict[int, PlanRecord] = {}
    actual: dict[int, PlanRecord] = {}
    for plan in plans:
        if plan.round == 0:
            actual[plan.seq] = plan
        elif plan.seq not in last or last[plan.seq].round < plan.round:
            last[plan.seq] = plan
    for seq, plan in actual.items():
        # After the last round a model may have been updated, whose plan nobody has measured.
        if seq not in last or same_plan(plan.plan, last[seq].plan):
            last[seq] = plan
    return last


def _node(fields: Mapping[str, Any], children: Sequence[PlanNode], costs: NodeCosts) -> PlanNode:
    loops = finite_number(fields.get("Actual Loops"))
    actual = finite_number(fields.get("Actual Rows"))
    times = loops if loops is not None and loops >= 1 else 1.0
    kind = _text(fields.get("Node Type")) or "?"
    relation = (
        _text(fields.get("Relation Name"))
        or _text(fields.get("CTE Name"))
        or _text(fields.get("Function Name"))
    )
    alias = _text(fields.get("Alias"))
    return PlanNode(
        kind=kind,
        way=_way_of(kind, fields),
        join=_text(fields.get("Join Type")),
        relation=relation,
        alias=alias,
        index=_text(fields.get("Index Name")),
        role=_text(fields.get("Parent Relationship")),
        estimated=(finite_number(fields.get("Plan Rows")) or 0.0) * times,
        actual=None if actual is None else actual * (loops if loops is not None else 1.0),
        loops=None if loops is None else int(loops),
        conditions=tuple(
            f"{name}: {text}" for name in _CONDITIONS if (text := _text(fields.get(name)))
        ),
        names=_names(kind, alias or relation, children),
        children=tuple(children),
        costs=costs,
    )


def _way_of(kind: str, fields: Mapping[str, Any]) -> str:
    """The node as EXPLAIN's text calls it: its JSON has the node type apart from the rest."""
    strategy = _text(fields.get("Strategy")) or ""
    way = kind
    if kind == "Aggregate":
        way = _AGGREGATES.get(strategy, kind)
    elif kind == "SetOp" and strategy == "Hashed":
        way = "HashSetOp"
    elif kind == "ModifyTable":
        way = _text(fields.get("Operation")) or kind
    if fields.get("Partial Mode") in ("Partial", "Finalize"):
        way = f"{fields['Partial Mode']} {way}"
    return f"Parallel {way}" if fields.get("Parallel Aware") is True else way


def _names(kind: str, own: str | None, children: Sequence[PlanNode]) -> frozenset[str]:
    below = [child.names for child in children]
    if own and kind not in SCANS_BELOW:
        below.append(frozenset((own,)))
    # A chain of nodes shares one set: plans may be thousands of nodes deep.
    return below[0] if len(below) == 1 else frozenset().union(*below)


def _with_depth(tree: PlanNode) -> Iterator[tuple[int, PlanNode]]:
    waiting = [(0, tree)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting.extend((depth + 1, child) for child in reversed(node.children))


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else ()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None

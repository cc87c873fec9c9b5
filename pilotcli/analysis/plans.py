"""Query plans: as trees, their errors in estimating rows, and what differs between two of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotcli.storage.journal import PlanRecord

__all__ = [
    "PlanNode",
    "plan_changes",
    "plan_shape",
    "plans_that_ran",
    "q_error",
    "same_plan",
    "tree_of",
]

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
_JOINS = frozenset({"Nested Loop", "Hash Join", "Merge Join"})
_SCANS_BELOW = frozenset({"Bitmap Index Scan", "BitmapAnd", "BitmapOr"})
"""Nodes that belong to the bitmap scan above them."""
_AGGREGATES = {"Hashed": "HashAggregate", "Sorted": "GroupAggregate", "Mixed": "MixedAggregate"}
LARGE_Q_ERROR = 2.0
CHANGES_SHOWN = 12
RELATIONS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node of a plan, as `EXPLAIN (FORMAT JSON)` tells it.

    `kind` is its node type, `way` that with what EXPLAIN's text adds to it (`Parallel Seq Scan`,
    `HashAggregate`). `relation`, `alias` and `index` are None for nodes without. `estimated` and
    `actual` are rows in all loops together, as `loops` says; `actual` and `loops` are None where
    the plan was not run. `cost` is the planner's total one. `role` says what it is to its parent
    (`Outer`, `InitPlan`); `names` are the relations in and below it, by their aliases.
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
    cost: float | None
    conditions: Sequence[str]
    names: frozenset[str]
    children: Sequence[PlanNode]

    @property
    def joining(self) -> str:
        """Its way, with the type of a join that is no inner one: `Hash Left Join`."""
        if self.join in (None, "Inner") or self.kind not in _JOINS:
            return self.way
        return f"{self.way.removesuffix(' Join')} {self.join} Join"

    @property
    def title(self) -> str:
        """The node in words: `Hash Left Join`, `Index Scan using i on t a`."""
        kind = self.joining
        if self.index is not None:
            kind += f" using {self.index}"
        name = self.relation or (self.alias if self.alias is not None else None)
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

    def walk(self) -> Iterator[PlanNode]:
        """This node and all below it, the upper ones first."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def tree_of(plan: Mapping[str, Any]) -> PlanNode | None:
    """The tree of `plan`, an object with the key `Plan`; None where there is none.

    Never raises: what is missing or of another form counts as not told.
    """
    told = plan.get("Plan") if isinstance(plan, Mapping) else None
    if not isinstance(told, Mapping):
        return None
    # Without recursion: plans of a thousand nested sub-queries exist.
    made: dict[int, PlanNode] = {}
    waiting: list[tuple[Mapping[str, Any], bool]] = [(told, False)]
    while waiting:
        node, ready = waiting.pop()
        below = [one for one in _list(node.get("Plans")) if isinstance(one, Mapping)]
        if not ready:
            waiting.append((node, True))
            waiting.extend((one, False) for one in below)
        else:
            made[id(node)] = _node(node, [made[id(one)] for one in below])
    return made[id(told)]


def q_error(estimated: float, actual: float) -> float:
    """The factor between an estimate and the truth, whichever is larger; both count as 1 at least
    (Moerkotte et al., VLDB 2009)."""
    one, other = max(1.0, estimated), max(1.0, actual)
    if one == other:  # both may be infinite
        return 1.0
    return max(one / other, other / one)


def plan_shape(plan: Mapping[str, Any]) -> str:
    """A short digest of a plan's structure: its nodes, relations and indexes, without numbers."""
    tree = tree_of(plan)
    if tree is None:
        return ""
    text = "\n".join(
        f"{depth} {node.way} {node.join} {node.relation} {node.alias} {node.index} {node.role}"
        for depth, node in _with_depth(tree)
    )
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def same_plan(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two plans have the same structure."""
    return plan_shape(a) == plan_shape(b)


def plans_that_ran(plans: Iterable[PlanRecord]) -> dict[int, PlanRecord]:
    """Of a run's plans, for each query the one by which it ran last; with actual rows, where the
    plan that was taken with them behind the last round is the same."""
    last: dict[int, PlanRecord] = {}
    actual: dict[int, PlanRecord] = {}
    for one in plans:
        if one.round == 0:
            actual[one.seq] = one
        elif one.seq not in last or last[one.seq].round < one.round:
            last[one.seq] = one
    for seq, one in actual.items():
        # A model that was updated behind the last round plans otherwise what nobody has measured.
        if seq not in last or same_plan(one.plan, last[seq].plan):
            last[seq] = one
    return last


def plan_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What `after` does otherwise than `before`, in words, the most telling first; empty only when
    they have the same structure and much the same estimates."""
    old, new = tree_of(before), tree_of(after)
    if old is None or new is None:
        return []
    found = [*_orders(old, new), *_joins(old, new), *_scans(old, new), *_relations(old, new)]
    found += _others(old, new)
    if not found and not same_plan(before, after):
        found.append("the same nodes, one below the other in another way")
    found += _estimates(old, new)
    if len(found) > CHANGES_SHOWN:
        more = len(found) - CHANGES_SHOWN
        found = [*found[:CHANGES_SHOWN], f"and {more} more"]
    return found


def _node(told: Mapping[str, Any], children: Sequence[PlanNode]) -> PlanNode:
    loops = _number(told.get("Actual Loops"))
    actual = _number(told.get("Actual Rows"))
    times = loops if loops is not None and loops >= 1 else 1.0
    kind = _text(told.get("Node Type")) or "?"
    relation = (
        _text(told.get("Relation Name"))
        or _text(told.get("CTE Name"))
        or _text(told.get("Function Name"))
    )
    alias = _text(told.get("Alias"))
    return PlanNode(
        kind=kind,
        way=_way_of(kind, told),
        join=_text(told.get("Join Type")),
        relation=relation,
        alias=alias,
        index=_text(told.get("Index Name")),
        role=_text(told.get("Parent Relationship")),
        estimated=(_number(told.get("Plan Rows")) or 0.0) * times,
        actual=None if actual is None else actual * (loops if loops is not None else 1.0),
        loops=None if loops is None else int(loops),
        cost=_number(told.get("Total Cost")),
        conditions=tuple(
            f"{name}: {text}" for name in _CONDITIONS if (text := _text(told.get(name)))
        ),
        names=_names(kind, alias or relation, children),
        children=tuple(children),
    )


def _way_of(kind: str, told: Mapping[str, Any]) -> str:
    """The node as EXPLAIN's text calls it: its JSON has the node type apart from the rest."""
    strategy = _text(told.get("Strategy")) or ""
    way = kind
    if kind == "Aggregate":
        way = _AGGREGATES.get(strategy, kind)
    elif kind == "SetOp" and strategy == "Hashed":
        way = "HashSetOp"
    elif kind == "ModifyTable":
        way = _text(told.get("Operation")) or kind
    if told.get("Partial Mode") in ("Partial", "Finalize"):
        way = f"{told['Partial Mode']} {way}"
    return f"Parallel {way}" if told.get("Parallel Aware") is True else way


def _names(kind: str, own: str | None, children: Sequence[PlanNode]) -> frozenset[str]:
    below = [child.names for child in children]
    if own and kind not in _SCANS_BELOW:
        below.append(frozenset((own,)))
    # A chain of nodes shares one set: plans may be thousands of nodes deep.
    return below[0] if len(below) == 1 else frozenset().union(*below)


def _with_depth(tree: PlanNode) -> Iterator[tuple[int, PlanNode]]:
    waiting = [(0, tree)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting.extend((depth + 1, child) for child in reversed(node.children))


def _orders(old: PlanNode, new: PlanNode) -> list[str]:
    before, after = _leaves(old), _leaves(new)
    if before == after or sorted(before) != sorted(after) or len(before) < 2:
        return []
    return [f"order of joining: {' '.join(before)} → {' '.join(after)}"]


def _leaves(tree: PlanNode) -> list[str]:
    return [
        node.alias or node.relation or ""
        for node in tree.walk()
        if (node.alias or node.relation) and node.kind not in _SCANS_BELOW
    ]


def _joins(old: PlanNode, new: PlanNode) -> list[str]:
    before, after = _by_names(old), _by_names(new)
    return [
        f"join of {' '.join(sorted(names))}: {before[names].joining} → {node.joining}"
        for names, node in after.items()
        if names in before and before[names].joining != node.joining
    ]


def _by_names(tree: PlanNode) -> dict[frozenset[str], PlanNode]:
    return {node.names: node for node in tree.walk() if node.kind in _JOINS}


def _scans(old: PlanNode, new: PlanNode) -> list[str]:
    before, after = _by_alias(old), _by_alias(new)
    return [
        f"{alias}: {_way(before[alias])} → {_way(node)}"
        for alias, node in after.items()
        if alias in before and _way(before[alias]) != _way(node)
    ]


def _by_alias(tree: PlanNode) -> dict[str, PlanNode]:
    return {
        node.alias or node.relation or "": node
        for node in tree.walk()
        if (node.alias or node.relation) and node.kind not in _SCANS_BELOW
    }


def _way(node: PlanNode) -> str:
    index = node.index
    if index is None and node.kind == "Bitmap Heap Scan":
        found = sorted(one.index for one in node.walk() if one.index is not None)
        index = ", ".join(found) or None
    return f"{node.way} using {index}" if index else node.way


def _relations(old: PlanNode, new: PlanNode) -> list[str]:
    """Relations that only one of them reads: partitions that were pruned, joins that fell away."""
    told = []
    for word, only in (("no longer", old.names - new.names), ("now", new.names - old.names)):
        if only:
            names = sorted(only)
            more = (
                f" and {len(names) - RELATIONS_SHOWN} more" if len(names) > RELATIONS_SHOWN else ""
            )
            told.append(f"{word} read: {' '.join(names[:RELATIONS_SHOWN])}{more}")
    return told


def _others(old: PlanNode, new: PlanNode) -> list[str]:
    """Nodes that are neither joins nor scans and are there more or less often."""

    def counted(tree: PlanNode) -> dict[str, int]:
        counts: dict[str, int] = {}
        for node in tree.walk():
            scans = node.alias or node.relation or node.kind in _SCANS_BELOW
            if node.kind not in _JOINS and not scans:
                counts[node.way] = counts.get(node.way, 0) + 1
        return counts

    before, after = counted(old), counted(new)
    told = []
    for kind in sorted(before.keys() | after.keys()):
        was, now = before.get(kind, 0), after.get(kind, 0)
        if was != now:
            told.append(f"{kind}: {_times(was)} → {_times(now)}")
    return told


def _times(number: int) -> str:
    return {0: "none", 1: "one"}.get(number, str(number))


def _estimates(old: PlanNode, new: PlanNode) -> list[str]:
    """Joins and scans whose estimates differ by a lot, the most first."""
    before = {node.names: node for node in old.walk() if node.names}
    parted = _in_parallel(old) ^ _in_parallel(new)
    found: list[tuple[float, str]] = []
    seen: set[frozenset[str]] = set()
    for node in new.walk():
        was = before.get(node.names)
        # Of a chain of nodes over the same relations the lowest tells the estimate.
        if was is None or node.names in seen or not node.names:
            continue
        if node.names in parted:
            continue  # what one worker is expected to return, and what all are
        seen.add(node.names)
        was, now = _lowest(was), _lowest(node)
        if (was.loops or 1) != (now.loops or 1):
            continue  # so often, by another plan: these are no estimates of the same thing
        factor = q_error(was.estimated, now.estimated)
        if factor >= LARGE_Q_ERROR:
            truth = "" if now.actual is None else f" (truly {now.actual:,.0f})"
            names = " ".join(sorted(node.names))
            told = f"rows expected of {names}: {was.estimated:,.0f} → {now.estimated:,.0f}{truth}"
            found.append((factor, told))
    return [told for _, told in sorted(found, key=lambda one: -one[0])]


def _in_parallel(tree: PlanNode) -> set[frozenset[str]]:
    """The sets of relations that are read below a Gather."""
    return {
        node.names
        for gather in tree.walk()
        if gather.kind in ("Gather", "Gather Merge")
        for node in gather.walk()
    }


def _lowest(node: PlanNode) -> PlanNode:
    names = node.names
    while True:
        below = next((child for child in node.children if child.names == names), None)
        if below is None:
            return node
        node = below


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else ()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None

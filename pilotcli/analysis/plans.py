"""Query plans: as trees, their errors in estimating rows, and what differs between two of them."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotcli.common.quantities import listed
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
_JOINS = frozenset({"Nested Loop", "Hash Join", "Merge Join"})
_SCANS_BELOW = frozenset({"Bitmap Index Scan", "BitmapAnd", "BitmapOr"})
"""Nodes that belong to the bitmap scan above them."""
_AGGREGATES = {"Hashed": "HashAggregate", "Sorted": "GroupAggregate", "Mixed": "MixedAggregate"}
LARGE_Q_ERROR = 2.0
CHANGES_SHOWN = 12
RELATIONS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node of a plan of `EXPLAIN (FORMAT JSON)`.

    `kind` is its node type, `way` that with what EXPLAIN's text adds to it (`Parallel Seq Scan`,
    `HashAggregate`). `relation`, `alias` and `index` are None for nodes without. `estimated` and
    `actual` are rows in all loops together, as `loops` says; `actual` and `loops` are None where
    the plan was not run. `role` says what it is to its parent (`Outer`, `InitPlan`); `names` are
    the relations in and below it, by their aliases.
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
        return f"{text} in {self.loops:,} loops, {estimated:,.3g} → {actual:,.3g} in each"

    def walk(self) -> Iterator[PlanNode]:
        """This node and all below it, the upper ones first."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def tree_of(plan: Mapping[str, Any]) -> PlanNode | None:
    """Returns the tree of `plan`, an object with the key `Plan`; None where there is none.

    Never raises: a value that is missing or of another type counts as unknown.
    """
    root = plan.get("Plan") if isinstance(plan, Mapping) else None
    if not isinstance(root, Mapping):
        return None
    # Without recursion: plans of a thousand nested sub-queries exist.
    made: dict[int, PlanNode] = {}
    waiting: list[tuple[Mapping[str, Any], bool]] = [(root, False)]
    while waiting:
        node, ready = waiting.pop()
        below = [child for child in _list(node.get("Plans")) if isinstance(child, Mapping)]
        if not ready:
            waiting.append((node, True))
            waiting.extend((child, False) for child in below)
        else:
            made[id(node)] = _node(node, [made[id(child)] for child in below])
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


def plan_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Returns what `after` does differently from `before`, in words, the most telling first; empty
    only for the same structure and similar estimates."""
    old, new = tree_of(before), tree_of(after)
    if old is None or new is None:
        return []
    found = [*_orders(old, new), *_joins(old, new), *_scans(old, new), *_relations(old, new)]
    found += _others(old, new)
    if not found and not same_plan(before, after):
        found.append("the same nodes, one below the other in another way")
    found += _estimates(old, new)
    more = len(found) - CHANGES_SHOWN
    return [*found[:CHANGES_SHOWN], f"and {more} more"] if more > 0 else found


def _node(fields: Mapping[str, Any], children: Sequence[PlanNode]) -> PlanNode:
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
    before, after = ([alias for alias, _ in _with_alias(tree)] for tree in (old, new))
    if before == after or sorted(before) != sorted(after) or len(before) < 2:
        return []
    return [f"order of joining: {' '.join(before)} → {' '.join(after)}"]


def _with_alias(tree: PlanNode) -> Iterator[tuple[str, PlanNode]]:
    for node in tree.walk():
        alias = node.alias or node.relation
        if alias and node.kind not in _SCANS_BELOW:
            yield alias, node


def _joins(old: PlanNode, new: PlanNode) -> list[str]:
    before, after = (
        {node.names: node for node in tree.walk() if node.kind in _JOINS} for tree in (old, new)
    )
    return [
        f"join of {' '.join(sorted(names))}: {before[names].joining} → {node.joining}"
        for names, node in after.items()
        if names in before and before[names].joining != node.joining
    ]


def _scans(old: PlanNode, new: PlanNode) -> list[str]:
    before, after = dict(_with_alias(old)), dict(_with_alias(new))
    return [
        f"{alias}: {_way(before[alias])} → {_way(node)}"
        for alias, node in after.items()
        if alias in before and _way(before[alias]) != _way(node)
    ]


def _way(node: PlanNode) -> str:
    index = node.index
    if index is None and node.kind == "Bitmap Heap Scan":
        found = sorted(part.index for part in node.walk() if part.index is not None)
        index = ", ".join(found) or None
    return f"{node.way} using {index}" if index else node.way


def _relations(old: PlanNode, new: PlanNode) -> list[str]:
    """Returns the relations that only one of them reads: pruned partitions, removed joins."""
    found = []
    for word, only in (("no longer", old.names - new.names), ("now", new.names - old.names)):
        if only:
            found.append(f"{word} read: {listed(sorted(only), RELATIONS_SHOWN, ' ')}")
    return found


def _others(old: PlanNode, new: PlanNode) -> list[str]:
    """Returns which nodes that are neither joins nor scans there are more or fewer of."""

    def counted(tree: PlanNode) -> Counter[str]:
        return Counter(
            node.way
            for node in tree.walk()
            if not (node.kind in _JOINS | _SCANS_BELOW or node.alias or node.relation)
        )

    before, after = counted(old), counted(new)
    words = {0: "none", 1: "one"}
    found = []
    for kind in sorted(before.keys() | after.keys()):
        was, now = before[kind], after[kind]
        if was != now:
            found.append(f"{kind}: {words.get(was, was)} → {words.get(now, now)}")
    return found


def _estimates(old: PlanNode, new: PlanNode) -> list[str]:
    """Returns the joins and scans whose estimates differ by a lot, the largest change first."""
    before = {node.names: node for node in old.walk() if node.names}
    parted = _in_parallel(old) ^ _in_parallel(new)
    found: list[tuple[float, str]] = []
    seen: set[frozenset[str]] = set()
    for node in new.walk():
        was = before.get(node.names)
        # In a chain of nodes over the same relations the lowest one has the estimate.
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
            text = f"rows expected of {names}: {was.estimated:,.0f} → {now.estimated:,.0f}{truth}"
            found.append((factor, text))
    return [text for _, text in sorted(found, key=lambda change: -change[0])]


def _in_parallel(tree: PlanNode) -> set[frozenset[str]]:
    """Returns the sets of relations that are read below a Gather."""
    return {
        node.names
        for gather in tree.walk()
        if gather.kind in ("Gather", "Gather Merge")
        for node in gather.walk()
    }


def _lowest(node: PlanNode) -> PlanNode:
    while below := [child for child in node.children if child.names == node.names]:
        node = below[0]
    return node


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else ()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def finite_number(value: Any) -> float | None:
    """Returns `value` as a float; None for what is no number, or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None

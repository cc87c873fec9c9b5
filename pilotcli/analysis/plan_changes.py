"""What differs between two plans of one query, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pilotcli.analysis.plans import JOINS, SCANS_BELOW, PlanNode, q_error, same_plan, tree_of
from pilotcli.common.quantities import listed

LARGE_Q_ERROR = 2.0
CHANGES_SHOWN = 12
RELATIONS_SHOWN = 6


def plan_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Returns what `after` does differently from `before`, in words, the most telling first; empty
    only for the same structure and similar estimates."""
    old, new = tree_of(before), tree_of(after)
    if old is None or new is None:
        return []
    found = structure_changes(old, new)
    if not found and not same_plan(before, after):
        found.append("the same nodes, one below the other in another way")
    found += _estimates(old, new)
    more = len(found) - CHANGES_SHOWN
    return [*found[:CHANGES_SHOWN], f"and {more} more"] if more > 0 else found


def structure_changes(old: PlanNode, new: PlanNode) -> list[str]:
    """Returns what `new` does differently from `old`, in words, without estimates: the order of
    joining, methods of joins and scans, relations, other nodes."""
    found = [*_orders(old, new), *_joins(old, new), *_scans(old, new), *_relations(old, new)]
    return found + _others(old, new)


def _orders(old: PlanNode, new: PlanNode) -> list[str]:
    before, after = ([alias for alias, _ in _with_alias(tree)] for tree in (old, new))
    if before == after or sorted(before) != sorted(after) or len(before) < 2:
        return []
    return [f"order of joining: {' '.join(before)} → {' '.join(after)}"]


def _with_alias(tree: PlanNode) -> Iterator[tuple[str, PlanNode]]:
    for node in tree.walk():
        alias = node.alias or node.relation
        if alias and node.kind not in SCANS_BELOW:
            yield alias, node


def _joins(old: PlanNode, new: PlanNode) -> list[str]:
    before, after = (
        {node.names: node for node in tree.walk() if node.kind in JOINS} for tree in (old, new)
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
            if not (node.kind in JOINS | SCANS_BELOW or node.alias or node.relation)
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
        was, now = lowest(was), lowest(node)
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


def lowest(node: PlanNode) -> PlanNode:
    while below := [child for child in node.children if child.names == node.names]:
        node = below[0]
    return node

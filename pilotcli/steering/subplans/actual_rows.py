"""True cardinalities of sub-plans, as far as an executed plan shows them exactly.

A node's rows are a sub-plan's cardinality only if the node ran to its end, without values from
outside (the inner side of a parameterised nested loop), and was not divided among workers in a way
that the printed averages hide. Everything else is left out rather than guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pilotcli.steering.subplans.described import SubPlan
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.graph import QueryGraph

_JOINS = frozenset({"Nested Loop", "Hash Join", "Merge Join"})
_PASSING = frozenset({"Gather", "Gather Merge", "Append", "Merge Append"})
_SAME_ROWS = frozenset({"Hash", "Sort", "Incremental Sort", "Materialize", "Memoize", "LockRows"})
_READS_ALL = frozenset({"Hash", "Sort"})
_KEEPS_OUTER = frozenset({"Left", "Anti", "Full"})
_CONDITION = re.compile(r"Cond|Filter|Cache Key|Order By|Function Call|Sampling")
_QUALIFIER = re.compile(r'(?:([\w$]+)|"((?:[^"]|"")*)")\.(?=[\w"])')
_STRING = re.compile(r"'(?:[^']|'')*'")


Relation = tuple[str, str]
"""A block's number, and the name of a relation in it."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A part of the plan: its relations (None: unknown), whether workers divide its rows, the
    aliases that it uses and contains, and whether it groups their rows."""

    names: frozenset[Relation] | None
    divided: bool = False
    named: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    grouped: bool = False

    @property
    def depends(self) -> bool:
        """Whether it uses values of relations outside of it."""
        return bool(self.named - self.own)


def observed_rows(plan: Mapping[str, Any]) -> dict[SubPlan, float]:
    """Returns the true rows of the sub-plans in an executed plan of the planner module: a dict with
    the keys `Plan` (with actual rows), `Relations` and `Lookups`.

    Parts that did not run to their end, as under LIMIT, are left out. Raises `NotAnalysable` for
    other values.
    """
    try:
        relations = {
            str(alias): (str(block), str(name))
            for alias, (block, name) in plan["Relations"].items()
        }
        lookups = frozenset(map(str, plan["Lookups"]))
    except (LookupError, TypeError, ValueError, AttributeError):
        raise NotAnalysable("the plan does not say which relations it reads") from None
    return _read(plan, relations, lookups)


def observed_cardinalities(
    plan: Mapping[str, Any], graph: QueryGraph
) -> dict[frozenset[str], float]:
    """Returns the true rows of sub-plans that an executed plan of the graph's query shows, as
    `EXPLAIN (ANALYZE, FORMAT JSON)` gives it: a dict with the key `Plan`.

    Parts that did not run to their end, as under LIMIT, are left out. Raises `NotAnalysable` for
    other values.
    """
    try:
        relations = {alias: ("", name) for alias, name in _aliases(plan["Plan"], graph).items()}
    except _WRONG_FORM as error:
        raise _not_a_plan(error) from None
    sets = frozenset(graph.subsets())
    found = _read(plan, relations)
    return {part.names: rows for part, rows in found.items() if part.names in sets}


_WRONG_FORM = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def _read(
    plan: Mapping[str, Any],
    relations: Mapping[str, Relation],
    lookups: frozenset[str] = frozenset(),
) -> dict[SubPlan, float]:
    reader = _Reader(relations, lookups)
    try:
        reader.read(plan["Plan"], complete=True, report=True)
    except _WRONG_FORM as error:
        raise _not_a_plan(error) from None
    return reader.found


def _not_a_plan(error: Exception) -> NotAnalysable:
    return NotAnalysable(f"this is not a plan of EXPLAIN (ANALYZE, FORMAT JSON): {error!r:.200}")


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _aliases(root: dict[str, Any], graph: QueryGraph) -> dict[str, str]:
    """Returns the relations' names by the plan's aliases. EXPLAIN shows a second relation `p` as
    `p_1`."""
    shown = set(_scans(root))
    beside = set(_beside(root))
    blocks = [Counter(_alias(name) for name in block.names) for block in graph.blocks]
    aliases: dict[str, str] = {}
    for block, counted in zip(graph.blocks, blocks, strict=True):
        for alias, count in counted.items():
            if sum(alias in other for other in blocks) > 1 or alias in beside:
                continue
            numbers = [at for at, name in enumerate(block.names) if _alias(name) == alias]
            expected = [alias, *(f"{alias}_{number}" for number in range(1, count))]
            found = [scan for scan in shown if alias in (scan, _parent(scan))]
            # More aliases belong to sub-queries that are not blocks of the graph.
            if len(found) <= count and (count == 1 or sorted(found) == sorted(expected)):
                aliases.update(zip(expected, (block.names[at] for at in numbers), strict=True))
    return aliases


def _scans(node: dict[str, Any]) -> Iterator[str]:
    """Yields the aliases of all scans, without those of partitions."""
    if "Alias" in node:
        yield node["Alias"]
    for child in node.get("Plans", ()):
        if not (node["Node Type"] in ("Append", "Merge Append") and "Alias" in child):
            yield from _scans(child)


def _beside(node: dict[str, Any], within: bool = False) -> Iterator[str]:
    """Yields the aliases in sub-queries beside the joins, which are not blocks of the graph."""
    if within and "Alias" in node:
        yield node["Alias"]
        yield _parent(node["Alias"])
    for child in node.get("Plans", ()):
        is_cte = str(child.get("Subplan Name", "")).startswith("CTE ")
        starts = child.get("Parent Relationship") in ("InitPlan", "SubPlan") and not is_cte
        yield from _beside(child, within or starts)


def _parent(alias: str) -> str:
    """Returns `alias` without the number of a partition or of a second relation."""
    return re.sub(r"_\d+\Z", "", alias)


def _alias(name: str) -> str:
    """Returns the alias in a relation's name: `p` of `p#2`."""
    return re.sub(r"(?<!#)((?:##)*)#\d+\Z", r"\1", name).replace("##", "#")


class _Reader:
    def __init__(self, relations: Mapping[str, Relation], lookups: frozenset[str]) -> None:
        self.relations = relations
        self.lookups = lookups
        self.found: dict[SubPlan, float] = {}
        self._among_workers = False
        """Whether the loops of the part that is read are those of workers."""

    def read(self, node: dict[str, Any], *, complete: bool, report: bool) -> _Seen:
        """Read a part of the plan.

        `complete`: all of its rows were read. `report`: whether its rows are noted; in partitions
        and in repeated parallel parts they are not those of a sub-plan.
        """
        kind = node["Node Type"]
        if kind in ("Append", "Merge Append"):
            seen = self._append(node)
        elif kind in _JOINS:
            seen = self._join(node, complete=complete, report=report)
        elif "Alias" in node and kind != "ModifyTable":
            seen = self._scan(node, complete=complete, report=report)
        else:
            seen = self._other(node, complete=complete, report=report)
        counts = kind in _JOINS or kind in _PASSING or "Alias" in node
        if report and complete and counts and not seen.depends and not seen.grouped:
            self._note(node, seen)
        if kind.startswith("Gather"):
            seen = replace(seen, divided=False)
        return seen

    def _note(self, node: dict[str, Any], seen: _Seen) -> None:
        names, loops = seen.names, node.get("Actual Loops", 0)
        rows = node.get("Actual Rows")
        if names is None or rows is None or not loops:
            return
        if seen.divided and not node["Node Type"].startswith("Gather") and loops > 1:
            if not isinstance(rows, float):  # rounded before PostgreSQL 18
                return
            rows = rows * loops
        elif not seen.divided and rows != round(rows):
            return  # its loops returned different numbers of rows
        blocks = {block for block, _ in names}
        if len(blocks) == 1:
            subplan = SubPlan(blocks.pop(), frozenset(name for _, name in names))
            self.found.setdefault(subplan, float(round(rows)))

    def _children(self, node: dict[str, Any]) -> list[dict[str, Any]]:
        """Returns the inputs of a node; reads the sub-queries beside it separately."""
        inputs = []
        for child in node.get("Plans", ()):
            relationship = child.get("Parent Relationship")
            if relationship == "InitPlan":
                self.read(child, complete=False, report=True)
            elif relationship != "SubPlan":
                inputs.append(child)
        return inputs

    def _seen(
        self, node: dict[str, Any], inputs: list[_Seen], names: frozenset[Relation] | None
    ) -> _Seen:
        named, own = set(self._mentioned(node)), set()
        divided = bool(node.get("Parallel Aware"))
        if "Alias" in node:
            own.add(node["Alias"])
        for part in inputs:
            named |= part.named
            own |= part.own
            divided = divided or part.divided
        return _Seen(names, divided, frozenset(named), frozenset(own))

    def _mentioned(self, node: dict[str, Any]) -> Iterator[str]:
        """Yields the aliases in the node's conditions, where a scan's own alias is not printed."""
        for key, value in node.items():
            if _CONDITION.search(key):
                values = value if isinstance(value, list) else [value]
                for text in values:
                    if isinstance(text, str):
                        for plain, quoted in _QUALIFIER.findall(_STRING.sub("''", text)):
                            yield plain or quoted.replace('""', '"')

    def _scan(self, node: dict[str, Any], *, complete: bool, report: bool) -> _Seen:
        inside = [
            self.read(child, complete=complete, report=report) for child in self._children(node)
        ]
        name = self.relations.get(node["Alias"])
        seen = self._seen(node, [], None if name is None else frozenset({name}))
        if any(part.divided for part in inside):  # a sub-query that each worker runs a part of
            seen = replace(seen, divided=True)
        if node["Alias"] in self.lookups and not seen.depends:
            # Its conditions print a value without the relation that it comes from, as count(*).
            return replace(seen, names=None)
        return seen

    def _append(self, node: dict[str, Any]) -> _Seen:
        """Read the partitions of a relation, each with its own alias."""
        names: set[Relation] = set()
        known = True
        for part in _nodes(node):
            if "Alias" in part and part is not node:
                name = self.relations.get(part["Alias"])
                name = name or self.relations.get(_parent(part["Alias"]))
                known = known and name is not None
                names.add(name or ("", ""))
        inputs = [self.read(child, complete=False, report=False) for child in self._children(node)]
        known = known and not any(part.grouped for part in inputs)  # aggregated by partition
        seen = self._seen(node, inputs, frozenset(names) if known and names else None)
        # Conditions above use the relation's alias.
        parents = {alias for alias in map(_parent, seen.own) if alias not in self.relations}
        parents.update(alias for alias, name in self.relations.items() if name in names)
        return _Seen(seen.names, seen.divided, seen.named, seen.own | parents)

    def _join(self, node: dict[str, Any], *, complete: bool, report: bool) -> _Seen:
        outer, inner = self._children(node)
        kind, join = node["Node Type"], node.get("Join Type", "Inner")
        outer_complete, inner_complete = complete, complete
        if kind == "Merge Join":  # stops when one input ends, and may read inner rows twice
            outer_complete, inner_complete = complete and join in _KEEPS_OUTER, False
        elif kind == "Nested Loop":
            stops = node.get("Inner Unique") or join in ("Semi", "Anti")
            inner_complete = complete and not stops
        elif join not in _KEEPS_OUTER:
            # An empty hash table ends it; which of several tables was empty is not shown.
            again = inner.get("Actual Loops", 0) > 1 and not self._among_workers
            outer_complete = complete and bool(inner.get("Actual Rows")) and not again
        seen = [
            self.read(outer, complete=outer_complete, report=report),
            self.read(inner, complete=inner_complete, report=report),
        ]
        left, right = (part.names for part in seen)
        return self._seen(node, seen, left | right if left and right else None)

    def _other(self, node: dict[str, Any], *, complete: bool, report: bool) -> _Seen:
        kind = node["Node Type"]
        if kind.startswith("Gather") and node.get("Actual Loops", 0) > 1:
            report = False  # loops of the nodes below are those of workers, times the rescans
        reads_all = node.get("Strategy") in ("Plain", "Hashed") and kind != "SetOp"
        if kind in _READS_ALL or reads_all:
            complete = True
        elif kind in ("Limit", "SetOp") or "Run Condition" in node:
            complete = False  # INTERSECT ends with the first input that ends
        around, self._among_workers = self._among_workers, kind.startswith("Gather")
        self._among_workers |= around
        inputs = [
            self.read(child, complete=complete, report=report) for child in self._children(node)
        ]
        self._among_workers = around
        names = inputs[0].names if len(inputs) == 1 else None
        if node.get("Partial Mode") == "Partial":  # a join above it reads groups
            names = None
        groups = kind in ("Aggregate", "Unique")  # also those that make a semi join's side unique
        passes = kind in _SAME_ROWS or kind in _PASSING or kind == "Result" or groups
        seen = self._seen(node, inputs, names if passes else None)
        return replace(seen, grouped=groups or any(part.grouped for part in inputs))

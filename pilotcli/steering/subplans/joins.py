"""The joins of a block as bit masks: outer, semi and anti joins, and their limits on the order.

As in prepjointree.c (`reduce_outer_joins`) and initsplan.c (`make_outerjoininfo`), an outer join
below a condition that no null-extended row meets is an inner join, and the others may be done in
another order only if the result stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import repeat

from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.conditions import Printer, parsed
from pilotcli.steering.subplans.equivalences import domain_of
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.from_clause import Group, Leaf, Qual, Tree
from pilotcli.steering.subplans.join_tree import (
    Clause,
    Inner,
    Node,
    One,
    Outer,
    Special,
    outer_joins,
)
from pilotcli.steering.subplans.masks import union
from pilotcli.steering.subplans.parsing import exp, to_sql
from pilotcli.steering.subplans.predicates import forced_null, mask_of, strict_mask, values_of
from pilotcli.steering.subplans.scope import Entry, Scope, function_name, own_nodes


def build(
    tree: Tree, entries: Sequence[Entry], printer: Printer, catalog: Catalog
) -> tuple[Node, list[Special]]:
    """Returns the joins of a block with numbered relations, and its special joins."""
    printer.read(quals_of(tree))
    node = _Builder(printer).node(tree)
    node = _reduce(node, 0, set(), catalog)
    specials: list[Special] = []
    _special_joins(node, specials)
    constant = {
        member.text
        for part in domain_of(node).all()
        for known in part.equivalences
        if known.constants
        for member in known.members
    }
    node = _without_unique_semi_joins(node, entries, constant)
    kept = {outer.special for outer in outer_joins(node)}
    return node, [special for special in specials if special in kept]


def _without_unique_semi_joins(
    node: Node, entries: Sequence[Entry], constant: Collection[str]
) -> Node:
    """Make semi joins that find at most one partner inner joins (`reduce_unique_semijoins`).

    Equalities of expressions that equal a constant are no conditions of the join.
    """
    if isinstance(node, One):
        return node
    if isinstance(node, Inner):
        node.parts = [_without_unique_semi_joins(part, entries, constant) for part in node.parts]
        return node
    node.left = _without_unique_semi_joins(node.left, entries, constant)
    node.right = _without_unique_semi_joins(node.right, entries, constant)
    if node.kind == "semi" and _finds_one(node, entries, constant):
        return Inner([node.left, node.right], node.clauses)
    return node


def without_idle_joins(
    node: Node, entries: Sequence[Entry], used: Callable[[], int]
) -> tuple[Node, int]:
    """Returns the joins without left joins that change nothing (`remove_useless_joins`), and the
    removed relations: those of a unique inner side that is not `used` elsewhere."""
    removed = 0
    elsewhere: int | None = None
    while True:
        idle = None
        for outer in outer_joins(node):
            if outer.kind != "left" or outer.is_anti or not _finds_one(outer, entries):
                continue
            if elsewhere is None:
                elsewhere = used()
            others = elsewhere | _named(node, outer)
            if not others & outer.right.mask:
                idle = outer
        if idle is None:
            return node, removed
        removed |= idle.right.mask
        node = _without(node, idle)


def _named(node: Node, but: Outer) -> int:
    """Returns the relations in all conditions except those of the join `but`."""
    if isinstance(node, One) or node is but.right:
        return 0
    parts = node.parts if isinstance(node, Inner) else [node.left, node.right]
    clauses = node.clauses if node is not but else ()
    below = union(_named(part, but) for part in parts)
    return below | union(clause.mask for clause in clauses)


def _without(node: Node, join: Outer) -> Node:
    if node is join:
        return join.left
    if isinstance(node, Inner):
        node.parts = [_without(part, join) for part in node.parts]
    elif isinstance(node, Outer):
        node.left, node.right = _without(node.left, join), _without(node.right, join)
    return node


def has_semi_join(tree: Tree) -> bool:
    """Whether a tree has a semi join."""
    if isinstance(tree, Leaf):
        return False
    parts = tree.parts if isinstance(tree, Group) else [tree.left, tree.right]
    is_semi = not isinstance(tree, Group) and tree.kind == "semi"
    return is_semi or any(has_semi_join(part) for part in parts)


def _finds_one(join: Outer, entries: Sequence[Entry], constant: Collection[str] = ()) -> bool:
    """Whether a row has at most one partner in the inner side of a join.

    Raises `NotAnalysable` where the planner may know more.
    """
    right = join.right.mask
    if right.bit_count() != 1:  # none: a sub-select without FROM
        return False
    entry = entries[right.bit_length() - 1]
    unique = _unique(entry)
    clauses = [
        clause
        for clause in join.clauses
        if clause.equality is None or clause.equality.left[0] not in constant
    ]
    if not unique or (join.clauses and not clauses):
        return False
    inner = []
    inside = join.right
    while isinstance(inside, Inner):
        inner.extend(inside.clauses)
        inside = inside.parts[0]
    joined = _equated(clauses, right)
    filtered = joined | _equated(inner, right)
    if entry.table is None and not any(columns <= joined for columns in unique):
        if any(columns <= filtered for columns in unique):
            raise NotAnalysable("the planner may know that a sub-query has one row for each value")
        return False
    return any(columns <= filtered for columns in unique)


def _equated(clauses: Sequence[Clause], relation: int) -> frozenset[str]:
    """Returns the columns of a relation that must equal something outside of it."""
    found = set()
    for clause in clauses:
        node = parsed(clause)
        if isinstance(node, exp.EQ) and values_of(node.expression) is None:
            for side, other in ((node.this, node.expression), (node.expression, node.this)):
                is_inner = isinstance(side, exp.Column) and mask_of(side) == relation and side.table
                if is_inner and not mask_of(other) & relation:
                    found.add(side.name)
    return frozenset(found)


def _unique(entry: Entry) -> Sequence[frozenset[str]]:
    """Returns sets of columns whose values are in one row only."""
    if entry.table is not None:
        return entry.table.unique
    query, columns = entry.query, list(entry.columns)
    if isinstance(query, exp.SetOperation):
        return [frozenset(columns)] if query.args.get("distinct") else []
    if not isinstance(query, exp.Select):
        return []
    group, distinct = query.args.get("group"), query.args.get("distinct")
    if (distinct and distinct.args.get("on")) or (
        group and any(isinstance(part, exp.Literal) for part in group.expressions)
    ):
        raise NotAnalysable("the planner may know that a sub-query has one row for each value")
    found = [frozenset(columns)] if distinct else []
    shown = [to_sql(part.unalias()) for part in query.expressions]
    if group:
        wanted = [to_sql(part) for part in group.expressions]
        if set(wanted) <= set(shown):
            found.append(frozenset(columns[shown.index(text)] for text in wanted))
    elif query.args.get("having") or any(map(_aggregates, query.expressions, repeat(entry.scope))):
        found.append(frozenset())
    return found


def _aggregates(node: exp.Expression, scope: Scope | None) -> bool:
    """Whether an expression has an aggregate function of its own query, and not over a window."""
    for part in own_nodes(node):
        name = function_name(part)
        is_aggregate = isinstance(part, exp.AggFunc) or (
            name is not None and scope is not None and scope.catalog.function(name).aggregate
        )
        if is_aggregate and part.find_ancestor(exp.Window) is None:
            return True
    return False


class _Builder:
    def __init__(self, printer: Printer) -> None:
        self.printer = printer
        self.count = 0

    def node(self, tree: Tree) -> Node:
        if isinstance(tree, Leaf):
            return One(1 << tree.entry.number)
        if isinstance(tree, Group):
            parts = [self.node(part) for part in tree.parts]
            return Inner(parts, self.clauses(tree.quals))
        left, right = self.node(tree.left), self.node(tree.right)
        clauses = self.clauses(tree.quals)
        if tree.kind == "right":
            return Outer("left", right, left, clauses, is_right=True)
        return Outer(tree.kind, left, right, clauses)

    def clauses(self, quals: list[Qual]) -> list[Clause]:
        found = self.printer.clauses(quals, self.count)
        self.count += len(found)
        return found


def quals_of(tree: Tree) -> list[Qual]:
    """Returns all conditions of a tree."""
    if isinstance(tree, Leaf):
        return []
    parts = tree.parts if isinstance(tree, Group) else [tree.left, tree.right]
    return [*(qual for part in parts for qual in quals_of(part)), *tree.quals]


# ---- Outer joins that are inner joins ----


def _reduce(node: Node, present: int, nulls: set[str], catalog: Catalog) -> Node:
    """Reduce outer joins. In the rows that are used, the relations `present` are not null-extended,
    and the columns `nulls` must be null."""
    if isinstance(node, One):
        return node
    if isinstance(node, Inner):
        present |= _strict(node.clauses, catalog)
        nulls = nulls | {
            name for clause in node.clauses if (name := forced_null(parsed(clause))) is not None
        }
        node.parts = [_reduce(part, present, nulls, catalog) for part in node.parts]
        return node
    kind, left, right = node.kind, node.left, node.right
    if kind == "full":
        if present & left.mask and present & right.mask:
            kind = "inner"
        elif present & left.mask:
            kind = "left"
        elif present & right.mask:
            kind, left, right = "left", right, left
    elif kind == "left" and present & right.mask:
        kind = "inner"
    if kind == "inner":
        parts = [right, left] if node.is_right else [left, right]
        return _reduce(Inner(parts, node.clauses), present, nulls, catalog)
    if kind != "full":
        node.clauses = [*node.clauses, *_lateral_clauses(right, right.mask)]
    own = _strict(node.clauses, catalog)
    used = union(clause.mask for clause in node.clauses)
    made = Outer(kind, left, right, node.clauses, used, own)
    if kind == "left":
        made.is_anti = any(name in nulls for name in _strict_columns(node.clauses, right.mask))
    if kind == "semi":
        made.left = _reduce(left, present | own, nulls, catalog)
        made.right = _reduce(right, present | own, set(), catalog)
    elif kind == "full":
        made.left = _reduce(left, 0, set(), catalog)
        made.right = _reduce(right, 0, set(), catalog)
    else:
        made.left = _reduce(left, present, nulls, catalog)
        made.right = _reduce(right, own, set(), catalog)
    if kind != "full":
        _move_inwards(made)
    return made


def _lateral_clauses(node: Node, inside: int) -> list[Clause]:
    """Remove and return the conditions of the inner side that use relations of the outer side, as a
    lateral sub-query does: they become conditions of the join."""
    if not isinstance(node, Inner):
        return []
    found = [clause for clause in node.clauses if clause.mask & ~inside]
    node.clauses = [clause for clause in node.clauses if not clause.mask & ~inside]
    for part in node.parts:
        found.extend(_lateral_clauses(part, inside))
    return found


def _move_inwards(join: Outer) -> None:
    """Move conditions on the inner side alone to the inner side."""
    inner = [
        clause for clause in join.clauses if clause.mask and not clause.mask & ~join.right.mask
    ]
    if inner:
        join.clauses = [clause for clause in join.clauses if clause not in inner]
        join.right = Inner([join.right], inner)


def _strict(clauses: list[Clause], catalog: Catalog) -> int:
    return union(strict_mask(parsed(clause), catalog) for clause in clauses)


def _strict_columns(clauses: list[Clause], mask: int) -> Iterator[str]:
    """Yields the columns of the relations in `mask` that a join's comparisons need not null."""
    for clause in clauses:
        if isinstance(parsed(clause), (exp.EQ, exp.NEQ, exp.LT, exp.GT, exp.LTE, exp.GTE)):
            for side in (parsed(clause).this, parsed(clause).expression):
                if isinstance(side, exp.Column) and mask_of(side) & mask:
                    yield to_sql(side)


# ---- Limits on the order ----


def _special_joins(node: Node, specials: list[Special]) -> int:
    """Add the special joins of a tree to `specials`; returns the relations in inner joins."""
    if isinstance(node, One):
        return 0
    if isinstance(node, Inner):
        inner = union([_special_joins(part, specials) for part in node.parts])
        return node.mask if len(node.parts) > 1 else inner
    inner = _special_joins(node.left, specials)
    inner |= _special_joins(node.right, specials)
    node.special = _special(node, inner, specials)
    specials.append(node.special)
    return inner


def _special(node: Outer, inner: int, lower: list[Special]) -> Special:
    left, right = node.left.mask, node.right.mask
    if node.kind == "full":
        return Special("full", left, right, left, right, lhs_strict=False)
    kind = "anti" if node.is_anti else node.kind
    used, strict = node.used, node.strict
    min_left = used & left
    min_right = (used | inner) & right
    for other in lower:
        both = other.syn_left | other.syn_right
        if other.kind == "full":
            min_left |= both if left & both else 0
            min_right |= both if right & both else 0
            continue
        keeps_order = kind in ("semi", "anti") or not strict & other.min_right
        if left & other.syn_right and used & other.syn_right and keeps_order:
            min_left |= both
        if right & other.syn_right and (
            used & other.syn_right
            or not used & other.min_left
            or kind in ("semi", "anti")
            or other.kind in ("semi", "anti")
            or not other.lhs_strict
        ):
            min_right |= both
    return Special(
        kind,
        min_left or left,
        min_right or right,
        left,
        right,
        lhs_strict=bool(strict & left),
        can_unique=kind == "semi"
        and bool(node.clauses)
        and all(isinstance(parsed(clause), exp.EQ) for clause in node.clauses),
    )

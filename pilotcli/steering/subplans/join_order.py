"""Rewrites a query with its joins in a given order, for `join_collapse_limit = 1`.

FROM becomes a tree of explicit joins (manual 14.3), made of pieces of the query's own text. The
order is taken where these rules alone prove that the rows stay the same:

- the conditions of inner joins filter the joined rows: they are tested in WHERE;
- `(a LEFT JOIN b ON p) CROSS JOIN c` is `(a CROSS JOIN c) LEFT JOIN b ON p`, and two left joins may
  change places: a left join can be done as soon as the relations that its condition uses are there;
- the right side of a left join is joined as a whole, and its own filters become part of ON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotcli.common.errors import QueryError, SteeringError
from pilotcli.steering.sql import literal
from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.from_text import Condition, FromReader, Relation, Tree
from pilotcli.steering.subplans.masks import union
from pilotcli.steering.subplans.parsing import quoted
from pilotcli.steering.subplans.query_text import QueryText, read_text, refusal

_VOLATILE = (
    "SELECT min(proname::text) FROM pg_catalog.pg_proc WHERE provolatile = 'v' AND proname IN ({})"
)


def rewrite_join_order(sql: str, order: Sequence[Any], catalog: Catalog) -> str:
    """Returns `sql` with the joins of its outermost SELECT in `order`.

    `["p", "u", "c"]` joins p and u first, `[["p", "u"], ["c", "v"]]` joins two joins. The names are
    those of the items of FROM. The planner chooses where it joins the items that are not named, and
    which side of a join is the outer one.

    Raises `SteeringError` for an order that may change the rows, and for a query whose joins have
    no order, or whose text is not surely understood.
    """
    query = read_text(sql)
    reader = FromReader(query)
    tree = reader.read()
    _refuse_volatile(query, catalog)
    items, conditions = _Orderer(reader.relations, tree).write(order)
    columns = ", ".join(f"{quoted(relation.name)}.*" for relation in reader.relations)
    return query.replaced(columns, items, conditions)


def _refuse_volatile(query: QueryText, catalog: Catalog) -> None:
    """Raises for a function whose results depend on when and how often it is called."""
    if not query.functions:
        return
    names = ", ".join(map(literal, query.functions))
    try:
        volatile = catalog.session.execute(_VOLATILE.format(names)).rows[0][0]
    except QueryError as error:
        raise SteeringError(f"the query's functions cannot be read: {error.message}") from error
    if volatile is not None:
        raise refusal(
            f"it calls {volatile}(), whose results may depend on the order of the joins",
            "Declare the function STABLE if it does not change anything.",
        )


@dataclass(eq=False, slots=True)
class _Group:
    """Relations under inner joins, with the right sides of left joins among them.

    `parent` and `on` are set for a group that is itself the right side of a left join. `needs`: the
    relations outside of the group that this left join needs.
    """

    parent: _Group | None = None
    on: Condition | None = None
    mask: int = 0
    needs: int = 0
    filters: list[Condition] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """Relations that are joined; `needs`: those that must be to the left of them."""

    text: str
    mask: int
    group: _Group
    needs: int


class _Orderer:
    """Joins the relations of FROM in another order."""

    def __init__(self, relations: Sequence[Relation], tree: Tree) -> None:
        self._relations = relations
        self._numbers = {relation.name: at for at, relation in enumerate(relations)}
        self._groups: dict[int, _Group] = {}
        self._top = _Group()
        self._placed: set[Condition] = set()
        self._add(tree, self._top)

    def _add(self, tree: Tree, group: _Group) -> None:
        """Add the relations and conditions of a tree to its group, and to groups below."""
        if isinstance(tree, int):
            self._groups[tree] = group
            group.mask |= 1 << tree
            return
        self._add(tree.left, group)
        if tree.kind == "inner":
            self._add(tree.right, group)
            if tree.condition is not None:
                group.filters.append(tree.condition)
            return
        below = _Group(group, tree.condition)
        self._add(tree.right, below)
        group.mask |= below.mask
        assert below.on is not None
        used = below.on.seen if below.on.used is None else below.on.used
        below.needs = (used | self._needs(below.mask)) & ~below.mask

    def _needs(self, mask: int) -> int:
        relations = enumerate(self._relations)
        return union(relation.needs for at, relation in relations if mask >> at & 1) & ~mask

    def write(self, order: Sequence[Any]) -> tuple[str, list[str]]:
        """Returns the items of FROM, and the conditions for WHERE."""
        part = self._tree(order)
        items, mask = [part.text], part.mask
        for number, relation in enumerate(self._relations):
            if mask >> number & 1:
                continue
            if self._groups[number] is not self._top or part.group is not self._top:
                raise SteeringError(
                    "the join order leaves out a side of an outer join",
                    hint=f"Name all relations: {', '.join(self._numbers)}.",
                )
            items.append(relation.text)
        if part.needs:
            raise self._illegal(part.mask, part.needs)
        return ", ".join(items), self._filters(self._top, self._top.mask)

    def _tree(self, order: Any) -> _Part:
        """Returns the joins of one part of the order."""
        if isinstance(order, str):
            return self._leaf(order)
        if not isinstance(order, (list, tuple)) or not order:
            raise SteeringError(f"a join order is made of relations and lists, not {order!r}")
        joined = self._tree(order[0])
        for part in order[1:]:
            other = self._tree(part)
            if joined.mask & other.mask:
                raise SteeringError("the join order names a relation twice")
            joined = self._join(joined, other)
        return joined

    def _leaf(self, name: str) -> _Part:
        number = self._numbers.get(name)
        if number is None:
            raise SteeringError(
                f"the join order names {name!r}, which is not a relation in the FROM of the "
                "query's outermost SELECT",
                hint=f"There are: {', '.join(self._numbers)}.",
            )
        relation = self._relations[number]
        return _Part(relation.text, 1 << number, self._groups[number], relation.needs)

    def _join(self, one: _Part, other: _Part) -> _Part:
        mask = one.mask | other.mask
        for left, right in ((one, other), (other, one)):
            if left.needs & right.mask:
                continue  # a LATERAL item sees what is to its left only
            text = self._joined(left, right)
            if text:
                return _Part(text, mask, left.group, (left.needs | right.needs) & ~mask)
        raise self._illegal(one.mask, other.mask)

    def _joined(self, left: _Part, right: _Part) -> str:
        """Returns the text of a join that keeps the rows; "" if there is none for these sides."""
        group, mask = right.group, left.mask | right.mask
        if group is left.group:
            fixed = [
                condition
                for condition in group.filters
                if condition.used is None and condition.seen == mask
            ]
            self._placed.update(fixed)
            on = " AND ".join(self._written(condition, mask) for condition in fixed)
            word = f"JOIN {right.text} ON {on}" if on else f"CROSS JOIN {right.text}"
            return f"({left.text} {word})"
        is_whole = right.mask == group.mask and group.parent is left.group
        if not is_whole or group.needs & ~left.mask or group.on is None:
            return ""
        conditions = [self._written(group.on, mask), *self._filters(group, mask)]
        return f"({left.text} LEFT JOIN {right.text} ON {' AND '.join(conditions)})"

    def _filters(self, group: _Group, seen: int) -> list[str]:
        """Returns the conditions of inner joins that are not written yet."""
        return [
            self._written(condition, seen)
            for condition in group.filters
            if condition not in self._placed
        ]

    def _written(self, condition: Condition, seen: int) -> str:
        """Returns a condition where it sees the relations in `seen`."""
        if condition.used is None and condition.seen != seen:
            raise SteeringError(
                "the join order moves a condition with names that may then mean something else: "
                f"{condition.text}",
                hint="Write each column in ON with its relation, and sub-queries in WHERE.",
            )
        return f"({condition.text})"

    def _illegal(self, one: int, other: int) -> SteeringError:
        return SteeringError(
            f"the join of {self._shown(one)} with {self._shown(other)} may change the query's rows",
            hint="Join the inner side of an outer join by itself, and only with a side that has "
            "all relations of its ON condition. Name a LATERAL item after what it uses.",
        )

    def _shown(self, mask: int) -> str:
        return ", ".join(name for name, at in self._numbers.items() if mask >> at & 1)

"""Rewrites a query with its joins in a given order, for `join_collapse_limit = 1`.

FROM becomes a tree of explicit joins (manual 14.3). The other clauses stay, with resolved names,
since sub-queries that the planner pulls up become part of the FROM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilotcli.common.errors import SteeringError
from pilotcli.steering.subplans.analysis import query_of, read_names
from pilotcli.steering.subplans.block import Block, block_of, edges_of
from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.equivalences import Domain
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.from_clause import resolve_parts, select_outputs
from pilotcli.steering.subplans.join_search import search
from pilotcli.steering.subplans.join_tree import Inner, Node, One, Outer
from pilotcli.steering.subplans.parsing import exp, identifier, parse, to_sql
from pilotcli.steering.subplans.pull_up import pull
from pilotcli.steering.subplans.scope import Scope, inner_query
from pilotcli.steering.subplans.subplan_sql import Writer


def rewrite_join_order(sql: str, order: Sequence[Any], catalog: Catalog) -> str:
    """Returns `sql` with the joins of its outermost block in `order`.

    `["p", "u", "c"]` joins p and u first, `[["p", "u"], ["c", "v"]]` joins two joins. Relations
    that are not named come last, in the query's order. The planner still chooses which side is the
    outer one. Raises `SteeringError` for an order with unknown relations or that would change the
    result, `NotAnalysable` for a query that cannot be rewritten.
    """
    tree = parse(sql)
    read_names(tree, catalog)
    catalog.check_reading(sql, tree)
    query = inner_query(query_of(tree))
    if not isinstance(query, exp.Select):
        raise NotAnalysable("the join order can be set for a SELECT, and for INSERT from one")
    pulled = pull(query, Scope(catalog))
    block = block_of(pulled, catalog, whole=True)
    text = _Orderer(block).write(order)
    made = _with_from(query, pulled.scope, text)
    if isinstance(tree, exp.Insert):
        tree.set("expression", made)
        tree.set("with_", None)
        return to_sql(tree)
    return to_sql(made)


def _with_from(query: exp.Expression, scope: Scope, text: str) -> exp.Expression:
    """Returns the query with its names resolved, and with FROM and WHERE of `text`."""
    joined = parse(f"SELECT 1 {text}")
    made = query.copy()
    for key in ("from_", "joins", "laterals", "where", "expressions"):
        made.set(key, None)
    shown = [
        exp.Alias(this=output(), alias=identifier(name)) if name != "?column?" else output()
        for name, output in select_outputs(query, scope)
    ]
    made.set("expressions", query.expressions)
    resolve_parts(made, scope)
    made.set("expressions", shown)
    for key in ("from_", "joins", "where"):
        made.set(key, joined.args.get(key))
    return made


class _Orderer:
    def __init__(self, block: Block) -> None:
        self.block = block
        self.writer = Writer(block.domain, block.sources, canonical=False)
        self.search = search((1 << len(block.names)) - 1, edges_of(block.domain), block.specials)
        self.joins: list[tuple[Outer, str]] = []
        self.movable = (1 << len(block.names)) - 1
        self.conditions(block.domain.node, block.domain)

    def conditions(self, node: Node, domain: Domain) -> None:
        """Collect the outer joins and their conditions, without the relations of EXISTS."""
        if isinstance(node, One):
            return
        if isinstance(node, Inner):
            for part in node.parts:
                self.conditions(part, domain)
            return
        if node.kind != "full":
            self.conditions(node.left, domain)
        if node.kind in ("semi", "anti"):
            self.movable &= ~node.right.mask
            return
        if node.kind == "full":
            left, right = domain.inside[node]
            self.conditions(node.left, left)
            inner = [
                self.writer.conditions(left, node.left.mask),
                self.writer.conditions(right, node.right.mask),
            ]
            if any(inner):
                raise NotAnalysable("a full join over conditions of its own cannot be reordered")
            text = " AND ".join(clause.text for clause in node.clauses)
            self.conditions(node.right, right)
        else:
            inside = domain.inside[node][0]
            text = self.writer.conditions(inside, node.right.mask, node.clauses)
            self.conditions(node.right, inside)
        self.joins.append((node, text or "TRUE"))

    def write(self, order: Sequence[Any]) -> str:
        """Returns FROM and WHERE of the block."""
        order = self.without_last(order)
        mask, text = self.tree(order)
        rest = self.movable & ~mask
        while rest:
            mask, text, rest = self.add_next(mask, text, rest)
        where = self.writer.conditions(self.block.domain, (1 << len(self.block.names)) - 1)
        return f"FROM {text}" + (f" WHERE {where}" if where else "")

    def without_last(self, order: Sequence[Any]) -> Sequence[Any]:
        """Returns the order without relations of EXISTS at its end: they are last anyway."""
        end = len(order)
        while end > 1 and isinstance(order[end - 1], str):
            number = self.block.numbers.get(order[end - 1])
            if number is None or self.movable >> number & 1:
                break
            end -= 1
        return order[:end]

    def add_next(self, mask: int, text: str, rest: int) -> tuple[int, str, int]:
        """Join the first relation that is allowed, if possible one that a condition connects."""
        bits = [1 << at for at in range(rest.bit_length()) if rest >> at & 1]
        near = [bit for bit in bits if self.search.near[bit.bit_length() - 1] & mask]
        for bit in [*near, *bits]:
            if self.may_join(mask, bit):
                joined = self.join((mask, text), self.leaf(bit))
                return *joined, rest & ~bit
        raise SteeringError(
            "the relations that the join order does not name cannot be joined one by one",
            hint="Name all relations of the query.",
        )

    def tree(self, order: Any) -> tuple[int, str]:
        """Returns the joins of one part of the order: the relations, and the text."""
        if isinstance(order, str):
            number = self.block.numbers.get(order)
            if number is None:
                raise SteeringError(
                    f"the join order names {order!r}, which is not a relation of the query",
                    hint=f"There are: {', '.join(self.block.names)}.",
                )
            if not self.movable >> number & 1:
                raise SteeringError(
                    f"the join order names {order!r}, which EXISTS or IN joins: that is done last",
                    hint="Leave it out of the order.",
                )
            return self.leaf(1 << number)
        if not isinstance(order, (list, tuple)) or not order:
            raise SteeringError(f"a join order is made of relations and lists, not {order!r}")
        joined = self.tree(order[0])
        for part in order[1:]:
            other = self.tree(part)
            if joined[0] & other[0]:
                raise SteeringError("the join order names a relation twice")
            if not self.may_join(joined[0], other[0]):
                raise SteeringError(
                    f"the join of {self.names(joined[0])} with {self.names(other[0])} would change "
                    "the query's result",
                    hint="Keep the sides of an outer join together.",
                )
            joined = self.join(joined, other)
        return joined

    def names(self, mask: int) -> str:
        return ", ".join(name for at, name in enumerate(self.block.names) if mask >> at & 1)

    def leaf(self, bit: int) -> tuple[int, str]:
        return bit, self.block.sources[bit.bit_length() - 1].text

    def may_join(self, left: int, right: int) -> bool:
        """Whether the join is allowed without making rows unique first."""
        depends = 0
        for at, source in enumerate(self.block.sources):
            if right >> at & 1:
                depends |= source.depends & ~right
        if depends & ~left or not self.search.is_legal(left, right):
            return False
        return len(self.matching(left, right)) <= 1

    def matching(self, one: int, other: int) -> list[tuple[Outer, str]]:
        found = []
        for node, text in self.joins:
            special = node.special
            assert special is not None
            left, right = special.min_left, special.min_right
            for first, second in ((one, other), (other, one)):
                if not left & ~first and not right & ~second:
                    found.append((node, text))
                    break
        return found

    def join(self, one: tuple[int, str], other: tuple[int, str]) -> tuple[int, str]:
        mask = one[0] | other[0]
        found = self.matching(one[0], other[0])
        if not found:
            return mask, f"({one[1]} CROSS JOIN {other[1]})"
        node, on = found[0]
        assert node.special is not None
        if node.kind == "full":
            word = "FULL"
        else:
            word = "LEFT" if not node.special.min_left & ~one[0] else "RIGHT"
        return mask, f"({one[1]} {word} JOIN {other[1]} ON {on})"

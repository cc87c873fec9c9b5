"""The joins of a block: a tree, its conditions, and the limits on the order of joins.

Sets of relations are bit masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pilotcli.steering.subplans.masks import union


@dataclass(frozen=True, slots=True)
class Equality:
    """An equality from which others may follow: each side as SQL and as a set of relations, and how
    its values compare (operator families and collation).

    `changed`: the sides that are written with another collation than their own, as bits 1 and 2.
    """

    left: tuple[str, int]
    right: tuple[str, int]
    family: str
    changed: int = 0


@dataclass(eq=False, slots=True)
class Clause:
    """A condition in canonical spelling.

    - `mask`: the relations it uses; `needs`: those that must be joined before it is tested;
    - `order`: its place in the query;
    - `equality`: set if other equalities may follow from it;
    - `restrictions`: conditions on single relations that the planner takes from an OR, each as SQL,
      as a set of one relation, and with its problem;
    - `problem`: why it cannot be written, or empty;
    - `with_names`: the WITH queries that it uses.
    """

    text: str
    mask: int
    order: int
    needs: int = 0
    equality: Equality | None = None
    restrictions: tuple[tuple[str, int, str], ...] = ()
    problem: str = ""
    with_names: tuple[str, ...] = ()


@dataclass(eq=False, slots=True)
class One:
    """One relation."""

    bit: int

    @property
    def mask(self) -> int:
        return self.bit


@dataclass(eq=False, slots=True)
class Inner:
    """An inner join of its parts under its clauses."""

    parts: list[Node]
    clauses: list[Clause] = field(default_factory=list)

    @property
    def mask(self) -> int:
        return union(part.mask for part in self.parts)


@dataclass(eq=False, slots=True)
class Outer:
    """A join of another kind: left, full, semi or anti.

    - `is_anti`: a left join that keeps only the rows without a partner;
    - `is_right`: a right join of the query, its sides exchanged;
    - `used`, `strict`: the relations in its condition, and those that must not be null to meet
      it; with the parts that were moved to the inner side.
    """

    kind: str
    left: Node
    right: Node
    clauses: list[Clause]
    used: int = 0
    strict: int = 0
    is_anti: bool = False
    is_right: bool = False
    special: Special | None = None

    @property
    def mask(self) -> int:
        return self.left.mask | self.right.mask


Node = One | Inner | Outer


@dataclass(eq=False, slots=True)
class Special:
    """The limits on the join order of a join other than an inner join (SpecialJoinInfo)."""

    kind: str
    min_left: int
    min_right: int
    syn_left: int
    syn_right: int
    lhs_strict: bool
    can_unique: bool = False


def outer_joins(node: Node) -> Iterator[Outer]:
    """Yields all joins of a tree other than inner joins, the lower ones first."""
    if isinstance(node, One):
        return
    parts = node.parts if isinstance(node, Inner) else [node.left, node.right]
    for part in parts:
        yield from outer_joins(part)
    if isinstance(node, Outer):
        yield node

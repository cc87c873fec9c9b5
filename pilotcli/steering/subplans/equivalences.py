"""Join domains: the conditions that hold together, and the equalities that follow from them.

As in equivclass.c, expressions that are equal to each other form a class: any two members are
equal, and if a member is a constant, every member equals it. The conditions on the inner side of an
outer join are a domain of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pilotcli.steering.subplans.join_tree import Clause, Equality, Inner, Node, One, Outer
from pilotcli.steering.subplans.masks import union

UNKNOWN = "\1"
"""What begins in place of a side that cannot be written; the reason follows."""
_REMOVED = "it is compared with a column of a self-join that the planner has removed"


@dataclass(eq=False, slots=True)
class Member:
    """One of several expressions that are equal: the relations that it uses (0 for a constant) and
    those that must be joined before it has its value."""

    text: str
    mask: int
    needs: int


@dataclass(frozen=True, slots=True)
class Link:
    """An equality of two members that the query contains, its sides in the query's order."""

    left: str
    right: str
    mask: int
    order: int


@dataclass(eq=False, slots=True)
class Equivalence:
    """Expressions that are equal to each other, in the order in which the query names them."""

    members: list[Member]
    order: int
    family: str
    links: list[Link] = field(default_factory=list)

    @property
    def mask(self) -> int:
        return union(member.mask for member in self.members)

    @property
    def constants(self) -> list[str]:
        """The constants among the members, as SQL, or as `UNKNOWN` and the reason."""
        return [member.text.split("\0")[0] for member in self.members if not member.mask]


@dataclass(eq=False, slots=True)
class Derived:
    """A condition that follows from a condition over the relations `unless`; it is used in sets
    without some of these. `member` and `value`: a column and the constant that it equals."""

    text: str
    mask: int
    unless: int
    order: int
    member: str = ""
    value: str = ""
    problem: str = ""


@dataclass(eq=False, slots=True)
class Domain:
    """The conditions on the rows of `node`, before an outer join around it adds nulls.

    `inside`: by outer join in `node`, the domains on its inner sides.
    """

    node: Node
    clauses: list[Clause] = field(default_factory=list)
    equivalences: list[Equivalence] = field(default_factory=list)
    derived: list[Derived] = field(default_factory=list)
    inside: dict[Outer, list[Domain]] = field(default_factory=dict)

    def all(self) -> Iterator[Domain]:
        """Yields this domain and all domains in it."""
        yield self
        for domains in self.inside.values():
            for domain in domains:
                yield from domain.all()


def domain_of(node: Node, *, joins_nullable: bool = False) -> Domain:
    """Returns the domain of a tree of joins with known special joins.

    `joins_nullable`: whether an expression that an outer join may make null can be a member of a
    class, as from PostgreSQL 16 on.
    """
    domain = Domain(node)
    _gather(node, domain, joins_nullable=joins_nullable)
    _classify(domain, joins_nullable=joins_nullable)
    return domain


def _gather(node: Node, domain: Domain, *, joins_nullable: bool) -> None:
    if isinstance(node, One):
        return
    for clause in node.clauses:
        clause.needs = _needs_of_clause(clause, node)
    if isinstance(node, Inner):
        for clause in node.clauses:  # of a lateral sub-query, on relations outside of it
            if clause.mask & ~node.mask:
                clause.needs = _needs(clause.needs, domain.node)
        domain.clauses.extend(node.clauses)
        for part in node.parts:
            _gather(part, domain, joins_nullable=joins_nullable)
        return
    if node.kind == "semi":
        domain.clauses.extend(node.clauses)
        _gather(node.left, domain, joins_nullable=joins_nullable)
        _gather(node.right, domain, joins_nullable=joins_nullable)
        return
    if node.kind == "full":
        domain.inside[node] = [
            domain_of(side, joins_nullable=joins_nullable) for side in (node.left, node.right)
        ]
        return
    _gather(node.left, domain, joins_nullable=joins_nullable)
    domain.inside[node] = [domain_of(node.right, joins_nullable=joins_nullable)]


def _needs_of_clause(clause: Clause, node: Inner | Outer) -> int:
    """Returns the relations that must be joined before a clause of `node` can be tested; without
    relations of its own, those of the whole node."""
    needs = clause.mask or node.mask
    if isinstance(node, Outer) and node.kind != "semi":
        special = node.special
        assert special is not None
        if node.kind == "full" or needs & ~node.right.mask:
            needs |= special.min_left | special.min_right
    return _needs(needs, node)


def _needs(mask: int, node: Node) -> int:
    """Returns `mask` with the relations that must be joined with it below `node`: those of the
    outer joins that may make it null."""
    below = list(_outer_joins(node))
    while True:
        before = mask
        for outer in below:
            if outer is node or outer.special is None:
                continue
            nullable = outer.mask if outer.kind == "full" else outer.right.mask
            if mask & nullable:
                mask |= outer.special.min_left | outer.special.min_right
        if mask == before:
            return mask


def _outer_joins(node: Node) -> Iterator[Outer]:
    if isinstance(node, One):
        return
    if isinstance(node, Inner):
        for part in node.parts:
            yield from _outer_joins(part)
        return
    if node.kind in ("left", "full"):
        yield node
    yield from _outer_joins(node.left)
    yield from _outer_joins(node.right)


# ---- Equivalence classes ----


def _classify(domain: Domain, *, joins_nullable: bool) -> None:
    """Move the equalities of the domain's clauses into classes."""
    classes: list[Equivalence] = []
    rest = []
    for clause in sorted(domain.clauses, key=lambda clause: clause.order):
        equality = clause.equality
        may_join = joins_nullable or clause.needs == clause.mask
        if equality is None or not clause.mask or not may_join:
            rest.append(clause)
            continue
        # Unknown sides are never equal to each other here: their sets are left out anyway.
        unknown = f"{UNKNOWN}{clause.problem}\0{clause.order}"
        pair = [(text or unknown, mask) for text, mask in (equality.left, equality.right)]
        members = [Member(text, mask, _needs(mask, domain.node)) for text, mask in pair]
        known = [_class_with(text, equality.family, classes) for text, _ in pair]
        joined = known[0] or known[1]
        if joined is None:
            joined = Equivalence(members, clause.order, family=equality.family)
            classes.append(joined)
        elif known[1] is None:
            joined.members.append(members[1])
        elif known[0] is None:
            joined.members.append(members[0])
        elif known[1] is not joined:
            joined.members.extend(known[1].members)
            joined.links.extend(known[1].links)
            joined.order = min(joined.order, known[1].order)
            classes.remove(known[1])
        if all(mask for _, mask in pair):
            joined.links.append(Link(pair[0][0], pair[1][0], clause.mask, clause.order))
    domain.clauses = rest
    domain.equivalences = classes


def _class_with(text: str, family: str, classes: list[Equivalence]) -> Equivalence | None:
    for known in classes:
        if known.family == family and any(member.text == text for member in known.members):
            return known
    return None


# ---- Further derived conditions ----


def derive(domain: Domain, *, joins_nullable: bool) -> None:
    """Add further derived conditions to the outermost domain of a block.

    `joins_nullable`: as in `domain_of`.
    """
    domains = list(domain.all())
    for part in domains:
        for clause in part.clauses:
            if clause.needs == clause.mask:
                for text, bit, problem in clause.restrictions:
                    part.derived.append(
                        Derived(text, bit, clause.mask, clause.order, problem=problem)
                    )
        for outer, inside in part.inside.items():
            for clause in outer.clauses if outer.kind != "full" else ():
                for text, bit, problem in clause.restrictions:
                    if bit & outer.right.mask:
                        inside[0].derived.append(
                            Derived(text, bit, clause.mask, clause.order, problem=problem)
                        )
    _derive_constants(domains, joins_nullable=joins_nullable)


def _derive_constants(domains: list[Domain], *, joins_nullable: bool) -> None:
    """If the outer side of an outer join's equality is a constant, the inner side and its equals
    are that constant too; and both sides of a full join's, if the column that USING merges is.

    From PostgreSQL 16 on, what an outer join may make null is another value than the same column
    below that join; their `needs` differ. A member of several classes stands for columns of
    different relations, of which the planner has removed one: which of them an outer join compares
    is not known any more.
    """
    values: dict[tuple[str, int], set[str]] = {}
    several: set[str] = set()
    for domain in domains:
        seen: set[str] = set()
        for known in domain.equivalences:
            for member in known.members:
                if member.mask:
                    values.setdefault((member.text, member.needs), set()).update(known.constants)
            texts = {member.text for member in known.members if member.mask}
            several |= texts & seen
            seen |= texts
    links = [
        (clause, source, target, side)
        for domain in domains
        for outer, inside in domain.inside.items()
        for clause in outer.clauses
        if clause.equality is not None
        for source, target, side in _sides(clause.equality, outer, inside)
        if joins_nullable or target.needs == target.mask
    ]
    changed = True
    while changed:
        changed = False
        for clause, source, target, inside in links:
            needs = source.needs if joins_nullable else source.mask
            there = values.get((target.text, target.needs), set())
            for value in sorted(values.get((source.text, needs), set()) - there):
                changed = True
                for member in _equal_members(target, inside):
                    values.setdefault((member.text, member.needs), set()).add(value)
                    text = f"{member.text} = {value}"
                    derived = Derived(
                        text, member.needs, clause.mask, clause.order, member.text, value
                    )
                    if value.startswith(UNKNOWN):
                        derived.problem = value[len(UNKNOWN) :]
                    elif source.text in several:
                        derived.problem = _REMOVED
                    inside.derived.append(derived)


def _equal_members(member: Member, domain: Domain) -> list[Member]:
    for known in domain.equivalences:
        if any(equal.text == member.text for equal in known.members):
            return [equal for equal in known.members if equal.mask]
    return [member]


def _sides(
    equality: Equality, outer: Outer, inside: Sequence[Domain]
) -> Iterator[tuple[Member, Member, Domain]]:
    """Yields what must be a constant, what is that constant then, and the domain of the latter."""
    pairs = ((1, equality.left, equality.right), (2, equality.right, equality.left))
    for bit, side, other in pairs:
        if not side[1] or not other[1] or equality.changed & bit:
            continue
        if side[1] & ~outer.left.mask or other[1] & ~outer.right.mask:
            continue
        source, target = (
            Member(*part, _needs(part[1], Inner([node])))
            for part, node in ((side, outer.left), (other, outer.right))
        )
        if outer.kind != "full":
            assert outer.special is not None
            # A join that may change places with this one has not made the value null yet.
            source.needs = source.needs & outer.special.min_left | source.mask
            yield source, target, inside[0]
            continue
        both = side[1] | other[1]
        for merged in (f"COALESCE({side[0]}, {other[0]})", f"COALESCE({other[0]}, {side[0]})"):
            for member, domain in zip((source, target), inside, strict=True):
                yield Member(merged, both, _needs(both, Inner([outer]))), member, domain

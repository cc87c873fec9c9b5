"""Join domains: which conditions hold together, and the equalities that follow from others.

After equivclass.c: columns that are equal to each other form a class, and equality of any two of
its members follows; where a member is a constant, every member equals it. What holds on the inner
side of an outer join is a domain of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.joins import Clause, Inner, Node, One, Outer
from pilotcli.steering.subplans.parsing import exp, to_sql
from pilotcli.steering.subplans.predicates import family_of, mask_of, restrictions_of
from pilotcli.steering.subplans.pull_up import is_volatile

__all__ = ["Domain", "Equivalence", "Link", "Member", "derive", "domain_of"]


@dataclass(eq=False, slots=True)
class Member:
    """One of several expressions that are equal; `mask` is 0 for a constant."""

    text: str
    mask: int


@dataclass(frozen=True, slots=True)
class Link:
    """An equality of two members that the query states, its sides in the query's order."""

    one: str
    other: str
    mask: int
    order: int


@dataclass(eq=False, slots=True)
class Equivalence:
    """Expressions that are equal to each other, in the order in which the query names them."""

    members: list[Member]
    order: int
    links: list[Link] = field(default_factory=list)

    @property
    def mask(self) -> int:
        mask = 0
        for member in self.members:
            mask |= member.mask
        return mask

    @property
    def constants(self) -> list[str]:
        """The constants among the members, as SQL."""
        return [member.text.split("\0")[0] for member in self.members if not member.mask]


@dataclass(eq=False, slots=True)
class Derived:
    """A condition that follows from one over the relations of `unless`, where not all of those
    are there. One that makes a column a constant names the two."""

    text: str
    mask: int
    unless: int
    order: int
    member: str = ""
    value: str = ""


@dataclass(eq=False, slots=True)
class Domain:
    """What holds for the rows of `node` before any outer join around it adds nulls.

    `inside` holds the domains on the inner sides of the outer joins within, by join.
    """

    node: Node
    clauses: list[Clause] = field(default_factory=list)
    equivalences: list[Equivalence] = field(default_factory=list)
    derived: list[Derived] = field(default_factory=list)
    inside: dict[Outer, list[Domain]] = field(default_factory=dict)

    def all(self) -> Iterator[Domain]:
        """This domain and all within."""
        yield self
        for domains in self.inside.values():
            for domain in domains:
                yield from domain.all()


def domain_of(node: Node, catalog: Catalog) -> Domain:
    """The domain of a tree of joins, whose special joins are known."""
    domain = Domain(node)
    _gather(node, domain, catalog)
    _classify(domain, catalog)
    return domain


def _gather(node: Node, domain: Domain, catalog: Catalog) -> None:
    if isinstance(node, One):
        return
    for clause in node.clauses:
        clause.needs = _needs(clause, node)
    if isinstance(node, Inner):
        domain.clauses.extend(node.clauses)
        for part in node.parts:
            _gather(part, domain, catalog)
        return
    if node.kind == "semi":
        domain.clauses.extend(node.clauses)
        _gather(node.left, domain, catalog)
        _gather(node.right, domain, catalog)
        return
    if node.kind == "full":
        domain.inside[node] = [domain_of(node.left, catalog), domain_of(node.right, catalog)]
        return
    _gather(node.left, domain, catalog)
    domain.inside[node] = [domain_of(node.right, catalog)]


def _needs(clause: Clause, node: Inner | Outer) -> int:
    """The relations that must be joined before a clause of `node` can be tested."""
    needs = clause.mask
    if isinstance(node, Outer) and node.kind != "semi":
        special = node.special
        assert special is not None
        if node.kind == "full" or needs & ~node.right.mask or not needs:
            needs |= special.min_left | special.min_right
    below = list(_outer_joins(node))
    while True:
        before = needs
        for outer in below:
            if outer is node or outer.special is None:
                continue
            nullable = outer.mask if outer.kind == "full" else outer.right.mask
            if needs & nullable:
                needs |= outer.special.min_left | outer.special.min_right
        if needs == before:
            return needs


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


def _classify(domain: Domain, catalog: Catalog) -> None:
    """Take the equalities out of the domain's clauses and make classes of them."""
    classes: list[Equivalence] = []
    rest = []
    for clause in sorted(domain.clauses, key=lambda one: one.order):
        pair = _equality(clause, catalog)
        if pair is None:
            rest.append(clause)
            continue
        known = [_class_with(text, classes) for text, _ in pair]
        one = known[0] or known[1]
        if one is None:
            one = Equivalence([Member(*side) for side in pair], clause.order)
            classes.append(one)
        elif known[1] is None:
            one.members.append(Member(*pair[1]))
        elif known[0] is None:
            one.members.append(Member(*pair[0]))
        elif known[1] is not one:
            one.members.extend(known[1].members)
            one.links.extend(known[1].links)
            one.order = min(one.order, known[1].order)
            classes.remove(known[1])
        if all(mask for _, mask in pair):
            one.links.append(Link(pair[0][0], pair[1][0], clause.mask, clause.order))
    domain.clauses = rest
    domain.equivalences = classes


def _class_with(text: str, classes: list[Equivalence]) -> Equivalence | None:
    for known in classes:
        if any(member.text == text for member in known.members):
            return known
    return None


def _equality(clause: Clause, catalog: Catalog) -> list[tuple[str, int]] | None:
    """The two sides of a clause from which others follow: the text of each with how it compares,
    since the same literal may be of two types."""
    node = clause.node
    if not isinstance(node, exp.EQ) or not clause.mask or clause.needs != clause.mask:
        return None
    if isinstance(node.expression, (exp.Any, exp.All)) or _has_query(node):
        return None
    left, right = family_of(node.this, catalog), family_of(node.expression, catalog)
    if right in ("*", "number"):
        right = left
    if left is None or left != right or is_volatile(node, catalog):
        return None
    sides = []
    for side in (node.this, node.expression):
        mask = mask_of(side)
        if not mask and side.find(exp.Column) is not None:
            return None
        sides.append((to_sql(side) if mask else f"{to_sql(side)}\0{left}", mask))
    if sides[0][0] == sides[1][0]:
        return None
    return sides[::-1] if node.meta.get("flipped") else sides


def _has_query(node: exp.Expression) -> bool:
    return node.find(exp.Query) is not None


# ---- What follows besides ----


def derive(domain: Domain) -> None:
    """Add what follows besides from the conditions of a block, whose outermost domain this is."""
    domains = list(domain.all())
    for one in domains:
        for clause in one.clauses:
            if clause.needs == clause.mask:
                for bit, node in restrictions_of(clause.node, clause.mask):
                    one.derived.append(Derived(to_sql(node), bit, clause.mask, clause.order))
        for outer, inside in one.inside.items():
            for clause in outer.clauses if outer.kind != "full" else ():
                for bit, node in restrictions_of(clause.node, clause.mask):
                    if bit & outer.right.mask:
                        text = to_sql(node)
                        inside[0].derived.append(Derived(text, bit, clause.mask, clause.order))
    _derive_constants(domains)


def _derive_constants(domains: list[Domain]) -> None:
    """Where the outer side of an outer join's equality is a constant, so is the inner side, and
    what equals that."""
    values: dict[str, set[str]] = {}
    for domain in domains:
        for known in domain.equivalences:
            for member in known.members:
                if member.mask:
                    values.setdefault(member.text, set()).update(known.constants)
    links = [
        (clause, one, other, inside[0])
        for domain in domains
        for outer, inside in domain.inside.items()
        if outer.kind != "full"
        for clause in outer.clauses
        if isinstance(clause.node, exp.EQ)
        for one, other in _sides(clause, outer)
    ]
    changed = True
    while changed:
        changed = False
        for clause, one, other, inside in links:
            for value in sorted(values.get(one.text, set()) - values.get(other.text, set())):
                changed = True
                for member in _equal_members(other, inside):
                    values.setdefault(member.text, set()).add(value)
                    text = f"{member.text} = {value}"
                    inside.derived.append(
                        Derived(text, member.mask, clause.mask, clause.order, member.text, value)
                    )


def _equal_members(member: Member, domain: Domain) -> list[Member]:
    for known in domain.equivalences:
        if any(one.text == member.text for one in known.members):
            return [one for one in known.members if one.mask]
    return [member]


def _sides(clause: Clause, outer: Outer) -> Iterator[tuple[Member, Member]]:
    """The sides of an outer join's equality, the outer one first."""
    node = clause.node
    for one, other in ((node.this, node.args["expression"]), (node.args["expression"], node.this)):
        mask, inner = mask_of(one), mask_of(other)
        family = one.meta.get("family")
        if (
            mask
            and inner
            and not mask & ~outer.left.mask
            and not inner & ~outer.right.mask
            and family is not None
            and family == other.meta.get("family")
        ):
            yield Member(to_sql(one), mask), Member(to_sql(other), inner)

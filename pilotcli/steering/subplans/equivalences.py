"""Join domains: the conditions that hold together, and the equalities that follow from them.

As in equivclass.c, expressions that are equal to each other form a class: any two members are
equal, and if a member is a constant, every member equals it. The conditions on the inner side of an
outer join are a domain of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.joins import Clause, Inner, Node, One, Outer
from pilotcli.steering.subplans.parsing import exp, to_sql
from pilotcli.steering.subplans.predicates import family_of, mask_of, restrictions_of, union
from pilotcli.steering.subplans.pull_up import is_volatile


@dataclass(eq=False, slots=True)
class Member:
    """One of several expressions that are equal; `mask` is 0 for a constant."""

    text: str
    mask: int


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
    links: list[Link] = field(default_factory=list)

    @property
    def mask(self) -> int:
        return union(member.mask for member in self.members)

    @property
    def constants(self) -> list[str]:
        """The constants among the members, as SQL."""
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


def domain_of(node: Node, catalog: Catalog) -> Domain:
    """Returns the domain of a tree of joins with known special joins."""
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
    """Returns the relations that must be joined before a clause of `node` can be tested."""
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
    """Move the equalities of the domain's clauses into classes."""
    classes: list[Equivalence] = []
    rest = []
    for clause in sorted(domain.clauses, key=lambda clause: clause.order):
        pair = _equality(clause, catalog)
        if pair is None:
            rest.append(clause)
            continue
        known = [_class_with(text, classes) for text, _ in pair]
        joined = known[0] or known[1]
        if joined is None:
            joined = Equivalence([Member(*side) for side in pair], clause.order)
            classes.append(joined)
        elif known[1] is None:
            joined.members.append(Member(*pair[1]))
        elif known[0] is None:
            joined.members.append(Member(*pair[0]))
        elif known[1] is not joined:
            joined.members.extend(known[1].members)
            joined.links.extend(known[1].links)
            joined.order = min(joined.order, known[1].order)
            classes.remove(known[1])
        if all(mask for _, mask in pair):
            joined.links.append(Link(pair[0][0], pair[1][0], clause.mask, clause.order))
    domain.clauses = rest
    domain.equivalences = classes


def _class_with(text: str, classes: list[Equivalence]) -> Equivalence | None:
    for known in classes:
        if any(member.text == text for member in known.members):
            return known
    return None


def _equality(clause: Clause, catalog: Catalog) -> list[tuple[str, int]] | None:
    """Returns the sides of an equality that may join a class: the text of each, with its operator
    family for a constant, since the same literal may have two types."""
    node = clause.node
    if not isinstance(node, exp.EQ) or not clause.mask or clause.needs != clause.mask:
        return None
    if isinstance(node.expression, (exp.Any, exp.All)) or node.find(exp.Query) is not None:
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


# ---- Further derived conditions ----


def derive(domain: Domain) -> None:
    """Add further derived conditions to the outermost domain of a block."""
    domains = list(domain.all())
    for part in domains:
        for clause in part.clauses:
            if clause.needs == clause.mask:
                for bit, node in restrictions_of(clause.node, clause.mask):
                    part.derived.append(Derived(to_sql(node), bit, clause.mask, clause.order))
        for outer, inside in part.inside.items():
            for clause in outer.clauses if outer.kind != "full" else ():
                for bit, node in restrictions_of(clause.node, clause.mask):
                    if bit & outer.right.mask:
                        text = to_sql(node)
                        inside[0].derived.append(Derived(text, bit, clause.mask, clause.order))
    _derive_constants(domains)


def _derive_constants(domains: list[Domain]) -> None:
    """If the outer side of an outer join's equality is a constant, the inner side and its equals
    are that constant too."""
    values: dict[str, set[str]] = {}
    for domain in domains:
        for known in domain.equivalences:
            for member in known.members:
                if member.mask:
                    values.setdefault(member.text, set()).update(known.constants)
    links = [
        (clause, source, target, inside[0])
        for domain in domains
        for outer, inside in domain.inside.items()
        if outer.kind != "full"
        for clause in outer.clauses
        if isinstance(clause.node, exp.EQ)
        for source, target in _sides(clause, outer)
    ]
    changed = True
    while changed:
        changed = False
        for clause, source, target, inside in links:
            for value in sorted(values.get(source.text, set()) - values.get(target.text, set())):
                changed = True
                for member in _equal_members(target, inside):
                    values.setdefault(member.text, set()).add(value)
                    text = f"{member.text} = {value}"
                    inside.derived.append(
                        Derived(text, member.mask, clause.mask, clause.order, member.text, value)
                    )


def _equal_members(member: Member, domain: Domain) -> list[Member]:
    for known in domain.equivalences:
        if any(equal.text == member.text for equal in known.members):
            return [equal for equal in known.members if equal.mask]
    return [member]


def _sides(clause: Clause, outer: Outer) -> Iterator[tuple[Member, Member]]:
    """Yields the sides of an outer join's equality, the outer one first."""
    node = clause.node
    for side, other in ((node.this, node.args["expression"]), (node.args["expression"], node.this)):
        mask, inner = mask_of(side), mask_of(other)
        family = side.meta.get("family")
        if (
            mask
            and inner
            and not mask & ~outer.left.mask
            and not inner & ~outer.right.mask
            and family is not None
            and family == other.meta.get("family")
        ):
            yield Member(to_sql(side), mask), Member(to_sql(other), inner)

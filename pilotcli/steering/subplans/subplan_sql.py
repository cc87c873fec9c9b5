"""Writes sub-plan queries: a set of relations of a block, with all conditions on them.

There are two spellings of the same query: a canonical one, in which everything is sorted, and one
in the order of the block, since that order changes the planner's estimates a little.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pilotcli.steering.subplans.equivalences import UNKNOWN, Domain, Equivalence, Member
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.join_tree import Clause, Inner, Node, One, Outer
from pilotcli.steering.subplans.masks import union
from pilotcli.steering.subplans.parsing import quoted


@dataclass(frozen=True, slots=True)
class Source:
    """A relation in FROM.

    - `name`: without quotes; `text`: the item of FROM, with the name;
    - `depends`: the relations that a lateral one uses;
    - `problem`: why it cannot be written, or empty;
    - `with_names`: the WITH queries that it uses.
    """

    name: str
    text: str
    depends: int = 0
    problem: str = ""
    with_names: tuple[str, ...] = ()


@dataclass(eq=False, slots=True)
class _Item:
    """An item of FROM: relations with their outer joins."""

    mask: int
    name: str
    text: str
    depends: int = 0
    single: bool = True


@dataclass(eq=False, slots=True)
class _Select:
    """FROM and WHERE of one query; `semis` are those of EXISTS, which share its conditions."""

    items: list[_Item] = field(default_factory=list)
    conditions: list[tuple[int, str]] = field(default_factory=list)
    semis: list[_Select] = field(default_factory=list)
    antis: list[tuple[int, _Select]] = field(default_factory=list)
    mask: int = 0


class Writer:
    """Writes a sub-plan query of a block. `with_names`: the WITH queries that it uses."""

    def __init__(self, domain: Domain, sources: Sequence[Source], *, canonical: bool) -> None:
        self._domain = domain
        self._sources = sources
        self._canonical = canonical
        self.with_names: set[str] = set()

    def write(self, relations: int) -> str:
        """Returns `FROM ... WHERE ...` for the relations of a bit mask.

        Raises `NotAnalysable` for a relation or condition that cannot be written.
        """
        select = _Select()
        self._fill(select, self._domain, relations)
        return self._text(select)

    def conditions(self, domain: Domain, relations: int, more: Sequence[Clause] = ()) -> str:
        """Returns the conditions of `domain` on `relations` and those of `more`, joined by AND."""
        select = _Select()
        self._fill(select, domain, relations)
        select.conditions.extend((clause.order, clause.text) for clause in more)
        found = self._all_conditions(select)
        return self._conditions(found) if found else ""

    def _fill(self, select: _Select, domain: Domain, relations: int) -> None:
        """Add the conditions of `domain` on `relations` to `select`."""
        self._collect(domain.node, domain, select, relations)
        for clause in domain.clauses:
            if not clause.needs & ~relations and (clause.mask or clause.needs or relations):
                _place(select, clause.mask).conditions.append((clause.order, self._use(clause)))
        classed = {member.text for known in domain.equivalences for member in known.members}
        constants: dict[str, list[str]] = {}
        for derived in domain.derived:
            if derived.mask & ~relations or not derived.unless & ~relations:
                continue
            if derived.problem:
                raise NotAnalysable(derived.problem)
            if derived.member in classed:
                constants.setdefault(derived.member, []).append(derived.value)
            else:
                _place(select, derived.mask).conditions.append((derived.order, derived.text))
        for known in domain.equivalences:
            values = dict.fromkeys(known.constants)
            for member in known.members:
                values.update(dict.fromkeys(constants.get(member.text, ())))
            self._equal(known, list(values), select, relations)

    def _use(self, part: Clause | Source) -> str:
        """Returns the text of a condition or relation, and notes what it uses."""
        if part.problem:
            raise NotAnalysable(part.problem)
        self.with_names.update(part.with_names)
        return part.text

    def _collect(self, node: Node, domain: Domain, select: _Select, relations: int) -> None:
        if isinstance(node, One):
            if node.bit & relations:
                source = self._sources[node.bit.bit_length() - 1]
                self._use(source)
                select.items.append(_Item(node.bit, source.name, source.text, source.depends))
                select.mask |= node.bit
            return
        if isinstance(node, Inner):
            for part in node.parts:
                self._collect(part, domain, select, relations)
            return
        left, right = node.left.mask & relations, node.right.mask & relations
        if node.kind == "semi":
            self._collect(node.left, domain, select, relations)
            if not relations & ~node.right.mask:
                self._collect(node.right, domain, select, relations)
            elif right:
                self._check_unique(node, domain, relations)
                inner = _Select()
                self._collect(node.right, domain, inner, relations)
                select.semis.append(inner)
                select.mask |= inner.mask
            return
        if node.kind == "full":
            self._full(node, domain, select, relations)
            return
        inside = domain.inside[node][0]
        at = len(select.items)
        self._collect(node.left, domain, select, relations)
        if not right:
            return
        if not left:
            self._fill(select, inside, relations)
            return
        inner = _Select()
        self._fill(inner, inside, relations)
        inner.conditions.extend(
            (clause.order, self._use(clause))
            for clause in node.clauses
            if not clause.mask & ~relations
        )
        if node.kind == "anti":
            select.antis.append((min((clause.order for clause in node.clauses), default=0), inner))
            return
        used = union(clause.mask for clause in node.clauses if not clause.mask & ~relations)
        self._attach(select, at, inner, used | _used_by(inside, relations))
        select.mask |= right

    def _check_unique(self, node: Outer, domain: Domain, relations: int) -> None:
        """Raise `NotAnalysable` if EXISTS does not count what the planner joins here: the distinct
        values of a semi join's inner side, with a part of its outer side or with other relations.
        """
        if node.special is not None and not node.special.min_left & ~relations:
            return
        others = relations & ~node.right.mask
        linked = {
            member.text
            for known in domain.equivalences
            if any(not member.needs & ~others for member in known.members)
            for member in known.members
        }
        # A sub-query of IN that uses relations around it has conditions on them, too.
        for clause in (*node.clauses, *_clauses_in(node.right)):
            sides = clause.equality and {clause.equality.left[0], clause.equality.right[0]}
            if clause.mask & ~node.right.mask and not linked & (sides or set()):
                raise NotAnalysable(
                    "it joins a sub-query of IN or EXISTS with a part of what that is compared with"
                )

    def _attach(self, select: _Select, at: int, inner: _Select, used: int) -> None:
        """Join `inner` to the items of `select` from the place `at` on, or those with a relation of
        `used`."""
        mine = select.items[at:]
        if self._canonical:
            used |= union(item.depends for item in inner.items)
            touched = [item for item in mine if item.mask & used]
            mine = touched or [min(mine, key=lambda item: item.name)]
        rest = [item for item in select.items if item not in mine]
        joined = self._join(self._sorted(mine), " LEFT JOIN ", inner)
        if self._canonical:
            select.items[:] = [*rest, joined]
        else:
            select.items[at:] = [joined]

    def _full(self, node: Outer, domain: Domain, select: _Select, relations: int) -> None:
        sides = []
        for inside, side in zip(domain.inside[node], (node.left, node.right), strict=True):
            if not side.mask & relations:
                continue
            inner = _Select()
            self._fill(inner, inside, relations)
            sides.append((inside, inner))
        if len(sides) == 1:
            self._fill(select, sides[0][0], relations)
        elif sides:
            left, right = (self._side(inner) for _, inner in sides)
            if self._canonical and right.name < left.name:
                left, right = right, left
            conditions = [(clause.order, self._use(clause)) for clause in node.clauses]
            text = f"{left.text} FULL JOIN {right.text} ON {self._conditions(conditions)}"
            select.items.append(_Item(left.mask | right.mask, left.name, text, single=False))
            select.mask |= left.mask | right.mask

    def _side(self, inner: _Select) -> _Item:
        """Returns one side of a full join, with its own conditions."""
        items = self._sorted(inner.items)
        mask = inner.mask
        conditions = self._all_conditions(inner)
        if not conditions and len(items) == 1:
            item = items[0]
            return item if item.single else _Item(mask, item.name, f"({item.text})")
        if len(items) > 1:
            *before, last = items
            text = " CROSS JOIN ".join(_grouped(item) for item in before)
            on = self._conditions(conditions)
            text = f"({text} INNER JOIN {_grouped(last)} ON {on})"
            return _Item(mask, items[0].name, text)
        if not items[0].single:
            raise NotAnalysable("a full join has conditions on one of its sides that is a join")
        text = f"(SELECT * FROM {items[0].text} WHERE {self._conditions(conditions)})"  # noqa: S608
        return _Item(mask, items[0].name, f"{text} AS {quoted(items[0].name)}")

    def _join(self, left: list[_Item], word: str, inner: _Select) -> _Item:
        items = self._sorted(inner.items)
        right = " CROSS JOIN ".join(item.text for item in items)
        if len(items) > 1 or not items[0].single:
            right = f"({right})"
        text = " CROSS JOIN ".join(
            item.text if at == 0 else _grouped(item) for at, item in enumerate(left)
        )
        mask = union(item.mask for item in (*left, *items))
        on = self._conditions(self._all_conditions(inner))
        return _Item(mask, left[0].name, f"{text}{word}{right} ON {on}", single=False)

    def _equal(
        self, known: Equivalence, constants: list[str], select: _Select, relations: int
    ) -> None:
        members = [
            member for member in known.members if member.mask and not member.needs & ~relations
        ]
        unknown = [text for text in (*constants, *(m.text for m in members)) if text[0] == UNKNOWN]
        if unknown and len(members) + len(constants) > 1:
            raise NotAnalysable(unknown[0][len(UNKNOWN) :].split("\0")[0])
        if len(constants) > 1 and members:
            raise NotAnalysable(f"{members[0].text} equals two constants in it")
        for member in members:
            for value in constants:
                _place(select, member.mask).conditions.append(
                    (known.order, f"{member.text} = {value}")
                )
        if self._canonical:
            members.sort(key=lambda member: member.text)
            places = [(member.text, _place(select, member.mask)) for member in members]
            stated = {
                frozenset((link.left, link.right))
                for link in known.links
                if not link.mask & ~relations
            }
            self._chain(known.order, places, select, stated, linked=bool(constants))
        else:
            self._as_stated(known, members, select, relations, linked=bool(constants))

    def _chain(
        self,
        order: int,
        members: list[tuple[str, _Select]],
        select: _Select,
        stated: set[frozenset[str]],
        outside: Sequence[str] = (),
        *,
        linked: bool,
    ) -> None:
        """Equate the members in `select` one after the other, then those in each EXISTS inside it.

        The first one in an EXISTS is equated with one of `outside`: the planner's estimate depends
        on which, so one that the query itself equates it with (`stated`) is preferred. With
        `linked`, the members equal a constant, and only members of different queries are equated,
        since EXISTS depends on the row outside.
        """
        own = [text for text, place in members if place is select]
        if own and outside:
            named = [text for text in outside if frozenset((text, own[0])) in stated]
            select.conditions.append((order, equals((named or outside)[-1], own[0])))
        if not linked:
            select.conditions.extend((order, equals(*pair)) for pair in pairwise(own))
        for semi in select.semis:
            self._chain(order, members, semi, stated, own or outside, linked=linked)

    def _as_stated(
        self,
        known: Equivalence,
        members: list[Member],
        select: _Select,
        relations: int,
        *,
        linked: bool,
    ) -> None:
        """Add equalities that give the planner the members of the class in the same order, since it
        uses the first ones that fit. Those in EXISTS are written as in the query, if possible."""
        outside = [member for member in members if _place(select, member.mask) is select]
        if not linked:
            for left, right in pairwise(outside):
                select.conditions.append((known.order, f"{left.text} = {right.text}"))
        stated = set()
        for link in known.links:
            place = _place(select, link.mask)
            if place is not select and not link.mask & ~relations:
                place.conditions.append((link.order, f"{link.left} = {link.right}"))
                stated |= {link.left, link.right}
        for member in members:
            if member not in outside and member.text not in stated and outside:
                place = _place(select, member.mask)
                place.conditions.append((known.order, f"{outside[0].text} = {member.text}"))

    def _sorted(self, items: list[_Item]) -> list[_Item]:
        """Returns the items in their order in FROM: a lateral one after the relations it uses."""
        if self._canonical:
            items = sorted(items, key=lambda item: item.name)
        if not any(item.depends for item in items):
            return items
        done, waiting, seen = [], list(items), 0
        while waiting:
            ready = next((item for item in waiting if not item.depends & ~seen), waiting[0])
            waiting.remove(ready)
            done.append(ready)
            seen |= ready.mask
        return done

    def _text(self, select: _Select) -> str:
        text = "FROM " + ", ".join(item.text for item in self._sorted(select.items))
        conditions = self._all_conditions(select)
        return f"{text} WHERE {self._conditions(conditions)}" if conditions else text

    def _all_conditions(self, select: _Select) -> list[tuple[int, str]]:
        found = list(select.conditions)
        for semi in select.semis:
            order = min((order for order, _ in semi.conditions), default=0)
            found.append((order, f"EXISTS(SELECT 1 {self._text(semi)})"))
        for order, anti in select.antis:
            found.append((order, f"NOT EXISTS(SELECT 1 {self._text(anti)})"))
        return found

    def _conditions(self, conditions: list[tuple[int, str]]) -> str:
        ordered = (
            sorted({text for _, text in conditions})
            if self._canonical
            else [text for _, text in sorted(conditions, key=operator.itemgetter(0))]
        )
        return " AND ".join(closed(text) for text in ordered) or "TRUE"


def _clauses_in(node: Node) -> Iterator[Clause]:
    """Yields the conditions of a tree of joins."""
    if isinstance(node, One):
        return
    yield from node.clauses
    for part in node.parts if isinstance(node, Inner) else (node.left, node.right):
        yield from _clauses_in(part)


def equals(*sides: str) -> str:
    """Returns an equality, the side with the smaller text first."""
    return " = ".join(sorted(sides))


def _used_by(inside: Domain, relations: int) -> int:
    """Returns the relations in the conditions of a domain; a lateral sub-query that has become a
    part of it may bring conditions on relations outside of it."""
    clauses = [clause.mask for clause in inside.clauses if not clause.needs & ~relations]
    return union(clauses) | union(
        member.mask
        for known in inside.equivalences
        for member in known.members
        if not member.needs & ~relations
    )


def _place(select: _Select, mask: int) -> _Select:
    """Returns the query that a condition on `mask` belongs to: the innermost EXISTS it mentions."""
    for semi in select.semis:
        if semi.mask & mask:
            return _place(semi, mask)
    return select


def _grouped(item: _Item) -> str:
    return item.text if item.single else f"({item.text})"


def closed(text: str) -> str:
    """Returns a condition that may stand beside AND."""
    return f"({text})" if " OR " in text else text

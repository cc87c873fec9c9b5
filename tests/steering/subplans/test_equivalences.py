"""The classes of equal expressions in a tree of joins, and the constants that follow from them."""

from __future__ import annotations

import pytest

from pilotcli.steering.subplans.equivalences import derive, domain_of
from pilotcli.steering.subplans.join_tree import Clause, Equality, Inner, One, Outer, Special

A, B, C = 1, 2, 4
MASKS = {"a.x": A, "b.x": B, "c.x": C, "3": 0, "COALESCE(a.x, b.x)": A | B,
         "COALESCE(b.x, a.x)": A | B}  # fmt: skip


def equal(left: str, right: str, family: str = "integers", order: int = 1) -> Clause:
    sides = (left, MASKS[left]), (right, MASKS[right])
    mask = MASKS[left] | MASKS[right]
    return Clause(f"{left} = {right}", mask, order, equality=Equality(*sides, family))


def outer(kind: str, *clauses: Clause) -> Outer:
    """A join of `a` and `b`."""
    special = Special(kind, A, B, A, B, lhs_strict=True)
    return Outer(kind, One(A), One(B), list(clauses), special=special)


@pytest.mark.parametrize(("family", "classes"), [("integers", 1), ("others", 2)])
def test_equalities_of_one_family_make_one_class(family: str, classes: int) -> None:
    both = [equal("a.x", "b.x"), equal("b.x", "c.x", family, order=2)]
    domain = domain_of(Inner([One(A), One(B), One(C)], both))
    assert len(domain.equivalences) == classes


def test_a_nullable_member_needs_its_outer_join() -> None:
    tree = Inner([outer("left", equal("a.x", "b.x")), One(C)], [equal("b.x", "c.x")])
    (known,) = domain_of(tree, joins_nullable=True).equivalences
    assert [(member.text, member.needs) for member in known.members] == [
        ("b.x", A | B),
        ("c.x", C),
    ]


def test_a_nullable_expression_is_no_member_before_16() -> None:
    tree = Inner([outer("left", equal("a.x", "b.x")), One(C)], [equal("b.x", "c.x")])
    domain = domain_of(tree)
    assert domain.equivalences == []
    assert [clause.text for clause in domain.clauses] == ["b.x = c.x"]


@pytest.mark.parametrize("merged", ["COALESCE(a.x, b.x)", "COALESCE(b.x, a.x)"])
def test_the_constant_of_a_merged_column_is_that_of_both_sides(merged: str) -> None:
    joined = outer("full", equal("a.x", "b.x"))
    domain = domain_of(Inner([joined], [equal(merged, "3", order=2)]), joins_nullable=True)
    derive(domain, joins_nullable=True)
    inside = domain.inside[joined]
    assert [[known.text for known in side.derived] for side in inside] == [["a.x = 3"], ["b.x = 3"]]

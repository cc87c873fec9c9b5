"""Which joins an order may have, and which equalities follow: as the planner itself sees it.

Each query is one that a small mistake about its joins would change. The expected sub-plans and
estimates are those that the planner module reports from the server.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_subplans_planner import reported

from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.subplans import GraphCatalog, analyse, estimates_by_explain
from pilotcli.steering.subplans.join_search import Search, neighbours
from pilotcli.steering.subplans.joins import Special

JOINS = {
    "the inner side's own outer join is done first where its condition is not strict": (
        "parts p LEFT JOIN (makers m LEFT JOIN orders o ON coalesce(m.age, 0) = o.kind) "
        "ON p.maker_id = m.id"
    ),
    "an anti join waits for an outer join below": (
        "marks k JOIN days d ON d.part_id = k.part_id LEFT JOIN parts p ON p.id = k.part_id "
        "WHERE NOT EXISTS (SELECT 1 FROM makers m WHERE m.id = p.maker_id)"
    ),
    "rows without a partner alone: an anti join": (
        "makers m LEFT JOIN parts p ON p.maker_id = m.id LEFT JOIN orders o ON o.part_id = p.id "
        "WHERE o.part_id IS NULL"
    ),
    "a condition that is not strict waits for the outer join below": (
        "makers m JOIN marks k ON k.part_id = m.id LEFT JOIN parts p ON p.maker_id = m.id "
        "LEFT JOIN orders o ON o.kind = coalesce(p.kind, 0)"
    ),
    "inner joins of an inner side are done first": (
        "orders o LEFT JOIN (parts p JOIN makers m ON m.id = p.maker_id) ON o.part_id = p.id"
    ),
    "an outer join that the condition does not name is done first": (
        "marks k LEFT JOIN (parts p LEFT JOIN orders o ON o.part_id = p.id "
        "LEFT JOIN makers m ON m.town = o.buyer_id) ON k.part_id = p.id"
    ),
    "a semi join of an inner side is done first": (
        "orders o LEFT JOIN (SELECT p.id FROM parts p WHERE p.maker_id IN "
        "(SELECT k.part_id FROM marks k)) s ON s.id = o.part_id"
    ),
    "a full join of an inner side is done first": (
        "orders o LEFT JOIN (makers m FULL JOIN parts p ON p.maker_id = m.id) "
        "ON o.part_id = coalesce(p.id, 0)"
    ),
    "two joins of both sides": (
        "(orders o JOIN days d ON o.part_id = d.part_id) FULL JOIN "
        "(makers m JOIN parts p ON p.maker_id = m.id) ON o.kind = p.kind"
    ),
    "a join without conditions is not forced where one side has others": (
        "parts p JOIN days d ON p.id = d.part_id LEFT JOIN animals a ON a.id = 5 "
        "WHERE EXISTS (SELECT 1 FROM makers m WHERE m.town = p.id)"
    ),
    "where nothing else is left, relations without conditions are joined": (
        "marks k JOIN parts p ON k.id = p.kind "
        "LEFT JOIN (days d FULL JOIN animals a ON d.part_id = a.id) ON a.id = 5"
    ),
    "a left join stays where another condition names its inner side": (
        "orders o LEFT JOIN parts p ON p.id = o.part_id LEFT JOIN marks k ON k.part_id = p.kind"
    ),
    "a full join of which the left side must be there is a left join": (
        "makers m FULL JOIN parts p ON p.maker_id = m.id WHERE m.town = 3"
    ),
    "a full join of which the right side must be there is a left join": (
        "makers m FULL JOIN parts p ON p.maker_id = m.id WHERE p.kind = 3"
    ),
    "a condition above a full join waits for it": (
        "makers m FULL JOIN parts p ON p.maker_id = m.id WHERE coalesce(m.town, 1) > 3"
    ),
    "no equality goes through two full joins": (
        "makers m FULL JOIN parts p ON p.maker_id = m.id FULL JOIN orders o ON o.buyer_id = m.id"
    ),
    "no constant goes through a full join": (
        "(SELECT * FROM makers WHERE id = 3) m FULL JOIN parts p ON p.maker_id = m.id"
    ),
    "a constant goes through a left join": (
        "(SELECT * FROM makers WHERE id = 3) m LEFT JOIN parts p ON p.maker_id = m.id"
    ),
    "an integer and a numeric make no class": (
        "makers m, parts p, orders o WHERE m.id = p.weight::numeric AND m.id = o.part_id"
    ),
    "integers of two sizes make a class": (
        "makers m, parts p, orders o "
        "WHERE m.id = p.maker_id::bigint AND p.maker_id::bigint = o.buyer_id"
    ),
    "a constant belongs to a class": (
        "parts p, orders o WHERE p.id = o.part_id AND o.part_id = 300000000"
    ),
    "two classes become one, its members in the query's order": (
        "makers a, makers b, makers c, makers d "
        "WHERE a.id = b.id AND c.town = d.town AND d.town = a.id"
    ),
    "two classes become one behind a third": (
        "days a, orders b, marks c, parts d "
        "WHERE a.part_id = b.id AND c.part_id = d.maker_id AND b.id = d.maker_id"
    ),
}


@pytest.mark.slow
@pytest.mark.usefixtures("with_planner")
@pytest.mark.parametrize("what", JOINS)
def test_sub_plans_and_estimates_are_the_planners(
    what: str, small_session: PostgresSession, small: GraphCatalog
) -> None:
    sql = f"SELECT 1 FROM {JOINS[what]}"
    assert estimates_by_explain(small_session, analyse(sql, small)) == reported(small_session, sql)


@pytest.mark.usefixtures("with_planner")
def test_a_join_does_one_outer_or_semi_join(
    small_session: PostgresSession, small: GraphCatalog
) -> None:
    # Estimates of joins with several semi joins depend on the order; the sets do not.
    sql = (
        "SELECT 1 FROM makers m FULL JOIN marks k ON m.id = k.part_id WHERE EXISTS "
        "(SELECT 1 FROM animals a WHERE a.id = m.id AND a.id = k.id) AND k.id IN "
        "(SELECT d.part_id FROM days d WHERE d.hits = 3)"
    )
    assert set(analyse(sql, small).subsets()) == set(reported(small_session, sql))


@pytest.mark.usefixtures("with_planner")
def test_distinct_values_joined_with_a_part_of_the_outer_side_have_no_key(
    small_session: PostgresSession, small: GraphCatalog
) -> None:
    # The planner joins m and the distinct k.part_id, since no condition joins m and p.
    sql = (
        "SELECT 1 FROM makers m JOIN parts p ON p.kind = 3 "
        "WHERE p.id IN (SELECT k.part_id FROM marks k WHERE k.id > 3)"
    )
    graph, expected = analyse(sql, small), reported(small_session, sql)
    del expected[frozenset({"m", "k"})]
    assert estimates_by_explain(small_session, graph) == expected
    assert [names for names, _ in graph.left_out] == [{"m", "k"}]


@pytest.fixture
def arrays(small_session: PostgresSession) -> Iterator[None]:
    """Two tables of arrays, which compare by one operator family and not with each other."""
    small_session.execute(
        "CREATE TEMP TABLE ints AS SELECT ARRAY[i % 5] AS a FROM generate_series(1, 50) AS i;"
        "CREATE TEMP TABLE bigs AS SELECT ARRAY[a[1]::bigint] AS a FROM ints;"
        "ANALYZE ints; ANALYZE bigs"
    )
    yield
    small_session.execute("DROP TABLE ints; DROP TABLE bigs")


@pytest.mark.usefixtures("arrays")
def test_one_literal_of_two_types_connects_nothing(small: GraphCatalog) -> None:
    graph = analyse("SELECT 1 FROM ints i, bigs b, makers m WHERE i.a = '{1}' AND b.a = '{1}' "
                    "AND m.id = 3", small)  # fmt: skip
    assert graph.key(frozenset("b")) == ("SELECT COUNT(*) FROM bigs b WHERE b.a = '{1}'::bigint[]")
    (block,) = graph.blocks
    assert [
        (len(known.members), known.constants) for known in block.domain.equivalences
    ] == [(2, ["'{1}'::integer[]"]), (2, ["'{1}'::bigint[]"]), (2, ["3"])]  # fmt: skip


def test_what_follows_stands_where_the_first_of_its_equalities_stood(small: GraphCatalog) -> None:
    graph = analyse(
        "SELECT 1 FROM makers a, makers b, makers c, makers d, marks e WHERE a.id = b.id "
        "AND e.id = c.age AND c.town = d.town AND d.town = a.id",
        small,
    )
    conditions = graph.planned_query(frozenset("abce")).partition(" WHERE ")[2].split(" AND ")
    assert set(conditions[:2]) == {"a.id = b.id", "c.town = a.id"}
    assert conditions[2:] == ["e.id = c.age"]


def test_a_condition_of_exists_is_stated_as_in_the_query(small: GraphCatalog) -> None:
    graph = analyse(
        "SELECT 1 FROM days d JOIN parts p ON d.part_id = p.id WHERE d.part_id IN "
        "(SELECT k.part_id FROM marks k JOIN orders o ON k.part_id = o.buyer_id)",
        small,
    )
    _, _, exists = graph.planned_query(frozenset("dpko")).partition("EXISTS")
    assert "k.part_id = o.buyer_id" in exists
    assert "d.part_id = k.part_id" in exists


# ---- The rules of joinrels.c, join_is_legal, one by one ----

A, B, C, D = 1, 2, 4, 8


def left(one: int, other: int, *, strict: bool = True) -> Special:
    return Special("left", one, other, one, other, lhs_strict=strict)


def semi(one: int, other: int, *, unique: bool) -> Special:
    return Special("semi", one, other, one, other, lhs_strict=True, can_unique=unique)


@pytest.mark.parametrize(
    ("specials", "one", "other", "legal"),
    [
        ([], A, B, True),
        ([left(A, B)], A, B, True),
        ([left(A, B)], B, A, True),
        ([left(A, B)], B, C, False),  # B is joined with A first
        ([left(A, B)], A, C, True),
        ([left(A, B)], A | B, C, True),
        ([left(A, B | C)], B, C, True),  # within the inner side
        ([left(A, B | C)], A, B, False),  # C is missing
        ([left(A, B | C)], B | D, C, True),  # it was legal for B and D
        ([left(A, B), left(A, C)], A, B | C, False),  # one join is not two
        ([left(A, B), left(B, C)], B, C, True),  # A LEFT JOIN (B LEFT JOIN C)
        ([left(A, B), left(B, C, strict=False)], B, C, False),
        ([left(A, B), semi(B, C, unique=False)], B, C, False),
        ([left(A, B | C), left(A | D, B)], A | D, B, False),
        ([semi(A, B, unique=False)], A, B, True),
        ([semi(A, B, unique=False)], B, C, False),
        ([semi(A, B, unique=False), left(B, C)], B, C, False),
        ([semi(A, B, unique=True)], B, C, True),  # B's rows made unique
        ([semi(A | D, B, unique=True)], A, B, True),
        ([semi(A | D, B, unique=False)], A, B, False),
        ([left(A, B), semi(D, C, unique=True)], B, C, False),  # no left join, so B waits for A
        ([semi(A, C, unique=True), semi(B, C, unique=True)], D, C, False),
    ],
)
def test_a_legal_join(specials: list[Special], one: int, other: int, legal: bool) -> None:
    relations = A | B | C | D
    found = Search(relations, neighbours(relations, []), specials, 0)
    assert found.is_legal(one, other) == legal
    assert found.is_legal(other, one) == legal

"""Join orders that are written into a query's text: the rows stay the same, or pilot refuses."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from pilotcli.common.errors import SteeringError
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.methods import order_of
from pilotcli.steering.subplans import rewrite_join_order
from pilotcli.steering.subplans.catalog import Catalog

# Few rows, with nulls and duplicates, so that a wrong join shows. Each table has a column u0 to u5
# of its own, and t5 has one with the name of another table.
TABLES = "".join(
    f"CREATE TEMP TABLE t{at} (k int, v int, u{at} int{', t0 int' if at == 5 else ''});"
    f"INSERT INTO t{at} SELECT nullif(i % {2 + at % 3}, 0), nullif(i / 2, {at % 3}), i "
    f"FROM generate_series(1, {3 + at % 4}) AS i;"
    for at in range(6)
)
ONE_BY_ONE = "SET LOCAL join_collapse_limit = 1; SET LOCAL from_collapse_limit = 1; "


@pytest.fixture(scope="module")
def tables(shop_target: PostgresTarget) -> Iterator[PostgresSession]:
    """A session with the small tables."""
    session = shop_target.session(timeout_s=60)
    session.execute(f"{TABLES} ANALYZE t0, t1, t2, t3, t4, t5")
    yield session
    session.close()


class Maker:
    """Makes a query over two to five of the tables, with joins of the given kinds."""

    def __init__(self, seed: int, joins: str) -> None:
        self.pick = random.Random(seed)
        self.joins = joins.split(", ")
        self.names = self.pick.sample([f"t{at}" for at in range(6)], self.pick.randint(2, 5))

    def query(self) -> str:
        """Returns the query's text."""
        pick, rest, items = self.pick, self.names, []
        while rest:
            size = pick.randint(1, len(rest))
            items.append(self.tree(rest[:size]))
            rest = rest[size:]
        where = [self.condition(self.names[:1], self.names[1:]) for _ in range(pick.randint(0, 2))]
        columns = ", ".join(f"{name}.k, {name}.v" for name in self.names)
        columns = pick.choice(["*", f"t5.*, {columns}" if "t5" in self.names else "*, 7", columns])
        if pick.random() < 0.15:
            near = pick.choice(self.names)
            self.names = [*self.names, "l"]
            items.append(
                pick.choice(
                    [
                        f"LATERAL (SELECT {near}.v UNION ALL SELECT 1) AS l",
                        f"generate_series(1, coalesce({near}.k, 2)) AS l (v)",
                        "generate_series(1, 2) AS l (v)",
                    ]
                )
            )
        text = f"SELECT {columns} FROM {', '.join(items)}"
        return text + (f" WHERE {' AND '.join(where)}" if where else "")

    def tree(self, names: list[str]) -> str:
        """Returns the joins of `names`, left to right."""
        if len(names) == 1:
            sub_query = f"(SELECT * FROM {names[0]} WHERE k > 0 OR v IS NULL) AS {names[0]}"
            return self.pick.choice([names[0], names[0], sub_query])
        at, word = self.pick.randint(1, len(names) - 1), self.pick.choice(self.joins)
        left, right = names[:at], names[at:]
        one, other = (
            f"({tree})" if len(side) > 1 else tree
            for side in (left, right)
            for tree in [self.tree(side)]
        )
        if word == "FULL JOIN":
            return f"{one} {word} {other} ON {left[-1]}.k = {right[0]}.k"
        if word in ("CROSS JOIN", "NATURAL JOIN") or "USING" in word:
            return f"{one} {word.replace('USING', f'{other} USING')}" + (
                "" if "USING" in word else f" {other}"
            )
        return f"{one} {word} {other} ON {self.condition(left, right)}"

    def condition(self, left: list[str], right: list[str]) -> str:
        """Returns a condition over both sides, or over one."""
        one, other = self.pick.choice(left), self.pick.choice(right)
        a, b = (f"{name}.{self.pick.choice('kv')}" for name in (one, other))
        return self.pick.choice(
            [
                f"{a} = {b}",
                f"{a} = {b}",
                f"{a} = {b} AND {b} > 0",
                f"{a} IS NOT DISTINCT FROM {b}",
                f"coalesce({a}, 1) = coalesce({b}, 1)",
                f"({a} <= {b} OR {b} IS NULL)",
                f"{b} IS NULL",
                f"{a} = 1",
                f"u{one[1]} = {b}",
                f"{b} = left(u{one[1]}::text, 1)::int",
                f"{one} IS NOT NULL AND {b} IS NOT NULL",
                f"EXISTS (SELECT 1 FROM t0 AS x WHERE x.k = {a} AND x.v <= {b})",
            ]
        )

    def order(self) -> list[Any]:
        """Returns an order of all relations."""
        parts: list[Any] = self.pick.sample(self.names, len(self.names))
        if self.pick.random() < 0.3:
            return parts
        while len(parts) > 2:
            at = self.pick.randrange(len(parts) - 1)
            parts[at : at + 2] = [parts[at : at + 2]]
        return parts


def different(session: PostgresSession, sql: str, rewritten: str) -> int:
    """Returns how many rows only one of two queries has."""
    return int(
        session.execute(
            f"{ONE_BY_ONE}SELECT count(*) FROM (({sql} EXCEPT ALL {rewritten}) UNION ALL "
            f"({rewritten} EXCEPT ALL {sql})) AS rows"
        ).rows[0][0]
    )


INNER = "JOIN, INNER JOIN, CROSS JOIN"
LEFT = "JOIN, LEFT JOIN, LEFT OUTER JOIN, RIGHT JOIN"
ALL = f"{LEFT}, CROSS JOIN, FULL JOIN, JOIN USING (k), NATURAL JOIN"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("joins", "count", "least"), [(INNER, 600, 440), (LEFT, 1400, 200), (ALL, 700, 50)]
)
def test_no_order_changes_the_rows(
    joins: str, count: int, least: int, tables: PostgresSession
) -> None:
    catalog, applied, refused = Catalog(tables), 0, Counter[str]()
    for seed in range(count):
        maker = Maker(seed, joins)
        sql, order = maker.query(), maker.order()
        try:
            rewritten = rewrite_join_order(sql, order, catalog)
        except SteeringError as error:
            assert error.hint
            refused[error.message.partition(" with ")[0][-40:]] += 1
            continue
        assert different(tables, sql, rewritten) == 0, (sql, order, rewritten)
        applied += 1
    assert applied >= least, refused


def joined_sets(plan: dict[str, Any]) -> list[frozenset[str]]:
    """Returns the relations below each node, those of the node itself last."""
    sets, below = [], {plan["Alias"]} if "Alias" in plan else set()
    for child in plan.get("Plans", ()):
        sets.extend(joined_sets(child))
        below |= sets[-1]
    return [*sets, frozenset(below)]


def planned_sets(session: PostgresSession, sql: str) -> set[frozenset[str]]:
    """Returns the sets of relations that the planner joins."""
    plan = session.execute(f"{ONE_BY_ONE}EXPLAIN (FORMAT JSON) {sql}").rows[0][0][0]["Plan"]
    return set(joined_sets(plan))


def ordered_sets(order: Any) -> tuple[frozenset[str], list[frozenset[str]]]:
    """Returns the relations of an order, and the sets that it joins on the way."""
    if isinstance(order, str):
        return frozenset([order]), []
    below, joins = frozenset[str](), []
    for part in order:
        names, inner = ordered_sets(part)
        joins.extend(inner)
        if below:
            joins.append(below | names)
        below |= names
    return below, joins


def test_the_planner_joins_inner_joins_in_the_order_given(tables: PostgresSession) -> None:
    catalog = Catalog(tables)
    for seed in range(100):
        names = Maker(seed, INNER).names
        text = " JOIN ".join([names[0], *(f"{new} ON {new}.k = {names[0]}.k" for new in names[1:])])
        maker = Maker(seed, INNER)
        sql = f"SELECT * FROM {text if seed % 2 else ', '.join(names)}"
        order = maker.order()
        rewritten = rewrite_join_order(sql, order, catalog)
        assert planned_sets(tables, rewritten) >= set(ordered_sets(order)[1]), (sql, order)


def test_the_planner_chooses_the_place_of_relations_without_one(tables: PostgresSession) -> None:
    sql = "SELECT * FROM t0 JOIN t1 ON t0.k = t1.k JOIN t2 ON t2.k = t1.k, t3 WHERE t3.k = t2.k"
    rewritten = rewrite_join_order(sql, ["t3", "t1"], Catalog(tables))
    assert frozenset({"t3", "t1"}) in planned_sets(tables, rewritten)
    assert different(tables, sql, rewritten) == 0


FULL = "SELECT count(*) FROM t0 FULL JOIN t1 ON t0.k = t1.k JOIN t2 ON t2.k = coalesce(t0.k, t1.k)"


@pytest.mark.parametrize(
    ("sql", "order", "problem"),
    [
        (FULL, "t0 t2 t1", "it has a FULL JOIN"),
        (f"SELECT * FROM t3, ({FULL}) AS q WHERE q.count > 1", "t3 t0", "'t0', which is not a"),
        (f"SELECT 1 FROM t3 WHERE k IN ({FULL})", "t3 t0", "'t0', which is not a relation in the"),
        ("SELECT * FROM t0 JOIN t1 USING (k)", "t1 t0", "USING"),
        ("SELECT * FROM t0 NATURAL JOIN t1", "t1 t0", "NATURAL"),
        ("SELECT * FROM t0, t0", "t0 t0", "two relations in its FROM have the same name"),
        ("SELECT * FROM t0, t1", "t0 t0", "twice"),
        ("SELECT * FROM t0, t1 UNION SELECT * FROM t0, t1", "t0 t1", "not one SELECT"),
        ("UPDATE t0 SET v = 1 FROM t1 WHERE t0.k = t1.k", "t1 t0", "not one SELECT"),
        ("DELETE FROM t0 USING t1 WHERE t0.k = t1.k", "t1 t0", "not one SELECT"),
        ("WITH q AS (SELECT 1) UPDATE t0 SET v = 1 FROM t1", "t1 t0", "not one SELECT"),
        ("SELECT 1", "t0 t1", "no FROM"),
        ("SELECT * FROM t0, t1; SELECT 1", "t0 t1", "not one SELECT"),
        ("SELECT * FROM t0, t1 WHERE random() < 2", "t0 t1", "random()"),
        ("SELECT * FROM t0 JOIN t1 ON t1.k = t0.k AND t0.v > pg_catalog.random()", "t1 t0",
         "random()"),
        ("SELECT * FROM t0, t1 /* a /* nested */ comment */", "t1 t0", "does not read here"),
        ("SELECT * FROM t0, LATERAL (SELECT t0.k) AS l LEFT JOIN t1 ON t1.k = l.k", "l t1",
         "may change the query's rows"),
        ("SELECT * FROM t0 TABLESAMPLE system (50), t1", "t1 t0", "does not read its FROM at"),
        # The condition of the inner side's own join is not strict.
        ("SELECT * FROM t0 LEFT JOIN (t1 LEFT JOIN t2 ON t2.k = t1.k) ON t1.k = t0.k", "t0 t1 t2",
         "may change the query's rows"),
        ("SELECT * FROM t0 LEFT JOIN t1 ON t1.k = t0.k JOIN t2 ON t2.k = t1.k", "t1 t2 t0",
         "may change the query's rows"),
        ("SELECT * FROM t0 LEFT JOIN t1 ON t1.k = t0.k LEFT JOIN t2 ON t2.k = t1.k", "t0 t2 t1",
         "may change the query's rows"),
        ("SELECT * FROM t0 LEFT JOIN t1 ON t1.k = t0.k, t2", "t0 t2", "leaves out a side"),
        # Below t5, which has a column of that name, t0 is not the row of t0 any more.
        ("SELECT * FROM t0 JOIN t1 ON t0 IS NOT NULL, t5", "t0 t5 t1", "may then mean something"),
        ("SELECT * FROM t0 LEFT JOIN t1 ON t0 IS NULL, t5", "t0 t5 t1", "may then mean something"),
        ("SELECT * FROM t0 LEFT JOIN t1 ON u0 = t1.v, t2", "t0 t2 t1", "may then mean something"),
    ],
)  # fmt: skip
def test_what_may_change_the_rows_is_refused(
    sql: str, order: str, problem: str, tables: PostgresSession
) -> None:
    with pytest.raises(SteeringError, match=re.escape(problem)):
        rewrite_join_order(sql, order.split(), Catalog(tables))


def test_an_unknown_name_is_refused_with_the_known_ones(tables: PostgresSession) -> None:
    with pytest.raises(SteeringError, match="'x', which is not a relation in the FROM") as caught:
        rewrite_join_order("SELECT * FROM t0 AS m, t1 AS P, (t2 JOIN t3 ON true)", ["x", "m"],
                           Catalog(tables))  # fmt: skip
    assert caught.value.hint == "There are: m, p, t2, t3."


@pytest.mark.parametrize(
    ("sql", "order"),
    [
        (f"SELECT * FROM t3, ({FULL}) AS q WHERE q.count > 1", "q t3"),
        ("SELECT *, t1.*, t0.k * 2 FROM t0, t1, t2 WHERE t0.k = 1 OR t1.k = t2.k", "t2 t0 t1"),
        ("SELECT DISTINCT ON (t0.k, t1.v) * FROM t0, t1 ORDER BY t0.k, t1.v, 3", "t1 t0"),
        ("SELECT count(*), k AS from FROM t0 JOIN (SELECT v FROM t1) AS q ON q.v = t0.k "
         "GROUP BY 2 HAVING count(*) > 1 ORDER BY k LIMIT 9", "q t0"),
        ("WITH q AS MATERIALIZED (SELECT t0.k FROM t0, t1 t0a) SELECT q.k IS DISTINCT FROM 2 "
         "FROM q, t2, t3 WHERE q.k = t2.k AND 'a' || e'\\'x' <> ' WHERE '", "t3 q t2"),
        ('SELECT "Two Words".*, x.a FROM t0 AS "Two Words" JOIN t1 AS x (a, b, c) '
         'ON x.a = "Two Words".k -- on x.b = 3\n, ONLY t2 '
         "WHERE 3 = left('3', 1)::int;", 't2 "Two Words" x'),
        ("SELECT t0 FROM (t0 JOIN (t1 JOIN t2 ON t1.k = t2.k) ON t0.k = t2.k) JOIN t5 "
         "ON t5.k = t0.v ORDER BY 1", "t5 t2 t0 t1"),
        ("SELECT u0, u1 FROM t0 JOIN t1 JOIN t2 ON u2 = u1 ON u0 = u1", "t2 t1 t0"),
        ("SELECT * FROM t0 JOIN t1 ON left(t0.k::text, 1) = '1' LEFT JOIN t2 ON t2.k = t0.k "
         "RIGHT OUTER JOIN t3 ON t3.k = t2.k", "t3 ((t1 t0) t2)"),
        ("SELECT * FROM (t0 JOIN t1 USING (k)) AS j, t2 WHERE j.k = t2.k", "t2 j"),
        ("SELECT * FROM t0, unnest(ARRAY[t0.k, t0.v]) WITH ORDINALITY AS e (x, n), t1", "t1 e t0"),
        ("SELECT * FROM t0 JOIN t1 ON t0.k = t1.k FOR UPDATE OF t0", "t1 t0"),
    ],
)  # fmt: skip
def test_other_clauses_keep_their_meaning(sql: str, order: str, tables: PostgresSession) -> None:
    rewritten = rewrite_join_order(sql, order_of(order), Catalog(tables))
    expected, found = tables.execute(sql), tables.execute(ONE_BY_ONE + rewritten)
    assert Counter(map(repr, found.rows)) == Counter(map(repr, expected.rows))
    names = [[column.name for column in rows.description or ()] for rows in (expected, found)]
    assert names[0] == names[1]


def test_an_insert_takes_the_order_of_its_query(tables: PostgresSession) -> None:
    sql = (
        "WITH q AS (SELECT 1) INSERT INTO pg_temp.t4 (k, v) SELECT * FROM "
        "(SELECT k FROM t0) AS a JOIN (SELECT k AS v FROM t1) AS b ON a.k = b.v "
        "ON CONFLICT DO NOTHING RETURNING *"
    )
    rewritten = rewrite_join_order(sql, ["b", "a"], Catalog(tables))
    assert "SELECT a.*, b.* FROM ((SELECT k AS v FROM t1) AS b CROSS JOIN" in rewritten
    rows = tables.execute(sql).rows
    assert rows
    assert Counter(tables.execute(ONE_BY_ONE + rewritten).rows) == Counter(rows)

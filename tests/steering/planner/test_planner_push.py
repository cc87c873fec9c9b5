"""Pushed rows show in the plan, and the plan follows them."""

from __future__ import annotations

from typing import Any

import pytest
from steered import Steered, estimates, nodes, shape

JOINS = ("Nested Loop", "Hash Join", "Merge Join")


def rows_of(plan: dict[str, Any], alias: str) -> float:
    """The estimate at the scan of `alias` (its own, not that of one probe of a loop)."""
    return next(float(node["Plan Rows"]) for node in nodes(plan) if node.get("Alias") == alias)


def join_rows(plan: dict[str, Any]) -> float:
    """The estimate at the uppermost join."""
    return next(float(node["Plan Rows"]) for node in nodes(plan) if node["Node Type"] in JOINS)


def joins(plan: dict[str, Any]) -> set[float]:
    """The estimates at all joins."""
    return {float(node["Plan Rows"]) for node in nodes(plan) if node["Node Type"] in JOINS}


def test_a_table_gets_the_rows_that_are_pushed(steered: Steered) -> None:
    sql = "SELECT * FROM posts AS p WHERE p.score = 3"
    plan, report = steered.plan(sql, {"p": 777})
    assert plan["Plan Rows"] == 777
    assert report.applied == (0,)
    assert report.ignored == ()


def test_what_the_planner_thought_anyway_is_applied_too(steered: Steered) -> None:
    sql = "SELECT * FROM users AS u JOIN votes AS v ON v.user_id = u.id WHERE u.city = 3"
    _, before = steered.run(f"EXPLAIN {sql}", report="blocks")
    own = {" ".join(subplan.names): rows for subplan, rows in estimates(before).items()}
    plan, report = steered.plan(sql, own)
    assert report.applied == (0, 1, 2)
    assert plan == steered.plan(sql)[0]


def test_the_rows_of_one_table_decide_how_another_is_reached(steered: Steered) -> None:
    sql = "SELECT * FROM users AS u JOIN votes AS v ON v.user_id = u.id WHERE u.city = 3"
    few, _ = steered.plan(sql, {"u": 1})
    many, _ = steered.plan(sql, {"u": 1000})
    assert rows_of(few, "u") == 1
    assert rows_of(many, "u") == 1000
    assert few["Node Type"] == "Nested Loop"
    assert many["Node Type"] == "Hash Join"


def test_the_first_table_is_costed_with_the_rows_of_the_later_ones(steered: Steered) -> None:
    """How often an inner index scan repeats is known before the first table gets its paths."""
    sql = "SELECT * FROM votes AS v, users AS u WHERE v.user_id = u.id AND u.city = 3"
    few, _ = steered.plan(sql, {"u": 1})
    assert few["Node Type"] == "Nested Loop"
    inner = next(node for node in nodes(few) if node.get("Alias") == "v")
    plain, _ = steered.plan("SELECT * FROM votes AS v WHERE v.user_id = 3")
    assert inner["Total Cost"] == pytest.approx(plain["Total Cost"], rel=0.05)


SELECTED = "FROM users u JOIN posts p ON p.owner_id = u.id WHERE u.city = 3"
LEFT = "FROM users u LEFT JOIN posts p ON p.owner_id = u.id AND p.kind = 1"
FULL = "FROM (SELECT * FROM users WHERE city = 1) u FULL JOIN posts p ON p.owner_id = u.id"
SEMI = "FROM users u {} WHERE EXISTS (SELECT 1 FROM posts p WHERE p.owner_id = u.id AND kind = 1)"
ANTI = SEMI.replace("EXISTS", "NOT EXISTS")


@pytest.mark.parametrize(
    ("pair", "three", "names"),
    [
        (SELECTED, SELECTED.replace("WHERE", "JOIN votes v ON v.post_id = p.id WHERE"), "u p"),
        (LEFT, f"{LEFT} JOIN votes v ON v.post_id = u.id", "u p"),
        (FULL, f"{FULL} JOIN votes v ON v.post_id = p.id", "users p"),
        (SEMI.format(""), SEMI.format("JOIN votes v ON v.user_id = u.id"), "u p"),
        (ANTI.format(""), ANTI.format("JOIN votes v ON v.user_id = u.id"), "u p"),
    ],
    ids=["inner", "left", "full", "semi", "anti"],
)
def test_joins_of_every_kind(steered: Steered, pair: str, three: str, names: str) -> None:
    plan, told = steered.plan(f"SELECT * {pair}", {names: 4321})
    assert join_rows(plan) == 4321
    assert told.applied == (0,)
    few, told = steered.plan(f"SELECT * {three}", {names: 2, "v": 10_000})
    many, _ = steered.plan(f"SELECT * {three}", {names: 300_000, "v": 2})
    assert told.applied == (0, 1)
    assert shape(few) != shape(many)


def test_a_self_join_is_told_apart_by_alias(steered: Steered) -> None:
    sql = (
        "SELECT * FROM posts a JOIN posts b ON a.owner_id = b.owner_id "
        "WHERE a.kind = 1 AND b.score = 5"
    )
    left, _ = steered.plan(sql, {"a": 1, "b": 4000})
    right, _ = steered.plan(sql, {"a": 4000, "b": 1})
    assert shape(left) != shape(right)
    plan, told = steered.plan(sql, {"a b": 99})
    assert join_rows(plan) == 99
    assert told.applied == (0,)


def test_the_second_of_two_pulled_up_aliases_has_a_number(steered: Steered) -> None:
    sql = "SELECT * FROM posts p WHERE p.owner_id IN (SELECT p.id FROM users p WHERE p.city = 3)"
    plan, told = steered.plan(sql, {"p": 1111, "p#2": 7, "p p#2": 222})
    assert told.applied == (0, 1, 2)
    assert sorted(rows_of_all(plan)) == [7, 1111]
    assert 222 in joins(plan)


def rows_of_all(plan: dict[str, Any]) -> list[float]:
    return [float(node["Plan Rows"]) for node in nodes(plan) if "Seq Scan" in node["Node Type"]]


def test_an_alias_with_odd_signs(steered: Steered) -> None:
    sql = """SELECT * FROM posts AS "a ""b#;=,'ä" WHERE score = 3"""
    heard: list[str] = []
    steered.session.connection.notices = heard
    pushed = """"a ""b##;=,''ä" = 55"""
    plan = steered.session.execute(
        f"SET LOCAL pilot_planner.rows = '{pushed}'; EXPLAIN (FORMAT JSON) {sql}"
    ).rows[0][0][0]["Plan"]
    assert plan["Plan Rows"] == 55


@pytest.mark.parametrize(
    ("sql", "alias"),
    [
        ("SELECT * FROM (SELECT owner_id, count(*) AS n FROM posts GROUP BY 1 OFFSET 0) s "
         "JOIN users u ON u.id = s.owner_id WHERE s.n > 3", "s"),
        ("WITH s AS MATERIALIZED (SELECT owner_id, count(*) AS n FROM posts GROUP BY 1) "
         "SELECT * FROM s JOIN users u ON u.id = s.owner_id WHERE s.n > 3", "s"),
        ("SELECT * FROM (SELECT id FROM posts UNION ALL SELECT id FROM votes) s "
         "JOIN users u ON u.id = s.id", "s"),
        ("SELECT * FROM generate_series(1, 50) s JOIN users u ON u.id = s", "s"),
        ("SELECT * FROM (VALUES (1), (2), (3)) v JOIN users u ON u.id = v.column1", "*VALUES*"),
        ("SELECT * FROM posts s TABLESAMPLE SYSTEM (50) JOIN users u ON u.id = s.owner_id", "s"),
        ("SELECT * FROM guarded s JOIN users u ON u.id = s.owner_id WHERE s.kind = 1", "s"),
        ("SELECT * FROM animals s JOIN users u ON u.id = s.id WHERE s.legs = 2", "s"),
    ],
    ids=["sub-query", "cte", "union", "function", "values", "sample", "barrier", "inheritance"],
)  # fmt: skip
def test_whatever_stands_in_from(steered: Steered, sql: str, alias: str) -> None:
    few, told = steered.plan(sql, {alias: 1})
    assert told.applied == (0,)
    many, _ = steered.plan(sql, {alias: 54_321})
    assert 54_321 in [node["Plan Rows"] for node in nodes(many)]
    assert shape(few) != shape(many)


@pytest.mark.parametrize("partitionwise", ["off", "on"])
def test_partitions_share_what_is_pushed(steered: Steered, partitionwise: str) -> None:
    steered.session.execute(f"SET enable_partitionwise_join = {partitionwise}")
    if partitionwise == "on":  # only of nested loops is it the cheaper plan on every version
        steered.session.execute("SET enable_hashjoin = off; SET enable_mergejoin = off")
    sql = "SELECT * FROM days d WHERE d.hits = 3"
    plan, told = steered.plan(sql, {"d": 8000})
    assert told.applied == (0,)
    assert plan["Node Type"] == "Append"
    assert plan["Plan Rows"] == 8000
    assert sum(child["Plan Rows"] for child in plan["Plans"]) == pytest.approx(8000, abs=3)
    sql = "SELECT * FROM days d JOIN weather w ON w.day = d.day WHERE d.hits = 3"
    plan, told = steered.plan(sql, {"d": 600, "w": 600, "d w": 5000})
    assert told.applied == (0, 1, 2)
    few, _ = steered.plan(f"{sql} AND d.post_id = 7", {"d": 1, "d w": 1})
    assert shape(few) != shape(plan)
    if partitionwise == "on":
        assert plan["Node Type"] == "Append"
        # Children share by the planner's own estimates, whose sum is not quite their parent's.
        total = sum(child["Plan Rows"] for child in plan["Plans"])
        assert total == pytest.approx(5000, rel=0.25)
    else:
        assert join_rows(plan) == 5000


def many_tables(number: int) -> str:
    """A query that joins `number` tables in a row."""
    tables = ["users t0"]
    tables += [f"JOIN users t{i} ON t{i}.id = t{i - 1}.city" for i in range(1, number)]
    return f"SELECT * FROM {' '.join(tables)}"


@pytest.mark.parametrize("number", [9, 14], ids=["past join_collapse_limit", "past geqo_threshold"])
def test_many_tables(steered: Steered, number: int) -> None:
    """With the default of 8 for join_collapse_limit, and GEQO for 14 tables in one search."""
    if number == 14:
        steered.session.execute("SET join_collapse_limit = 20; SET geqo_threshold = 12")
    sql = many_tables(number)
    usual, _ = steered.plan(sql)
    every = " ".join(f"t{i}" for i in range(number))
    plan, told = steered.plan(sql, {"t0": 3, "t5": 500_000, "t0 t1": 9999, every: 1234})
    assert told.applied == (0, 1, 2, 3)
    assert rows_of(plan, "t0") == 3
    assert join_rows(plan) == 1234
    assert plan["Total Cost"] != usual["Total Cost"]


def test_a_parallel_plan(steered: Steered) -> None:
    steered.session.execute(
        "SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 10;"
        "SET parallel_tuple_cost = 0.001"
    )
    sql = "SELECT * FROM posts p JOIN votes v ON v.post_id = p.id WHERE p.score = 3"
    plan, told = steered.plan(sql, {"p": 5000, "p v": 7000})
    assert told.applied == (0, 1)
    gather = next(node for node in nodes(plan) if node["Node Type"].startswith("Gather"))
    workers = gather["Workers Planned"]
    assert gather["Plan Rows"] == pytest.approx(7000, rel=0.01)
    assert join_rows(gather) == pytest.approx(7000 / {1: 1.7, 2: 2.4}[workers], rel=0.01)
    few, _ = steered.plan(sql, {"p": 1, "p v": 1})
    assert shape(few) != shape(plan)


def test_what_is_not_applied_says_why(steered: Steered) -> None:
    sql = (
        "SELECT u.id FROM users u LEFT JOIN users r ON r.id = u.city JOIN votes v "
        "ON v.user_id = u.id JOIN tags t ON t.id = v.id"
    )
    _, told = steered.plan(sql, {"u": 1, "x": 1, "u x": 1, "r": 1, "u t": 1, "v u": 5, "u v": 6})
    assert told.applied == (0, 5)
    reasons = dict(told.ignored)
    assert "x is missing" in reasons[1]
    assert "x is missing" in reasons[2]
    assert "removed r" in reasons[3]
    assert "considered no such join" in reasons[4]
    assert "an entry before" in reasons[6]
    _, told = steered.plan("SELECT * FROM users u WHERE u.id = 3 AND false", {"u": 1})
    assert "returns no rows" in dict(told.ignored)[0]
    _, told = steered.plan("SELECT * FROM days d, users u WHERE d.day = 1000", {"d": 1, "u": 5})
    assert "returns no rows" in dict(told.ignored)[0]
    assert told.applied == (1,)


def test_an_entry_holds_in_the_outermost_block(steered: Steered) -> None:
    sql = "SELECT * FROM users u WHERE u.city = (SELECT max(u.kind) FROM votes u WHERE u.kind = 2)"
    plan, told = steered.plan(sql, {"u": 123})
    outer = [node["Plan Rows"] for node in nodes(plan) if node.get("Relation Name") == "users"]
    inner = [node["Plan Rows"] for node in nodes(plan) if node.get("Relation Name") == "votes"]
    assert outer == [123]
    assert 123 not in inner
    assert told.applied == (0,)


def test_zero_rows_are_one_and_too_many_are_the_planners_limit(steered: Steered) -> None:
    sql = "SELECT * FROM posts p JOIN users u ON u.id = p.owner_id"
    plan, _ = steered.plan(sql, {"p": 0, "p u": 0})
    assert join_rows(plan) == 1
    plan, _ = steered.plan(sql, {"p": 1e300, "p u": 1e300})
    assert join_rows(plan) == 1e100


def test_data_changes_are_steered_too(steered: Steered) -> None:
    for sql in (
        "UPDATE posts p SET score = 1 FROM users u WHERE u.id = p.owner_id AND u.city = 3",
        "DELETE FROM posts p USING users u WHERE u.id = p.owner_id AND u.city = 3",
    ):
        plan, told = steered.plan(sql, {"u": 1000, "p u": 3})
        assert told.applied == (0, 1)
        assert join_rows(plan) == 3


def test_an_index_scan_is_costed_by_what_it_returns(steered: Steered) -> None:
    """Pushing many rows for an indexed condition leads away from the index, and few back to it."""
    sql = "SELECT * FROM votes v WHERE v.user_id < 50"
    usual, _ = steered.plan(sql)
    assert "Bitmap" in usual["Node Type"]
    many, _ = steered.plan(sql, {"v": 9000})
    assert many["Node Type"] == "Seq Scan"
    few, _ = steered.plan(sql, {"v": 1})
    assert few["Node Type"] == "Index Scan"
    assert few["Total Cost"] < usual["Total Cost"] / 3
    # A condition besides the indexed one may be what makes the rows few: the scan costs the same.
    sql += " AND v.kind = 1"
    usual, _ = steered.plan(sql)
    few, _ = steered.plan(sql, {"v": 1})
    assert few["Node Type"] == usual["Node Type"]
    assert few["Total Cost"] == pytest.approx(usual["Total Cost"], rel=0.01)


def test_what_is_pushed_for_a_join_tells_what_each_loop_returns(steered: Steered) -> None:
    """Seven users with ten votes each are looked up; seven with a thousand each are not."""
    sql = "SELECT * FROM users u JOIN votes v ON v.user_id = u.id WHERE u.id < 8"
    usual, _ = steered.plan(sql)
    assert usual["Node Type"] == "Nested Loop"
    many, _ = steered.plan(sql, {"u v": 7000})
    assert many["Node Type"] == "Hash Join"
    few, _ = steered.plan(sql, {"u v": 28})
    assert few["Node Type"] == "Nested Loop"
    assert rows_of(few, "v") == 4
    # The rows of a semi join do not tell what there is to look at.
    sql = (
        "SELECT * FROM users u WHERE u.id < 8 AND EXISTS (SELECT FROM votes v WHERE user_id = u.id)"
    )
    usual, _ = steered.plan(sql)
    pushed, _ = steered.plan(sql, {"u v": 1})
    assert rows_of(pushed, "v") == rows_of(usual, "v")


def test_the_arms_of_an_or_are_left_alone(steered: Steered) -> None:
    sql = "SELECT * FROM votes v WHERE v.user_id = 5 OR v.post_id = 7"
    usual, _ = steered.plan(sql)
    pushed, _ = steered.plan(sql, {"v": 15})
    assert pushed["Plan Rows"] == 15
    assert shape(pushed) == shape(usual)
    assert pushed["Total Cost"] == pytest.approx(usual["Total Cost"], rel=0.05)

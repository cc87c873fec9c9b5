"""What the module tells: the planner's estimates, server times, and the plan that ran."""

from __future__ import annotations

import json
import time

import pytest
from steered import Steered, estimates, nodes

from pilotcli.common.errors import QueryError
from pilotcli.steering.planner import Report, parse_report
from pilotcli.steering.planner.messages import HEAD
from pilotcli.steering.subplans import SubPlan

THREE = (
    "SELECT count(*) FROM users u, posts p, votes v "
    "WHERE p.owner_id = u.id AND v.user_id = u.id AND u.city = 3 AND p.kind = 1"
)


def by_names(report: Report) -> dict[str, float]:
    return {" ".join(sorted(subplan.names)): rows for subplan, rows in estimates(report).items()}


def explained(steered: Steered, sql: str) -> float:
    """The rows that the planner expects under an aggregate over everything."""
    plan, _ = steered.plan(sql)
    assert plan["Node Type"] == "Aggregate"
    return float(plan["Plans"][0]["Plan Rows"])


def test_one_planning_tells_what_explain_tells_of_each_sub_plan(steered: Steered) -> None:
    _, report = steered.run(f"EXPLAIN {THREE}", report="blocks")
    queries = {
        "u": "FROM users u WHERE u.city = 3",
        "p": "FROM posts p WHERE p.kind = 1",
        "v": "FROM votes v",
        "p u": "FROM users u, posts p WHERE p.owner_id = u.id AND u.city = 3 AND p.kind = 1",
        "u v": "FROM users u, votes v WHERE v.user_id = u.id AND u.city = 3",
        # Joined by transitivity alone.
        "p v": "FROM posts p, votes v WHERE p.owner_id = v.user_id AND p.kind = 1",
        "p u v": THREE.removeprefix("SELECT count(*) "),
    }
    expected = {
        names: explained(steered, f"SELECT count(*) {rest}") for names, rest in queries.items()
    }
    assert by_names(report) == expected
    assert {subplan.block for subplan in estimates(report)} == {"1"}


def test_estimates_of_larger_sets_follow_what_is_pushed(steered: Steered) -> None:
    _, usual = steered.run(f"EXPLAIN {THREE}", report="blocks")
    _, report = steered.run(f"EXPLAIN {THREE}", {"u": 500}, "blocks")
    assert report.applied == (0,)
    assert by_names(report)["u"] == by_names(usual)["u"]
    assert by_names(report)["p u"] > 5 * by_names(usual)["p u"]


def test_the_outermost_block_is_the_first(steered: Steered) -> None:
    sql = (
        "WITH c AS MATERIALIZED (SELECT owner_id FROM posts a WHERE score = 3) SELECT count(*) "
        "FROM c JOIN users b ON b.id = c.owner_id WHERE b.city < (SELECT max(d.kind) FROM votes d)"
    )
    _, report = steered.run(f"EXPLAIN {sql}", report="blocks")
    blocks: dict[str, set[str]] = {}
    for subplan in estimates(report):
        blocks.setdefault(subplan.block, set()).update(subplan.names)
    assert blocks.pop("1") == {"b", "c"}
    assert sorted(map(tuple, blocks.values())) == [("a",), ("d",)]


def test_min_and_max_do_not_tell_the_block_twice(steered: Steered) -> None:
    """The planner plans the query a second time, to see whether an index has the answer."""
    _, report = steered.run("EXPLAIN SELECT max(p.id) FROM posts p", {"p": 12}, "blocks")
    assert list(estimates(report)) == [SubPlan("1", frozenset("p"))]
    assert report.applied == (0,)


def test_geqo_tells_each_join_once(steered: Steered) -> None:
    steered.session.execute("SET geqo_threshold = 2")
    _, report = steered.run(f"EXPLAIN {THREE}", report="blocks")
    (sets,) = report.sets.values()
    assert len(sets) == len(dict(sets))
    assert SubPlan("1", frozenset("puv")) in estimates(report)


def test_nothing_is_told_unasked(steered: Steered) -> None:
    steered.session.connection.notices = []
    steered.session.execute(THREE)
    steered.run(THREE)
    assert steered.session.connection.notices == []


def test_times_and_plan_come_from_the_one_execution(steered: Steered) -> None:
    steered.session.execute("CREATE TEMP SEQUENCE calls")
    sql = "SELECT nextval('calls'), p.id FROM posts p WHERE p.id <= 10"
    began_s = time.perf_counter()
    rows, report = steered.run(sql, report="plan,actual,time")
    round_trip_ms = (time.perf_counter() - began_s) * 1000
    assert [row[0] for row in rows] == list(range(1, 11))  # run once, and not before
    assert report.plan is not None
    assert report.plan["Plan"]["Actual Rows"] == 10
    assert "Actual Total Time" not in report.plan["Plan"]
    assert report.planning_ms is not None
    assert report.execution_ms is not None
    assert report.planning_ms > 0 and report.execution_ms > 0
    assert report.planning_ms + report.execution_ms < round_trip_ms


def test_the_plan_is_the_one_that_explain_shows(steered: Steered) -> None:
    expected, _ = steered.plan(THREE)
    _, report = steered.run(THREE, report="plan")
    assert report.plan is not None
    assert report.plan["Plan"] == expected
    assert report.plan["Relations"] == {name: ["1", name] for name in ("p", "u", "v")}
    assert report.execution_ms is None
    steered.session.execute("SET track_io_timing = off")
    _, report = steered.run(THREE, report="timing")
    assert report.plan is not None
    assert all("Actual Total Time" in node for node in nodes(report.plan["Plan"]))
    assert all("Shared Hit Blocks" in node for node in nodes(report.plan["Plan"]))


def test_the_time_of_jit_compilation_is_reported_with_those_of_nodes(steered: Steered) -> None:
    if steered.session.execute("SELECT pg_jit_available()").rows == [(False,)]:
        pytest.skip("this installation has no JIT compilation")
    steered.session.execute("SET jit = on; SET jit_above_cost = 0")
    _, report = steered.run(THREE, report="timing")
    assert report.plan is not None
    assert report.plan["JIT"]["Timing"]["Total"] > 0
    _, report = steered.run(THREE, report="actual")
    assert report.plan is not None and "JIT" not in report.plan


def test_execution_time_is_that_of_the_server(steered: Steered) -> None:
    began_s = time.perf_counter()
    _, report = steered.run("SELECT pg_sleep(0.05)", report="time")
    round_trip_ms = (time.perf_counter() - began_s) * 1000
    assert report.execution_ms is not None
    assert 50 <= report.execution_ms < round_trip_ms


def test_planning_time_is_told_with_the_estimates(steered: Steered) -> None:
    heard: list[str] = []
    steered.session.connection.notices = heard
    steered.session.execute(steered.message(THREE, report="blocks,time"))
    first, second = (json.loads(text.split(HEAD[:-1])[1]) for text in heard)
    assert set(first) == {"blocks", "sets", "naming_ms", "planning_ms"}
    assert set(second) == {"execution_ms"}


def test_explain_analyze_is_reported_as_the_query_would_be(steered: Steered) -> None:
    _, report = steered.run(f"EXPLAIN ANALYZE {THREE}", {"u": 7}, "plan,time")
    assert report.applied == (0,)
    assert report.execution_ms is not None
    _, report = steered.run(f"EXPLAIN {THREE}", {"u": 7}, "plan,time")
    assert report.plan is not None
    assert "Actual Rows" not in report.plan["Plan"]
    assert report.execution_ms is None
    assert report.planning_ms is not None


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TEMP TABLE made AS SELECT * FROM posts p WHERE p.score = 3",
        "INSERT INTO kept SELECT p.id FROM posts p WHERE p.score = 3",
        "COPY (SELECT * FROM posts p WHERE p.score = 3) TO '/dev/null'",
        "WITH gone AS (DELETE FROM kept p RETURNING *) SELECT * FROM gone",
        "DECLARE c CURSOR FOR SELECT * FROM posts p WHERE p.score = 3; FETCH ALL FROM c; CLOSE c",
    ],
    ids=["create", "insert", "copy", "delete", "cursor"],
)
def test_statements_that_carry_a_query(steered: Steered, sql: str) -> None:
    steered.session.execute("CREATE TEMP TABLE kept (id int)")
    _, report = steered.run(sql, {"p": 5}, "plan,time")
    assert report.applied == (0,)
    assert report.plan is not None
    assert report.execution_ms is not None


def test_a_plan_made_earlier_says_so(steered: Steered) -> None:
    steered.session.execute("SET plan_cache_mode = force_generic_plan")
    steered.session.execute("PREPARE q (int) AS SELECT count(*) FROM posts p WHERE p.score = $1")
    steered.session.execute("EXECUTE q (3)")
    _, report = steered.run("EXECUTE q (3)", {"p": 5}, "plan,time")
    assert report.applied == ()
    assert "prepared" in dict(report.ignored)[0]
    assert report.planning_ms is None
    assert report.execution_ms is not None
    assert report.plan is not None
    steered.session.execute("SET plan_cache_mode = force_custom_plan")
    _, report = steered.run("EXECUTE q (3)", {"p": 5}, "plan,time")
    assert report.applied == (0,)
    assert report.planning_ms is not None


@pytest.mark.slow
def test_a_statement_that_rules_add_to(steered: Steered) -> None:
    steered.session.execute(
        "CREATE TEMP TABLE kept (id int); CREATE TEMP TABLE noted (id int);"
        "CREATE RULE note AS ON INSERT TO kept DO ALSO INSERT INTO noted SELECT n.id FROM tags n"
    )
    _, report = steered.run("INSERT INTO kept SELECT p.id FROM posts p", {"p": 5}, "time")
    assert 0 in report.applied
    assert not any("prepared" in reason for _, reason in report.ignored)
    assert report.planning_ms is not None


FUNCTIONS = """
CREATE OR REPLACE FUNCTION pg_temp.count_posts(int) RETURNS bigint LANGUAGE plpgsql AS
$$ BEGIN RETURN (SELECT count(*) FROM posts p WHERE p.score = $1); END $$;
CREATE OR REPLACE FUNCTION pg_temp.folded() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
$$ BEGIN RETURN (SELECT count(*) FROM posts p WHERE p.score = 1); END $$;
CREATE OR REPLACE PROCEDURE pg_temp.proceed() LANGUAGE plpgsql AS
$$ BEGIN PERFORM count(*) FROM posts p; END $$;
"""


def test_what_runs_inside_is_left_alone(steered: Steered) -> None:
    """Functions, also such as run while planning, procedures and DO blocks."""
    steered.session.execute(FUNCTIONS)
    for call in ("SELECT pg_temp.count_posts(3)", "SELECT pg_temp.folded()"):
        rows, report = steered.run(call, {"p": 5}, "blocks,plan")
        assert rows[0][0] > 0
        assert report.applied == ()
        assert report.sets == {}
        assert report.plan is not None
        assert [node["Node Type"] for node in nodes(report.plan["Plan"])] == ["Result"]
    for call in ("CALL pg_temp.proceed()", "DO $$ BEGIN PERFORM count(*) FROM posts p; END $$"):
        assert steered.run(call, {"p": 5}, "blocks,plan,time")[1] == Report()
    # A query around it is steered, before and after.
    _, report = steered.run(
        "SELECT pg_temp.count_posts(u.city) FROM users u WHERE u.id < 5", {"u": 5, "p": 3}
    )
    assert report.applied == (0,)


def test_an_error_within_a_function_ends_its_nesting(steered: Steered) -> None:
    with pytest.raises(QueryError):
        steered.session.execute("DO $$ BEGIN PERFORM 1 / count(*) FROM posts WHERE id < 0; END $$")
    with pytest.raises(QueryError):
        steered.session.execute("SELECT 1 / (id - 3) FROM posts")
    _, report = steered.run("SELECT 1 FROM posts p WHERE p.id = 3", {"p": 5}, "plan")
    assert report.applied == (0,)
    assert report.plan is not None


def test_cursors_keep_their_own_times(steered: Steered) -> None:
    heard: list[str] = []
    steered.session.connection.notices = heard
    steered.session.execute("BEGIN; SET LOCAL pilot_planner.report = 'plan,time'")
    steered.session.execute("DECLARE c CURSOR FOR SELECT id FROM posts WHERE score = 3")
    steered.session.execute("FETCH 2 FROM c")
    steered.session.execute("SELECT count(*) FROM votes")
    steered.session.execute("CLOSE c; COMMIT")
    first, second = (parse_report([text]) for text in heard)
    assert first.plan is not None
    assert second.plan is not None
    assert first.plan["Plan"]["Node Type"] == "Aggregate"
    assert second.plan["Plan"]["Relation Name"] == "posts"


def test_messages_of_others_are_passed_over() -> None:
    notices = [
        "NOTICE:  something else\n",
        "INFO:  " + HEAD + '"applied":[0],"ignored":[[1,"why"]],"planning_ms":0.5}\n',
        "INFO:  " + HEAD + '"execution_ms":2.5,"planning_ms":9}\n',
        'INFO:  pilot_planner 2 {"execution_ms":7}\n',
        'INFO:  pilot_planner 2 abcdef {"execution_ms":7}\n',
    ]
    expected = Report(
        applied=(0,), ignored=((1, "why"),), planning_ms=0.5, execution_ms=2.5, passed_over=2
    )
    assert parse_report(notices) == expected
    assert parse_report([]) == Report()

"""Plans as trees, and what differs between two of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paired import run_pair
from project_folder import Project
from server_folder import server_folder

from pilotcli.analysis.compare_named import compare_runs
from pilotcli.analysis.comparison import whole_s
from pilotcli.analysis.plan_changes import plan_changes
from pilotcli.analysis.plan_pair import plan_pair
from pilotcli.analysis.plans import plan_shape, q_error, same_plan, tree_of
from pilotcli.analysis.query_times import whole_time_s
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import Target

pytestmark = pytest.mark.slow

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))

SCAN = {
    "Node Type": "Seq Scan",
    "Relation Name": "users",
    "Alias": "u",
    "Plan Rows": 10,
    "Total Cost": 5.5,
    "Filter": "(age > 7)",
}
OTHER = {"Node Type": "Seq Scan", "Relation Name": "posts", "Alias": "p", "Plan Rows": 1000}


def joined(kind: str, *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "Plan": {
            "Node Type": kind,
            "Join Type": "Inner",
            "Plan Rows": 50,
            "Plans": children,
            **more,
        }
    }


def explained(target: Target, sql: str, options: str = "FORMAT JSON") -> dict[str, Any]:
    session = target.session()
    try:
        told = session.execute(f"EXPLAIN ({options}) {sql}").rows[0][0]
    finally:
        session.close()
    plan: dict[str, Any] = (json.loads(told) if isinstance(told, str) else told)[0]
    return plan


def test_a_tree_says_what_each_node_is() -> None:
    tree = tree_of(joined("Hash Join", SCAN, OTHER, **{"Join Type": "Left"}))
    assert tree is not None
    assert tree.title == "Hash Left Join"
    assert [child.title for child in tree.children] == [
        "Seq Scan on users u",
        "Seq Scan on posts p",
    ]
    assert tree.names == {"u", "p"}
    assert tree.children[0].conditions == ("Filter: (age > 7)",)
    assert tree.actual is None and tree.q_error is None


def test_rows_are_those_of_all_loops() -> None:
    ran = {**SCAN, "Actual Rows": 3, "Actual Loops": 7}
    tree = tree_of({"Plan": ran})
    assert tree is not None
    assert (tree.estimated, tree.actual, tree.loops) == (70, 21, 7)
    assert tree.q_error == pytest.approx(70 / 21)
    assert tree.rows_text == "70 → 21 in 7 loops, 10 → 3 in each"
    never = tree_of({"Plan": {**SCAN, "Actual Rows": 0, "Actual Loops": 0}})
    assert never is not None and never.actual == 0
    assert never.rows_text == "10, never run"


def test_the_rows_that_are_shown_have_the_factor_that_is_shown() -> None:
    node = {"Plan Rows": 2, "Actual Rows": 0.34, "Actual Loops": 535}
    tree = tree_of({"Plan": {**SCAN, **node}})
    assert tree is not None and tree.q_error == 2.0
    assert tree.rows_text == "1,070 → 182 in 535 loops, 2 → 0.34 in each"
    tree = tree_of({"Plan": {**SCAN, "Plan Rows": 1562, "Actual Rows": 20000, "Actual Loops": 2}})
    assert tree is not None
    assert tree.rows_text == "3,124 → 40,000 in 2 loops, 1,562 → 20,000 in each"


@pytest.mark.parametrize(
    ("estimated", "actual", "error"), [(1, 1, 1), (0, 0, 1), (10, 1, 10), (0.2, 50, 50)]
)
def test_the_q_error_is_a_factor(estimated: float, actual: float, error: float) -> None:
    assert q_error(estimated, actual) == error


def test_numbers_make_no_other_plan_and_structure_does() -> None:
    one = joined("Hash Join", SCAN, OTHER)
    assert same_plan(one, joined("Hash Join", {**SCAN, "Plan Rows": 99}, OTHER))
    assert not same_plan(one, joined("Nested Loop", SCAN, OTHER))
    assert not same_plan(one, joined("Hash Join", OTHER, SCAN))
    index = {**SCAN, "Node Type": "Index Scan", "Index Name": "i"}
    assert not same_plan(one, joined("Hash Join", index, OTHER))


def test_what_differs_is_told_in_words() -> None:
    index = {**SCAN, "Node Type": "Index Scan", "Index Name": "users_pkey"}
    more = {**OTHER, "Plan Rows": 5}
    assert plan_changes(joined("Hash Join", SCAN, OTHER), joined("Nested Loop", more, index)) == [
        "order of joining: u p → p u",
        "join of p u: Hash Join → Nested Loop",
        "u: Seq Scan → Index Scan using users_pkey",
        "rows expected of p: 1,000 → 5",
    ]
    assert plan_changes(joined("Hash Join", SCAN), joined("Hash Join", SCAN)) == []


def test_real_plans_are_read_and_told_apart(target: Target) -> None:
    joined = "pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    sql = f"SELECT * FROM {joined} WHERE c.relname = 'pg_type'"
    plan = explained(target, sql)
    ran = explained(target, sql, "ANALYZE, FORMAT JSON")
    tree = tree_of(ran)
    assert tree is not None
    assert tree.names == {"c", "a"}
    assert all(node.actual is not None for node in tree.walk())
    assert same_plan(plan, ran)
    assert plan_changes(plan, ran) == []
    many = explained(
        target,
        "WITH x AS MATERIALIZED (SELECT 1 AS n UNION ALL SELECT 2) "
        "SELECT (SELECT max(n) FROM x), count(*) FROM x, generate_series(1, 3) AS g",
    )
    found = tree_of(many)
    assert found is not None
    assert any(node.role == "InitPlan" for node in found.walk())
    assert "CTE Scan on x" in {node.title for node in found.walk()}


nodes = st.recursive(
    st.dictionaries(
        st.sampled_from(
            ["Node Type", "Alias", "Plan Rows", "Actual Rows", "Actual Loops", "Filter"]
        ),
        st.none() | st.booleans() | st.text(max_size=5) | st.floats() | st.integers(),
    ),
    lambda inner: st.fixed_dictionaries(
        {"Node Type": st.text(max_size=5), "Plans": st.lists(inner)}
    ),
    max_leaves=8,
)


@given(nodes | st.none() | st.text(max_size=5), nodes)
def test_whatever_a_plan_holds_nothing_is_raised(one: Any, other: Any) -> None:
    before, after = {"Plan": one}, {"Plan": other}
    assert plan_shape(before) == plan_shape(before)
    assert same_plan(after, after)
    assert isinstance(plan_changes(before, after), list)


def test_a_deep_plan_is_read() -> None:
    plan: dict[str, Any] = dict(SCAN)
    for _ in range(5000):
        plan = {"Node Type": "Limit", "Plans": [plan]}
    assert plan_shape({"Plan": plan})


def test_diff_shows_both_plans_and_what_differs(project: Project) -> None:
    project.write(
        "own.py",
        """
        from pilotcli import HintPushHandler

        class Off(HintPushHandler):
            def acquire_injected_data(self, sql):
                return {"enable_hashjoin": "off", "enable_mergejoin": "off"}
        """,
    )
    project.write(
        "w.sql",
        "SELECT count(*) FROM generate_series(1, 999) AS a(n) JOIN generate_series(1, 999) AS c(n)"
        " ON a.n = c.n;\nSELECT 1;\n",
    )
    project.config("handlers:\n  - class: own.py:Off\n")
    run_pair(project, "w.sql", sets=("run.repeat=1",))
    done = project.command("runs", "diff", "1", "--query", "1")
    assert done.returncode == 0, done.stderr
    assert "Merge Join" in done.stdout and "Nested Loop" in done.stdout
    assert "join of a c: " in done.stdout
    assert "pushed setting: enable_hashjoin = off" in done.stdout
    assert "\x1b" not in done.stdout
    told = json.loads(
        project.command("runs", "diff", "1", "--query", "1", "--format", "json").stdout
    )
    assert told["baseline"]["plan"]["Plan"]["Actual Rows"] == 1
    assert told["changes"]
    same = project.command("runs", "diff", "2", "--query", "2")
    assert "same structure" in same.stdout
    for words, said in (
        (("1", "--query", "9"), "has no query '9'"),
        (("7", "--query", "1"), "there is no run 7"),
        (("1", "x", "--query", "1"), "there is no run named 'x'"),
    ):
        refused = project.command("runs", "diff", *words)
        assert refused.returncode == 2
        assert said in refused.stderr


def test_diff_without_plans_says_how_to_keep_them(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\n")
    project.run("w.sql")
    project.run("w.sql", sets=("run.plans=true",))
    done = project.command("runs", "diff", "2", "1", "--query", "q1")
    assert done.returncode == 0, done.stderr
    assert "no plan was kept (pilot run --plans)" in done.stdout
    assert "Result" in done.stdout
    refused = project.command("runs", "diff", "1", "--query", "q1")
    assert "took turns with no other run" in refused.stderr


def over(kind: str, *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Plan": {"Node Type": kind, "Plan Rows": 5, "Plans": children, **more}}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            over("Aggregate", SCAN, Strategy="Hashed"),
            over("Aggregate", SCAN, Strategy="Sorted"),
            ["GroupAggregate: none → one", "HashAggregate: one → none"],
        ),
        (
            over("Limit", SCAN),
            over("Limit", {**SCAN, "Parallel Aware": True}),
            ["u: Seq Scan → Parallel Seq Scan"],
        ),
        (over("Append", SCAN, OTHER), over("Append", SCAN), ["no longer read: p"]),
        (
            joined("Hash Join", SCAN, OTHER),
            joined("Hash Join", SCAN, OTHER, **{"Join Type": "Left"}),
            ["join of p u: Hash Join → Hash Left Join"],
        ),
        (
            over("Sort", over("Limit", SCAN)["Plan"]),
            over("Limit", over("Sort", SCAN)["Plan"]),
            ["the same nodes, one below the other in another way"],
        ),
    ],
)
def test_no_other_structure_goes_unsaid(
    before: dict[str, Any], after: dict[str, Any], told: list[str]
) -> None:
    assert not same_plan(before, after)
    assert plan_changes(before, after) == told


def test_what_one_worker_returns_is_no_other_estimate() -> None:
    parallel = {**OTHER, "Plan Rows": 417, "Parallel Aware": True}
    told = plan_changes({"Plan": OTHER}, over("Gather", parallel))
    assert not any("rows expected" in one for one in told)


def test_a_node_is_judged_by_its_loops() -> None:
    for node, error in (
        ({"Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1000}, 1.0),  # rounded by the server
        ({"Plan Rows": 1, "Actual Rows": 7, "Actual Loops": 1000}, 7.0),
        ({"Plan Rows": 500, "Actual Rows": 0, "Actual Loops": 0}, None),  # it never ran
    ):
        tree = tree_of({"Plan": {**SCAN, **node}})
        assert tree is not None and tree.q_error == error


def test_numbers_of_any_size_are_read() -> None:
    for number in (10**400, 1e308, -(10**400)):
        huge = {**SCAN, "Plan Rows": number, "Actual Rows": number, "Actual Loops": number}
        tree = tree_of({"Plan": huge})
        assert tree is not None
        assert tree.q_error is None or tree.q_error >= 1
        assert isinstance(plan_changes({"Plan": huge}, {"Plan": SCAN}), list)


@pytest.mark.skipif(not INSTALLED, reason="no other PostgreSQL is installed")
def test_real_plans_of_an_older_server_are_told_apart() -> None:
    with server_folder() as folder:
        config = PostgreSQLConfig(home=folder / "home")
        config.postgres_bin = INSTALLED[-1].parent
        target = open_target(config)
        try:
            _tell_grouping_apart(target)
        finally:
            target.close()


def test_real_plans_of_the_own_server_are_told_apart(target: Target) -> None:
    _tell_grouping_apart(target)


def _tell_grouping_apart(target: Target) -> None:
    sql = "SELECT relkind, count(*) FROM pg_class GROUP BY relkind"
    session = target.session()
    try:
        plans = []
        for setting in ("on", "off"):
            session.execute(f"SET enable_hashagg = {setting}")
            told = session.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}").rows[0][0]
            plans.append((json.loads(told) if isinstance(told, str) else told)[0])
    finally:
        session.close()
    assert not same_plan(*plans)
    assert "HashAggregate: one → none" in plan_changes(*plans)
    tree = tree_of(plans[1])
    assert tree is not None and tree.title == "GroupAggregate"


def test_diff_names_its_runs_and_says_why_there_is_no_plan(project: Project) -> None:
    project.write(
        "own.py",
        """
        from pilotcli import HintPushHandler

        class Refused(HintPushHandler):
            def acquire_injected_data(self, sql):
                return {"no_such_setting": "1"} if "7" in sql else None
        """,
    )
    project.write(
        "w.sql",
        "SELECT 7;\nSELECT pg_sleep(9);\nSELECT 1 + n FROM generate_series(1, 3) AS n;\n"
        "CREATE TABLE diff_alone AS SELECT 1;\nDROP TABLE diff_alone;\n",
    )
    project.config("handlers:\n  - class: own.py:Refused\n")
    run_pair(project, "w.sql", sets=("run.repeat=1", "run.timeout=200ms"))
    project.run("w.sql", sets=("run.timeout=200ms", "run.limit=3"))
    refused = project.command("runs", "diff", "1", "--query", "1").stdout
    assert "run 1, the driver   failed" in refused
    assert "no plan: it failed" in refused
    assert "run 1 failed: the server refuses a pushed setting: unrecognized" in refused
    assert '"no_such_setting"' in refused
    late = project.command("runs", "diff", "1", "--query", "2").stdout
    assert "with 1 time-out counted twice" in late
    unpaired = project.command("runs", "diff", "2", "3", "--query", "3").stdout
    assert "run 2, A" in unpaired and "run 3, B" in unpaired
    for words, said in (
        (("1", "--query", "4"), "Statements that write run in the driver's arm alone"),
        (("1", "1", "--query", "3"), "would be compared with itself"),
    ):
        outcome = project.command("runs", "diff", *words)
        assert outcome.returncode == 2
        assert said in outcome.stderr


LATE_DRIVER = """
import json

from pilotcli import CheckpointedModel, HintPushHandler, PeriodicModelUpdateEvent


class Choice(CheckpointedModel):
    def dump(self, folder):
        (folder / "choice.json").write_text(json.dumps(self.model))

    def restore(self, folder):
        self.model = json.loads((folder / "choice.json").read_text())


class Update(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return True


class Choose(HintPushHandler):
    def __init__(self, config, model):
        super().__init__(config)
        self.model = model

    def acquire_injected_data(self, sql):
        return {"enable_mergejoin": "off", "enable_hashjoin": "off"} if self.model.model else {}
"""


def test_what_is_shown_is_what_was_measured(project: Project) -> None:
    project.write("own.py", LATE_DRIVER)
    # Two rounds of learning and two that are compared: the update comes behind the last query.
    project.config(
        "models: {choice: own.py:Choice}\n"
        "events:\n"
        "  - {class: own.py:Update, model: choice,"
        " args: {interval_count: 4, execute_on_init: false}}\n"
        "handlers: [{class: own.py:Choose, model: choice}]\n"
    )
    project.write(
        "w.sql",
        "SELECT count(*) FROM generate_series(1, 900) a(n) JOIN generate_series(1, 900) b(n)"
        " ON a.n = b.n;\n",
    )
    run_pair(project, "w.sql", sets=("run.repeat=2", "run.learn=2"))
    with project.journal() as journal:
        measured_s = [whole_time_s(one) for one in journal.results(1) if one.round > 2]
        taken = {one.round: one.plan for one in journal.plans(1)}
        assert not same_plan(taken[0], taken[1])
    pair = plan_pair(project.folder / ".pilot", "1", None, "1")
    assert pair.a.mean_s == pytest.approx(sum(measured_s) / 2)
    assert pair.a.replanned and not pair.b.replanned
    assert pair.a.plan == taken[1]
    (one,) = compare_runs(project.folder / ".pilot", "1", None).queries
    assert whole_s(one.a) == pytest.approx(pair.a.mean_s)
    assert one.plan_changed is False
    shown = project.command("runs", "diff", "1", "--query", "1").stdout
    assert "run 1: only the planner's rows" in " ".join(shown.split())

"""Why a query is slower: from the parts of its time, and from what the steps of its plans cost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from paired import run_pair
from project_folder import Project

from pilotcli.analysis.comparison import QueryTimes
from pilotcli.analysis.plans import tree_of
from pilotcli.analysis.slowdown import why_slower

SCAN = {"Node Type": "Seq Scan", "Relation Name": "users", "Alias": "u"}
OTHER = {"Node Type": "Seq Scan", "Relation Name": "posts", "Alias": "p"}


def times(mean_s: float, **parts: Any) -> QueryTimes:
    values = {"seq": 1, "executions": 3, "ok": 3, "timeouts": 0, "failed": 0, "mean_s": mean_s}
    values |= {"median_s": mean_s, "planning_s": None, "execution_s": None, "inference_s": 0.0}
    values |= {"steering_s": 0.0, "collection_s": 0.0, "row_count": 1, "error": None}
    return QueryTimes(**(values | parts))


def node(
    kind: dict[str, Any], rows: float, actual: float, ms: float, *below: Any, **more: Any
) -> Any:
    loops = more.get("Actual Loops", 1)
    own = {"Plan Rows": rows, "Actual Rows": actual, "Actual Total Time": ms, "Actual Loops": loops}
    return {**kind, **own, "Plans": list(below), **more}


def join(way: str, *rest: Any, **more: Any) -> Any:
    return node({"Node Type": way, "Join Type": "Inner"}, *rest, **more)


HASHED = {"Plan": join("Hash Join", 900, 900, 30, node(SCAN, 900, 900, 9), node(OTHER, 9, 9, 1))}
INNER = node(OTHER, 9, 9, 3, **{"Actual Loops": 900})
NESTED = {"Plan": join("Nested Loop", 9, 900, 3000, node(SCAN, 1, 900, 9), INNER)}


def test_the_step_that_costs_the_difference_comes_first() -> None:
    reasons = why_slower(times(3.0), times(0.03), NESTED, HASHED)
    assert reasons[0] == (
        "Seq Scan on posts p takes 2.70 s by itself in 900 loops, 1.00 ms in the baseline"
    )
    assert "join of p u: Hash Join → Nested Loop" in reasons
    assert (
        "the planner expected 1 row of u, and there were 900: off by 900x (the baseline's plan "
        "expected 900)"
    ) in reasons
    assert why_slower(times(0.03), times(3.0), HASHED, NESTED) == []


@pytest.mark.parametrize(
    ("slow", "fast", "said"),
    [
        (
            {"planning_s": 0.9, "execution_s": 0.1},
            {"planning_s": 0.1, "execution_s": 0.1},
            "planning takes 900 ms instead of 100 ms: 100% of the difference",
        ),
        ({"inference_s": 0.8}, {}, "the driver's inference takes 800 ms: 100% of the difference"),
        ({"steering_s": 0.8}, {}, "steering takes 800 ms: 100% of the difference"),
        (
            {"planning_s": 0.1, "execution_s": 0.05},
            {"planning_s": 0.1, "execution_s": 0.05},
            "sending it and fetching its rows take 850 ms instead of 50.0 ms: 100% of the "
            "difference",
        ),
    ],
)
def test_what_is_not_in_the_plan_is_named(
    slow: dict[str, float], fast: dict[str, float], said: str
) -> None:
    """The plans, of which one is much slower, do not matter then."""
    mean_s = 1.0 if "planning_s" in slow else 0.2
    reasons = why_slower(times(mean_s, **slow), times(0.2, **fast), NESTED, HASHED)
    assert reasons == [said]


def test_a_part_of_the_difference_leaves_room_for_the_plans() -> None:
    slow = times(2.0, planning_s=0.5, execution_s=1.5)
    reasons = why_slower(slow, times(1.0, planning_s=0.1, execution_s=0.9), NESTED, HASHED)
    assert reasons[0] == "planning takes 500 ms instead of 100 ms: 40% of the difference"
    assert reasons[1].startswith("Seq Scan on posts p takes")


def test_where_nothing_is_found_it_says_so() -> None:
    slow, fast = times(2.0), times(1.0)
    assert why_slower(slow, fast, HASHED, HASHED) == [
        "no reason found: both plans are the same (with their steps measured they took 30.0 ms, in "
        "the baseline 30.0 ms)"
    ]
    plain = {"Plan": {**SCAN, "Plan Rows": 5}}
    assert why_slower(slow, fast, plain, plain) == ["no reason found: both plans are the same"]
    assert why_slower(slow, fast, None, HASHED) == [
        "no plan was kept of both runs, so that its steps cannot be compared"
    ]
    planned = times(2.0, planning_s=0.3, execution_s=1.7)
    assert why_slower(planned, times(1.0, planning_s=0.0, execution_s=1.0), plain, plain) == [
        "planning takes 300 ms: 30% of the difference",
        "no reason found for the rest: both plans are the same",
    ]
    swapped = {"Plan": join("Hash Join", 900, 900, 30, node(OTHER, 9, 9, 1), node(SCAN, 9, 9, 9))}
    assert why_slower(slow, fast, swapped, HASHED)[0] == "order of joining: u p → p u"


def test_a_limit_makes_no_wrong_estimate() -> None:
    """A scan that a LIMIT stops returns fewer rows than expected, which is no error."""
    cut_off = {"Plan": node({"Node Type": "Limit"}, 1, 1, 9, node(SCAN, 9000, 1, 9))}
    whole = {"Plan": node({"Node Type": "Sort"}, 1, 1, 9, node(SCAN, 9000, 1, 9))}
    said = [why_slower(times(2.0), times(1.0), plan, HASHED) for plan in (cut_off, whole)]
    wrong = [[reason for reason in reasons if reason.startswith("the planner")] for reasons in said]
    assert wrong[0] == []
    assert wrong[1][0].startswith("the planner expected 9,000 rows of u, and there were 1: off by")


def test_the_most_expensive_of_several_steps_comes_first() -> None:
    slow = {"Plan": join("Hash Join", 9, 9, 3000, node(SCAN, 9, 9, 900), node(OTHER, 9, 9, 2000))}
    steps = why_slower(times(3.0), times(0.03), slow, HASHED)[:2]
    assert [step.partition(" takes")[0] for step in steps] == [
        "Seq Scan on posts p",
        "Seq Scan on users u",
    ]


def test_a_wrong_estimate_is_named_where_it_began() -> None:
    """Errors multiply on the way up: the join above is off by more, for the same reason."""
    users, posts = node(SCAN, 1, 60, 9), node(OTHER, 50, 50, 1)
    slow = {"Plan": join("Nested Loop", 1, 3000, 900, posts, users)}
    (wrong,) = (r for r in why_slower(times(2.0), times(1.0), slow, HASHED) if "expected" in r)
    assert wrong.startswith("the planner expected 1 row of u, and there were 60: off by 60x")
    users = node(SCAN, 50, 60, 9)
    slow = {"Plan": join("Nested Loop", 1, 3000, 900, posts, users)}
    (wrong,) = (r for r in why_slower(times(2.0), times(1.0), slow, HASHED) if "expected" in r)
    assert wrong.startswith("the planner expected 1 row of p u, and there were 3,000")


def test_disk_pages_jit_and_time_outs_are_reasons() -> None:
    used = {"Shared Hit Blocks": 1000, "Shared Read Blocks": 5000}
    spills = {"Temp Written Blocks": 2000, **used}
    slow = {
        "Plan": node({"Node Type": "Sort"}, 1, 1, 9, node(SCAN, 1, 1, 9, **used), **spills),
        "JIT": {"Timing": {"Total": 400.0}},
    }
    fast = {
        "Plan": node(
            {"Node Type": "Sort"}, 1, 1, 9, node(SCAN, 1, 1, 9), **{"Temp Written Blocks": 0}
        )
    }
    reasons = why_slower(times(2.0, timeouts=2), times(1.0), slow, fast)
    assert reasons == [
        "it ran into its time-out in 2 of 3 executions",
        "JIT compilation takes 400 ms",
        "Sort of u writes 16.4 MB to temporary files, the baseline none",
        "it uses 6,000 pages, in the baseline 0",
        "5,000 pages were not in the server's cache, in the baseline 0",
    ]


def test_the_time_of_parallel_processes_is_their_mean() -> None:
    ran = node(SCAN, 9, 9, 90, **{"Actual Loops": 3})
    tree = tree_of({"Plan": node({"Node Type": "Gather"}, 9, 9, 100, ran)})
    assert tree is not None
    assert tree.costs.total_s == pytest.approx(0.1)
    assert tree.costs.own_s == pytest.approx(0.01)
    assert tree.children[0].costs.own_s == pytest.approx(0.09)


def test_the_time_of_a_cte_is_not_that_of_its_scan() -> None:
    cte = node(SCAN, 9, 9, 80, **{"Parent Relationship": "InitPlan", "Subplan Name": "CTE c"})
    scan = node({"Node Type": "CTE Scan", "CTE Name": "c", "Alias": "c"}, 9, 9, 90)
    tree = tree_of({"Plan": node({"Node Type": "Sort"}, 9, 9, 100, cte, scan)})
    assert tree is not None
    own = {part.kind: part.costs.own_s for part in tree.walk()}
    assert own == {
        k: pytest.approx(v) for k, v in (("Sort", 0.01), ("Seq Scan", 0.08), ("CTE Scan", 0.01))
    }


@pytest.mark.slow
def test_a_driver_that_forbids_hash_joins_is_found_out(project: Project) -> None:
    """On a real server: which step costs the time."""
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
        "SELECT count(*) FROM generate_series(1, 1500) AS a(n) JOIN generate_series(1, 1500) AS"
        " c(n) ON a.n = c.n JOIN pg_class AS t ON t.oid = 1259;\n",
    )
    project.config("handlers:\n  - class: own.py:Off\n")
    _, comparison = run_pair(project, "w.sql")
    assert comparison is not None
    (query,) = comparison.queries
    assert query.speedup is not None and query.speedup < 1
    shown = json.loads(
        project.command("runs", "diff", "1", "--query", "1", "--format", "json").stdout
    )
    assert any("Nested Loop" in reason and "by itself" in reason for reason in shown["reasons"])
    assert any("→ Nested Loop" in reason for reason in shown["reasons"])
    for side in ("run", "baseline"):
        assert shown[side]["plan"]["Plan"]["Actual Total Time"] > 0
    words = project.command("runs", "diff", "1", "--query", "1").stdout
    assert "Why run 1 took " in words and " of its own; cost " in words
    table = project.command("runs", "compare", "1").stdout
    assert "Nested Loop" in table or query.verdict != "slower"

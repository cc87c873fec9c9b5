"""What an executed plan shows where workers divide the rows, or a join stops early."""

from __future__ import annotations

from typing import Any

from pilotcli.steering.subplans.actual_rows import observed_rows
from pilotcli.steering.subplans.described import SubPlan


def node(kind: str, rows: float, loops: int, *inputs: Any, **more: Any) -> dict[str, Any]:
    shown = {"Node Type": kind, "Actual Rows": rows, "Actual Loops": loops, "Plans": list(inputs)}
    return shown | {key.replace("_", " "): value for key, value in more.items()}


def observed(plan: dict[str, Any]) -> dict[str, float]:
    """The rows of sub-plans of `a` and `b`, by their names."""
    relations = {"a": ["1", "a"], "b": ["1", "b"]}
    found = observed_rows({"Plan": plan, "Relations": relations, "Lookups": []})
    assert all(isinstance(subplan, SubPlan) for subplan in found)
    return {"".join(sorted(subplan.names)): rows for subplan, rows in found.items()}


def test_below_a_gather_that_runs_again_loops_are_not_those_of_workers() -> None:
    scan = node("Seq Scan", 10.0, 6, Alias="b", Parallel_Aware=True)
    plan = node("Nested Loop", 60, 1, node("Seq Scan", 2, 1, Alias="a"),
                node("Gather", 30, 2, scan), Join_Type="Inner")  # fmt: skip
    assert observed(plan) == {"a": 2, "b": 30, "ab": 60}


def test_groups_that_workers_make_are_not_the_rows_below() -> None:
    scan = node("Seq Scan", 10, 3, Alias="b", Parallel_Aware=True)
    grouped = node("Aggregate", 2, 3, scan, Strategy="Hashed", Partial_Mode="Partial")
    assert observed(node("Gather", 6, 1, grouped)) == {}
    assert observed(node("Gather", 30, 1, scan)) == {"b": 30}


def test_a_join_that_needs_one_partner_does_not_read_all() -> None:
    inner = node("Materialize", 1, 2, node("Seq Scan", 5, 1, Alias="b"))
    outer = node("Seq Scan", 2, 1, Alias="a")
    plan = node("Nested Loop", 2, 1, outer, inner, Join_Type="Inner")
    assert observed(plan) == {"a": 2, "b": 5, "ab": 2}
    assert observed(plan | {"Inner Unique": True}) == {"a": 2, "ab": 2}


def test_a_hash_join_that_runs_again_may_have_stopped_its_outer_side() -> None:
    inner = node("Hash", 1.0, 24, node("Index Scan", 1.0, 24, Alias="b"))
    plan = node(
        "Hash Join", 1.0, 24, node("Seq Scan", 200.0, 3, Alias="a"), inner, Join_Type="Inner"
    )
    assert "a" not in observed(plan)
    assert observed(plan | {"Join Type": "Left"})["a"] == 200
    scan = node("Seq Scan", 100.0, 2, Alias="a", Parallel_Aware=True)
    hashed = node("Hash", 5.0, 2, node("Seq Scan", 5.0, 2, Alias="b"))
    among = node("Hash Join", 50.0, 2, scan, hashed, Join_Type="Inner")
    assert observed(node("Gather", 100, 1, among)) == {"a": 200, "b": 5, "ab": 100}


def test_a_part_whose_loops_differ_is_left_out() -> None:
    assert observed(node("Seq Scan", 200.33, 3, Alias="a")) == {}
    assert observed(node("Seq Scan", 200.0, 3, Alias="a")) == {"a": 200}

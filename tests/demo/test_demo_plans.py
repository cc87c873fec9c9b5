"""Plans as numbers, also those that look like nothing PostgreSQL would send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotcli.drivers.plans import plan_features, plan_nodes, worst_misestimate

PLAN: dict[str, Any] = {
    "Plan": {
        "Node Type": "Nested Loop",
        "Total Cost": 99.0,
        "Plan Rows": 9,
        "Actual Rows": 900,
        "Actual Loops": 1,
        "Join Filter": "((a.x > b.x) AND (a.y > b.y))",
        "Plans": [
            {"Node Type": "Seq Scan", "Relation Name": "a", "Plan Rows": 1, "Actual Rows": 100,
             "Actual Loops": 1, "Filter": "(z = 1)"},
            {"Node Type": "Seq Scan", "Relation Name": "b", "Plan Rows": 99, "Total Cost": 9.0,
             "Actual Rows": 9, "Actual Loops": 100},
        ],
    }
}  # fmt: skip

KEYS = st.sampled_from(
    ["Plan", "Plans", "Node Type", "Relation Name", "Plan Rows", "Plan Width", "Total Cost",
     "Filter", "Actual Rows", "Actual Loops", "Workers Planned", "?"]
)  # fmt: skip
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)


def test_features_of_a_small_plan() -> None:
    features = plan_features(PLAN)
    assert features["cost"] == pytest.approx(2.0)
    assert features["rows"] == pytest.approx(1.0)
    assert features["rows:Seq Scan"] == pytest.approx(0.30103 + 2.0, abs=1e-5)
    counted = ("nodes", "depth", "joins", "relations", "conditions", "bottomed")
    assert [features[name] for name in counted] == [3, 1, 1, 2, 3, 1]
    assert (features["blind_loops"], features["blind_rescans"]) == (1, 1)
    assert (features["scan:a"], features["count:Nested Loop"]) == (1, 1)


@pytest.mark.parametrize("form", [PLAN, PLAN["Plan"], [PLAN], json.dumps(PLAN)])
def test_a_plan_is_taken_in_each_of_its_forms(form: object) -> None:
    assert plan_features(form) == plan_features(PLAN)


@pytest.mark.parametrize("odd", [None, 3, "", "{", [], {}, {"Plan": None}, float("nan"), [[1]]])
def test_what_is_no_plan_has_no_features(odd: object) -> None:
    assert plan_features(odd) == {}
    assert worst_misestimate(odd) is None


@given(ODD)
def test_no_plan_is_too_odd(odd: object) -> None:
    features = plan_features(odd)
    assert all(0 < value < float("inf") for value in features.values())
    worst_misestimate(odd)


def test_a_plan_may_be_deeper_than_the_stack() -> None:
    plan: dict[str, Any] = {"Node Type": "Result"}
    for _ in range(5000):
        plan = {"Node Type": "Limit", "Plans": [plan]}
    assert sum(1 for _ in plan_nodes(plan)) == 5001
    assert plan_features(plan)["depth"] == 5000


def test_the_worst_misestimate_is_the_deepest_of_equals() -> None:
    found = worst_misestimate(PLAN)
    assert found is not None
    assert found == ("Seq Scan on a", 1.0, 100.0, 100.0)


def test_a_plan_that_was_not_executed_has_no_misestimate() -> None:
    assert worst_misestimate({"Plan": {"Node Type": "Result", "Plan Rows": 7}}) is None

"""Conditions under which a comparison fails: what is beyond the noise, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pilotcli.analysis.comparison import (
    Comparison,
    Costs,
    Effect,
    QueryComparison,
    QueryTimes,
    Unmatched,
    Verdict,
)
from pilotcli.analysis.gates import METRICS, failed_gates, parse_gate
from pilotcli.common.errors import UsageError

TIMES = QueryTimes(1, 3, 3, 0, 0, 0.01, 0.01, None, None, 0.0, 0.0, 0.0, 1, None)
COSTS = Costs(1.0, None, None, 0.0, 0.0, 0.0, 0.0, 0.0)


def effect(speedup: float, low: float, high: float, verdict: Verdict) -> Effect:
    return Effect(speedup, low, high, 0.98, verdict, "made up")


def query(label: str, verdict: Verdict, speedup: float | None = 1.0, **more: Any) -> Any:
    made = QueryComparison(
        label, "SELECT 1", None, None, TIMES, TIMES, verdict, speedup, 0.9, 1.1, 0.5, False,
        "same", None,
    )  # fmt: skip
    return replace(made, **more)


def compared(total: Effect, *queries: Any, only_a: int = 0) -> Comparison:
    return Comparison(
        run_a=None,  # type: ignore[arg-type]
        run_b=None,  # type: ignore[arg-type]
        paired=True,
        rounds_a=3,
        rounds_b=3,
        total=total,
        geometric=total,
        p_value=None,
        queries=queries,
        only_a=[Unmatched(9, "alone")] * only_a,
        only_b=(),
        costs_a=COSTS,
        costs_b=COSTS,
        payback=None,
        trained_speedup=None,
        warnings=(),
    )


SLOWER = effect(0.8, 0.75, 0.86, "slower")
NOISE = effect(0.8, 0.5, 1.3, "unclear")
FASTER = effect(1.3, 1.25, 1.4, "faster")


@pytest.mark.parametrize(
    ("text", "total", "fails"),
    [
        ("total.slowdown > 5%", SLOWER, True),
        ("total.slowdown > 0.05", SLOWER, True),
        ("total.slowdown > 1.05x", SLOWER, True),
        ("total.slowdown>5%", SLOWER, True),
        ("total.slowdown >= 25%", SLOWER, True),
        ("total.slowdown > 30%", SLOWER, False),
        ("total.slowdown > 5%", NOISE, False),
        ("total.slowdown > 5%", FASTER, False),
        ("geometric.slowdown > 5%", SLOWER, True),
        ("total.speedup < 1.2", FASTER, False),
        ("total.speedup < 1.35", FASTER, False),
        ("total.speedup < 1.5x", FASTER, True),
        ("geometric.speedup < 1", SLOWER, True),
        ("total.speedup < 1", NOISE, False),
    ],
)
def test_totals(text: str, total: Effect, fails: bool) -> None:
    found = failed_gates(compared(total), [parse_gate(text)])
    assert bool(found) == fails
    assert all(reason.startswith(f"{text}: it is ") for _, reason in found)


@pytest.mark.parametrize("text", ["total.slowdown > 5%", "geometric.speedup < 0.5"])
def test_a_driver_that_breaks_every_query_does_not_pass(text: str) -> None:
    nothing = Effect(None, None, None, 0.98, "unclear", "made up")
    [(_, reason)] = failed_gates(compared(nothing, query("q", "failed", None)), [parse_gate(text)])
    assert reason == f"{text}: nothing could be measured: no query ran well in both"


def test_where_no_query_ran_in_both_only_what_asks_for_a_figure_fails() -> None:
    texts = ["total.slowdown > 5%", "geometric.speedup < 1", "queries.faster < 1"]
    passing = ["any.slowdown > 5%", "any.timeouts", "results.differ", "queries.failed"]
    failed = failed_gates(None, map(parse_gate, [*texts, *passing]))
    assert [gate.text for gate, _ in failed] == texts


def test_too_few_rounds_for_an_interval_fail_nothing() -> None:
    unsure = Effect(0.2, None, None, 0.98, "unclear", "made up")
    assert failed_gates(compared(unsure), [parse_gate("total.slowdown > 5%")]) == []


def test_single_queries() -> None:
    comparison = compared(
        FASTER,
        query("bad", "slower", 0.2),
        query("worse", "slower", 0.1),
        query("noisy", "unclear", 0.3),
        query("wrong", "same", 1.0, answers="different"),
        query("late", "slower", 0.5, a=replace(TIMES, timeouts=3)),
        query("broken", "failed", None),
        only_a=2,
    )
    told = {
        text: [reason for _, reason in failed_gates(comparison, [parse_gate(text)])]
        for text in (
            "any.slowdown > 50%",
            "any.slowdown > 20x",
            "results.differ",
            "any.timeouts",
            "queries.failed",
            "queries.slower > 2",
            "queries.slower > 3",
            "queries.faster < 1",
            "queries.unmatched",
        )
    }
    assert told == {
        "any.slowdown > 50%": [
            "any.slowdown > 50%: slower: worse by a factor of 10.0, bad by a factor of 5.0, "
            "late by a factor of 2.0"
        ],
        "any.slowdown > 20x": [],
        "results.differ": ["results.differ: 1 (wrong)"],
        "any.timeouts": ["any.timeouts: 1 (late)"],
        "queries.failed": ["queries.failed: 1 (broken)"],
        "queries.slower > 2": ["queries.slower > 2: 3 (bad, worse, late)"],
        "queries.slower > 3": [],
        "queries.faster < 1": ["queries.faster < 1: 0"],
        "queries.unmatched": ["queries.unmatched: 2 (alone, alone)"],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no condition"),
        ("total.slowdown", "has no limit"),
        ("total.slowdown > five", "is no condition"),
        ("totl.slowdown > 5%", "there is no totl.slowdown"),
        ("total.slowdown < 5%", "says nothing"),
        ("total.speedup > 2", "says nothing"),
        ("total.speedup < 120%", "says nothing"),
        ("queries.slower > 5%", "says nothing"),
        ("total.slowdown > 5", "5 without a unit stands for 500%"),
        ("any.slowdown > 1.5", "1.5 without a unit stands for 150%"),
        ("any.slowdown > 0.5x", "0.5 times as long is no slow-down"),
        ("results.differ < 1", "says nothing"),
        ("queries.failed < 3", "says nothing"),
        ("queries.faster > 3", "says nothing"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        parse_gate(text)
    assert refused.value.hint


def test_the_page_has_every_condition() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "comparing.md").read_text("utf-8")
    for metric in METRICS:
        assert f"`{metric}" in page, metric

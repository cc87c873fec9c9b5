"""The rules of a comparison: what counts, what is matched, what is said."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_run import query, result

from pilotcli.analysis.compare import compare
from pilotcli.analysis.comparison import Comparison, QueryComparison
from pilotcli.analysis.gates import failed_gates, parse_gate
from pilotcli.analysis.result_digest import digest
from pilotcli.analysis.statistics import (
    CONFIDENCE,
    Interval,
    Sample,
    differences,
    geometric_interval,
    signed_rank,
    total_interval,
)
from pilotcli.analysis.verdicts import effect_of, verdict_of
from pilotcli.analysis.wording import training_text
from pilotcli.common.records import STOPPED, QueryResult
from pilotcli.databases.protocols import Row
from pilotcli.storage.journal import Journal


def write(home: Path, results: list[QueryResult], texts: dict[int, str] | None = None) -> None:
    """Write a run with those results; `texts` gives queries another text than `SELECT <seq>`."""
    with (
        Journal.open(home) as journal,
        journal.start_run(
            kind="run", workload="w", config_path=None, config_text="{}", database="x", options={}
        ) as run,
    ):
        for one in results:
            sql = (texts or {}).get(one.seq, f"SELECT {one.seq}")
            run.add_result(query(one.seq, sql=sql), one)
        run.finish("finished", 0, {})


def compared(
    folder: Path,
    a: list[QueryResult],
    b: list[QueryResult],
    texts: dict[int, str] | None = None,
) -> Comparison:
    """Run A compared with the baseline B."""
    write(folder / "a", a, texts)
    write(folder / "b", b, texts)
    with Journal.open(folder / "a") as one, Journal.open(folder / "b") as other:
        return compare(one, None, other, None)


def only(comparison: Comparison) -> QueryComparison:
    (found,) = comparison.queries
    return found


def rounds(elapsed_s: list[float], seq: int = 1, **changes: Any) -> list[QueryResult]:
    """One result a round."""
    return [
        result(seq, round=round, elapsed_s=one, **changes) for round, one in enumerate(elapsed_s, 1)
    ]


def test_a_time_out_counts_twice(tmp_path: Path) -> None:
    a = [result(1, status="timeout", elapsed_s=2.0, error="time-out")]
    found = compared(tmp_path, a, [result(1, elapsed_s=4.0)])
    assert (only(found).a.mean_s, only(found).speedup) == (4.0, pytest.approx(1.0))
    assert found.total.speedup == pytest.approx(1.0)


def test_a_query_takes_what_its_user_waits_for(tmp_path: Path) -> None:
    a = [result(1, elapsed_s=1.0, inference_s=0.5, steering_s=0.25, collection_s=8.0)]
    found = compared(tmp_path, a, [result(1, elapsed_s=1.75)])
    assert only(found).speedup == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.01, "same"), (1.03, "slower"), (0.99, "same"), (0.9, "faster")]
)
def test_next_to_nothing_is_no_difference_however_certain(
    tmp_path: Path, factor: float, verdict: str
) -> None:
    a = [one for seq in range(1, 9) for one in rounds([factor] * 3, seq)]
    b = [one for seq in range(1, 9) for one in rounds([1.0] * 3, seq)]
    found = compared(tmp_path, a, b)
    assert (found.total.verdict, found.geometric.verdict) == (verdict, verdict)


@pytest.mark.parametrize(
    ("rank", "count", "verdict"),
    [(None, 1, "unclear"), (0.5, 1, "unclear"), (0.001, 1, "slower"), (None, 2, "slower")],
)
def test_one_round_needs_wilcoxons_test_too(rank: float | None, count: int, verdict: str) -> None:
    found = effect_of(Interval(0.5, 0.4, 0.6, "made up"), rank, rounds=count)
    assert found.verdict == verdict
    assert found.low == 0.4
    assert found.high == (1.0 if verdict == "unclear" else 0.6)


@given(
    st.lists(st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=4), min_size=8, max_size=30),
    st.floats(-0.3, 0.3),
)
def test_verdict_interval_and_p_value_say_the_same(rounds: list[list[float]], by: float) -> None:
    samples = [
        Sample([1.0] * 4, [math.exp(value + by) for value in logarithms]) for logarithms in rounds
    ]
    for found in differences(samples, paired=True):
        assert found.low is not None and found.high is not None and found.corrected is not None
        outside = not found.low <= 1 <= found.high
        assert outside == (found.corrected < 1 - CONFIDENCE)
        assert not (outside and verdict_of(found) == "unclear")
        assert outside or verdict_of(found) not in ("faster", "slower")
    rank = signed_rank(samples)
    for interval, count in (
        (total_interval(samples, paired=True), 4),
        (geometric_interval(samples), 1),
    ):
        effect = effect_of(interval, rank, rounds=count)
        assert effect.low is not None and effect.high is not None
        outside = not effect.low <= 1 <= effect.high
        assert not (outside and effect.verdict == "unclear")
        assert outside or effect.verdict not in ("faster", "slower")


@pytest.mark.parametrize(
    ("timeouts_a", "timeouts_b", "verdict", "certain"),
    [
        (2, 0, "slower", True),
        (0, 2, "faster", True),
        (2, 2, "unclear", False),
        (3, 1, "unclear", False),
    ],
)
def test_who_mostly_times_out_is_slower(
    tmp_path: Path, timeouts_a: int, timeouts_b: int, verdict: str, certain: bool
) -> None:
    def timed_out(count: int) -> list[QueryResult]:
        ended = rounds([1.0, 1.5, 0.5])
        return [
            one._replace(status="timeout", error="time-out") if one.round <= count else one
            for one in ended
        ]

    found = only(compared(tmp_path, timed_out(timeouts_a), timed_out(timeouts_b)))
    assert (found.verdict, found.certain) == (verdict, certain)


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [("error", "ok", "failed"), ("ok", "error", "mended"), ("error", "error", "unclear")],
)
def test_a_failure_in_one_run(tmp_path: Path, a: str, b: str, verdict: str) -> None:
    ended = [rounds([1.0, 1.0], status=status) for status in (a, b)]
    assert only(compared(tmp_path, *ended)).verdict == verdict


def test_what_the_stop_cancelled_is_no_failure(tmp_path: Path) -> None:
    stopped = result(1, round=2, status="cancelled", error=STOPPED)
    found = only(compared(tmp_path, [result(1), stopped], [result(1)]))
    assert (found.a.executions, found.a.failed) == (1, 0)


def test_queries_of_one_text_are_matched_in_their_order(tmp_path: Path) -> None:
    texts = dict.fromkeys((1, 2, 3), "SELECT 1")
    times = [result(seq, elapsed_s=float(seq)) for seq in (1, 2, 3)]
    found = compared(tmp_path, times, times[:2], texts)
    assert sorted((one.a.seq, one.b.seq) for one in found.queries) == [(1, 1), (2, 2)]
    assert [one.seq for one in found.only_a] == [3]


@pytest.mark.parametrize(
    ("sql", "answers", "verdict"),
    [
        ("SELECT 1", ("x", "x"), "same"),
        ("SELECT 1", ("x", "y"), "different"),
        ("SELECT 1 LIMIT 1", ("1/x", "1/y"), "undetermined"),
        ("SELECT 1", (None, "y"), "same"),
    ],
)
def test_rows_are_the_same_where_they_are_in_each_round(
    tmp_path: Path, sql: str, answers: tuple[str | None, str | None], verdict: str
) -> None:
    a = [result(1, round=round, answer=one) for round, one in enumerate(answers, 1)]
    b = [result(1, round=round, answer=answers[1] and answers[0]) for round in (1, 2)]
    if answers[0] is None:
        b = [result(1, round=1), result(1, round=2, answer="y")]
    assert only(compared(tmp_path, a, b, {1: sql})).answers == verdict


def test_a_gate_on_time_outs_is_about_those_that_the_baseline_has_not(tmp_path: Path) -> None:
    late = [result(seq, status="timeout", error="time-out") for seq in (1, 2)]
    found = compared(tmp_path, late, [late[0], result(2)])
    assert [reason for _, reason in failed_gates(found, [parse_gate("any.timeouts")])] == [
        "any.timeouts: 1 (q2)"
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [((0.0,), (-0.0,)), ((Decimal("1.10"),), (Decimal("1.1"),)), ((0.1 + 0.2,), (0.3,))],
)
def test_equal_values_have_one_digest(one: Row, other: Row) -> None:
    assert digest([one]) == digest([other])


@pytest.mark.parametrize(
    ("factors", "pays_back"),
    [([0.5, 0.5, 0.5], True), ([0.6, 1.6, 0.7], False), ([2.0, 2.0, 2.0], False)],
)
def test_training_pays_back_only_where_the_total_is_faster(
    tmp_path: Path, factors: list[float], pays_back: bool
) -> None:
    a = [one for seq in range(1, 9) for one in rounds(factors, seq)]
    b = [one for seq in range(1, 9) for one in rounds([1.0] * 3, seq)]
    found = compared(tmp_path, a, b)
    assert (found.total.verdict == "faster") == pays_back
    assert (found.payback is not None) == pays_back
    text = training_text(found)
    assert ("pays back after" in text) == pays_back
    if found.total.verdict == "unclear":
        assert text.endswith("whether it pays back is unclear, as the total is")

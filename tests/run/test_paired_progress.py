"""The comparison of a paired run while it runs."""

from __future__ import annotations

import math

import pytest

from pilotcli.common.records import Query, QueryResult
from pilotcli.run.paired_progress import SLOWED_KEPT, SoFar


def add(so_far: SoFar, seq: int, driver_s: float, baseline_s: float, round: int = 1) -> None:
    """Add a pair that ended well in both arms."""
    query = Query(seq, f"q{seq}", "select 1")
    driver, baseline = (
        QueryResult(seq, query.label, "ok", 0.0, elapsed_s, round=round)
        for elapsed_s in (driver_s, baseline_s)
    )
    so_far.add(query, driver, baseline, "same")


def test_the_total_weighs_queries_by_their_time_and_the_mean_does_not() -> None:
    so_far = SoFar()
    add(so_far, 1, driver_s=1.0, baseline_s=4.0)
    add(so_far, 2, driver_s=100.0, baseline_s=100.0)
    found = so_far.compared()
    assert found.speedup == pytest.approx(2.0)
    assert found.total_speedup == pytest.approx(104 / 101)


def test_a_query_that_ran_more_often_counts_once_in_the_total() -> None:
    so_far = SoFar()
    for round in (1, 2, 3):
        add(so_far, 1, driver_s=1.0, baseline_s=4.0, round=round)
    add(so_far, 2, driver_s=4.0, baseline_s=4.0)
    assert so_far.compared().total_speedup == pytest.approx(8 / 5)


def test_without_a_pair_there_is_no_speedup() -> None:
    found = SoFar().compared()
    assert (found.speedup, found.total_speedup, found.slowed) == (None, None, ())


def test_slowed_queries_come_by_lost_time_those_beyond_the_noise_first() -> None:
    so_far = SoFar("lero.yaml")
    for round in range(1, 11):
        noise = 1 + round / 1000
        add(so_far, 1, driver_s=0.2 * noise, baseline_s=0.1, round=round)
        add(so_far, 2, driver_s=0.4 * noise, baseline_s=0.2, round=round)
        add(so_far, 3, driver_s=0.1 * noise, baseline_s=0.3, round=round)
    # Loses more than all of them, in a single round: that may be noise.
    add(so_far, 4, driver_s=30.0, baseline_s=20.0)
    found = so_far.compared()
    assert [(query.label, query.clear) for query in found.slowed] == [
        ("q2", True),
        ("q1", True),
        ("q4", False),
    ]
    q2 = found.slowed[0]
    assert q2.driver_s == pytest.approx(0.4 * 1.0055)
    assert q2.baseline_s == pytest.approx(0.2)
    assert q2.speedup == pytest.approx(
        math.exp(sum(math.log(0.5 / (1 + n / 1000)) for n in range(1, 11)) / 10)
    )
    assert found.against == "lero.yaml"


def test_a_query_that_is_faster_in_the_mean_is_not_slowed() -> None:
    so_far = SoFar()
    for round, (driver_s, baseline_s) in enumerate([(1.0, 0.1), (1.0, 0.9), (1.0, 4.0)], start=1):
        add(so_far, 1, driver_s, baseline_s, round)
    found = so_far.compared()
    assert found.speedup is not None and found.speedup < 1
    assert found.total_speedup is not None and found.total_speedup > 1
    assert found.slowed == ()


def test_only_the_most_slowed_queries_are_kept() -> None:
    so_far = SoFar()
    for seq in range(1, SLOWED_KEPT + 5):
        add(so_far, seq, driver_s=1.0 + seq, baseline_s=1.0)
    slowed = so_far.compared().slowed
    assert [query.seq for query in slowed] == list(range(SLOWED_KEPT + 4, 4, -1))

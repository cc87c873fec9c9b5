"""The figures of a query over its executions, and what handlers have logged for it."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import stdev
from typing import Any

import pytest

from pilotcli.analysis.logged import logged_lines
from pilotcli.analysis.repeats import QueryRepeats, repeats_of
from pilotcli.common.records import QueryResult


def result(elapsed_s: float, round: int = 1, **fields: Any) -> QueryResult:
    known: dict[str, Any] = {"seq": 1, "label": "q", "status": "ok", "started_at": 1e9}
    return QueryResult(
        **{**known, "elapsed_s": elapsed_s, "round": round, "row_count": 4, **fields}
    )


def test_failed_executions_count_and_have_no_time() -> None:
    results = [
        result(9.0, round=0),  # warm-up
        result(1.0),
        result(5.0, seq=7, status="error"),
        result(2.0, round=2, status="timeout"),
        result(6.0, round=3),
        result(0.1, round=4, status="error"),
    ]
    assert repeats_of(results) == {
        1: QueryRepeats(1, "q", 4, 3, 3.0, 2.0, pytest.approx(stdev([1, 2, 6])), 1.0, 6.0),
        7: QueryRepeats(7, "q", 1, 0, None, None, None, None, None),
    }
    assert repeats_of([result(3.0)])[1].deviation_s is None
    assert repeats_of([]) == {}


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        ([{"arm": "hash"}], ["arm: hash"]),
        ([{"arm": "hash"}, {"arm": "nl"}, {"arm": "hash"}], ["arm: hash (2x), nl (1x)"]),
        ([{"predicted_s": 0.5}], ["predicted_s: 500 ms, measured 2.00 s: 4x too low"]),
        ([{"expected_rows": 8}, None], ["expected_rows: 8, measured 4: 2x too high"]),
        ([{"predicted_s": 2.1}], ["predicted_s: 2.10 s, measured 2.00 s"]),
        ([{"predicted_s": 0.0}], ["predicted_s: 0.00 µs, measured 2.00 s"]),
        ([{"predicted_s": None}], ["predicted_s: none"]),
        ([{"sure": True, "n": 1.25}], ["sure: yes", "n: 1.25"]),
        ([{"n": n} for n in range(9)], ["n: 0 to 8, mean 4"]),
        (
            [{"t": t} for t in "abcdef"],
            ["t: a (1x), b (1x), c (1x), d (1x) and 2 other values"],
        ),
        ([{"wait_s": 0.25}, {"wait_s": 0.75}], ["wait_s: 500 ms"]),
        ([None], []),
    ],
)
def test_logged_values_stand_beside_what_came(
    logged: list[Mapping[str, Any] | None], said: list[str]
) -> None:
    assert logged_lines([result(2.0, logged=values) for values in logged]) == said

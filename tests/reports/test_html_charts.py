"""The HTML report's charts: what they draw of much, and text and scales of any kind."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pilotcli.analysis.comparison import Comparison
from pilotcli.common.records import ModelVersion, QueryResult
from pilotcli.reports.html import charts, run_charts
from pilotcli.reports.html.svg import drawn, ratio_ticks, second_ticks, spread, tick_values


def test_charts_say_what_they_leave_out() -> None:
    results = [
        QueryResult(seq, "q", "ok" if seq % 9 else "error", 1e9 + seq, 1e-3 * (seq % 50 + 1), 1)
        for seq in range(1, 5001)
    ]
    slowest = QueryResult(5001, "q", "ok", 1e9 + 5001, 40.0, 1)
    models = [
        ModelVersion(
            *("m", number, Path("m"), 1e9 + number, 9, "0" * 64, "Update", 5),
            metrics={f"metric{name}": number / (name + 1) for name in range(8)},
        )
        for number in range(1, 5)
    ]
    drawing = run_charts.timeline([*results, slowest], [], models)
    assert drawing.left_out == "Left out: 2,446 executions."
    assert drawing.svg.count("<use") < 2_700
    assert ">10 s<" in drawing.svg, "the slowest one is always there"
    drawing_of_metrics = run_charts.metrics(models)
    assert drawing_of_metrics is not None
    assert drawing_of_metrics.left_out == "Left out: 2 metrics."
    assert run_charts.metrics([]) is None


def test_labels_of_any_script_can_be_drawn(comparison: Comparison) -> None:
    labels = ("日本語の質問", "السؤال", "🐘", "$x^2$", "a$b", "\u2028", "x" * 500)
    queries = [
        replace(one, label=label) for one, label in zip(comparison.queries, labels, strict=False)
    ]
    drawing = charts.speedups(queries)
    assert "日本語の質問" in drawing.svg
    assert "$x^2$" in drawing.svg


@pytest.mark.parametrize("most", [5, 15])
@pytest.mark.parametrize(("low", "high"), [(0.7, 1.4), (0.06, 23.0), (0.08, 400.0), (1e-6, 1e7)])
def test_ticks_do_not_run_into_each_other(low: float, high: float, most: int) -> None:
    found: list[float] = []

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        ratio_ticks(axes, low, high, most)
        found.extend(axes.get_xticks())

    drawn(draw, 3.0, 1.0, "ticks")
    assert 1 <= len(found) <= most
    gaps = [math.log(after / one) for one, after in pairwise(found)]
    assert min(gaps, default=9.0) > 0.8 * math.log(high / low) / most


@pytest.mark.parametrize(
    ("low", "high"), [(0.011, 0.016), (0.0021, 0.0088), (1.02, 1.05), (1e-6, 1e4), (0.5, 5.0)]
)
def test_an_axis_of_times_has_texts_also_within_a_decade(low: float, high: float) -> None:
    found = tick_values(low, high, 6)
    assert 2 <= len(found) <= 6
    assert all(low <= tick <= high for tick in found)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        second_ticks(axes.xaxis)

    drawing = drawn(draw, 4.0, 1.0, "times")
    shown = re.findall(r">([\d.]+) ?(?:µs|ms|s|min|h)<", drawing)
    assert len(set(shown)) >= 2


def test_the_labels_of_points_are_not_over_each_other() -> None:
    for places in ([0.5, 0.5, 0.5, 0.5], [0.99, 1.0, 0.2], [0.0, 0.01], [0.4], []):
        moved = spread(places, 0.05)
        in_order = sorted(moved)
        assert all(after - one >= 0.05 - 1e-9 for one, after in pairwise(in_order))
        assert sorted(range(len(places)), key=places.__getitem__) == sorted(
            range(len(places)), key=moved.__getitem__
        )
        assert max(moved, default=0) <= 1.0


@pytest.mark.parametrize("times", [[0.0015], [0.002, 0.002], [0.0]])
def test_a_single_time_is_a_line(times: list[float]) -> None:
    drawing = charts.distributions(times, [])
    (line,) = re.findall(
        r'<path d="([^"]*)" clip-path="[^"]*" style="fill: none; [^"]*--a', drawing.svg
    )
    heights = {point.split()[1] for point in re.findall(r"[ML] ([\d.]+ [\d.]+)", line)}
    assert len(heights) >= 2


@pytest.mark.parametrize("rows", [1.0, 3.4, 55.0, 1e6, 1.23e9])
def test_an_axis_of_rows_has_no_text_twice(rows: float) -> None:
    drawing = run_charts.estimates([(rows, rows)] * 3, [])
    texts = re.findall(r">([\d.,e+]+)</text>", drawing.svg)
    across, up = texts[: len(texts) // 2], texts[len(texts) // 2 :]
    assert across == up
    assert len(set(across)) == len(across) >= 1
    numbers = [float(text.replace(",", "")) for text in across]
    assert all(rows / 2 <= number <= rows * 2 for number in numbers)

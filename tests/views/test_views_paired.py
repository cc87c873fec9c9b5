"""What the views show of a paired run."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest

from pilotcli.common.signals import ComparedSoFar
from pilotcli.views.frame import frame
from pilotcli.views.messages import compared_text
from pilotcli.views.plain import PlainView
from pilotcli.views.state import RunState
from pilotcli.views.text import line_text, width

FOUND = ComparedSoFar(
    queries=20,
    speedup=1.82,
    low=1.5,
    high=2.1,
    faster=12,
    slower=1,
    same=5,
    unclear=2,
    different=1,
    worst="hot\x1b[31m-questions",
    worst_speedup=0.42,
    total_speedup=2.5,
)


def test_the_sum_so_far_is_one_line_with_the_worst_first() -> None:
    assert compared_text(FOUND) == (
        "geometric mean 1.82x (1.5x to 2.1x), replay total 2.5x: "
        "1 with OTHER ROWS, 1 slower, 12 faster, 5 same, 2 unclear"
    )
    nothing = ComparedSoFar(0, None, None, None, 0, 0, 0, 0, 0)
    assert compared_text(nothing) == "nothing to compare yet"


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_live_view_shows_it(make: Any, columns: int) -> None:
    state = RunState()
    state.apply(make.started(total=60, against="native"))
    state.apply(FOUND)
    lines = [line_text(line) for line in frame(state, columns, 24)]
    assert all(width(line) <= columns for line in lines)
    interval = " (1.5x to" if columns >= 80 else ", replay"  # the numbers first
    assert any(line.startswith(f"speed-up geometric mean 1.82x{interval}") for line in lines)
    assert any(line.startswith("worst    hot-questions  0.42x") for line in lines)
    if columns == 120:
        assert "against native" in lines[0]


def test_lines_tell_what_takes_turns(make: Any) -> None:
    text = StringIO()
    with PlainView(text) as view:
        view(make.started(total=60, against="other.yaml"))
    assert "in turns with other.yaml" in text.getvalue()

"""Charts of two runs against each other; what they leave out of large runs, they say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pilotcli.analysis.comparison import QueryComparison, whole_s
from pilotcli.analysis.wording import factor
from pilotcli.common.quantities import count, duration, plural
from pilotcli.reports.html.markup import label
from pilotcli.reports.html.svg import (
    COLOURS,
    HALF,
    LEAST_S,
    POINTS_SHOWN,
    Drawing,
    both,
    diagonal,
    drawn,
    left_out_text,
    legend,
    ratio_ticks,
    second_ticks,
    short,
    some,
)
from pilotcli.reports.html.tables import ROWS_SHOWN, row_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["distributions", "scatter", "speedups"]

BARS_SHOWN = 60
"""Bars of the speed-ups; of more queries, the slowest and the fastest are drawn."""
LABELS_SHOWN = 2


def speedups(queries: Sequence[QueryComparison]) -> Drawing:
    """Sorted bars of the speed-ups with their intervals, on a logarithmic scale."""
    known = sorted((one for one in queries if one.speedup), key=lambda one: (_ratio(one), one.seq))
    notes = []
    if len(known) < len(queries):
        notes.append(f"{plural(len(queries) - len(known), 'query', 'queries')} without a speed-up")
    if len(known) > BARS_SHOWN:
        notes.append(f"{count(len(known) - BARS_SHOWN)} in between")
        known = [*known[: BARS_SHOWN // 2], *known[-BARS_SHOWN // 2 :]]
    values = [_ratio(one) for one in known]
    links = _links(queries)
    # An interval may be wider than all the bars together; it is drawn that far at most.
    low, high = min([*values, 0.8]) / 1.15, max([*values, 1.25]) * 1.15
    low = max(low / 3, min([low, *(one.low / 1.1 for one in known if one.low)]))
    high = min(high * 3, max([high, *(one.high * 1.1 for one in known if one.high)]))

    def draw(figure: Figure, *, narrow: bool) -> None:
        axes = figure.subplots()
        for place, one in enumerate(known):
            colour, value = COLOURS[_kind(one)], _ratio(one)
            bars = axes.barh(place, value - 1, left=1.0, height=0.7, color=colour, alpha=0.75)
            bars[0].set_url(_place(one) if _place(one) in links else None)
            if one.low is not None and one.high is not None:
                ends = [max(one.low, low / 2), min(one.high, high * 2)]
                axes.plot(ends, [place] * 2, color=COLOURS["ink"], lw=0.9, marker="|", ms=4)
        ratio_ticks(axes, low, high, 5 if narrow else 15)
        axes.axvline(1.0, color=COLOURS["ink"], lw=1)
        names = [short(one.label, 18 if narrow else 28) for one in known]
        axes.set_yticks(range(len(known)), names)
        axes.set_ylim(len(known) - 0.4, -0.6)
        axes.set_xlabel("slower  ←  speed-up  →  faster")

    height = 1.1 + 0.19 * max(3, len(known))
    return both(draw, height, height, "Speed-up of each query", notes, links)


def scatter(queries: Sequence[QueryComparison]) -> Drawing:
    """Each query's time in both runs, with the diagonal on which they are equal."""
    timed = [one for one in queries if one.a.mean_s is not None and one.b.mean_s is not None]
    far = sorted(timed, key=_moved)
    ends = [*far[:LABELS_SHOWN], *far[-LABELS_SHOWN:]] if len(far) > 2 * LABELS_SHOWN else far
    chosen, notes = some(timed, "queries", key=lambda one: abs(math.log(_moved(one))))
    links = _links(queries)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for kind, name in (("same", "same or unclear"), ("faster", "faster"), ("slower", "slower")):
            of_kind = [one for one in chosen if _kind(one) == kind]
            if of_kind:
                points = axes.scatter(
                    [_time(one.b) for one in of_kind],
                    [_time(one.a) for one in of_kind],
                    s=18,
                    color=COLOURS[kind],
                    label=name,
                    linewidths=0,
                )
                points.set_urls([_place(one) if _place(one) in links else None for one in of_kind])
        values = [_time(one) for pair in chosen for one in (pair.a, pair.b)]
        diagonal(axes, values)
        second_ticks(axes, "x")
        second_ticks(axes, "y")
        middle = math.sqrt(min(values) * max(values)) if values else 1.0
        for one in ends:
            if 0.5 < _moved(one) < 2:
                continue
            place = (_time(one.b), _time(one.a))
            right = place[0] > middle
            axes.annotate(
                short(one.label, 24),
                place,
                xytext=(-5 if right else 5, 0),
                textcoords="offset points",
                ha="right" if right else "left",
                va="center",
                fontsize=7,
            )
        axes.set_xlabel("baseline")
        axes.set_ylabel("this run")
        legend(axes, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))

    svg = drawn(draw, HALF, HALF, "Time of each query in both runs", links)
    return Drawing(svg, "", left_out_text(notes))


def distributions(a: Sequence[float], b: Sequence[float]) -> Drawing:
    """The share of executions that are done within a time, for each run; `b` may be empty."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for values, colour, name in ((b, "b", "baseline"), (a, "a", "this run")):
            if not values:
                continue
            found = sorted(values)
            step = max(1, len(found) // POINTS_SHOWN)
            places = [*range(0, len(found) - 1, step), len(found) - 1]
            times = [max(found[place], LEAST_S) for place in places]
            shares = [100 * (place + 1) / len(found) for place in places]
            style = "dashed" if colour == "b" else "solid"
            axes.step(
                times, shares, where="post", color=COLOURS[colour], lw=1.6, ls=style, label=name
            )
        axes.set_xscale("log")
        second_ticks(axes, "x")
        axes.set_ylim(0, 101)
        axes.set_ylabel("% of executions done")
        legend(axes, loc="lower right")

    return Drawing(drawn(draw, HALF, HALF, "Distribution of latencies"))


def _links(queries: Sequence[QueryComparison]) -> dict[str, str]:
    """Of the queries that have a row in the page's table: where it is, and what is said of it."""
    return {
        _place(one): f"{label(one.label)}: {factor(one.speedup)}, "
        f"{duration(_time(one.b))} → {duration(_time(one.a))}"
        for one in queries[:ROWS_SHOWN]
        if one.a.mean_s is not None and one.b.mean_s is not None
    }


def _place(one: QueryComparison) -> str:
    return f"#{row_name(one.seq)}"


def _time(one: Any) -> float:
    return max(whole_s(one), LEAST_S)


def _moved(one: QueryComparison) -> float:
    """How many times faster it was measured to be."""
    return _time(one.b) / _time(one.a)


def _ratio(one: QueryComparison) -> float:
    assert one.speedup is not None
    return one.speedup


def _kind(one: QueryComparison) -> str:
    return one.verdict if one.verdict in ("faster", "slower") else "same"

"""Charts of two runs against each other; what they leave out of large runs, they say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pilotcli.analysis.comparison import QueryComparison, QueryTimes, whole_s
from pilotcli.analysis.wording import factor
from pilotcli.common.quantities import count, duration, plural
from pilotcli.reports.html import svg
from pilotcli.reports.html.markup import label
from pilotcli.reports.html.queries import ROWS_SHOWN, row_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS_SHOWN = 60
"""Bars of the speed-ups; of more queries, the slowest and the fastest are drawn."""
LABELS_SHOWN = 2
_LABEL_HEIGHT = 9
"""Points from one line of a label to the next."""


def speedups(queries: Sequence[QueryComparison]) -> svg.Drawing:
    """Sorted bars of the speed-ups with their intervals, on a logarithmic scale."""
    known = sorted(
        (query for query in queries if query.speedup), key=lambda query: (_ratio(query), query.seq)
    )
    notes = []
    if len(known) < len(queries):
        notes.append(f"{plural(len(queries) - len(known), 'query', 'queries')} without a speed-up")
    if len(known) > BARS_SHOWN:
        notes.append(f"{count(len(known) - BARS_SHOWN)} in between")
        known = [*known[: BARS_SHOWN // 2], *known[-BARS_SHOWN // 2 :]]
    values = [_ratio(query) for query in known]
    links = _links(queries)
    # An interval may be wider than all the bars together; it is drawn that far at most.
    low, high = min([*values, 0.8]) / 1.15, max([*values, 1.25]) * 1.15
    low = max(low / 3, min([low, *(query.low / 1.1 for query in known if query.low)]))
    high = min(high * 3, max([high, *(query.high * 1.1 for query in known if query.high)]))

    def draw(figure: Figure, *, narrow: bool) -> None:
        axes = figure.subplots()
        for place, query in enumerate(known):
            colour, value = svg.COLOURS[_kind(query)], _ratio(query)
            bars = axes.barh(place, value - 1, left=1.0, height=0.7, color=colour, alpha=0.75)
            bars[0].set_url(_url(query, links))
            if query.low is not None and query.high is not None:
                ends = [max(query.low, low / 2), min(query.high, high * 2)]
                axes.plot(ends, [place] * 2, color=svg.COLOURS["ink"], lw=0.9, marker="|", ms=4)
        svg.ratio_ticks(axes, low, high, 5 if narrow else 15)
        axes.axvline(1.0, color=svg.COLOURS["ink"], lw=1)
        names = [svg.short(query.label, 18 if narrow else 28) for query in known]
        axes.set_yticks(range(len(known)), names)
        axes.set_ylim(len(known) - 0.4, -0.6)
        axes.set_xlabel("slower  ←  speed-up  →  faster")

    height = 1.1 + 0.19 * max(3, len(known))
    return svg.both(draw, height, height, "Speed-up of each query", notes, links)


def scatter(queries: Sequence[QueryComparison]) -> svg.Drawing:
    """Each query's time in both runs, with the diagonal on which they are equal."""
    timed = [
        query for query in queries if query.a.mean_s is not None and query.b.mean_s is not None
    ]
    far = sorted(timed, key=_moved)
    ends = [*far[:LABELS_SHOWN], *far[-LABELS_SHOWN:]] if len(far) > 2 * LABELS_SHOWN else far
    chosen, notes = svg.some(timed, "queries", key=lambda query: abs(math.log(_moved(query))))
    links = _links(queries)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for kind, name in (("same", "same or unclear"), ("faster", "faster"), ("slower", "slower")):
            of_kind = [query for query in chosen if _kind(query) == kind]
            if of_kind:
                points = axes.scatter(
                    [_time(query.b) for query in of_kind],
                    [_time(query.a) for query in of_kind],
                    s=18,
                    color=svg.COLOURS[kind],
                    label=name,
                    linewidths=0,
                )
                points.set_urls([_url(query, links) for query in of_kind])
        values = [_time(query) for pair in chosen for query in (pair.a, pair.b)]
        svg.diagonal(axes, values)
        svg.second_ticks(axes.xaxis)
        svg.second_ticks(axes.yaxis)
        named = [query for query in ends if not 0.5 < _moved(query) < 2]
        _name_points(axes, named, figure.get_figheight())
        axes.set_xlabel("baseline")
        axes.set_ylabel("this run")
        svg.legend(axes, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))

    return svg.half(draw, "Time of each query in both runs", notes, links=links)


def _name_points(axes: Axes, queries: Sequence[QueryComparison], inches: float) -> None:
    """Write the labels of points beside them, and not over each other; `inches`: the figure's
    height."""
    low, high = map(math.log, axes.get_ylim())
    of_axis = [(math.log(_time(query.a)) - low) / (high - low) for query in queries]
    height = _LABEL_HEIGHT / (0.75 * 72 * inches)
    for query, own, place in zip(queries, of_axis, svg.spread(of_axis, height), strict=True):
        x = _time(query.b)
        is_right = math.log(x) > (low + high) / 2
        axes.annotate(
            svg.short(query.label, 24),
            (x, _time(query.a)),
            xytext=(-5 if is_right else 5, (place - own) * _LABEL_HEIGHT / height),
            textcoords="offset points",
            ha="right" if is_right else "left",
            va="center",
            fontsize=7,
        )


def distributions(a: Sequence[float], b: Sequence[float]) -> svg.Drawing:
    """The share of executions that are done within a time, for each run; `b` may be empty."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for values, colour, name in ((b, "b", "baseline"), (a, "a", "this run")):
            if not values:
                continue
            found = sorted(values)
            step = max(1, len(found) // svg.POINTS_SHOWN)
            places = [*range(0, len(found) - 1, step), len(found) - 1]
            # Each line begins at 0, so that a single time is one, too.
            times = [max(found[place], svg.LEAST_S) for place in (0, *places)]
            shares = [0.0, *(100 * (place + 1) / len(found) for place in places)]
            style = "dashed" if colour == "b" else "solid"
            axes.step(
                times, shares, where="post", color=svg.COLOURS[colour], lw=1.6, ls=style, label=name
            )
        axes.set_xscale("log")
        svg.second_ticks(axes.xaxis)
        axes.set_ylim(0, 101)
        axes.set_ylabel("% of executions done")
        svg.legend(axes, loc="lower right")

    return svg.half(draw, "Distribution of latencies")


def _links(queries: Sequence[QueryComparison]) -> dict[str, str]:
    """For queries with a row in the page's table: where the row is, and the text of its link."""
    return {
        _place(query): f"{label(query.label)}: {factor(query.speedup)}, "
        f"{duration(_time(query.b))} → {duration(_time(query.a))}"
        for query in queries[:ROWS_SHOWN]
        if query.a.mean_s is not None and query.b.mean_s is not None
    }


def _place(query: QueryComparison) -> str:
    return f"#{row_name(query.seq)}"


def _url(query: QueryComparison, links: Mapping[str, str]) -> str | None:
    return _place(query) if _place(query) in links else None


def _time(times: QueryTimes) -> float:
    return max(whole_s(times), svg.LEAST_S)


def _moved(query: QueryComparison) -> float:
    """How many times faster it was measured to be."""
    return _time(query.b) / _time(query.a)


def _ratio(query: QueryComparison) -> float:
    assert query.speedup is not None
    return query.speedup


def _kind(query: QueryComparison) -> str:
    return query.verdict if query.verdict in ("faster", "slower") else "same"

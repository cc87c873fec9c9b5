"""The report's charts; what they leave out of large runs, they say."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pilotcli.analysis.comparison import QueryComparison, whole_s
from pilotcli.quantities import count, plural
from pilotcli.reports.html.svg import (
    COLOURS,
    Drawing,
    diagonal,
    drawn,
    legend,
    ratio_ticks,
    second_ticks,
    short,
)
from pilotcli.storage.journal import FiringRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pilotcli.records import ModelVersion, QueryResult

__all__ = ["distributions", "estimates", "metrics", "scatter", "speedups", "timeline"]

BARS_SHOWN = 60
"""Bars of the speed-ups; of more queries, the slowest and the fastest are drawn."""
POINTS_SHOWN = 2_000
EVENTS_SHOWN = 300
METRICS_SHOWN = 6
LABELS_SHOWN = 2
_NARROW = 3.6
"""Inches of a drawing for a phone: its text has the size of the page's there."""
_HALF = 4.2
"""Of one beside which there is another, which phones show one below the other."""
_LEAST_S = 1e-6
_LINES = ("solid", "dashed", "dotted", "dashdot")


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
    # An interval may be wider than all the bars together; it is drawn that far at most.
    low, high = min([*values, 0.8]) / 1.15, max([*values, 1.25]) * 1.15
    low = max(low / 3, min([low, *(one.low / 1.1 for one in known if one.low)]))
    high = min(high * 3, max([high, *(one.high * 1.1 for one in known if one.high)]))

    def draw(figure: Figure, *, narrow: bool) -> None:
        axes = figure.subplots()
        for place, one in enumerate(known):
            colour, value = COLOURS[_kind(one)], _ratio(one)
            axes.barh(place, value - 1, left=1.0, height=0.7, color=colour, alpha=0.75)
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
    return _both(draw, height, height, "Speed-up of each query", notes)


def scatter(queries: Sequence[QueryComparison]) -> Drawing:
    """Each query's time in both runs, with the diagonal on which they are equal."""
    timed = [one for one in queries if one.a.mean_s is not None and one.b.mean_s is not None]
    far = sorted(timed, key=_moved)
    ends = [*far[:LABELS_SHOWN], *far[-LABELS_SHOWN:]] if len(far) > 2 * LABELS_SHOWN else far
    chosen, notes = _some(timed, "queries", key=lambda one: abs(math.log(_moved(one))))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for kind, name in (("same", "same or unclear"), ("faster", "faster"), ("slower", "slower")):
            of_kind = [one for one in chosen if _kind(one) == kind]
            if of_kind:
                axes.scatter(
                    [_time(one.b) for one in of_kind],
                    [_time(one.a) for one in of_kind],
                    s=18,
                    color=COLOURS[kind],
                    label=name,
                    linewidths=0,
                )
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

    return Drawing(drawn(draw, _HALF, _HALF, "Time of each query in both runs"), "", _told(notes))


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
            times = [max(found[place], _LEAST_S) for place in places]
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

    return Drawing(drawn(draw, _HALF, _HALF, "Distribution of latencies"))


def timeline(
    results: Sequence[QueryResult],
    firings: Sequence[FiringRecord],
    models: Sequence[ModelVersion],
) -> Drawing:
    """Latencies over the run, with events, failures and checkpoints at their places."""
    begin = min(one.started_at for one in results)
    end = max([one.started_at for one in results] + [one.fired_at for one in firings])
    unit, unit_s = _time_unit(end - begin)
    ended, notes = _some([one for one in results if one.ok], "executions", key=_elapsed)
    bad, more = _some([one for one in results if not one.ok], "failed executions", key=_elapsed)
    notes += more
    fired, more = _some([one for one in firings if one.fired_at >= begin], "events", EVENTS_SHOWN)
    notes += more
    early = len(firings) - sum(one.fired_at >= begin for one in firings)
    if early:
        notes.append(f"{plural(early, 'event')} before the first query")
    saved, more = _some([one for one in models if one.created_at >= begin], "models", EVENTS_SHOWN)
    notes += more

    def draw(figure: Figure, *, narrow: bool) -> None:
        axes = figure.subplots()

        def at(seconds: float) -> float:
            return (seconds - begin) / unit_s

        axes.scatter(
            [at(one.started_at) for one in ended],
            [_elapsed(one) for one in ended],
            s=6,
            color=COLOURS["a"],
            linewidths=0,
            alpha=0.6,
            label="query",
        )
        if bad:
            axes.scatter(
                [at(one.started_at) for one in bad],
                [_elapsed(one) for one in bad],
                s=22,
                marker="x",
                linewidths=1,
                color=COLOURS["alarm"],
                label="failed or timed out",
            )
        axes.set_yscale("log")
        second_ticks(axes, "y")
        for name, style, colour, group in _groups(fired):
            axes.vlines(
                [at(one.fired_at) for one in group],
                0,
                1,
                transform=axes.get_xaxis_transform(),
                color=COLOURS[colour],
                linestyles=style,
                lw=0.8,
                alpha=0.8,
                label=short(name, 24),
            )
        if saved:
            axes.scatter(
                [at(one.created_at) for one in saved],
                [0] * len(saved),
                transform=axes.get_xaxis_transform(),
                marker="^",
                s=32,
                linewidths=0,
                color=COLOURS["event"],
                clip_on=False,
                zorder=5,
                label="checkpoint",
            )
        axes.set_xlabel(f"{unit} since the first query")
        legend(axes, ncols=2 if narrow else 6, loc="lower left", bbox_to_anchor=(0, 1))

    return _both(draw, 3.4, 3.6, "The run over time", notes)


def metrics(models: Sequence[ModelVersion]) -> Drawing | None:
    """Each model's metrics from version to version, one below the other; None without any."""
    series: dict[str, list[tuple[int, float]]] = {}
    for one in models:
        for name, value in one.metrics.items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                series.setdefault(f"{one.model}: {name}", []).append((one.version, value))
    if not series:
        return None
    names = sorted(series)[:METRICS_SHOWN]
    left_out = len(series) - len(names)

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        panels: Sequence[Axes] = figure.subplots(len(names), 1, sharex=True, squeeze=False)[
            :, 0
        ].tolist()
        for axes, name in zip(panels, names, strict=True):
            versions, values = zip(*series[name], strict=True)
            marker = "o" if len(values) <= 60 else ""
            axes.plot(versions, values, marker=marker, ms=3.5, lw=1.4, color=COLOURS["a"])
            axes.set_title(short(name, 44), fontsize=9, loc="left")
            if min(values) > 0 and max(values) / min(values) > 20:
                axes.set_yscale("log")
            else:
                axes.yaxis.set_major_locator(MaxNLocator(4))
                axes.margins(y=0.15)
        panels[-1].set_xlabel("version")
        panels[-1].xaxis.set_major_locator(MaxNLocator(8, integer=True))

    height = 0.5 + max(1.3 * len(names), 2.0)
    svg = drawn(draw, _HALF, height, "Metrics of models from version to version")
    return Drawing(svg, "", _told([plural(left_out, "metric")] if left_out else []))


def estimates(a: Sequence[tuple[float, float]], b: Sequence[tuple[float, float]]) -> Drawing:
    """Rows that the planner expected against those that there were, one point a plan's node."""
    drawings = []
    notes: list[str] = []
    for points, colour, marker, name in ((b, "b", "s", "baseline"), (a, "a", "o", "this run")):
        if points:
            chosen, more = _some(points, f"nodes of {name}")
            drawings.append((chosen, colour, marker, name))
            notes += more

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for points, colour, marker, name in drawings:
            axes.scatter(
                [max(1.0, actual) for _, actual in points],
                [max(1.0, estimated) for estimated, _ in points],
                s=12,
                marker=marker,
                color=COLOURS[colour],
                alpha=0.5,
                linewidths=0,
                label=name,
            )
        diagonal(
            axes, [max(1.0, one) for points, *_ in drawings for pair in points for one in pair]
        )
        axes.set_xlabel("actual rows")
        axes.set_ylabel("expected rows")
        legend(axes, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))

    svg = drawn(draw, _HALF, _HALF, "Expected and actual rows of the plans' nodes")
    return Drawing(svg, "", _told(notes))


def _both(
    draw: Callable[..., None], height: float, narrow: float, title: str, notes: Sequence[str]
) -> Drawing:
    """A drawing as wide as the page, and one for a phone."""
    return Drawing(
        drawn(lambda figure: draw(figure, narrow=False), 9.0, height, title),
        drawn(lambda figure: draw(figure, narrow=True), _NARROW, narrow, title),
        _told(notes),
    )


def _some(
    items: Sequence[Any],
    noun: str,
    most: int = POINTS_SHOWN,
    key: Callable[[Any], float] | None = None,
) -> tuple[list[Any], list[str]]:
    """At most `most` of them, in their order, and what is to be said about it: a tenth are those
    with the largest `key`, the others are drawn by lot (each nth one could be the same query)."""
    if len(items) <= most:
        return list(items), []
    places = list(range(len(items)))
    kept: set[int] = set()
    if key is not None:
        kept = set(sorted(places, key=lambda place: -key(items[place]))[: most // 10])
    others = [place for place in places if place not in kept]
    kept.update(random.Random(len(items)).sample(others, most - len(kept)))
    return [items[place] for place in sorted(kept)], [f"{count(len(items) - most)} {noun}"]


def _told(notes: Sequence[str]) -> str:
    return f"Left out: {', '.join(notes)}." if notes else ""


def _groups(
    fired: Sequence[FiringRecord],
) -> list[tuple[str, str, str, list[FiringRecord]]]:
    """The events to draw, by name: name, kind of line, colour."""
    by_name: dict[str, list[FiringRecord]] = {}
    for one in fired:
        if one.outcome != "failed":
            by_name.setdefault(one.event, []).append(one)
    ordered = sorted(by_name.items(), key=lambda named: -len(named[1]))
    last = len(_LINES) - 1
    if len(ordered) > len(_LINES):
        rest = [one for _, group in ordered[last:] for one in group]
        ordered = [*ordered[:last], ("other events", rest)]
    groups = [
        (name, style, "event", group) for (name, group), style in zip(ordered, _LINES, strict=False)
    ]
    failed = [one for one in fired if one.outcome == "failed"]
    return [*groups, ("failed event", "solid", "alarm", failed)] if failed else groups


def _time_unit(span_s: float) -> tuple[str, float]:
    if span_s < 600:
        return "seconds", 1.0
    return ("minutes", 60.0) if span_s < 4 * 3600 else ("hours", 3600.0)


def _elapsed(one: QueryResult) -> float:
    return max(one.elapsed_s, _LEAST_S)


def _time(one: Any) -> float:
    return max(whole_s(one), _LEAST_S)


def _moved(one: QueryComparison) -> float:
    """How many times faster it was measured to be."""
    return _time(one.b) / _time(one.a)


def _ratio(one: QueryComparison) -> float:
    assert one.speedup is not None
    return one.speedup


def _kind(one: QueryComparison) -> str:
    return one.verdict if one.verdict in ("faster", "slower") else "same"

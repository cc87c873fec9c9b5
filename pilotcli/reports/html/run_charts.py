"""Charts of one run; what they leave out of a large one, they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pilotcli.common.quantities import plural
from pilotcli.common.records import ModelVersion, QueryResult
from pilotcli.reports.html import svg
from pilotcli.storage.journal import FiringRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EVENTS_SHOWN = 300
METRICS_SHOWN = 6
_LINES = ("solid", "dashed", "dotted", "dashdot")


def timeline(
    results: Sequence[QueryResult],
    firings: Sequence[FiringRecord],
    models: Sequence[ModelVersion],
) -> svg.Drawing:
    """Latencies over the run, with events, failures and checkpoints at their places."""
    begin = min(result.started_at for result in results)
    end = max([result.started_at for result in results] + [firing.fired_at for firing in firings])
    unit, unit_s = _time_unit(end - begin)
    in_run = [firing for firing in firings if firing.fired_at >= begin]
    kept = [model for model in models if model.created_at >= begin]
    ok, notes = svg.some([result for result in results if result.ok], "executions", key=_elapsed)
    bad, no_bad = svg.some(
        [result for result in results if not result.ok], "failed executions", key=_elapsed
    )
    fired, no_events = svg.some(in_run, "events", EVENTS_SHOWN)
    saved, no_models = svg.some(kept, "models", EVENTS_SHOWN)
    notes += no_bad + no_events
    if early := len(firings) - len(in_run):
        notes.append(f"{plural(early, 'event')} before the first query")
    notes += no_models

    def at(seconds: float) -> float:
        return (seconds - begin) / unit_s

    def draw(figure: Figure, *, narrow: bool) -> None:
        axes = figure.subplots()
        _draw_results(axes, ok, at, s=6, color="a", linewidths=0, alpha=0.6, label="query")
        _draw_results(
            axes, bad, at, s=22, color="alarm", linewidths=1, marker="x",
            label="failed or timed out",
        )  # fmt: skip
        axes.set_yscale("log")
        svg.second_ticks(axes.yaxis)
        _draw_events(axes, fired, at)
        if saved:
            axes.scatter(
                [at(model.created_at) for model in saved],
                [0] * len(saved),
                transform=axes.get_xaxis_transform(),
                marker="^",
                s=32,
                linewidths=0,
                color=svg.COLOURS["event"],
                clip_on=False,
                zorder=5,
                label="checkpoint",
            )
        axes.set_xlabel(f"{unit} since the first query")
        svg.legend(axes, ncols=2 if narrow else 6, loc="lower left", bbox_to_anchor=(0, 1))

    return svg.both(draw, 3.4, 3.6, "The run over time", notes)


def _draw_results(
    axes: Axes,
    results: Sequence[QueryResult],
    at: Callable[[float], float],
    *,
    color: str,
    **style: Any,
) -> None:
    if results:
        starts = [at(result.started_at) for result in results]
        axes.scatter(starts, list(map(_elapsed, results)), color=svg.COLOURS[color], **style)


def _draw_events(axes: Axes, firings: Sequence[FiringRecord], at: Callable[[float], float]) -> None:
    for name, style, colour, group in _groups(firings):
        axes.vlines(
            [at(firing.fired_at) for firing in group],
            0,
            1,
            transform=axes.get_xaxis_transform(),
            color=svg.COLOURS[colour],
            linestyles=style,
            lw=0.8,
            alpha=0.8,
            label=svg.short(name, 24),
        )


def metrics(models: Sequence[ModelVersion]) -> svg.Drawing | None:
    """Each model's metrics from version to version, one below the other; None without any."""
    series: dict[str, list[tuple[int, float]]] = {}
    for version in models:
        for name, value in version.metrics.items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                series.setdefault(f"{version.model}: {name}", []).append((version.version, value))
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
            axes.plot(versions, values, marker=marker, ms=3.5, lw=1.4, color=svg.COLOURS["a"])
            axes.set_title(svg.short(name, 44), fontsize=9, loc="left")
            if min(values) > 0 and max(values) / min(values) > 20:
                axes.set_yscale("log")
            else:
                axes.yaxis.set_major_locator(MaxNLocator(4))
                axes.margins(y=0.15)
        panels[-1].set_xlabel("version")
        panels[-1].xaxis.set_major_locator(MaxNLocator(8, integer=True))

    height = 0.5 + max(1.3 * len(names), 2.0)
    notes = [plural(left_out, "metric")] if left_out else []
    return svg.half(draw, "Metrics of models from version to version", notes, height=height)


def estimates(a: Sequence[tuple[float, float]], b: Sequence[tuple[float, float]]) -> svg.Drawing:
    """Rows that the planner expected against those that there were, one point a plan's node."""
    drawings = []
    notes: list[str] = []
    for points, colour, marker, name in ((b, "b", "s", "baseline"), (a, "a", "o", "this run")):
        if points:
            chosen, more = svg.some(points, f"nodes of {name}")
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
                color=svg.COLOURS[colour],
                alpha=0.5,
                linewidths=0,
                label=name,
            )
        svg.diagonal(
            axes, [max(1.0, rows) for points, *_ in drawings for pair in points for rows in pair]
        )
        for axis in (axes.xaxis, axes.yaxis):
            svg.log_ticks(axis, lambda rows: f"{rows:,.10g}")
        axes.set_xlabel("actual rows")
        axes.set_ylabel("expected rows")
        svg.legend(axes, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))

    return svg.half(draw, "Expected and actual rows of the plans' nodes", notes)


def _groups(
    fired: Sequence[FiringRecord],
) -> list[tuple[str, str, str, list[FiringRecord]]]:
    """The events to draw, by name: name, kind of line, colour."""
    by_name: dict[str, list[FiringRecord]] = {}
    for firing in fired:
        if firing.outcome != "failed":
            by_name.setdefault(firing.event, []).append(firing)
    ordered = sorted(by_name.items(), key=lambda named: -len(named[1]))
    last = len(_LINES) - 1
    if len(ordered) > len(_LINES):
        rest = [firing for _, group in ordered[last:] for firing in group]
        ordered = [*ordered[:last], ("other events", rest)]
    groups = [
        (name, style, "event", group) for (name, group), style in zip(ordered, _LINES, strict=False)
    ]
    failed = [firing for firing in fired if firing.outcome == "failed"]
    return [*groups, ("failed event", "solid", "alarm", failed)] if failed else groups


def _time_unit(span_s: float) -> tuple[str, float]:
    if span_s < 600:
        return "seconds", 1.0
    return ("minutes", 60.0) if span_s < 4 * 3600 else ("hours", 3600.0)


def _elapsed(result: QueryResult) -> float:
    return max(result.elapsed_s, svg.LEAST_S)

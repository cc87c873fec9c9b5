"""The report's charts, as SVG that takes its colours from the page.

matplotlib draws them in colours that stand for the page's (`--ink`, `--a`, ...), whose names are
put in afterwards: so they follow the reader's light or dark mode, and the page needs no script and
no network to show them.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pilotcli.analysis.comparison import QueryComparison, whole_s
from pilotcli.quantities import duration
from pilotcli.storage.journal import FiringRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pilotcli.records import ModelVersion, QueryResult

__all__ = ["distributions", "estimates", "metrics", "scatter", "speedups", "timeline"]

_COLOURS = {
    "ink": "#101112",
    "dim": "#505152",
    "line": "#c0c1c2",
    "a": "#0a71b1",
    "b": "#b0710a",
    "faster": "#0a71b2",
    "slower": "#c1510a",
    "same": "#8a9192",
    "event": "#8a51a1",
    "alarm": "#b1210a",
}
"""What stands for each of the page's colours: none of them is another's."""

BARS_SHOWN = 60
"""Bars of the speed-ups; of more queries, the slowest and the fastest are drawn."""
POINTS_SHOWN = 4_000
LABELS_SHOWN = 2


def speedups(queries: Sequence[QueryComparison]) -> tuple[str, int]:
    """Sorted bars of the speed-ups with their intervals, on a logarithmic scale, and how many
    queries are left out."""
    known = sorted(
        (one for one in queries if one.speedup), key=lambda one: (one.speedup or 0.0, one.seq)
    )
    left_out = max(0, len(known) - BARS_SHOWN)
    if left_out:
        known = [*known[: BARS_SHOWN // 2], *known[-BARS_SHOWN // 2 :]]

    def draw(axes: Axes) -> None:
        for place, one in enumerate(known):
            assert one.speedup is not None
            name = one.verdict if one.verdict in ("faster", "slower") else "same"
            colour = _COLOURS[name]
            width = one.speedup - 1
            axes.barh(place, width, left=1.0, height=0.7, color=colour)
            if one.low is not None and one.high is not None:
                axes.plot([one.low, one.high], [place, place], color=_COLOURS["dim"], lw=0.8)
        axes.set_xscale("log")
        _ratio_ticks(axes, [one.speedup or 1.0 for one in known])
        axes.axvline(1.0, color=_COLOURS["ink"], lw=1)
        axes.set_yticks(range(len(known)), [_short(one.label) for one in known])
        axes.set_ylim(-0.6, len(known) - 0.4)
        axes.invert_yaxis()
        axes.set_xlabel("slower  ←  speed-up  →  faster")

    return _svg(draw, 9.0, 0.9 + 0.19 * max(3, len(known)), "Speed-up of each query"), left_out


def scatter(queries: Sequence[QueryComparison]) -> str:
    """Each query's time in both runs, with the diagonal on which they are equal."""
    timed = [one for one in queries if one.a.mean_s is not None and one.b.mean_s is not None]
    timed = _thinned(timed)

    def draw(axes: Axes) -> None:
        for verdict in ("same", "faster", "slower"):
            chosen = [one for one in timed if _kind(one) == verdict]
            axes.scatter(
                [whole_s(one.b) for one in chosen],
                [whole_s(one.a) for one in chosen],
                s=22,
                color=_COLOURS[verdict],
                label=verdict if verdict != "same" else "same or unclear",
                linewidths=0,
            )
        _diagonal(axes, [whole_s(one) for pair in timed for one in (pair.a, pair.b)])
        _log_axes(axes, seconds=True)
        far = sorted(timed, key=lambda one: whole_s(one.b) / whole_s(one.a))
        ends = [*far[:LABELS_SHOWN], *far[-LABELS_SHOWN:]] if len(far) > 2 * LABELS_SHOWN else far
        for one in ends:
            if _kind(one) == "same":
                continue
            place = (whole_s(one.b), whole_s(one.a))
            axes.annotate(
                _short(one.label), place, xytext=(4, 3), textcoords="offset points", fontsize=7
            )
        axes.set_xlabel("baseline")
        axes.set_ylabel("this run")
        _legend(axes)

    return _svg(draw, 5.2, 4.6, "Time of each query in both runs")


def distributions(a: Sequence[float], b: Sequence[float]) -> str:
    """The share of executions that are done within a time, for each run; `b` may be empty."""

    def draw(axes: Axes) -> None:
        for values, colour, name in ((b, "b", "baseline"), (a, "a", "this run")):
            if not values:
                continue
            found = sorted(values)
            step = max(1, len(found) // POINTS_SHOWN)
            chosen = found[::step]
            shares = [100 * (place * step + 1) / len(found) for place in range(len(chosen))]
            axes.step(chosen, shares, where="post", color=_COLOURS[colour], lw=1.6, label=name)
        axes.set_xscale("log")
        _second_ticks(axes, "x")
        axes.set_ylim(0, 101)
        axes.set_ylabel("% of executions done")
        _legend(axes, loc="lower right")

    return _svg(draw, 5.2, 4.6, "Distribution of latencies")


def timeline(
    results: Sequence[QueryResult],
    firings: Sequence[FiringRecord],
    models: Sequence[ModelVersion],
) -> str:
    """Latencies over the run, with events, failures and checkpoints at their places."""
    begin = min(one.started_at for one in results)

    def draw(axes: Axes) -> None:
        ended = [one for one in results if one.ok]
        ended = _thinned(ended)
        axes.scatter(
            [one.started_at - begin for one in ended],
            [max(one.elapsed_s, 1e-6) for one in ended],
            s=6,
            color=_COLOURS["a"],
            linewidths=0,
            alpha=0.6,
            label="query",
        )
        bad = _thinned([one for one in results if not one.ok])
        if bad:
            axes.scatter(
                [one.started_at - begin for one in bad],
                [max(one.elapsed_s, 1e-6) for one in bad],
                s=26,
                marker="x",
                color=_COLOURS["alarm"],
                label="failed or timed out",
            )
        axes.set_yscale("log")
        _second_ticks(axes, "y")
        fired = [one for one in firings if one.fired_at >= begin]
        for number, one in enumerate(fired[:500]):
            failed = one.outcome == "failed"
            axes.axvline(
                one.fired_at - begin,
                color=_COLOURS["alarm" if failed else "event"],
                lw=0.7,
                alpha=0.7,
                label="event" if number == 0 else None,
            )
        saved = [one.created_at - begin for one in models if one.created_at >= begin]
        if saved:
            low = axes.get_ylim()[0]
            axes.scatter(
                saved,
                [low] * len(saved),
                marker="^",
                s=40,
                color=_COLOURS["event"],
                clip_on=False,
                zorder=5,
                label="checkpoint",
            )
            axes.set_ylim(bottom=low)
        axes.set_xlabel("seconds since the first query")
        _legend(axes, ncols=4, loc="lower right", bbox_to_anchor=(1, 1))

    return _svg(draw, 9.0, 3.4, "The run over time")


def metrics(models: Sequence[ModelVersion]) -> str:
    """Each model's metrics from version to version; empty without any."""
    series: dict[str, list[tuple[int, float]]] = {}
    for one in models:
        for name, value in one.metrics.items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                series.setdefault(f"{one.model}: {name}", []).append((one.version, value))
    if not series:
        return ""
    from matplotlib.ticker import MaxNLocator

    names = sorted(series)[:6]

    def draw(axes: Axes) -> None:
        for place, name in enumerate(names):
            points = series[name]
            axes.plot(
                [version for version, _ in points],
                [value for _, value in points],
                marker="o",
                ms=4,
                lw=1.4,
                ls=("-", "--", ":")[place // 3 % 3],
                color=_COLOURS[("a", "b", "event")[place % 3]],
                label=_short(name, 40),
            )
        values = [value for name in names for _, value in series[name]]
        if min(values) > 0 and max(values) / min(values) > 20:
            axes.set_yscale("log")
        axes.set_xlabel("version")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _legend(axes)

    return _svg(draw, 5.2, 4.0, "Metrics of models from version to version")


def estimates(a: Sequence[tuple[float, float]], b: Sequence[tuple[float, float]]) -> str:
    """Rows that the planner expected against those that there were, one point a plan's node."""

    def draw(axes: Axes) -> None:
        for points, colour, name in ((b, "b", "baseline"), (a, "a", "this run")):
            if not points:
                continue
            chosen = _thinned(points)
            axes.scatter(
                [max(1.0, actual) for _, actual in chosen],
                [max(1.0, estimated) for estimated, _ in chosen],
                s=14,
                color=_COLOURS[colour],
                alpha=0.6,
                linewidths=0,
                label=name,
            )
        _diagonal(axes, [max(1.0, value) for pair in (*a, *b) for value in pair])
        _log_axes(axes, seconds=False)
        axes.set_xlabel("actual rows")
        axes.set_ylabel("expected rows")
        _legend(axes)

    return _svg(draw, 5.2, 4.0, "Expected and actual rows of the plans' nodes")


def _legend(axes: Axes, **options: Any) -> None:
    axes.legend(fontsize=8, frameon=False, labelcolor=_COLOURS["ink"], **options)


def _kind(one: QueryComparison) -> str:
    return one.verdict if one.verdict in ("faster", "slower") else "same"


def _thinned(items: Sequence[Any]) -> list[Any]:
    step = max(1, math.ceil(len(items) / POINTS_SHOWN))
    return list(items[::step])


def _short(label: str, length: int = 28) -> str:
    # A dollar sign would begin a formula.
    bare = "".join(char if char.isprintable() else " " for char in label).replace("$", r"\$")
    return bare if len(bare) <= length else f"{bare[: length - 1]}…"


def _diagonal(axes: Axes, values: Sequence[float]) -> None:
    if values:
        low, high = min(values) * 0.8, max(values) * 1.25
        axes.plot([low, high], [low, high], color=_COLOURS["dim"], lw=0.9, ls="--", zorder=0)


def _log_axes(axes: Axes, *, seconds: bool) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    if seconds:
        _second_ticks(axes, "x")
        _second_ticks(axes, "y")


def _second_ticks(axes: Axes, which: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain_seconds(value)))
    axis.set_minor_formatter(NullFormatter())


def _plain_seconds(value: float) -> str:
    for factor, unit in ((1e6, "µs"), (1e3, "ms"), (1.0, "s")):
        if value * factor < 999.5:
            return f"{value * factor:g} {unit}"
    return duration(value)


def _ratio_ticks(axes: Axes, values: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    low, high = min([*values, 0.8]), max([*values, 1.25])
    wanted = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1, 1.25, 2, 5, 10, 20, 50, 100, 1000, 10_000]
    if high / low > 20:
        wanted = [one for one in wanted if one not in (0.8, 1.25)]
    ticks = [one for one in wanted if low * 0.7 <= one <= high * 1.4]
    axes.set_xlim(low / 1.15, high * 1.15)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels([f"{one:g}x" for one in ticks])


def _svg(draw: Callable[[Axes], None], width: float, height: float, title: str) -> str:
    """A chart of that size in inches (at 100 pixels each), for the middle of a page."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: dict[str, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": title,
        "text.color": _COLOURS["ink"],
        "axes.edgecolor": _COLOURS["line"],
        "axes.labelcolor": _COLOURS["dim"],
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": _COLOURS["line"],
        "grid.linewidth": 0.5,
        "xtick.color": _COLOURS["dim"],
        "ytick.color": _COLOURS["dim"],
        "font.size": 9,
        "path.simplify": True,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        draw(axes)
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _of_the_page(file.getvalue(), title)


def _of_the_page(svg: str, title: str) -> str:
    """The drawing with the page's colours and width, without what a file needs besides."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for name, colour in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    size = re.search(r'viewBox="[^"]*"', svg)
    box = size[0] if size is not None else ""
    head = f'<svg {_NAMES} {box} role="img" aria-label="{title}">'
    return re.sub(r"<svg[^>]*>", head, svg, count=1)


_NAMES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'

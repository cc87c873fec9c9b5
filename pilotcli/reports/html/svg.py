"""Drawings of the report, as SVG that takes its colours from the page.

matplotlib draws in placeholder colours, which the page's own (`--ink`, `--a`, ...) then replace. So
drawings follow the reader's light or dark mode, and the page needs no script and no network to show
them.
"""

from __future__ import annotations

import io
import math
import random
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pilotcli.common.quantities import count, duration
from pilotcli.reports.html.markup import text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

COLOURS = {
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

POINTS_SHOWN = 2_000
_HALF = 4.2
"""Inches of a drawing beside which there is another, which phones show one below the other."""
LEAST_S = 1e-6
"""What counts as the shortest time, on scales that have no place for nothing."""
_NARROW = 3.6
"""Inches of a drawing for a phone: its text has the size of the page's there."""
_NAMES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
_LINK = re.compile(r'<a [^>]*xlink:href="([^"]*)"[^>]*>')
_LONG = re.compile(r"(\.\d\d)\d+")
"""Coordinates are in points: more digits than two are not seen, and make a third of a drawing."""
_DIGITS: tuple[tuple[float, ...], ...] = ((1, 1.25, 2, 5, 8), (1, 2, 5), (1,))
"""Of the ticks of ratios, from many ticks to few."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart: its SVG, the one for a narrow screen where that differs, and what is left out of
    it, in words (empty: nothing)."""

    svg: str
    narrow: str = ""
    left_out: str = ""


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def drawn(
    draw: Callable[[Figure], None],
    width: float,
    height: float,
    title: str,
    links: Mapping[str, str] | None = None,
) -> str:
    """What `draw` puts on a figure of that size in inches, as an `<svg>` as wide as its place.

    `links` has, for places of the page that parts of the drawing lead to, what is said there when
    the reader points at such a part.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: dict[str, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": f"{title} {width}",
        "text.color": COLOURS["ink"],
        "axes.edgecolor": COLOURS["line"],
        "axes.labelcolor": COLOURS["dim"],
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": COLOURS["line"],
        "grid.linewidth": 0.5,
        "xtick.color": COLOURS["dim"],
        "ytick.color": COLOURS["dim"],
        "font.size": 9,
        "path.simplify": True,
    }
    with mpl.rc_context(style), warnings.catch_warnings():
        # Its font measures the text only: the reader's own fonts show it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        figure.patch.set_alpha(0)
        for axes in figure.axes:
            axes.patch.set_alpha(0)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _of_the_page(file.getvalue(), title, links or {})


def _of_the_page(svg: str, title: str, links: Mapping[str, str]) -> str:
    """The drawing with the page's colours and width, without what a file needs besides."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    # Names that nothing refers to would be there once in every drawing of the page.
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = re.sub(r' (?:x|y|d)="[^"]*"', lambda found: _LONG.sub(r"\1", found[0]), svg)
    # Not by the keyboard: the table, where they lead, can be reached with it.
    svg = _LINK.sub(
        lambda found: (
            f'<a href="{found[1]}" tabindex="-1"><title>{text(links.get(found[1], ""))}</title>'
        ),
        svg,
    )
    size = re.search(r'viewBox="[^"]*"', svg)
    box = size[0] if size is not None else ""
    head = f'<svg {_NAMES} {box} role="img" aria-label="{title}">'
    return re.sub(r"<svg[^>]*>", head, svg, count=1)


def half(
    draw: Callable[[Figure], None],
    title: str,
    notes: Sequence[str] = (),
    *,
    height: float = _HALF,
    links: Mapping[str, str] | None = None,
) -> Drawing:
    """A drawing beside which there is another."""
    return Drawing(drawn(draw, _HALF, height, title, links), left_out=_left_out_text(notes))


def both(
    draw: Callable[..., None],
    height: float,
    narrow: float,
    title: str,
    notes: Sequence[str],
    links: Mapping[str, str] | None = None,
) -> Drawing:
    """A drawing as wide as the page, and one for a phone."""
    return Drawing(
        drawn(lambda figure: draw(figure, narrow=False), 9.0, height, title, links),
        drawn(lambda figure: draw(figure, narrow=True), _NARROW, narrow, title, links),
        _left_out_text(notes),
    )


def some(
    items: Sequence[Any],
    noun: str,
    most: int = POINTS_SHOWN,
    key: Callable[[Any], float] | None = None,
) -> tuple[list[Any], list[str]]:
    """At most `most` of the items, in their order, and a note on how many are left out. A tenth are
    those with the largest `key`, the others are chosen at random (each nth could be one query)."""
    if len(items) <= most:
        return list(items), []
    places = list(range(len(items)))
    kept: set[int] = set()
    if key is not None:
        kept = set(sorted(places, key=lambda place: -key(items[place]))[: most // 10])
    others = [place for place in places if place not in kept]
    kept.update(random.Random(len(items)).sample(others, most - len(kept)))
    return [items[place] for place in sorted(kept)], [f"{count(len(items) - most)} {noun}"]


def _left_out_text(notes: Sequence[str]) -> str:
    """What a drawing leaves out, as a sentence; empty for nothing."""
    return f"Left out: {', '.join(notes)}." if notes else ""


def legend(axes: Axes, **options: Any) -> None:
    """A legend of what has a label, without a frame."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False, labelcolor=COLOURS["ink"], **options)


def short(label: str, length: int = 28) -> str:
    """`label` as one line of at most `length` characters, as matplotlib takes text."""
    bare = "".join(char if char.isprintable() else " " for char in label)
    bare = bare if len(bare) <= length else f"{bare[: length - 1]}…"
    return bare.replace("$", r"\$")  # which would begin a formula


def diagonal(axes: Axes, values: Sequence[float]) -> None:
    """Both axes logarithmic, alike and around `values`, with the line on which they are equal."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    if values:
        low, high = min(values) / 1.5, max(values) * 1.5
        axes.plot([low, high], [low, high], color=COLOURS["dim"], lw=0.9, ls="--", zorder=0)
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
    axes.set_aspect("equal")


def log_ticks(axis: Axis, text: Callable[[float], str]) -> None:
    """Ticks of a logarithmic axis with their texts, also where all lies within a decade."""
    from matplotlib.ticker import FuncFormatter, Locator, NullFormatter, NullLocator

    class Ticks(Locator):
        def __call__(self) -> list[float]:
            low, high = sorted(self.axis.get_view_interval()) if self.axis else (1.0, 10.0)
            return tick_values(low, high, 6)

    axis.set_major_locator(Ticks())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def second_ticks(axis: Axis) -> None:
    """Ticks of a logarithmic axis of seconds, in units that suit."""
    log_ticks(axis, _plain_seconds)


def tick_values(low: float, high: float, most: int) -> list[float]:
    """Ticks of a logarithmic scale from `low` to `high`, `most` at most, and at least two: where
    round numbers are too far apart, evenly spaced ones."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    wide = math.log(high / low) / most  # what a tick's text needs
    ticks: list[float] = []
    for digits in _DIGITS:
        found = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
        ticks = [tick for tick in found if low <= tick <= high]
        if all(math.log(after / tick) >= wide for tick, after in pairwise(ticks)):
            break
    if len(ticks) < 2:
        from matplotlib.ticker import MaxNLocator

        even = MaxNLocator(min(most, 4)).tick_values(low, high)
        return [float(tick) for tick in even if low <= tick <= high]
    return ticks[:: max(1, math.ceil(len(ticks) / most))]


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Moves places on a side of length 1 apart, so that each two are at least `gap` from each
    other and in the same order."""
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = list(places)
    for before, at in pairwise(order):
        moved[at] = max(moved[at], moved[before] + gap)
    if order:
        moved[order[-1]] = min(moved[order[-1]], 1.0)
    for at, after in reversed(list(pairwise(order))):
        moved[at] = min(moved[at], moved[after] - gap)
    return moved


def _plain_seconds(value: float) -> str:
    for factor, unit in ((1e6, "µs"), (1e3, "ms"), (1.0, "s")):
        if value * factor < 999.5:
            return f"{value * factor:g} {unit}"
    return duration(value)


def ratio_ticks(axes: Axes, low: float, high: float, most: int) -> None:
    """A logarithmic x axis of factors from `low` to `high`, with `most` ticks at most, at its
    lower and its upper edge."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    ticks = tick_values(low, high, most)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels([f"{tick:,g}x" for tick in ticks])
    axes.tick_params(axis="x", top=True, labeltop=True)

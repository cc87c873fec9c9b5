"""Charts of text: bars of speed-ups, and a run over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.wording import factor
from pilotcli.common.quantities import MISSING, count, duration, plural
from pilotcli.storage.journal import FiringRecord, TimelinePart
from pilotcli.views.recent import MOST_PARTS, Part
from pilotcli.views.text import Line, clean, clip, width

PARTS = 50
"""Columns of a timeline."""
BARS_SHOWN = 20
_LABEL = 26
_NAME = 8
"""Columns of the name of a row over time."""
_LEVELS = "▁▂▃▄▅▆▇█"
_STYLES = {"faster": "cyan", "slower": "yellow"}


def speedup_bars(comparison: Comparison, columns: int) -> list[Line]:
    """The queries' speed-ups as bars on a logarithmic scale, slowest first: to the left of the
    middle those that are slower. Of many, the slowest and the fastest."""
    known = sorted(
        (query for query in comparison.queries if query.speedup),
        key=lambda query: (query.speedup or 0.0, query.seq),
    )
    if not known:
        return []
    left_out = max(0, len(known) - BARS_SHOWN)
    shown = known
    if left_out:
        shown = [*known[: BARS_SHOWN // 2], *known[-BARS_SHOWN // 2 :]]
    room = max(4, (min(columns, 120) - _LABEL - 12) // 2)
    furthest = max(max(abs(math.log(query.speedup or 1.0)) for query in shown), math.log(1.25))
    lines: list[Line] = []
    for place, query in enumerate(shown):
        if left_out and place == BARS_SHOWN // 2:
            lines.append([(f"… {count(left_out)} in between", "dim")])
        speedup = query.speedup or 1.0
        length = round(abs(math.log(speedup)) / furthest * room)
        bar = "█" * length
        left = bar.rjust(room) if speedup < 1 else " " * room
        right = bar.ljust(room) if speedup >= 1 else " " * room
        label = clip(clean(query.label), _LABEL)
        style = _STYLES.get(query.verdict, "dim")
        lines.append(
            [
                (label + " " * (_LABEL - width(label) + 1), ""),
                (left, style),
                ("│", "dim"),
                (right, style),
                (f" {factor(speedup)}", style if query.verdict in _STYLES else ""),
            ]
        )
    return lines


def timeline(
    parts: Sequence[TimelinePart], firings: Sequence[FiringRecord], saved_after: Sequence[int]
) -> list[Line]:
    """A run over time: latencies in parts of equal numbers of queries, with events, checkpoints
    and failures below them. `saved_after` counts the queries before each checkpoint."""
    if not parts:
        return []
    total = sum(part.results for part in parts)
    means, worst = [part.mean_s for part in parts], [part.max_s for part in parts]
    lines = _latencies(worst, [("mean", means)])
    if firings:
        marks = _marks(
            len(parts),
            total,
            [(firing.after_query, firing.outcome == "failed") for firing in firings],
        )
        failed = sum(firing.outcome == "failed" for firing in firings)
        lines.append(_row("events", marks, _firings_text(len(firings), failed), "cyan"))
    if saved_after:
        marks = _marks(len(parts), total, [(after, False) for after in saved_after], "↑")
        lines.append(_row("models", marks, plural(len(saved_after), "version"), "cyan"))
    bad = sum(part.failed for part in parts)
    if bad:
        marks = "".join("✗" if part.failed else " " for part in parts)
        lines.append(_row("failed", marks, plural(bad, "query", "queries"), "red"))
    return lines


def trend_chart(parts: Sequence[Part], arms: Mapping[str, str]) -> list[Line]:
    """A run over time while it runs: latencies of the driver and the means of other `arms` (each
    with the name to show), and below them the firings of events and the saved models. Lines keep
    their places as it grows."""
    parts = [part for part in parts if part.results]
    if not parts:
        return []
    means = [("mean", [part.mean_s for part in parts])]
    for arm, name in arms.items():
        means.append((clip(name, _NAME), [part.mean_of(arm) for part in parts]))
    lines = _latencies([part.max_s for part in parts], means)
    firings, failures = (
        sum(part.firings for part in parts),
        sum(part.failures for part in parts),
    )
    marks = "".join("✗" if part.failures else "│" if part.firings else " " for part in parts)
    lines.append(_row("events", marks, _firings_text(firings, failures), "cyan"))
    saves = sum(part.saves for part in parts)
    marks = "".join("↑" if part.saves else " " for part in parts)
    lines.append(_row("models", marks, plural(saves, "version"), "cyan"))
    return [
        [name, (marks.ljust(MOST_PARTS), style), details] for name, (marks, style), details in lines
    ]


def _latencies(
    worst: Sequence[float], means: Sequence[tuple[str, Sequence[float | None]]]
) -> list[Line]:
    """A line of the slowest queries, and one for each row of means, with its name, all on one
    scale."""
    known = [[mean for mean in row if mean is not None] for _, row in means]
    everything = [*worst, *(mean for row in known for mean in row)]
    low, high = min(everything), max(everything)
    lines = [_row("worst", _spark(worst, low, high), f"up to {duration(max(worst))}")]
    for (name, row), found in zip(means, known, strict=True):
        details = f"{duration(min(found))} to {duration(max(found))}" if found else MISSING
        lines.append(_row(name, _spark(row, low, high), details))
    return lines


def _row(name: str, marks: str, details: str, style: str = "") -> Line:
    padding = " " * (_NAME - width(name) + 1)
    return [(name + padding, "dim"), (marks, style), (f"  {details}", "dim")]


def _firings_text(firings: int, failed: int) -> str:
    return plural(firings, "firing") + (f", {count(failed)} failed" if failed else "")


def _spark(values: Sequence[float | None], low: float, high: float) -> str:
    """One character per value, on a logarithmic scale from `low` to `high`."""
    least, span = math.log(max(low, 1e-9)), math.log(max(high, 1e-9) / max(low, 1e-9))
    chosen = []
    for value in values:
        if value is None:
            chosen.append(" ")
            continue
        share = (math.log(max(value, 1e-9)) - least) / span if span else 0.0
        chosen.append(_LEVELS[round(min(1.0, max(0.0, share)) * (len(_LEVELS) - 1))])
    return "".join(chosen)


def _marks(parts: int, total: int, places: Sequence[tuple[int, bool]], mark: str = "│") -> str:
    """A mark at each place (queries so far, whether it failed)."""
    row = [" "] * parts
    for after, failed in places:
        at = min(parts - 1, max(0, (after - 1) * parts // max(1, total)))
        if failed or row[at] == " ":
            row[at] = "✗" if failed else mark
    return "".join(row)

"""The tables and the chart below the head of the live view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath

from pilotcli.analysis.wording import factor
from pilotcli.common.quantities import MISSING, count, duration, size
from pilotcli.views.charts import trend_chart
from pilotcli.views.layout import Column, table
from pilotcli.views.messages import metric_text
from pilotcli.views.progress import UNMEASURED
from pilotcli.views.recent import RecentQuery
from pilotcli.views.rows import EventRow, ModelRow
from pilotcli.views.state import RunState
from pilotcli.views.text import Line, clean, clip, joined, width

LONGEST_NAME = 24
"""Columns up to which the name of a model or an event is not cut: other columns go first."""
LONGEST_LABEL = 32
LONGEST_ARM = 12
NOTICEABLE = 1.1
"""A speed-up of a single execution beyond which it is coloured."""

_EVENT_COLUMNS = (
    Column("event", least=14, flexible=True),
    Column("fired", least=5, right=True),
    Column("last after", least=10, right=True, drop=2),
    Column("last took", least=10, right=True, drop=1),
    Column("took in all", least=11, right=True, drop=3),
    Column("failed", least=6, right=True),
)


def events(state: RunState, columns: int) -> list[Line]:
    """The events, in the config's order; empty without any."""
    now = state.clock()
    rows = [_event_cells(row, now) for row in state.events.values()]
    return table(_EVENT_COLUMNS, rows, columns) if rows else []


def events_by_interest(state: RunState) -> list[int]:
    """The places of the events: what runs first, what never fires last."""
    rows = list(state.events.values())

    def interest(place: int) -> tuple[bool, bool]:
        row = rows[place]
        return row.running_since is None, row.fires.startswith("never") and not row.fired

    return sorted(range(len(rows)), key=interest)


def _event_cells(row: EventRow, now: float) -> list[tuple[str, str]]:
    running = row.running_since is not None
    took = duration(row.last_s)
    if row.running_since is not None:
        took = f"{duration(now - row.running_since)} …"
    return [
        (("▶ " if running else "  ") + clean(row.name), "cyan" if running else ""),
        (count(row.fired), ""),
        (count(row.last_after), ""),
        (took, "cyan" if running else ""),
        (duration(row.total_s) if row.total_s else MISSING, ""),
        (count(row.failed), "bold red" if row.failed else ""),
    ]


def models(state: RunState, columns: int) -> list[Line]:
    """The models; empty without any."""
    now = state.wall()
    rows = [_model_cells(row, now) for row in state.models.values()]
    return table(_model_columns(state), rows, columns) if rows else []


def saved_text(saved_at: float | None, now: float) -> str:
    """When a model was saved, both in seconds since the epoch: ago, at which time, or on which
    day."""
    if saved_at is None:
        return MISSING
    ago = now - saved_at
    if -1 <= ago < 60:
        return f"{max(0, int(ago))} s ago"
    try:
        moment = datetime.fromtimestamp(saved_at)
    except (ValueError, OverflowError, OSError):
        return MISSING
    return f"{moment:%H:%M:%S}" if abs(ago) < 86_400 else f"{moment:%Y-%m-%d}"


def _model_columns(state: RunState) -> Sequence[Column]:
    """The columns with the widths that the names will need: nothing moves at the first save."""
    longest = max([0, *(width(clean(name)) for name in state.models)])
    events = max([0, *(width(clean(name)) for name in state.events)])
    return (
        Column("model", least=min(longest, LONGEST_NAME) + 2, flexible=True),
        Column("version", least=7, right=True),
        Column("saved", least=10, right=True, drop=1),
        Column("size", least=7, right=True, drop=3),
        Column("by", least=min(events, LONGEST_NAME), flexible=True, drop=4),
        Column("metric", least=22, flexible=True, drop=2),
    )


def _model_cells(row: ModelRow, now: float) -> list[tuple[str, str]]:
    return [
        ("  " + clean(row.name), ""),
        (f"v{row.version}" if row.version is not None else MISSING, "bold"),
        (saved_text(row.saved_at, now), ""),
        (size(row.size_bytes), ""),
        (clean(row.event) if row.event else MISSING, ""),
        (metric_text(row) or MISSING, ""),
    ]


def latencies(state: RunState) -> list[Line]:
    """Latencies over time, below a title; empty before the first query."""
    chart = trend_chart(state.trend.parts, arm_names(state.compared))
    return [[("latency over time", "dim")], *chart] if chart else []


def arm_names(arms: Iterable[str]) -> dict[str, str]:
    """A short name for each arm: a config's file without folder and ending, where no other one has
    the same."""
    short = {arm: _short(arm) for arm in arms}
    found = list(short.values())
    return {arm: name if found.count(name) == 1 else clean(arm) for arm, name in short.items()}


def _short(arm: str) -> str:
    name = clean(arm)
    return PurePath(name).stem if name.endswith((".yaml", ".yml")) else name


def slowed(state: RunState, columns: int, rows: int) -> list[Line]:
    """The queries that the driver has slowed, in a table of `rows` lines: as many as that, so that
    nothing below it moves. Empty unless something is compared."""
    if not state.compared or rows < 2:
        return []
    names = arm_names(state.compared)
    several = len(names) > 1
    found = [
        (query, names[against])
        for against, compared in state.compared.items()
        for query in compared.slowed
    ]
    found.sort(key=lambda one: (one[0].clear, one[0].driver_s - one[0].baseline_s), reverse=True)
    cells = [
        [
            ("  " + clean(query.label), ""),
            *([(name, "")] if several else []),
            (duration(query.driver_s), ""),
            (duration(query.baseline_s), ""),
            (factor(query.speedup), "yellow" if query.clear else ""),
            ("slower" if query.clear else "unclear", "yellow" if query.clear else "dim"),
        ]
        for query, name in found[: rows - 1]
    ]
    shown = (
        Column("slowed by the driver", least=_label_columns(state), flexible=True),
        *([Column("against", least=9, flexible=True)] if several else []),
        Column("driver", least=8, right=True, drop=2),
        Column("baseline", least=8, right=True, drop=3),
        Column("speed-up", least=8, right=True),
        Column("verdict", least=7, drop=1),
    )
    lines = table(shown, cells, columns)
    if not cells:
        lines.append([("  none so far", "dim")])
    return [*lines, *([] for _ in range(rows - len(lines)))]


def last_queries(state: RunState, columns: int, rows: int) -> list[Line]:
    """The last queries in at most `rows` lines, the newest first; empty before the first one."""
    found = list(state.recent)[: rows - 1] if rows > 1 else []
    if not found:
        return []
    names = arm_names(state.compared)
    shown = (
        Column("last queries", least=_label_columns(state), flexible=True),
        Column("driver" if names else "time", least=8, right=True),
        *(column for name in names.values() for column in _pair_columns(name, len(names) > 1)),
        Column("status", least=18 if state.progress.phase is not None else 7, drop=1),
    )
    return table(shown, [_query_cells(query, names) for query in found], columns)


def _pair_columns(name: str, several: bool) -> tuple[Column, Column]:
    """The time with a baseline, and the speed-up to it: where there are several baselines and no
    room for all, the times go first."""
    name = clip(name, LONGEST_ARM)
    speedup = f"to {name}" if several else "speed-up"
    times = Column(name, least=8, right=True, drop=4)
    return times, Column(speedup, least=8, right=True, drop=3 if several else 2)


def _label_columns(state: RunState) -> int:
    """The width for labels: that of the longest one so far, so that the table does not move with
    each query."""
    return min(max(20, state.longest_label), LONGEST_LABEL) + 2


def _query_cells(query: RecentQuery, names: Mapping[str, str]) -> list[tuple[str, str]]:
    cells = [("  " + clean(query.label), ""), (duration(query.elapsed_s), "")]
    for arm in names:
        baseline_s = query.baselines.get(arm)
        speedup = None
        if baseline_s is not None and query.elapsed_s:
            speedup = baseline_s / query.elapsed_s
        style = ""
        if speedup is not None and not 1 / NOTICEABLE < speedup < NOTICEABLE:
            style = "cyan" if speedup > 1 else "yellow"
        cells += [(duration(baseline_s), ""), (factor(speedup), style)]
    return [*cells, _status(query, names)]


def _status(query: RecentQuery, names: Mapping[str, str]) -> tuple[str, str]:
    """How the query ended, and in which phase, where its time is not part of the result."""
    phase = query.phase if query.phase in UNMEASURED or query.phase == "learning" else None
    ended = "" if query.status == "ok" and phase is not None else query.status.replace("_", " ")
    arm = "" if query.arm is None else names.get(query.arm) or _short(query.arm)
    style = {"ok": "dim", "timeout": "yellow", "cancelled": "yellow"}.get(query.status, "red")
    return joined([phase or "", arm, ended]), style

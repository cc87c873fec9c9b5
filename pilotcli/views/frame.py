"""One frame of the live view, as lines that fit the given columns and rows.

Lines keep their places from frame to frame, so that nothing jumps; where the terminal is too low,
first the tables lose rows and then the least important lines go.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pilotcli.analysis.wording import factor
from pilotcli.common.quantities import MISSING, clock_time, count, duration, plural, rate, size
from pilotcli.views.layout import Column, bar, table
from pilotcli.views.messages import collected_text, compared_text, metric_text
from pilotcli.views.state import EventRow, ModelRow, RunState
from pilotcli.views.text import Line, clean, clip_line, joined, width

LABELS_SHOWN = 3
LONGEST_NAME = 24
"""Columns up to which the name of a model or an event is not cut: other columns go first."""
WIDEST = 120
"""Columns beyond which a frame does not grow: a longer bar says no more."""

_EVENT_COLUMNS = (
    Column("event", least=14, flexible=True),
    Column("fired", least=5, right=True),
    Column("last after", least=10, right=True, drop=2),
    Column("took", least=10, right=True, drop=1),
    Column("failed", least=6, right=True),
)


def frame(state: RunState, columns: int, rows: int) -> list[Line]:
    """What the live view shows now, in at most `rows` lines of at most `columns` columns."""
    columns = max(1, min(columns, WIDEST))
    rows = max(1, rows)
    head = _kept(_head(state, columns), rows)
    wanted = list(range(len(state.models)))
    tables = ((_events(state, columns), _by_interest(state)), (_models(state, columns), wanted))
    sections = [(lines, order) for lines, order in tables if lines]
    lines = [*head, *_fit(sections, rows - len(head))]
    return [clip_line(line, columns) for line in lines[:rows]]


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


def _head(state: RunState, columns: int) -> list[tuple[int, Line]]:
    """The lines above the tables in their order, each with how soon it may go (high: first)."""
    now = state.clock()
    lines = [(1, _title(state))]
    with_queries = state.run is not None and (state.total != 0 or state.done > 0)
    if with_queries:
        lines.append((0, _progress(state, columns)))
        lines.append((3, _speed(state, now)))
    lines.extend((2, line) for line in _pretraining(state, now))
    lines.append((2, _current(state, now)))
    if with_queries:
        lines.extend((2, line) for line in _compared(state))
        lines.append((4, _latency(state)))
        lines.append((5, _failures(state)))
    return lines


def _kept(lines: Sequence[tuple[int, Line]], rows: int) -> list[Line]:
    by_weight = sorted(range(len(lines)), key=lambda place: (lines[place][0], place))
    kept = set(by_weight[:rows])
    return [line for place, (_, line) in enumerate(lines) if place in kept]


def _title(state: RunState) -> Line:
    run = state.run
    workload = clean(run.workload) if run is not None else "pilot"
    parts = []
    if run is not None:  # the database comes last: a narrow terminal cuts it
        parts.append(f"run {run.run_id}")
        if run.workers > 1:
            parts.append(plural(run.workers, "worker"))
        if run.against is not None:
            parts.append(f"against {clean(run.against)}")
    if state.database:
        parts.append(clean(state.database))
    details = joined(parts, " · ")
    return [(workload, "bold"), (f" · {details}" if details else "", "dim")]


def _progress(state: RunState, columns: int) -> Line:
    total = state.total
    if total is None:
        return [(plural(state.done, "query", "queries"), "bold")]
    share = min(1.0, state.done / total) if total > 0 else 0.0
    of = count(total)
    numbers = f"  {count(state.done).rjust(len(of))}/{of} {int(share * 100):3d} %"
    return [*bar(share, max(0, columns - width(numbers))), (numbers, "")]


def _speed(state: RunState, now: float) -> Line:
    total, speed = state.total, state.speed.measure(now, state.done)
    left = MISSING
    if total and state.done and state.first_query is not None and now > state.first_query:
        each_s = (now - state.first_query) / state.done
        left = clock_time(max(0, total - state.done) * each_s)
    parts = [f"{rate(speed):>6} queries/s", f"elapsed {clock_time(state.elapsed_s())}"]
    if total is not None:
        parts.append(f"left {left}")
    if state.warmup:
        parts.append(f"warm-up {count(state.warmup)}")
    return [("   ".join(parts), "")]


def _current(state: RunState, now: float) -> Line:
    """What runs now: an event, queries, or what the start waits for."""
    for event in state.events.values():
        if event.running_since is not None:
            spent = duration(now - event.running_since)
            return [("event    ", "dim"), (clean(event.name), "cyan"), (f"  {spent}", "dim")]
    running = [entry for entry in list(state.running.values()) if entry is not None]
    if running:
        labels = [clean(label) for label, _ in running[:LABELS_SHOWN]]
        more = f" +{len(running) - LABELS_SHOWN}" if len(running) > LABELS_SHOWN else ""
        longest = max(now - since for _, since in running)
        spent = f"  {duration(longest)}" if longest >= 1 else ""
        return [("query    ", "dim"), (", ".join(labels) + more, "cyan"), (spent, "dim")]
    if state.step is not None:
        text, since = state.step
        return [(clean(text), "cyan"), (f"  {duration(now - since)}", "dim")]
    if state.last_label is not None:
        return [("query    ", "dim"), (clean(state.last_label), "cyan")]
    return [("getting ready", "dim")]


def _compared(state: RunState) -> list[Line]:
    """How the driver does against its baseline so far, and which query it slowed most."""
    found = state.compared
    if found is None:
        return []
    style = "bold red" if found.different else "bold"
    lines: list[Line] = [[("speed-up ", "dim"), (compared_text(found), style)]]
    if found.worst is not None and found.worst_speedup is not None and found.worst_speedup < 1:
        worst = f"{clean(found.worst)}  {factor(found.worst_speedup)}"
        lines.append([("worst    ", "dim"), (worst, "yellow")])
    return lines


def _latency(state: RunState) -> Line:
    line: Line = [("latency", "dim")]
    values = state.latencies.percentiles(0.5, 0.95, 0.99)
    for name, value in zip(("p50", "p95", "p99"), values, strict=True):
        line += [(f"  {name} ", "dim"), (duration(value).ljust(10), "")]
    return line


def _failures(state: RunState) -> Line:
    failed, timeouts = state.failed, state.statuses["timeout"]
    line: Line = [
        ("failed   ", "dim"),
        (count(failed), "bold red" if failed else ""),
        ("   timed out ", "dim"),
        (count(timeouts), "bold yellow" if timeouts else ""),
    ]
    cancelled = state.statuses["cancelled"]
    if cancelled:
        line += [("   cancelled ", "dim"), (count(cancelled), "bold yellow")]
    return line


def _pretraining(state: RunState, now: float) -> list[Line]:
    """One line for each pretraining that is at work."""
    lines: list[Line] = []
    for row in state.pretraining.values():
        event = state.events.get(row.event)
        if event is None or event.running_since is None:
            continue
        if row.training_since is not None:
            training = f"{clean(row.model)} on {plural(row.total_rows, 'row')}"
            spent = duration(now - row.training_since)
            lines.append([("training ", "dim"), (training, "cyan"), (f"  {spent}", "dim")])
        else:
            lines.append([("collected ", "dim"), (collected_text(row), "cyan")])
    return lines


def _events(state: RunState, columns: int) -> list[Line]:
    now = state.clock()
    rows = [_event_cells(row, now) for row in state.events.values()]
    return table(_EVENT_COLUMNS, rows, columns) if rows else []


def _by_interest(state: RunState) -> list[int]:
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
        (count(row.failed), "bold red" if row.failed else ""),
    ]


def _models(state: RunState, columns: int) -> list[Line]:
    now = state.wall()
    rows = [_model_cells(row, now) for row in state.models.values()]
    return table(_model_columns(state), rows, columns) if rows else []


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


def _fit(sections: Sequence[tuple[list[Line], list[int]]], rows: int) -> list[Line]:
    """The tables below each other in at most `rows` lines; each begins with its header, and comes
    with the places of its rows, those first that are left out last."""
    lines: list[Line] = []
    for place, (section, order) in enumerate(sections):
        later = sum(len(other) + 1 for other, _ in sections[place + 1 :])
        left = rows - len(lines)
        # Each may have what the others do not need, and at least its share.
        allowed = max(left - later, left // (len(sections) - place))
        lines += _cut(section, order, allowed)
    return lines


def _cut(lines: list[Line], order: Sequence[int], rows: int) -> list[Line]:
    """A blank line, the header and as many rows as fit; how many are missing is the last line."""
    if len(lines) + 1 <= rows:
        return [[], *lines]
    if rows < 3:
        return []
    shown = sorted(order[: rows - 3])
    left_out = len(order) - len(shown)
    return [[], lines[0], *(lines[1 + at] for at in shown), [(f"  … {left_out} more", "dim")]]

"""The lines at the top of the live view: what runs, how far it is, and how it does."""

from __future__ import annotations

from collections.abc import Sequence

from pilotcli.analysis.wording import factor
from pilotcli.common.quantities import MISSING, clock_time, count, duration, plural, rate
from pilotcli.common.signals import ComparedSoFar
from pilotcli.views.layout import bar
from pilotcli.views.messages import collected_text, phase_text, speedups_text, verdicts_text
from pilotcli.views.state import RunState
from pilotcli.views.text import Line, clean, joined, width

LABELS_SHOWN = 3
_TITLE = 9
"""Columns of a line's title."""
ONE_LINE = 116
"""Columns from which a comparison is one line."""


def head(state: RunState, columns: int, rows: int, *, with_worst: bool) -> list[Line]:
    """At most `rows` of the lines, in their order; where there are more, the least important ones
    go. `with_worst` has a line with the query that the driver slowed most."""
    lines = _weighted(state, columns, with_worst=with_worst)
    by_weight = sorted(range(len(lines)), key=lambda place: (lines[place][0], place))
    kept = set(by_weight[:rows])
    return [line for place, (_, line) in enumerate(lines) if place in kept]


def _weighted(state: RunState, columns: int, *, with_worst: bool) -> list[tuple[int, Line]]:
    """The lines in their order, each with how soon it may go (high: first)."""
    now = state.clock()
    lines = [(1, _title(state))]
    with_queries = state.run is not None and (state.total != 0 or state.progress.ended > 0)
    if with_queries:
        lines.append((0, _progress(state, columns)))
    lines.extend((2, line) for line in _phase(state))
    if with_queries:
        lines.append((4, _speed(state, now)))
    lines.extend((2, line) for line in _pretraining(state, now))
    lines.append((3, _current(state, now)))
    if with_queries:
        for found in state.compared.values():
            lines.extend(_compared(found, columns, named=len(state.compared) > 1))
            if with_worst:
                lines.extend((5, line) for line in _worst(found))
        lines.append((6, _latency(state)))
        lines.append((7, _failures(state)))
    return lines


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
    ended, total = state.progress.ended, state.progress.total
    if total is None:
        return [(plural(ended, "query", "queries"), "bold")]
    share = min(1.0, ended / total) if total > 0 else 0.0
    of = count(total)
    numbers = f"  {count(ended).rjust(len(of))}/{of} {int(share * 100):3d} %"
    return [*bar(share, max(0, columns - width(numbers))), (numbers, "")]


def _phase(state: RunState) -> list[Line]:
    """The phase, with how far it is unless it is the only one."""
    progress = state.progress
    phase = progress.phase
    if phase is None:
        return []
    details = ""
    if phase.executions and phase.executions != progress.total:
        details = f"  {count(progress.in_phase)}/{count(phase.executions)}"
    if phase.rounds > 1 and progress.round is not None:
        details += f"  round {progress.round}/{phase.rounds}"
    return [[("phase    ", "dim"), (phase_text(phase), "bold"), (details, "")]]


def _speed(state: RunState, now: float) -> Line:
    speed, left_s = state.speed.measure(now, state.progress.ended), state.progress.left_s(now)
    parts = [f"{rate(speed):>6} queries/s", f"elapsed {clock_time(state.elapsed_s())}"]
    if state.progress.total is not None:
        parts.append(f"left {MISSING if left_s is None else clock_time(left_s)}")
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


def _compared(found: ComparedSoFar, columns: int, *, named: bool) -> list[tuple[int, Line]]:
    """How the driver does against a baseline so far: in one line, or two on a narrow terminal."""
    style = "bold red" if found.different else "bold"
    name = f"{clean(found.against)}: " if named else ""
    verdicts = verdicts_text(found)
    speedups = name + speedups_text(found)
    if width(speedups) > columns - _TITLE:
        speedups = name + speedups_text(found, with_interval=False)
    line: Line = [("speed-up ", "dim"), (speedups, style)]
    if columns >= ONE_LINE:
        return [(2, [*line, (f": {verdicts}" if verdicts else "", style)])]
    counts = "red" if found.different else ""
    return [(2, line), (4, [("queries  ", "dim"), (verdicts or MISSING, counts)])]


def _worst(found: ComparedSoFar) -> list[Line]:
    if found.worst is None or found.worst_speedup is None or found.worst_speedup >= 1:
        return []
    worst = f"{clean(found.worst)}  {factor(found.worst_speedup)}"
    return [[("worst    ", "dim"), (worst, "yellow")]]


def _latency(state: RunState) -> Line:
    percentiles, warm = state.shown_latencies()
    line: Line = [("warm-up" if warm else "latency", "dim")]
    values: Sequence[float | None] = percentiles or (None, None, None)
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

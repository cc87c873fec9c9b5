"""A comparison as text for programs and pages: JSON, CSV, Markdown.

The names are part of the public format (`docs/export.md`): one may be added, none changes its
meaning within a `schema_version`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pilotcli.analysis.comparison import (
    Comparison,
    Effect,
    QueryComparison,
    QueryTimes,
    whole_s,
)
from pilotcli.analysis.wording import (
    alarms,
    counts_text,
    judged_text,
    learning_text,
    names_text,
    rounds_text,
)
from pilotcli.common.quantities import MISSING, duration, plural
from pilotcli.common.unsafe import csv_cell, undirected
from pilotcli.reports.formats import as_finite
from pilotcli.storage.journal import RunRecord

SCHEMA_VERSION = 1
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_QUERY = (
    "seq",
    "label",
    "file",
    "line",
    "sql",
    "verdict",
    "certain",
    "speedup",
    "low",
    "high",
    "p_value",
    "lost_s",
    "answers",
    "plan_changed",
    "reasons",
)


def as_json(comparison: Comparison) -> str:
    """The whole comparison as an object, indented."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "run": _run(comparison.run_a),
        "baseline": _run(comparison.run_b),
        "paired": comparison.paired,
        "part": comparison.part,
        "learning": None if comparison.learning is None else asdict(comparison.learning),
        "folds": list(map(asdict, comparison.folds)),
        "rounds": comparison.rounds_a,
        "baseline_rounds": comparison.rounds_b,
        "total": asdict(comparison.total),
        "geometric": asdict(comparison.geometric),
        "wilcoxon_p": comparison.p_value,
        "payback_replays": comparison.payback,
        "speedup_with_training": comparison.trained_speedup,
        "costs": asdict(comparison.costs_a),
        "baseline_costs": asdict(comparison.costs_b),
        "queries": [
            {
                **_named_values(query, _QUERY),
                "run": asdict(query.a),
                "baseline": asdict(query.b),
            }
            for query in comparison.queries
        ],
        "only_in_run": list(map(asdict, comparison.only_a)),
        "only_in_baseline": list(map(asdict, comparison.only_b)),
        "warnings": list(comparison.warnings),
        "differences": list(comparison.differences),
    }
    return json.dumps(as_finite(content), indent=2, ensure_ascii=False, allow_nan=False)


def as_csv(comparison: Comparison) -> str:
    """One line per query, with a header; unknown values are empty."""
    text = io.StringIO()
    rows = [
        {**query_row(query), "reasons": "; ".join(query.reasons)} for query in comparison.queries
    ]
    if rows:
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: csv_cell(cell) for key, cell in row.items()} for row in rows)
    return text.getvalue()


def as_markdown(
    comparison: Comparison, limit: int | None = None, *, changes_only: bool = False
) -> str:
    """Tables for a page: the result, and the first `limit` queries; with `changes_only` without
    those that are the same within the noise, or unclear."""
    a, b = comparison.run_a, comparison.run_b
    lines = [f"### Run {a.run_id} against run {b.run_id}", ""]
    if comparison.part is not None:
        lines += [f"A part of the workload: {markdown_cell(comparison.part)}", ""]
    if judged := judged_text(comparison):
        learned = markdown_cell(learning_text(comparison))
        lines += [f"**{judged}.** It learned {learned}.", ""]
    lines += [f"> Not the same in both: {markdown_cell(text)}" for text in comparison.differences]
    lines += [""] if comparison.differences else []
    alarm_lines = [f"- **{text}**" for text in _alarms(comparison)]
    lines += [*alarm_lines, ""] if alarm_lines else []
    lines += [
        "| | speed-up | interval | verdict |",
        "| --- | ---: | --- | --- |",
        _effect_row("whole workload", comparison.total),
        _effect_row("each query alike (geometric mean)", comparison.geometric),
        "",
        f"Queries {counts_text(comparison)}; {rounds_text(comparison)}.",
        "",
    ]
    chosen = [
        query
        for query in comparison.queries
        if not (
            changes_only and query.verdict in ("same", "unclear") and query.answers != "different"
        )
    ]
    if changes_only:  # the fastest after those that need a look

        def by_need(query: QueryComparison) -> float:
            return -(query.speedup or 0.0) if query.verdict in ("faster", "mended") else -math.inf

        chosen.sort(key=by_need)
    shown = chosen if limit is None else chosen[:limit]
    if shown:
        lines += [
            "| query | verdict | speed-up | interval | baseline | run | answers |",
            "| --- | --- | ---: | --- | ---: | ---: | --- |",
        ]
        lines += [_query_line(query) for query in shown]
        left_out = len(chosen) - len(shown)
        if left_out:
            lines += ["", f"and {left_out} more"]
    lines += _fold_lines(comparison)
    if comparison.warnings:
        lines += ["", *(f"> {markdown_cell(query)}" for query in comparison.warnings)]
    return "\n".join(lines) + "\n"


def _fold_lines(comparison: Comparison) -> list[str]:
    """The result of each fold of a cross-validation as a table; empty without folds."""
    if not comparison.folds:
        return []
    return [
        "",
        "| fold | speed-up | interval | verdict |",
        "| --- | ---: | --- | --- |",
        *(
            _effect_row(
                f"{fold.number}: {plural(fold.queries, 'query', 'queries')}, runs {fold.run_id} "
                f"and {fold.baseline_id}",
                fold.total,
            )
            for fold in comparison.folds
        ),
    ]


def _alarms(comparison: Comparison) -> list[str]:
    """What the reader must know before any average, in Markdown."""
    found = []
    for words, queries in alarms(comparison):
        slowdown = " {}" if words == "slower by far" else ""
        names = names_text(queries, 5, markdown_cell, slowdown)
        found.append(f"{len(queries)} {words}: {names}")
    return found


def query_row(query: QueryComparison) -> dict[str, Any]:
    """A query of a comparison as flat values."""
    return {
        **_named_values(query, _QUERY),
        **{f"run_{name}": value for name, value in asdict(query.a).items()},
        **{f"baseline_{name}": value for name, value in asdict(query.b).items()},
    }


def markdown_cell(text: object) -> str:
    """`text` as a table can hold it: one line, without marks of Markdown or HTML."""
    line = " ".join(_CONTROL.sub("", undirected(str(text))).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+|~!$])", r"\\\1", line)


def _factor(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3g}x"


def _interval(low: float | None, high: float | None) -> str:
    return MISSING if low is None or high is None else f"{_factor(low)} to {_factor(high)}"


def _effect_row(name: str, effect: Effect) -> str:
    around = _interval(effect.low, effect.high)
    around += f" ({effect.confidence:.0%})" if around != MISSING else ""
    return f"| {name} | {_factor(effect.speedup)} | {around} | {effect.verdict} |"


def _query_line(query: QueryComparison) -> str:
    cells = (
        markdown_cell(query.label),
        query.verdict,
        _factor(query.speedup),
        _interval(query.low, query.high),
        _time(query.b),
        _time(query.a),
        query.answers,
    )
    return f"| {' | '.join(cells)} |"


def _time(times: QueryTimes) -> str:
    if times.mean_s is None:
        return "failed"
    text = duration(whole_s(times))
    return f"{text} (time-out)" if times.timeouts else text


def _run(run: RunRecord) -> dict[str, Any]:
    return {
        **_named_values(run, ("run_id", "workload")),
        "config": run.config_path,
        **_named_values(run, ("database", "started_at", "status")),
    }


def _named_values(record: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}

"""A comparison as text for programs and pages: JSON, CSV, Markdown.

The names are part of the public format (`docs/export.md`): one may be added, none changes its
meaning within a `schema_version`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import Any

from pilotcli.analysis.comparison import (
    Comparison,
    Effect,
    QueryComparison,
    QueryTimes,
    whole_s,
)
from pilotcli.analysis.wording import alarms, counts_text, rounds_text, slowdown_text
from pilotcli.common.quantities import duration
from pilotcli.reports.formats import as_finite
from pilotcli.storage.journal import RunRecord

__all__ = [
    "SCHEMA_VERSION",
    "as_csv",
    "as_json",
    "as_markdown",
    "markdown_cell",
    "markdown_effect",
    "markdown_factor",
    "query_row",
]

SCHEMA_VERSION = 1
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_EFFECT = ("speedup", "low", "high", "confidence", "verdict", "method")
_COSTS = (
    "query_s",
    "planning_s",
    "execution_s",
    "inference_s",
    "steering_s",
    "collection_s",
    "training_s",
    "events_s",
)
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
)
_TIMES = (
    "seq",
    "executions",
    "ok",
    "timeouts",
    "failed",
    "mean_s",
    "median_s",
    "planning_s",
    "execution_s",
    "inference_s",
    "steering_s",
    "collection_s",
    "row_count",
    "error",
)


def as_json(comparison: Comparison) -> str:
    """The whole comparison as an object, indented."""
    told = {
        "schema_version": SCHEMA_VERSION,
        "run": _run(comparison.run_a),
        "baseline": _run(comparison.run_b),
        "paired": comparison.paired,
        "rounds": comparison.rounds_a,
        "baseline_rounds": comparison.rounds_b,
        "total": _named_values(comparison.total, _EFFECT),
        "geometric": _named_values(comparison.geometric, _EFFECT),
        "wilcoxon_p": comparison.p_value,
        "payback_replays": comparison.payback,
        "speedup_with_training": comparison.trained_speedup,
        "costs": _named_values(comparison.costs_a, _COSTS),
        "baseline_costs": _named_values(comparison.costs_b, _COSTS),
        "queries": [
            {
                **_named_values(one, _QUERY),
                "run": _named_values(one.a, _TIMES),
                "baseline": _named_values(one.b, _TIMES),
            }
            for one in comparison.queries
        ],
        "only_in_run": [{"seq": one.seq, "label": one.label} for one in comparison.only_a],
        "only_in_baseline": [{"seq": one.seq, "label": one.label} for one in comparison.only_b],
        "warnings": list(comparison.warnings),
    }
    return json.dumps(as_finite(told), indent=2, ensure_ascii=False, allow_nan=False)


def as_csv(comparison: Comparison) -> str:
    """One line a query, with a header; what is not known is empty."""
    text = io.StringIO()
    rows = [query_row(one) for one in comparison.queries]
    if rows:
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def as_markdown(
    comparison: Comparison, limit: int | None = None, *, told_apart: bool = False
) -> str:
    """Tables for a page: what came of it, and the first `limit` queries; with `told_apart`, of
    those that are not the same within the noise, or unclear."""
    a, b = comparison.run_a, comparison.run_b
    lines = [f"### Run {a.run_id} against run {b.run_id}", ""]
    told = [f"- **{text}**" for text in _alarms(comparison)]
    lines += [*told, ""] if told else []
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
        one
        for one in comparison.queries
        if not (told_apart and one.verdict in ("same", "unclear") and one.answers != "different")
    ]
    if told_apart:  # the fastest after those that need a look
        bad = [one for one in chosen if one.verdict not in ("faster", "mended")]
        good = [one for one in chosen if one.verdict in ("faster", "mended")]
        chosen = [*bad, *sorted(good, key=lambda one: -(one.speedup or 0.0))]
    shown = chosen if limit is None else chosen[:limit]
    if shown:
        lines += [
            "| query | verdict | speed-up | interval | baseline | run | answers |",
            "| --- | --- | ---: | --- | ---: | ---: | --- |",
        ]
        lines += [_query_line(one) for one in shown]
        left_out = len(chosen) - len(shown)
        if left_out:
            lines += ["", f"and {left_out} more"]
    if comparison.warnings:
        lines += ["", *(f"> {markdown_cell(one)}" for one in comparison.warnings)]
    return "\n".join(lines) + "\n"


def _alarms(comparison: Comparison) -> list[str]:
    """What has to be known before any average, in Markdown."""
    found = []
    for words, queries in alarms(comparison):
        names = ", ".join(
            _named(markdown_cell(one.label), words, one.speedup) for one in queries[:5]
        )
        more = f" and {len(queries) - 5} more" if len(queries) > 5 else ""
        found.append(f"{len(queries)} {words}: {names}{more}")
    return found


def _named(label: str, words: str, speedup: float | None) -> str:
    """A label, and how much slower it is where that is what it is told for."""
    return f"{label} {slowdown_text(speedup)}" if words == "slower by far" else label


def query_row(one: QueryComparison) -> dict[str, Any]:
    """A query of a comparison as flat values."""
    return {
        **_named_values(one, _QUERY),
        **{f"run_{name}": value for name, value in _named_values(one.a, _TIMES).items()},
        **{f"baseline_{name}": value for name, value in _named_values(one.b, _TIMES).items()},
    }


def markdown_cell(text: object) -> str:
    """`text` as it can stand in a table: one line, without marks of Markdown or HTML."""
    line = " ".join(_CONTROL.sub("", str(text)).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+|~!$])", r"\\\1", line)


def markdown_factor(value: float | None) -> str:
    """A speed-up, `–` where there is none."""  # noqa: RUF002
    return "–" if value is None else f"{value:.3g}x"  # noqa: RUF001


def markdown_effect(effect: Effect) -> str:
    """A speed-up and its interval."""
    if effect.low is None or effect.high is None:
        return markdown_factor(effect.speedup)
    around = f"{markdown_factor(effect.low)} to {markdown_factor(effect.high)}"
    return f"{markdown_factor(effect.speedup)} ({effect.confidence:.0%} interval {around})"


def _effect_row(name: str, effect: Effect) -> str:
    around = "–"  # noqa: RUF001
    if effect.low is not None and effect.high is not None:
        around = f"{markdown_factor(effect.low)} to {markdown_factor(effect.high)}"
        around += f" ({effect.confidence:.0%})"
    return f"| {name} | {markdown_factor(effect.speedup)} | {around} | {effect.verdict} |"


def _query_line(one: QueryComparison) -> str:
    around = "–"  # noqa: RUF001
    if one.low is not None and one.high is not None:
        around = f"{markdown_factor(one.low)} to {markdown_factor(one.high)}"
    cells = (
        markdown_cell(one.label),
        one.verdict,
        markdown_factor(one.speedup),
        around,
        _time(one.b),
        _time(one.a),
        one.answers,
    )
    return f"| {' | '.join(cells)} |"


def _time(times: QueryTimes) -> str:
    if times.mean_s is None:
        return "failed"
    told = duration(whole_s(times))
    return f"{told} (time-out)" if times.timeouts else told


def _run(run: RunRecord) -> dict[str, Any]:
    return {
        **_named_values(run, ("run_id", "workload")),
        "config": run.config_path,
        **_named_values(run, ("database", "started_at", "status")),
    }


def _named_values(record: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}

"""The page's smaller tables: costs, updates of models, queries that are not compared."""

from __future__ import annotations

from pilotcli.analysis.arms import Ranking
from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.wording import factor, interval, training_text
from pilotcli.common.quantities import MISSING, count, duration, listed, plural
from pilotcli.reports.html.data import RunPart
from pilotcli.reports.html.markup import alarm, cell, label, table, text

ROWS_SHOWN = 1_000
UPDATES_SHOWN = 50
NAMES_SHOWN = 20
SQL_SHOWN = 8_000
ERROR_SHOWN = 1_000
ROOM = 1_500_000
"""Bytes that SQL, errors and plans may take together: those of the first queries are shown."""
_LABEL_COLUMNS = (("query", "number extra"), ("label", "label"))


def updates(run: RunPart) -> str:
    """What changed after each update of a model; of many, the last ones."""
    judged = [update for update in run.updates if update.queries]
    rollbacks = run.record.summary.get("rollbacks", ())
    if not judged and not rollbacks:
        return ""
    undone = "".join(alarm(f"Undone: {text(update)}") for update in rollbacks)
    columns = (
        ("event", "label extra"),
        ("after query", "number extra"),
        ("saved", "label"),
        ("queries", "number extra"),
        ("speed-up", "number"),
        ("interval", "extra"),
        ("verdict", ""),
    )
    rows = "".join(
        "<tr>"
        + cell(update.event, "label extra")
        + cell(count(update.after_query), "number extra", update.after_query)
        + cell(", ".join(update.versions), "label")
        + cell(count(update.queries), "number extra", update.queries)
        + cell(factor(update.speedup), "number", update.speedup)
        + cell(interval(update.low, update.high), "extra")
        + cell(update.verdict, update.verdict)
        + "</tr>"
        for update in judged[-UPDATES_SHOWN:]
    )
    left_out = len(judged) - UPDATES_SHOWN
    more = f"<p>{plural(left_out, 'earlier update')} left out.</p>" if left_out > 0 else ""
    return (
        "<h2>After each update of a model</h2><p>The queries that ran after an update, against "
        f"the same queries before it.</p>{undone}{more}"
        f"{table(columns, f'<tbody>{rows}</tbody>')}"
    )


def costs(comparison: Comparison) -> str:
    """Where the time of both runs goes."""
    a, b = comparison.costs_a, comparison.costs_b
    rows = [
        ("queries", b.query_s, a.query_s),
        ("… planning", b.planning_s, a.planning_s),
        ("… execution", b.execution_s, a.execution_s),
        ("the driver's inference", b.inference_s, a.inference_s),
        ("steering", b.steering_s, a.steering_s),
        ("collection", b.collection_s, a.collection_s),
        ("training, in the whole run", b.training_s, a.training_s),
        ("other events, in the whole run", b.events_s, a.events_s),
    ]
    body = "".join(
        f"<tr>{cell(name, 'label')}{_seconds(baseline_s)}{_seconds(other)}</tr>"
        for name, baseline_s, other in rows
    )
    columns = (("a replay", "label"), ("baseline", "number"), ("this run", "number"))
    training = ""
    if a.training_s:
        training = f"<p>Training: {text(training_text(comparison))}.</p>"
    return f"<h2>Where the time goes</h2>{table(columns, f'<tbody>{body}</tbody>')}{training}"


def ranking(ranked: Ranking) -> str:
    """The arms of a run that took turns with several others, the fastest first."""
    columns = (
        ("place", "number"),
        ("arm", "label"),
        ("run", "number extra"),
        ("a replay", "number"),
        ("speed-up", "number"),
        ("interval", "extra"),
        ("queries won", "number"),
    )
    rows = "".join(
        "<tr>"
        + cell(str(arm.best) if arm.best == arm.worst else f"{arm.best} to {arm.worst}", "number")
        + cell(arm.name, "label")
        + cell(str(arm.run_id), "number extra")
        + cell(duration(arm.whole_s), "number")
        + cell("reference" if arm.total is None else factor(arm.total.speedup), "number")
        + cell("" if arm.total is None else interval(arm.total.low, arm.total.high), "extra")
        + cell(count(len(arm.wins)), "number")
        + "</tr>"
        for arm in ranked.arms
    )
    won = "".join(
        f"<li>{text(arm.name)} wins {text(listed(arm.wins, NAMES_SHOWN))}</li>"
        for arm in ranked.arms
        if arm.wins
    )
    none = f"<p>No arm wins {plural(ranked.open, 'query', 'queries')} beyond the noise.</p>"
    return (
        "<h2>All arms</h2><p>The fastest first. Speed-ups are against "
        f"{text(ranked.reference)}; a place from the tests of all pairs. The rest of this page "
        "compares the first run with the first of its baselines.</p>"
        f"{table(columns, f'<tbody>{rows}</tbody>')}{f'<ul>{won}</ul>' if won else ''}"
        f"{none if ranked.open else ''}"
    )


def unmatched(comparison: Comparison) -> str:
    """The queries that one of both runs has alone."""
    parts = []
    for name, only in (("this run", comparison.only_a), ("the baseline", comparison.only_b)):
        if only:
            labels = listed([text(label(query.label)) for query in only], NAMES_SHOWN)
            parts.append(f"<p>Only in {name}: {labels}</p>")
    return f"<h2>Not compared</h2>{''.join(parts)}" if parts else ""


def _seconds(seconds: float | None) -> str:
    words = MISSING if seconds is None else duration(seconds) if seconds else "none"
    return cell(words, "number", seconds)

"""A small run of everything that a journal can hold, made by its writer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pilotcli.common.records import EventKind, ModelVersion, Query, QueryResult, SteeringReport
from pilotcli.common.signals import EventTriggered
from pilotcli.storage.journal import Journal

HOSTILE = "a|b\n`c` <img src=x onerror=alert(1)> & \x00\x07\x1b[31m ]]> \"q\" 'ü' \U0001f600"
"""Text that means something in Markdown, HTML, XML, CSV or on a terminal."""


def query(seq: int, **changes: Any) -> Query:
    """A query of a made-up workload."""
    return Query(seq, f"q{seq}", f"SELECT {seq}", "w.sql", seq * 2, "SELECT")._replace(**changes)


def result(seq: int, **changes: Any) -> QueryResult:
    """Its result: `seq` milliseconds."""
    made = QueryResult(
        seq, f"q{seq}", "ok", 1000.5 + seq, seq / 1000, row_count=1, file="w.sql", line=seq * 2
    )
    return made._replace(**changes)


def firing(after_query: int, **changes: Any) -> EventTriggered:
    """A firing of the event Update."""
    kind = EventKind.PERIODIC_UPDATE
    made = EventTriggered("Update", kind, "interval", after_query, "ok", 0.25, 1)
    return replace(made, **changes)


def version(number: int = 1, **changes: Any) -> ModelVersion:
    """A checkpoint of the model latency."""
    made = ModelVersion(
        "latency", number, Path(f"/m/{number:06d}"), 17.5, 99, "abc", "Update", number, None, 40,
        {"mae": 1.5 / number},
    )  # fmt: skip
    return replace(made, **changes)


def write_run(
    home: Path,
    results: list[QueryResult],
    *,
    firings: list[EventTriggered] | None = None,
    models: list[ModelVersion] | None = None,
    plans: list[tuple[int, int, str]] | None = None,
    ended: tuple[Any, int] | None = ("finished", 0),
    summary: dict[str, Any] | None = None,
    **start: Any,
) -> int:
    """Write a run with those results; its number. It has not ended where `ended` is None."""
    arguments: dict[str, Any] = {
        "kind": "run",
        "workload": "w.sql",
        "config_path": "pilot.yaml",
        "config_text": "{}",
        "database": "embedded PostgreSQL 18",
        "options": {"repeat": 2},
    }
    with Journal.open(home) as journal, journal.start_run(**{**arguments, **start}) as run:
        for one in results:
            own = query(one.seq, label=one.label, file=one.file, line=one.line)
            run.add_result(own, one)
        for seq, round, plan in plans or ():
            run.add_plan(seq, round, plan)
        for model in models or ():
            run.add_model(replace(model, run_id=run.run_id))
        for number, event in enumerate(firings or (), 1):
            run.add_firing(event, {event.event: number})
        if ended is not None:
            run.finish(*ended, summary or {})
        return run.run_id


def everything(home: Path) -> int:
    """Write a run with rows in every table, null and not null in every column that may be."""
    report = SteeringReport(("enable_nestloop = off",), (("x\udc80", "no"),), None)
    return write_run(
        home,
        [
            result(1, steering=report, planning_s=0.0001, execution_s=0.0005, answer="ab"),
            result(2, status="error", row_count=None, error=HOSTILE.replace("\x00", ""),
                   sqlstate="42P01", file=None, line=None, label="ü,\"x\"\n"),
            result(1, round=2, inference_s=0.5, steering_s=0.25, collection_s=0.125, worker=3,
                   attempts=2, logged={"arm": "ü", "predicted_s": 0.25, "new": True, "no": None}),
        ],
        firings=[
            firing(1),
            firing(2, outcome="failed", error="no", traceback="Trace\n  no", fired=2),
        ],
        models=[
            version(1),
            version(2, event=None, query_seq=None, trained_rows=None,
                    metrics={"mae": float("nan"), "n": 1.0}),
        ],
        plans=[(1, 1, '{"Plan": {"Node Type": "Result", "Plan Rows": 1}}')],
        summary={"queries": 3, "reasons": ["1 query failed"]},
    )  # fmt: skip

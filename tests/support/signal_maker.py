"""Signals of a made-up run, and clocks that stand still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pilotcli.common.records import EventKind, ModelVersion, Query, QueryResult
from pilotcli.common.signals import (
    EventInfo,
    EventTriggered,
    ModelInfo,
    QueryFinished,
    RunFinished,
    RunStarted,
)

EPOCH = 1_700_000_000.0
"""2023-11-14T22:13:20 in UTC."""


class Clock:
    """A clock that moves when it is told."""

    def __init__(self, start: float = 0.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now


class Make:
    """Builds signals with defaults."""

    @staticmethod
    def query(seq: int = 1, label: str = "q1", **more: Any) -> Query:
        return Query(seq, label, "select 1", **{"file": "w.sql", "line": seq, **more})

    def finished(self, seq: int = 1, status: Any = "ok", **more: Any) -> QueryFinished:
        label = more.pop("label", f"q{seq}")
        fields = {"elapsed_s": 0.01, "file": "w.sql", "line": seq, **more}
        result = QueryResult(seq, label, status, EPOCH, **fields)
        return QueryFinished(self.query(seq, label), result)

    @staticmethod
    def started(
        total: int | None = 100, events: int = 1, models: int = 1, **more: Any
    ) -> RunStarted:
        kind = EventKind.QUERY_FINISH
        return RunStarted(
            run_id=7,
            workload=more.pop("workload", "w.sql"),
            total=total,
            events=tuple(EventInfo(f"Event{n}", kind, "after every query") for n in range(events)),
            models=tuple(ModelInfo(f"model{n}", "m:M") for n in range(models)),
            started_at=EPOCH,
            **more,
        )

    @staticmethod
    def triggered(fired: int = 1, **more: Any) -> EventTriggered:
        fields: dict[str, Any] = {
            "event": "Event0",
            "kind": EventKind.QUERY_FINISH,
            "reason": "interval",
            "after_query": fired,
            "outcome": "ok",
            "duration_s": 0.25,
            "fired": fired,
        }
        return EventTriggered(**{**fields, **more})

    @staticmethod
    def version(version: int = 1, **more: Any) -> ModelVersion:
        fields = {"created_at": EPOCH, "size_bytes": 14_200, "sha256": "0" * 64}
        return ModelVersion("model0", version, Path("m"), **{**fields, **more})

    @staticmethod
    def ended(**more: Any) -> RunFinished:
        fields: dict[str, Any] = {
            "run_id": 7,
            "status": "finished",
            "exit_code": 0,
            "queries": 100,
            "ok": 100,
            "errors": 0,
            "timeouts": 0,
            "cancelled": 0,
            "event_firings": 0,
            "event_failures": 0,
            "elapsed_s": 2.0,
            "query_s": 1.0,
        }
        return RunFinished(**{**fields, **more})

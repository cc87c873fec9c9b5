"""Signals of a made-up run, clocks that stand still, and a terminal to look at."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pilotcli.records import EventKind, ModelVersion, Query, QueryResult
from pilotcli.signals import (
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


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wall() -> Clock:
    return Clock(EPOCH)


@pytest.fixture
def terminal() -> Callable[..., Console]:
    """Makes a console over a buffer that behaves as a terminal of the given size."""

    def of_size(width: int = 80, height: int = 24, color: str | None = None) -> Console:
        return Console(
            file=io.StringIO(),
            width=width,
            height=height,
            force_terminal=True,
            color_system=color,  # type: ignore[arg-type]
            legacy_windows=False,
        )

    return of_size


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _no_color_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

"""What a view knows of each event, model and pretraining of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotcli.common.records import ModelVersion


@dataclass(slots=True)
class EventRow:
    """An event as its table shows it. `running_since` is on the view's monotonic clock."""

    name: str
    fires: str = ""
    fired: int = 0
    failed: int = 0
    kept: int = 0
    last_after: int | None = None
    last_s: float | None = None
    total_s: float = 0.0
    """All its firings in this part of the run."""
    running_since: float | None = None
    error: str | None = None


@dataclass(slots=True)
class ModelRow:
    """A model as its table shows it. `saved_at` is in seconds since the epoch."""

    name: str
    saves: int = 0
    version: int | None = None
    first_version: int | None = None
    saved_at: float | None = None
    size_bytes: int | None = None
    event: str | None = None
    metric: str | None = None
    value: float | None = None
    before: float | None = None
    first: float | None = None

    def show(self, version: ModelVersion | None, metrics: Mapping[str, float]) -> None:
        """Take over a version and the first of its metrics, or keep on to the metric in use."""
        if version is not None:
            self.version = version.version
            self.saved_at = version.created_at
            self.size_bytes = version.size_bytes
            self.event = version.event or self.event
            if self.first_version is None:
                self.first_version = version.version
        if not metrics:
            return
        name = self.metric
        if name is None or name not in metrics:
            name = next(iter(metrics))
        same = name == self.metric
        self.before = self.value if same else None
        self.value = metrics[name]
        self.first = self.first if same else self.value
        self.metric = name


@dataclass(slots=True)
class Collecting:
    """A pretraining at work, or done. Times are on the view's monotonic clock."""

    event: str
    table: str = ""
    iterations: int = 0
    total_rows: int = 0
    rows: int = 0
    """Collected in this run; `total_rows` includes those of earlier ones."""
    target_rows: int | None = None
    elapsed_s: float = 0.0
    collected: bool = False
    model: str | None = None
    training_since: float | None = None

    @property
    def rows_per_s(self) -> float | None:
        """How fast rows came in, in this run."""
        return self.rows / self.elapsed_s if self.elapsed_s > 0 else None

    @property
    def left_s(self) -> float | None:
        """Seconds until the rows that the event wants are there, at this speed."""
        if self.target_rows is None or not self.rows_per_s:
            return None
        return max(0, self.target_rows - self.total_rows) / self.rows_per_s

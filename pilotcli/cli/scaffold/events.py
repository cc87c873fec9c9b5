"""The events of this folder: classes that pilot calls between queries.

Change them and run again. What an event may be: QueryFinishEvent, WorkloadBeforeEvent,
PeriodicModelUpdateEvent, PretrainingModelEvent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pilotcli import CheckpointedModel, PeriodicModelUpdateEvent, QueryFinishEvent


class SlowestQuery(QueryFinishEvent):
    """Says which of the queries since the last time was the slowest."""

    def process(self, db_controller: Any, data_manager: Any) -> None:
        new = data_manager.read_update("observed")
        if len(new):
            slowest = new.loc[new["execution_time"].idxmax()]
            print(f"slowest: {slowest['label']}, {slowest['execution_time'] * 1000:.1f} ms")


class Speed(CheckpointedModel):
    """How many seconds a unit of the planner's cost takes here; the smallest model there is."""

    def dump(self, folder: Path) -> None:
        (folder / "speed.json").write_text(json.dumps(self.model))

    def restore(self, folder: Path) -> None:
        self.model = json.loads((folder / "speed.json").read_text())


class LearnSpeed(PeriodicModelUpdateEvent):
    """Learns `Speed` again from all that has been collected."""

    def custom_model_update(self, pilot_model: Any, db_controller: Any, data_manager: Any) -> Any:
        seen = data_manager.read_all("observed")
        seen = seen[seen["status"] == "ok"]
        if seen.empty:
            return None  # nothing to learn from: the model stays as it is
        seconds_per_cost = float((seen["execution_time"] / seen["estimated_cost"]).median())
        errors = (seen["execution_time"] - seconds_per_cost * seen["estimated_cost"]).abs()
        pilot_model.metrics = {"error_ms": float(errors.median() * 1000)}
        pilot_model.trained_rows = len(seen)
        return {"seconds_per_cost": seconds_per_cost}

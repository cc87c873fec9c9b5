"""The events of this folder: pilot calls these classes between queries.

Change them and run again. An event derives from QueryFinishEvent, WorkloadBeforeEvent,
PeriodicModelUpdateEvent or PretrainingModelEvent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pilotcli import CheckpointedModel, PeriodicModelUpdateEvent, QueryFinishEvent


class SlowestQuery(QueryFinishEvent):
    """Prints the slowest query since the last firing."""

    def process(self, db_controller: Any, data_manager: Any) -> None:
        new = data_manager.read_update("observed")
        if len(new):
            slowest = new.loc[new["execution_time"].idxmax()]
            print(f"slowest: {slowest['label']}, {slowest['execution_time'] * 1000:.1f} ms")


class Speed(CheckpointedModel):
    """A very small model: how many seconds one unit of the planner's cost takes."""

    def dump(self, folder: Path) -> None:
        (folder / "speed.json").write_text(json.dumps(self.model))

    def restore(self, folder: Path) -> None:
        self.model = json.loads((folder / "speed.json").read_text())


class LearnSpeed(PeriodicModelUpdateEvent):
    """Trains `Speed` again on all collected rows."""

    def custom_model_update(self, pilot_model: Any, db_controller: Any, data_manager: Any) -> Any:
        seen = data_manager.read_all("observed")
        seen = seen[seen["status"] == "ok"]
        if seen.empty:
            return None  # there is nothing to learn from: keep the old model
        seconds_per_cost = float((seen["execution_time"] / seen["estimated_cost"]).median())
        errors = (seen["execution_time"] - seconds_per_cost * seen["estimated_cost"]).abs()
        pilot_model.metrics = {"error_ms": float(errors.median() * 1000)}
        pilot_model.trained_rows = len(seen)
        return {"seconds_per_cost": seconds_per_cost}

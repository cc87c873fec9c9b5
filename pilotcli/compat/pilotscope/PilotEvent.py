"""Events. pilot's own classes, except where PilotScope passes other arguments."""

from __future__ import annotations

from typing import Any

from pilotcli import events as own
from pilotcli.events import Event

__all__ = [
    "Event",
    "PeriodicModelUpdateEvent",
    "PretrainingModelEvent",
    "QueryFinishEvent",
    "WorkloadBeforeEvent",
]


_SCHEDULER = "pilotcli.compat.pilotscope.PilotScheduler:PilotScheduler"


class QueryFinishEvent(own.QueryFinishEvent):
    """pilot's own."""

    scheduler = _SCHEDULER


class WorkloadBeforeEvent(own.WorkloadBeforeEvent):
    """pilot's own."""

    scheduler = _SCHEDULER


class PeriodicModelUpdateEvent(own.PeriodicModelUpdateEvent):
    """pilot's own, with the name under which PilotScope keeps `execute_on_init`."""

    scheduler = _SCHEDULER

    @property
    def execute_before_first_query(self) -> bool:
        """Whether the update runs when the scheduler is initialised."""
        return self.execute_on_init


class PretrainingModelEvent(own.PretrainingModelEvent):
    """pilot's own; `custom_model_training` receives the user's model, as PilotScope passes it."""

    scheduler = _SCHEDULER

    @property
    def _model(self) -> Any:
        return self.bind_pilot_model

    def training_argument(self) -> Any:
        """The user's own model."""
        return self.bind_pilot_model.model

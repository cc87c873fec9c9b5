"""Events. pilot's own classes, except where PilotScope passes other arguments."""

from __future__ import annotations

from typing import Any

from pilotcli.compat.refused import Refused
from pilotcli.events import base as own
from pilotcli.events.base import Event

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
    query_execution_count = Refused(
        "the scheduler counts the queries of all events", "An event may count its own calls."
    )


class WorkloadBeforeEvent(own.WorkloadBeforeEvent):
    """pilot's own."""

    scheduler = _SCHEDULER
    already_been_called = Refused(
        "the scheduler knows which events have fired", "See enable, or pilot runs show."
    )


class PeriodicModelUpdateEvent(own.PeriodicModelUpdateEvent):
    """pilot's own, with the name under which PilotScope keeps `execute_on_init`."""

    scheduler = _SCHEDULER
    query_execution_count = QueryFinishEvent.query_execution_count

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

"""pilot: replays SQL workloads while learned drivers watch and steer the database."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotcli.config import PilotConfig, PostgreSQLConfig
    from pilotcli.databases.controller import DBControllerFactory
    from pilotcli.events import (
        PeriodicModelUpdateEvent,
        PretrainingModelEvent,
        QueryFinishEvent,
        WorkloadBeforeEvent,
    )
    from pilotcli.model import CheckpointedModel, PilotModel
    from pilotcli.records import ModelVersion, Query, QueryResult
    from pilotcli.scheduler import PilotScheduler, SchedulerFactory
    from pilotcli.storage.data_manager import DataManager

__version__ = "0.1.0"

__all__ = [
    "CheckpointedModel",
    "DBControllerFactory",
    "DataManager",
    "ModelVersion",
    "PeriodicModelUpdateEvent",
    "PilotConfig",
    "PilotModel",
    "PilotScheduler",
    "PostgreSQLConfig",
    "PretrainingModelEvent",
    "Query",
    "QueryFinishEvent",
    "QueryResult",
    "SchedulerFactory",
    "WorkloadBeforeEvent",
    "__version__",
]

_HOMES = {
    "CheckpointedModel": "pilotcli.model",
    "DBControllerFactory": "pilotcli.databases.controller",
    "DataManager": "pilotcli.storage.data_manager",
    "ModelVersion": "pilotcli.records",
    "PeriodicModelUpdateEvent": "pilotcli.events",
    "PilotConfig": "pilotcli.config",
    "PilotModel": "pilotcli.model",
    "PilotScheduler": "pilotcli.scheduler",
    "PostgreSQLConfig": "pilotcli.config",
    "PretrainingModelEvent": "pilotcli.events",
    "Query": "pilotcli.records",
    "QueryFinishEvent": "pilotcli.events",
    "QueryResult": "pilotcli.records",
    "SchedulerFactory": "pilotcli.scheduler",
    "WorkloadBeforeEvent": "pilotcli.events",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import pilotcli` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pilotcli' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

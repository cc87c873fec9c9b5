"""pilot: replays SQL workloads while learned drivers watch and steer the database."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotcli.common.records import Index, ModelVersion, PilotTransData, Query, QueryResult
    from pilotcli.config import PilotConfig, PostgreSQLConfig
    from pilotcli.databases.controller import DBControllerFactory
    from pilotcli.events.base import (
        PeriodicModelUpdateEvent,
        PretrainingModelEvent,
        QueryFinishEvent,
        WorkloadBeforeEvent,
    )
    from pilotcli.events.model import CheckpointedModel, PilotModel
    from pilotcli.replay.scheduler import PilotScheduler, SchedulerFactory
    from pilotcli.steering.handlers import (
        CardPushHandler,
        CommentPushHandler,
        HintPushHandler,
        IndexPushHandler,
        JoinOrderPushHandler,
        KnobPushHandler,
        ScanJoinMethodPushHandler,
    )
    from pilotcli.steering.interactor import PilotDataInteractor
    from pilotcli.steering.methods import ScanJoinMethodEnum
    from pilotcli.storage.store.data_manager import DataManager

__version__ = "0.1.0"

__all__ = [
    "CardPushHandler",
    "CheckpointedModel",
    "CommentPushHandler",
    "DBControllerFactory",
    "DataManager",
    "HintPushHandler",
    "Index",
    "IndexPushHandler",
    "JoinOrderPushHandler",
    "KnobPushHandler",
    "ModelVersion",
    "PeriodicModelUpdateEvent",
    "PilotConfig",
    "PilotDataInteractor",
    "PilotModel",
    "PilotScheduler",
    "PilotTransData",
    "PostgreSQLConfig",
    "PretrainingModelEvent",
    "Query",
    "QueryFinishEvent",
    "QueryResult",
    "ScanJoinMethodEnum",
    "ScanJoinMethodPushHandler",
    "SchedulerFactory",
    "WorkloadBeforeEvent",
    "__version__",
]

_HOMES = {
    "CardPushHandler": "pilotcli.steering.handlers",
    "CheckpointedModel": "pilotcli.events.model",
    "CommentPushHandler": "pilotcli.steering.handlers",
    "DBControllerFactory": "pilotcli.databases.controller",
    "DataManager": "pilotcli.storage.store.data_manager",
    "HintPushHandler": "pilotcli.steering.handlers",
    "Index": "pilotcli.common.records",
    "IndexPushHandler": "pilotcli.steering.handlers",
    "JoinOrderPushHandler": "pilotcli.steering.handlers",
    "KnobPushHandler": "pilotcli.steering.handlers",
    "ModelVersion": "pilotcli.common.records",
    "PeriodicModelUpdateEvent": "pilotcli.events.base",
    "PilotConfig": "pilotcli.config",
    "PilotDataInteractor": "pilotcli.steering.interactor",
    "PilotModel": "pilotcli.events.model",
    "PilotScheduler": "pilotcli.replay.scheduler",
    "PilotTransData": "pilotcli.common.records",
    "PostgreSQLConfig": "pilotcli.config",
    "PretrainingModelEvent": "pilotcli.events.base",
    "Query": "pilotcli.common.records",
    "QueryFinishEvent": "pilotcli.events.base",
    "QueryResult": "pilotcli.common.records",
    "ScanJoinMethodEnum": "pilotcli.steering.methods",
    "ScanJoinMethodPushHandler": "pilotcli.steering.handlers",
    "SchedulerFactory": "pilotcli.replay.scheduler",
    "WorkloadBeforeEvent": "pilotcli.events.base",
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

"""pilot: replays SQL workloads while learned drivers watch and steer the database."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotcli.common.errors import (
        CapabilityError,
        CheckpointError,
        ConfigError,
        DatabaseError,
        DriverError,
        Interrupted,
        PilotError,
        PluginError,
        QueryCancelled,
        QueryError,
        QueryTimeout,
        SteeringError,
        StorageError,
        StoreError,
        UsageError,
        WorkloadError,
    )
    from pilotcli.common.records import (
        EventKind,
        Index,
        ModelVersion,
        PilotTransData,
        PretrainingProgress,
        Query,
        QueryResult,
        SteeringReport,
    )
    from pilotcli.config import PilotConfig, PostgreSQLConfig
    from pilotcli.events.base import (
        Event,
        ModelUpdate,
        PeriodicModelUpdateEvent,
        PretrainingModelEvent,
        QueryFinishEvent,
        WorkloadBeforeEvent,
    )
    from pilotcli.events.model import CheckpointedModel, PilotModel
    from pilotcli.replay.scheduler import PilotScheduler, SchedulerFactory
    from pilotcli.steering.controller import DBControllerFactory, PostgreSQLController
    from pilotcli.steering.handlers import (
        BasePushHandler,
        CardPushHandler,
        CommentPushHandler,
        HintPushHandler,
        IndexPushHandler,
        JoinOrderPushHandler,
        KnobPushHandler,
        QueryPushHandler,
        ScanJoinMethodPushHandler,
        WorkloadPushHandler,
    )
    from pilotcli.steering.interactor import PilotDataInteractor
    from pilotcli.steering.methods import ScanJoinMethodEnum
    from pilotcli.steering.subplans import NamedCards, NotAnalysable, SubPlan
    from pilotcli.storage.store.data_manager import DataManager
    from pilotcli.workload.upcoming import WorkloadQueries

__version__ = "0.1.0"

__all__ = [
    "BasePushHandler",
    "CapabilityError",
    "CardPushHandler",
    "CheckpointError",
    "CheckpointedModel",
    "CommentPushHandler",
    "ConfigError",
    "DBControllerFactory",
    "DataManager",
    "DatabaseError",
    "DriverError",
    "Event",
    "EventKind",
    "HintPushHandler",
    "Index",
    "IndexPushHandler",
    "Interrupted",
    "JoinOrderPushHandler",
    "KnobPushHandler",
    "ModelUpdate",
    "ModelVersion",
    "NamedCards",
    "NotAnalysable",
    "PeriodicModelUpdateEvent",
    "PilotConfig",
    "PilotDataInteractor",
    "PilotError",
    "PilotModel",
    "PilotScheduler",
    "PilotTransData",
    "PluginError",
    "PostgreSQLConfig",
    "PostgreSQLController",
    "PretrainingModelEvent",
    "PretrainingProgress",
    "Query",
    "QueryCancelled",
    "QueryError",
    "QueryFinishEvent",
    "QueryPushHandler",
    "QueryResult",
    "QueryTimeout",
    "ScanJoinMethodEnum",
    "ScanJoinMethodPushHandler",
    "SchedulerFactory",
    "SteeringError",
    "SteeringReport",
    "StorageError",
    "StoreError",
    "SubPlan",
    "UsageError",
    "WorkloadBeforeEvent",
    "WorkloadError",
    "WorkloadPushHandler",
    "WorkloadQueries",
    "__version__",
]

_NAMES = {
    "pilotcli.common.errors": (
        "CapabilityError CheckpointError ConfigError DatabaseError DriverError Interrupted "
        "PilotError PluginError QueryCancelled QueryError QueryTimeout SteeringError "
        "StorageError StoreError UsageError WorkloadError"
    ),
    "pilotcli.common.records": (
        "EventKind Index ModelVersion PilotTransData PretrainingProgress Query QueryResult "
        "SteeringReport"
    ),
    "pilotcli.config": "PilotConfig PostgreSQLConfig",
    "pilotcli.events.base": (
        "Event ModelUpdate PeriodicModelUpdateEvent PretrainingModelEvent QueryFinishEvent "
        "WorkloadBeforeEvent"
    ),
    "pilotcli.events.model": "CheckpointedModel PilotModel",
    "pilotcli.replay.scheduler": "PilotScheduler SchedulerFactory",
    "pilotcli.steering.controller": "DBControllerFactory PostgreSQLController",
    "pilotcli.steering.handlers": (
        "BasePushHandler CardPushHandler CommentPushHandler HintPushHandler IndexPushHandler "
        "JoinOrderPushHandler KnobPushHandler QueryPushHandler ScanJoinMethodPushHandler "
        "WorkloadPushHandler"
    ),
    "pilotcli.steering.interactor": "PilotDataInteractor",
    "pilotcli.steering.methods": "ScanJoinMethodEnum",
    "pilotcli.steering.subplans": "NamedCards NotAnalysable SubPlan",
    "pilotcli.storage.store.data_manager": "DataManager",
    "pilotcli.workload.upcoming": "WorkloadQueries",
}
"""The module of each public name."""
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import pilotcli` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pilotcli' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

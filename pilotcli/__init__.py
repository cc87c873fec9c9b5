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
    from pilotcli.databases.controller import DBControllerFactory, PostgreSQLController
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
    "__version__",
]

_HOMES = {
    "BasePushHandler": "pilotcli.steering.handlers",
    "CapabilityError": "pilotcli.common.errors",
    "CardPushHandler": "pilotcli.steering.handlers",
    "CheckpointError": "pilotcli.common.errors",
    "CheckpointedModel": "pilotcli.events.model",
    "CommentPushHandler": "pilotcli.steering.handlers",
    "ConfigError": "pilotcli.common.errors",
    "DBControllerFactory": "pilotcli.databases.controller",
    "DataManager": "pilotcli.storage.store.data_manager",
    "DatabaseError": "pilotcli.common.errors",
    "DriverError": "pilotcli.common.errors",
    "Event": "pilotcli.events.base",
    "EventKind": "pilotcli.common.records",
    "HintPushHandler": "pilotcli.steering.handlers",
    "Index": "pilotcli.common.records",
    "IndexPushHandler": "pilotcli.steering.handlers",
    "Interrupted": "pilotcli.common.errors",
    "JoinOrderPushHandler": "pilotcli.steering.handlers",
    "KnobPushHandler": "pilotcli.steering.handlers",
    "ModelUpdate": "pilotcli.events.base",
    "ModelVersion": "pilotcli.common.records",
    "NamedCards": "pilotcli.steering.subplans",
    "NotAnalysable": "pilotcli.steering.subplans",
    "PeriodicModelUpdateEvent": "pilotcli.events.base",
    "PilotConfig": "pilotcli.config",
    "PilotDataInteractor": "pilotcli.steering.interactor",
    "PilotError": "pilotcli.common.errors",
    "PilotModel": "pilotcli.events.model",
    "PilotScheduler": "pilotcli.replay.scheduler",
    "PilotTransData": "pilotcli.common.records",
    "PluginError": "pilotcli.common.errors",
    "PostgreSQLConfig": "pilotcli.config",
    "PostgreSQLController": "pilotcli.databases.controller",
    "PretrainingModelEvent": "pilotcli.events.base",
    "PretrainingProgress": "pilotcli.common.records",
    "Query": "pilotcli.common.records",
    "QueryCancelled": "pilotcli.common.errors",
    "QueryError": "pilotcli.common.errors",
    "QueryFinishEvent": "pilotcli.events.base",
    "QueryPushHandler": "pilotcli.steering.handlers",
    "QueryResult": "pilotcli.common.records",
    "QueryTimeout": "pilotcli.common.errors",
    "ScanJoinMethodEnum": "pilotcli.steering.methods",
    "ScanJoinMethodPushHandler": "pilotcli.steering.handlers",
    "SchedulerFactory": "pilotcli.replay.scheduler",
    "SteeringError": "pilotcli.common.errors",
    "SteeringReport": "pilotcli.common.records",
    "StorageError": "pilotcli.common.errors",
    "StoreError": "pilotcli.common.errors",
    "SubPlan": "pilotcli.steering.subplans",
    "UsageError": "pilotcli.common.errors",
    "WorkloadBeforeEvent": "pilotcli.events.base",
    "WorkloadError": "pilotcli.common.errors",
    "WorkloadPushHandler": "pilotcli.steering.handlers",
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

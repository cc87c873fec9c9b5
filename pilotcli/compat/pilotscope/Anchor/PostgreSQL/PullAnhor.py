"""Pull handlers of a PostgreSQL. The module's name is spelt as PilotScope spells it."""

from __future__ import annotations

from pilotcli.compat.pilotscope.Anchor.BaseAnchor import BasePullHandler as base

__all__ = [
    "PostgreSQLBuffercachePullHandler",
    "PostgreSQLEstimatedCostPullHandler",
    "PostgreSQLExecutionTimePullHandler",
    "PostgreSQLPhysicalPlanPullHandler",
    "PostgreSQLRecordPullHandler",
    "PostgreSQLSubQueryCardPullHandler",
]

PostgreSQLRecordPullHandler = base.RecordPullHandler
PostgreSQLPhysicalPlanPullHandler = base.PhysicalPlanPullHandler
PostgreSQLEstimatedCostPullHandler = base.EstimatedCostPullHandler
PostgreSQLBuffercachePullHandler = base.BuffercachePullHandler
PostgreSQLExecutionTimePullHandler = base.ExecutionTimePullHandler
PostgreSQLSubQueryCardPullHandler = base.SubQueryCardPullHandler

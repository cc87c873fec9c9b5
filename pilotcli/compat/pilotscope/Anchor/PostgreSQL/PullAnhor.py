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


class PostgreSQLRecordPullHandler(base.RecordPullHandler):
    """The rows of a query."""


class PostgreSQLPhysicalPlanPullHandler(base.PhysicalPlanPullHandler):
    """The plan."""


class PostgreSQLEstimatedCostPullHandler(base.EstimatedCostPullHandler):
    """The planner's cost."""


class PostgreSQLBuffercachePullHandler(base.BuffercachePullHandler):
    """The cached blocks of each relation."""


class PostgreSQLExecutionTimePullHandler(base.ExecutionTimePullHandler):
    """The time that the query took."""


class PostgreSQLSubQueryCardPullHandler(base.SubQueryCardPullHandler):
    """The planner's rows for each sub-plan query."""

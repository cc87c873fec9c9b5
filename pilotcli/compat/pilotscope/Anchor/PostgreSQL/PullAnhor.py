"""Pull handlers of a PostgreSQL. The module's name is spelt as PilotScope spells it."""

from __future__ import annotations

from typing import Any

from pilotcli.compat.pilotscope.Anchor.BaseAnchor import BasePullHandler as base

__all__ = [
    "PostgreSQLAnchorMixin",
    "PostgreSQLBuffercachePullHandler",
    "PostgreSQLEstimatedCostPullHandler",
    "PostgreSQLExecutionTimePullHandler",
    "PostgreSQLPhysicalPlanPullHandler",
    "PostgreSQLRecordPullHandler",
    "PostgreSQLSubQueryCardPullHandler",
]


class PostgreSQLAnchorMixin:
    """What a pull handler of a PostgreSQL can ask a controller."""

    def get_physical_plan(self, db_controller: Any, sql: str, pilot_comment: str) -> dict[str, Any]:
        """The plan of `sql`, with a comment in front."""
        plan: dict[str, Any] = db_controller.explain_physical_plan(sql, comment=pilot_comment)
        return plan


PostgreSQLRecordPullHandler = base.RecordPullHandler
PostgreSQLPhysicalPlanPullHandler = base.PhysicalPlanPullHandler
PostgreSQLEstimatedCostPullHandler = base.EstimatedCostPullHandler
PostgreSQLBuffercachePullHandler = base.BuffercachePullHandler
PostgreSQLExecutionTimePullHandler = base.ExecutionTimePullHandler
PostgreSQLSubQueryCardPullHandler = base.SubQueryCardPullHandler

HANDLERS: tuple[type[base.BasePullHandler], ...] = (
    PostgreSQLRecordPullHandler,
    PostgreSQLPhysicalPlanPullHandler,
    PostgreSQLEstimatedCostPullHandler,
    PostgreSQLBuffercachePullHandler,
    PostgreSQLExecutionTimePullHandler,
    PostgreSQLSubQueryCardPullHandler,
)

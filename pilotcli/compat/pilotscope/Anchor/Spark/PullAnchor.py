"""Pull handlers of Spark."""

from __future__ import annotations

from typing import Any

from pilotcli.common.errors import CapabilityError

__all__ = [
    "SparkAnchorMixin",
    "SparkBuffercachePullHandler",
    "SparkEstimatedCostPullHandler",
    "SparkExecutionTimePullHandler",
    "SparkLogicalPlanPullHandler",
    "SparkPhysicalPlanPullHandler",
    "SparkRecordPullAnchorHandler",
    "SparkSubQueryCardPullHandler",
]


class SparkAnchorMixin:
    """Refused, as all handlers here: raises `CapabilityError` when it is made."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        raise CapabilityError(
            "pilot does not work with Spark yet",
            hint="The handlers of a PostgreSQL are in pilotscope.Anchor.PostgreSQL.PullAnhor.",
        )


SparkRecordPullAnchorHandler = SparkAnchorMixin
SparkLogicalPlanPullHandler = SparkAnchorMixin
SparkPhysicalPlanPullHandler = SparkAnchorMixin
SparkEstimatedCostPullHandler = SparkAnchorMixin
SparkBuffercachePullHandler = SparkAnchorMixin
SparkExecutionTimePullHandler = SparkAnchorMixin
SparkSubQueryCardPullHandler = SparkAnchorMixin

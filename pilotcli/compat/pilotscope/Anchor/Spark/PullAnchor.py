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
    """Refused, with all that derive from it: raises `CapabilityError`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        raise CapabilityError(
            "pilot does not work with Spark yet",
            hint="The handlers of a PostgreSQL are in pilotscope.Anchor.PostgreSQL.PullAnhor.",
        )


class SparkRecordPullAnchorHandler(SparkAnchorMixin):
    """The rows of a query."""


class SparkLogicalPlanPullHandler(SparkAnchorMixin):
    """The logical plan."""


class SparkPhysicalPlanPullHandler(SparkAnchorMixin):
    """The physical plan."""


class SparkEstimatedCostPullHandler(SparkAnchorMixin):
    """The planner's cost."""


class SparkBuffercachePullHandler(SparkAnchorMixin):
    """The cached blocks of each relation."""


class SparkExecutionTimePullHandler(SparkAnchorMixin):
    """The time that the query took."""


class SparkSubQueryCardPullHandler(SparkAnchorMixin):
    """The planner's rows for each sub-plan query."""

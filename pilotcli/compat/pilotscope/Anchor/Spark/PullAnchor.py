"""Pull handlers of Spark."""

from __future__ import annotations

from pilotcli.compat.refused import RefusedClass

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


class SparkAnchorMixin(RefusedClass):
    """Refused, as all handlers here: raises `CapabilityError` when it is made."""

    message = "pilot does not work with Spark yet"
    hint = "The handlers of a PostgreSQL are in pilotscope.Anchor.PostgreSQL.PullAnhor."


SparkRecordPullAnchorHandler = SparkAnchorMixin
SparkLogicalPlanPullHandler = SparkAnchorMixin
SparkPhysicalPlanPullHandler = SparkAnchorMixin
SparkEstimatedCostPullHandler = SparkAnchorMixin
SparkBuffercachePullHandler = SparkAnchorMixin
SparkExecutionTimePullHandler = SparkAnchorMixin
SparkSubQueryCardPullHandler = SparkAnchorMixin

"""Pull handlers: what is to be known of a query, as objects.

pilot pulls through the interactor and the scheduler, which know by the server how each is done;
these say which one is meant, and what column of a row it becomes.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from pilotcli.compat.pilotscope.Anchor.AnchorEnum import AnchorEnum
from pilotcli.records import PilotTransData

__all__ = [
    "BasePullHandler",
    "BuffercachePullHandler",
    "EstimatedCostPullHandler",
    "ExecutionTimePullHandler",
    "PhysicalPlanPullHandler",
    "RecordPullHandler",
    "SubQueryCardPullHandler",
]


class BasePullHandler:
    """The base of pull handlers. `column` is the field of `PilotTransData` and the column."""

    anchor: ClassVar[AnchorEnum] = AnchorEnum.BASE_ANCHOR
    column: ClassVar[str | None] = None

    def __init__(self, config: Any) -> None:
        self.config = config
        self.anchor_name = self.anchor.name

    def prepare_data_for_writing(
        self, column_2_value: dict[str, Any], data: PilotTransData
    ) -> None:
        """Add what was pulled to a row; JSON as text."""
        value = None if self.column is None else getattr(data, self.column)
        if value is not None:
            assert self.column is not None
            column_2_value[self.column] = (
                json.dumps(value) if isinstance(value, (dict, list)) else value
            )


class RecordPullHandler(BasePullHandler):
    """The rows of a query; not stored."""

    anchor = AnchorEnum.RECORD_PULL_ANCHOR


class PhysicalPlanPullHandler(BasePullHandler):
    """The plan."""

    anchor = AnchorEnum.PHYSICAL_PLAN_PULL_ANCHOR
    column = "physical_plan"


class BuffercachePullHandler(BasePullHandler):
    """The cached blocks of each relation."""

    anchor = AnchorEnum.BUFFERCACHE_PULL_ANCHOR
    column = "buffercache"


class EstimatedCostPullHandler(BasePullHandler):
    """The planner's cost."""

    anchor = AnchorEnum.ESTIMATED_COST_PULL_ANCHOR
    column = "estimated_cost"


class ExecutionTimePullHandler(BasePullHandler):
    """The time that the query took."""

    anchor = AnchorEnum.EXECUTION_TIME_PULL_ANCHOR
    column = "execution_time"


class SubQueryCardPullHandler(BasePullHandler):
    """The planner's rows for each sub-plan query."""

    anchor = AnchorEnum.SUBQUERY_CARD_PULL_ANCHOR
    column = "subquery_2_card"
    enable_parameterized_subquery = False

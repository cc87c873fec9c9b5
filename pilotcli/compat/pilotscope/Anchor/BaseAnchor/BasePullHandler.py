"""Pull handlers: each asks for one thing about a query.

The interactor and the scheduler do the pulling. A handler says what is pulled, and in which column
of a row it is stored.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from pilotcli.common.records import PilotTransData
from pilotcli.compat.pilotscope.Anchor.AnchorEnum import AnchorEnum
from pilotcli.compat.pilotscope.Anchor.BaseAnchor.BaseAnchorHandler import BaseAnchorHandler
from pilotcli.compat.pilotscope.PilotEnum import FetchMethod

__all__ = [
    "BasePullHandler",
    "BuffercachePullHandler",
    "EstimatedCostPullHandler",
    "ExecutionTimePullHandler",
    "LogicalPlanPullHandler",
    "PhysicalPlanPullHandler",
    "RecordPullHandler",
    "SubQueryCardPullHandler",
]


class BasePullHandler(BaseAnchorHandler):
    """The base of pull handlers.

    `column` is the field of `PilotTransData`, and the column of a row unless `stored_as` names
    another. `question` is the controller's method that answers, which takes the query where
    `asks_about_query`.
    """

    column: ClassVar[str | None] = None
    question: ClassVar[str | None] = None
    asks_about_query: ClassVar[bool] = True
    stored_as: ClassVar[str | None] = None
    fetch_method = FetchMethod.OUTER
    """Whether the query itself brings it (`INNER`) or a controller can be asked apart."""

    def fetch_from_outer(
        self,
        db_controller: Any,
        sql: str,
        pilot_comment: str,
        anchor_data: Any,
        fill_data: Any,
    ) -> None:
        """Ask `db_controller` about `sql`, and put the answer into `anchor_data` and `fill_data`.

        Does nothing for what only the query itself brings. `pilot_comment` goes before the
        `EXPLAIN`. Raises what the controller raises.
        """
        if self.fetch_method is not FetchMethod.OUTER or self.column is None:
            return
        found = None
        if self.question is not None:
            arguments = (sql, pilot_comment) if self.asks_about_query else ()
            found = getattr(db_controller, self.question)(*arguments)
        for data in (anchor_data, fill_data):
            if data is not None:
                setattr(data, self.column, found)

    def prepare_data_for_writing(
        self, column_2_value: dict[str, Any], data: PilotTransData
    ) -> None:
        """Add what was pulled to a row; JSON as text."""
        value = None if self.column is None else getattr(data, self.column)
        if value is not None:
            name = self.stored_as or self.column
            assert name is not None
            column_2_value[name] = json.dumps(value) if isinstance(value, (dict, list)) else value


class RecordPullHandler(BasePullHandler):
    """The rows of a query; not stored."""

    anchor = AnchorEnum.RECORD_PULL_ANCHOR
    fetch_method = FetchMethod.INNER


class LogicalPlanPullHandler(BasePullHandler):
    """The logical plan. PostgreSQL shows none: the physical plan takes its place."""

    anchor = AnchorEnum.LOGICAL_PLAN_PULL_ANCHOR
    column = "logical_plan"
    question = "explain_logical_plan"


class PhysicalPlanPullHandler(BasePullHandler):
    """The plan."""

    anchor = AnchorEnum.PHYSICAL_PLAN_PULL_ANCHOR
    column = "physical_plan"
    question = "explain_physical_plan"


class BuffercachePullHandler(BasePullHandler):
    """The cached blocks of each relation."""

    anchor = AnchorEnum.BUFFERCACHE_PULL_ANCHOR
    column = "buffercache"
    question = "get_buffercache"
    asks_about_query = False


class EstimatedCostPullHandler(BasePullHandler):
    """The planner's cost."""

    anchor = AnchorEnum.ESTIMATED_COST_PULL_ANCHOR
    column = "estimated_cost"
    question = "get_estimated_cost"


class ExecutionTimePullHandler(BasePullHandler):
    """The time that the query took."""

    anchor = AnchorEnum.EXECUTION_TIME_PULL_ANCHOR
    column = "execution_time"
    fetch_method = FetchMethod.INNER


class SubQueryCardPullHandler(BasePullHandler):
    """The planner's rows for each sub-plan query."""

    anchor = AnchorEnum.SUBQUERY_CARD_PULL_ANCHOR
    column = "subquery_2_card"
    stored_as = "subquery_to_card"
    fetch_method = FetchMethod.INNER
    enable_parameterized_subquery = False

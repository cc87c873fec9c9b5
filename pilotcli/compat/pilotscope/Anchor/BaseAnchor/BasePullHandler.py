"""Pull handlers: what is to be known of a query, as objects.

pilot pulls through the interactor and the scheduler, which know by the server how each is done;
these say which one is meant, and what column of a row it becomes.
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
    """The base of pull handlers. `column` is the field of `PilotTransData`, and the column of a
    row unless `stored_as` is another name for that."""

    column: ClassVar[str | None] = None
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
        found = self.asked(db_controller, sql, pilot_comment)
        for data in (anchor_data, fill_data):
            if data is not None:
                setattr(data, self.column, found)

    def asked(self, db_controller: Any, sql: str, comment: str) -> Any:
        """What the controller says."""
        return None

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
    """The logical plan, which a PostgreSQL does not tell: the physical one stands for it."""

    anchor = AnchorEnum.LOGICAL_PLAN_PULL_ANCHOR
    column = "logical_plan"

    def asked(self, db_controller: Any, sql: str, comment: str) -> Any:
        """The plan, a dict with the key `Plan`."""
        return db_controller.explain_logical_plan(sql, comment)


class PhysicalPlanPullHandler(BasePullHandler):
    """The plan."""

    anchor = AnchorEnum.PHYSICAL_PLAN_PULL_ANCHOR
    column = "physical_plan"

    def asked(self, db_controller: Any, sql: str, comment: str) -> Any:
        """The plan, a dict with the key `Plan`."""
        return db_controller.explain_physical_plan(sql, comment)


class BuffercachePullHandler(BasePullHandler):
    """The cached blocks of each relation."""

    anchor = AnchorEnum.BUFFERCACHE_PULL_ANCHOR
    column = "buffercache"

    def asked(self, db_controller: Any, sql: str, comment: str) -> Any:
        """Relation to number of blocks."""
        return db_controller.get_buffercache()


class EstimatedCostPullHandler(BasePullHandler):
    """The planner's cost."""

    anchor = AnchorEnum.ESTIMATED_COST_PULL_ANCHOR
    column = "estimated_cost"

    def asked(self, db_controller: Any, sql: str, comment: str) -> Any:
        """The cost in the planner's units."""
        return db_controller.get_estimated_cost(sql, comment)


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

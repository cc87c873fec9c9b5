"""Records queries' plans in the journal of a run."""

from __future__ import annotations

import json
from dataclasses import replace

from pilotcli.analysis.plans import plan_shape
from pilotcli.common.records import Query
from pilotcli.replay.observers import RunObserver
from pilotcli.replay.scheduler import PilotScheduler
from pilotcli.run.log import RunLogger


def keep_plans(scheduler: PilotScheduler, log: RunLogger) -> None:
    """Pull the plan and the server's times of each query from now on, and record them."""
    pulls = scheduler.steering.pulls
    scheduler.steering.pulls = replace(pulls, execution_time=True, physical_plan=True)
    scheduler.add_observer(PlanLog(log))


class PlanLog(RunObserver):
    """Records a query's first plan, and each one that differs from the plan before."""

    def __init__(self, log: RunLogger) -> None:
        self._log = log
        self._shapes: dict[int, str] = {}

    def plan_pulled(self, query: Query, round: int, plan: str) -> None:
        shape = plan_shape(json.loads(plan))
        if self._shapes.get(query.seq) != shape:
            self._shapes[query.seq] = shape
            self._log.add_plan(query.seq, round, plan)

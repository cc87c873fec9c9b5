"""A model that predicts how long a query will run, from the planner's plan alone.

Three pieces that belong together, and an example of all that a learned driver has:

- `LatencyModel` holds the regression and keeps its versions;
- `LatencyPretraining` gives it a start: it times random queries over the database;
- `LatencyUpdate` trains it again on what the workload has shown so far.

How good a version is, is measured by the q-error of its predictions: the factor by which predicted
and measured seconds differ, in whichever direction (1 is perfect). `q_error` is its geometric mean
over the validation queries. These are timed once, before the first version, and never trained on,
so that the versions can be compared. Without validation queries it is `left_out_q_error`, over
the training rows, each predicted by a model that has not seen it; the rows change from version to
version then, so that it compares less well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotcli.common.errors import DriverError, QueryCancelled, QueryError, QueryTimeout, UsageError
from pilotcli.drivers.plans import plan_features
from pilotcli.drivers.regression import FeatureRegressor
from pilotcli.drivers.sampling import QuerySampler, read_catalog
from pilotcli.events.base import PeriodicModelUpdateEvent, PretrainingModelEvent
from pilotcli.events.model import CheckpointedModel, PilotModel
from pilotcli.workload import open_workload

if TYPE_CHECKING:
    import pandas

    from pilotcli.config.pilot_config import PilotConfig
    from pilotcli.databases.protocols import BaseDBController
    from pilotcli.storage.store.data_manager import DataManager

__all__ = ["LatencyModel", "LatencyPretraining", "LatencyUpdate", "TimedPlan", "train"]

_FILE = "latency.npz"
_LEAST_ROWS = 10
_MOST_ROWS = 600  # the regression takes time cubic in its rows: half a second for these
_SHORTEST_S = 1e-5


@dataclass(frozen=True, slots=True)
class TimedPlan:
    """A plan's features, and how long its query ran."""

    sql: str
    features: Mapping[str, float]
    log_seconds: float
    """log10 of the seconds."""


class LatencyModel(CheckpointedModel):
    """Predicts a query's seconds from its plan; `model` is a `FeatureRegressor`."""

    def predict_seconds(self, plan: object) -> float:
        """How long the query with this plan (`EXPLAIN (FORMAT JSON)`) will run, in seconds.

        Raises `DriverError` while the model is not trained.
        """
        if not isinstance(self.model, FeatureRegressor):
            raise DriverError(
                f"the model {self.model_name!r} is not trained yet",
                hint="Train it: pilot pretrain, or a run with its events.",
            )
        return float(10.0 ** self.model.predict([plan_features(plan)])[0])

    def dump(self, folder: Path) -> None:
        """Write the regression into `folder`, as one `.npz` file."""
        self.model.save(folder / _FILE)

    def restore(self, folder: Path) -> None:
        """Read the regression from `folder`; raises `CheckpointError`."""
        self.model = FeatureRegressor.load(folder / _FILE)


class LatencyPretraining(PretrainingModelEvent):
    """Times random queries, and trains the first version of a latency model on them.

    The queries join tables along the database's foreign keys and count rows; see
    `pilotcli.drivers.sampling`. Each is planned once and run once.

    - `queries`: how many;
    - `batch`: how many are saved at a time;
    - `max_joins`: how many joins one has at most;
    - `timeout_s`: seconds after which one is given up; it is kept as a row with the status
      `timeout`, and not trained on;
    - `validation`: an SQL file with queries of the kind that matters, relative to the config;
      they are timed before the others and only measured on. Each of them must run;
    - `seed`: another number draws other queries.
    """

    def __init__(
        self,
        config: PilotConfig,
        bind_pilot_model: PilotModel,
        data_saving_table: str,
        enable_collection: bool = True,
        enable_training: bool = True,
        queries: int = 40,
        batch: int = 10,
        max_joins: int = 4,
        timeout_s: float = 0.5,
        validation: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            config, bind_pilot_model, data_saving_table, enable_collection, enable_training
        )
        for name, value in (("queries", queries), ("batch", batch)):
            if value < 1:
                raise UsageError(f"LatencyPretraining: {name} must be 1 or more, not {value!r}")
        if max_joins < 0 or not timeout_s > 0:
            raise UsageError(
                "LatencyPretraining: max_joins must be 0 or more and timeout_s more than 0, "
                f"not {max_joins!r} and {timeout_s!r}"
            )
        self.queries = queries
        self.batch = batch
        self.max_joins = max_joins
        self.timeout_s = timeout_s
        self.validation = validation
        self.seed = seed
        self._validation: list[str] | None = None
        self._sampler: QuerySampler | None = None
        self._drawn = 0

    def iterative_data_collection(
        self, db_controller: BaseDBController, train_data_manager: DataManager
    ) -> tuple[Sequence[Mapping[str, Any]], bool]:
        """Time the next `batch` queries: one row each, in a fixed order.

        So the number of rows that are there tells where an interrupted collection goes on.
        """
        if self._sampler is None:
            catalog = read_catalog(db_controller, seed=self.seed)
            self._sampler = QuerySampler(catalog, max_joins=self.max_joins, seed=self.seed)
            self._drawn = 0
        validation = self._validation_queries()
        end = len(validation) + self.queries
        stop = min(self.collected_rows + self.batch, end)
        rows: list[Mapping[str, Any]] = []
        for place in range(self.collected_rows, stop):
            if place < len(validation):
                rows.append(_timed(db_controller, validation[place], "validation"))
                continue
            sql = self._query(place - len(validation))
            if sql is None:
                return rows, True
            db_controller.set_hint("statement_timeout", max(1, round(self.timeout_s * 1000)))
            rows.append(self._tried(db_controller, sql))
        return rows, stop >= end

    def custom_model_training(
        self,
        bind_pilot_model: PilotModel,
        db_controller: BaseDBController,
        data_manager: DataManager,
    ) -> FeatureRegressor | None:
        """Train on what was collected; None when that is too little."""
        frame = data_manager.read_all(self.data_saving_table, reader=type(self).__name__)
        return train(bind_pilot_model, *_split(frame))

    def _validation_queries(self) -> list[str]:
        if self._validation is None:
            path = None if self.validation is None else self.config.base / self.validation
            self._validation = [] if path is None else [q.sql for q in open_workload([path])]
        return self._validation

    def _query(self, number: int) -> str | None:
        """The query with this number (from 0), the same in every process."""
        assert self._sampler is not None
        sql = None
        while self._drawn <= number:
            sql = self._sampler.draw()
            self._drawn += 1
        return sql

    def _tried(self, db_controller: BaseDBController, sql: str) -> Mapping[str, Any]:
        """The row of a random query; one that fails is no reason to stop."""
        began = time.perf_counter()
        row = {"sql": sql, "role": "training", "execution_time": None, "physical_plan": None}
        try:
            return _timed(db_controller, sql, "training")
        except QueryTimeout:
            return {**row, "status": "timeout"}
        except QueryCancelled:
            if time.perf_counter() - began < self.timeout_s:
                raise  # somebody else cancelled it: the user, most likely
            return {**row, "status": "timeout"}
        except QueryError:
            return {**row, "status": "error"}


class LatencyUpdate(PeriodicModelUpdateEvent):
    """Trains a latency model again, on all queries of the workload that ended well so far.

    - `table`: the table of the config's `collect:` section, with `physical_plan: true`;
    - `pretraining_table`: the table of `LatencyPretraining`, whose rows are used too.

    Keeps the model as it is while nothing new was collected, and below ten rows. Of many rows, the
    latest 600 are used. A query that is also a validation query is not trained on.
    """

    def __init__(
        self,
        config: PilotConfig,
        interval_count: int,
        pilot_model: PilotModel | None = None,
        execute_on_init: bool = True,
        *,
        table: str,
        pretraining_table: str | None = None,
    ) -> None:
        super().__init__(config, interval_count, pilot_model, execute_on_init)
        self.table = table
        self.pretraining_table = pretraining_table
        self._collected: list[TimedPlan] | None = None

    def custom_model_update(
        self,
        pilot_model: PilotModel | None,
        db_controller: BaseDBController,
        data_manager: DataManager,
    ) -> FeatureRegressor | None:
        """The model trained on everything up to and with the query that just finished."""
        if pilot_model is None:
            raise DriverError(
                "LatencyUpdate has no model to update",
                hint="Add `model: NAME` to the event, with a LatencyModel of that name.",
            )
        reader = f"{type(self).__name__}/{pilot_model.model_name}"
        if self._collected is None:
            new, _ = _split(data_manager.read_all(self.table, reader=reader))
            self._collected = []
        else:
            new, _ = _split(data_manager.read_update(self.table, reader=reader))
        if not new:
            return None
        self._collected = (self._collected + new)[-_MOST_ROWS:]
        earlier: list[TimedPlan] = []
        validation: list[TimedPlan] = []
        if self.pretraining_table is not None:
            frame = data_manager.read_all(self.pretraining_table, reader=reader)
            earlier, validation = _split(frame)
        return train(pilot_model, earlier + self._collected, validation)


def train(
    pilot_model: PilotModel, training: Sequence[TimedPlan], validation: Sequence[TimedPlan]
) -> FeatureRegressor | None:
    """Fit a regression to `training`, the latest 600 of them, and measure it on `validation`.

    Sets `metrics` and `trained_rows` of `pilot_model`. Queries of `validation` are left out of
    the training. None for fewer than ten rows.
    """
    kept_out = {one.sql for one in validation}
    rows = [one for one in training if one.sql not in kept_out][-_MOST_ROWS:]
    if len(rows) < _LEAST_ROWS:
        return None
    fitted = FeatureRegressor.fit([one.features for one in rows], [one.log_seconds for one in rows])
    pilot_model.trained_rows = len(rows)
    if validation:
        predicted = fitted.predict([one.features for one in validation])
        errors = [abs(p - one.log_seconds) for p, one in zip(predicted, validation, strict=True)]
        pilot_model.metrics = {"q_error": _factor(errors), "worst_q_error": 10.0 ** max(errors)}
    else:
        pilot_model.metrics = {"left_out_q_error": _factor(fitted.left_out_errors.tolist())}
    return fitted


def _factor(errors: Sequence[float]) -> float:
    """The geometric mean of the factors whose absolute log10 are `errors`."""
    return float(10.0 ** (math.fsum(errors) / len(errors)))


def _timed(db_controller: BaseDBController, sql: str, role: str) -> Mapping[str, Any]:
    """Plan and run `sql`, and return its row; raises `QueryError`."""
    plan = db_controller.explain_physical_plan(sql)
    began = time.perf_counter()
    db_controller.execute(sql, fetch=True)
    elapsed_s = time.perf_counter() - began
    return {
        "sql": sql,
        "role": role,
        "status": "ok",
        "execution_time": elapsed_s,
        "physical_plan": plan,
    }


def _split(frame: pandas.DataFrame) -> tuple[list[TimedPlan], list[TimedPlan]]:
    """The usable rows of a frame: those to train on, and those to validate with."""
    training: list[TimedPlan] = []
    validation: list[TimedPlan] = []
    for row in frame.to_dict("records"):
        features = plan_features(row.get("physical_plan"))
        seconds = row.get("execution_time")
        if row.get("status", "ok") != "ok" or not features:
            continue
        if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
            continue
        log_seconds = math.log10(max(float(seconds), _SHORTEST_S))
        place = validation if row.get("role") == "validation" else training
        place.append(TimedPlan(str(row.get("sql")), features, log_seconds))
    return training, validation

"""Predicts how long a query will run, from the planner's plan alone.

Three classes, and an example of a complete learned driver:

- `LatencyModel` holds the regression and keeps its versions;
- `LatencyPretraining` times random queries over the database and trains the first version;
- `LatencyUpdate` trains it again on the workload's queries so far.

The metric of a version is the q-error: the factor, at least 1, between predicted and measured
seconds. `q_error` is its geometric mean over the validation queries, which are timed once, before
the first version, and never trained on, so that versions can be compared. Without validation
queries the metric is `left_out_q_error` over the training rows, each predicted by a model that has
not seen it. Those rows change from version to version, so that it compares less well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
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
    from pilotcli.steering.controller import PostgreSQLController
    from pilotcli.storage.store.data_manager import DataManager

_FILE = "latency.npz"
_LEAST_ROWS = 10
_MOST_ROWS = 600  # the regression takes time cubic in its rows: half a second for these
_SHORTEST_S = 1e-5


@dataclass(frozen=True, slots=True)
class TimedPlan:
    """The features of a plan, and how long its query ran (`log_seconds`: log10 of seconds)."""

    sql: str
    features: Mapping[str, float]
    log_seconds: float


class LatencyModel(CheckpointedModel):
    """Predicts a query's seconds from its plan; `model` is a `FeatureRegressor`."""

    def predict_seconds(self, plan: object) -> float:
        """Returns how many seconds the query with this plan (`EXPLAIN (FORMAT JSON)`) will run.

        Raises `DriverError` if the model is not trained yet.
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


@dataclass(frozen=True, slots=True)
class RandomQueries:
    """The queries that `LatencyPretraining` times; they are arguments of its constructor.

    - `queries`: how many random queries;
    - `batch`: how many of them are saved at a time;
    - `max_joins`: the most joins in a query;
    - `timeout_s`: seconds after which a query is cancelled; its row has the status `timeout` and
      is not trained on;
    - `validation`: an SQL file with typical queries, its path relative to the config; they are
      timed before the others and never trained on. Each of them must run;
    - `seed`: another number gives other queries.

    Raises `UsageError` for numbers out of range.
    """

    queries: int = 40
    batch: int = 10
    max_joins: int = 4
    timeout_s: float = 0.5
    validation: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("queries", self.queries), ("batch", self.batch)):
            if value < 1:
                raise UsageError(f"LatencyPretraining: {name} must be 1 or more, not {value!r}")
        if self.max_joins < 0 or not self.timeout_s > 0:
            raise UsageError(
                "LatencyPretraining: max_joins must be 0 or more and timeout_s more than 0, "
                f"not {self.max_joins!r} and {self.timeout_s!r}"
            )


def _takes_random_queries(init: Any) -> Any:
    """Shows the fields of `RandomQueries` as arguments of a constructor, for a config to give."""
    own = list(signature(init).parameters.values())[:-1]
    fields = signature(RandomQueries).parameters.values()
    named = [field.replace(kind=Parameter.KEYWORD_ONLY) for field in fields]
    init.__signature__ = Signature(own + named)
    return init


class LatencyPretraining(PretrainingModelEvent):
    """Times random queries, and trains the first version of a latency model on them.

    The queries join tables along the database's foreign keys and count rows; see
    `pilotcli.drivers.sampling`. Each is planned once and run once. Besides the arguments of
    `PretrainingModelEvent` the constructor takes those of `RandomQueries`.
    """

    @_takes_random_queries
    def __init__(
        self,
        config: PilotConfig,
        bind_pilot_model: PilotModel,
        data_saving_table: str,
        enable_collection: bool = True,
        enable_training: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(
            config, bind_pilot_model, data_saving_table, enable_collection, enable_training
        )
        self.options = RandomQueries(**options)
        self._validation: list[str] | None = None
        self._sampler: QuerySampler | None = None
        self._sampled = 0

    def iterative_data_collection(
        self, db_controller: PostgreSQLController, train_data_manager: DataManager
    ) -> tuple[Sequence[Mapping[str, Any]], bool]:
        """Time the next `batch` queries, and return one row for each of them.

        The order is fixed: the number of saved rows is the place where an interrupted collection
        goes on. Raises `QueryError` for a validation query that fails.
        """
        options = self.options
        if self._sampler is None:
            catalog = read_catalog(db_controller, seed=options.seed)
            self._sampler = QuerySampler(catalog, max_joins=options.max_joins, seed=options.seed)
            self._sampled = 0
        validation = self._validation_queries()
        self.target_rows = end = len(validation) + options.queries
        stop = min(self.collected_rows + options.batch, end)
        rows: list[Mapping[str, Any]] = []
        limited = False
        for place in range(self.collected_rows, stop):
            if place < len(validation):
                rows.append(_time(db_controller, validation[place], "validation"))
                continue
            sql = self._query(place - len(validation))
            if sql is None:
                return rows, True
            if not limited:  # once, since the time-out also holds for the statement that sets it
                db_controller.set_hint("statement_timeout", max(1, round(options.timeout_s * 1000)))
                limited = True
            rows.append(self._time_random(db_controller, sql))
        return rows, stop >= end

    def custom_model_training(
        self,
        bind_pilot_model: PilotModel,
        db_controller: PostgreSQLController,
        data_manager: DataManager,
    ) -> FeatureRegressor | None:
        """Return a regression trained on the collected rows; None if they are too few."""
        frame = data_manager.read_all(self.data_saving_table, reader=type(self).__name__)
        return train(bind_pilot_model, *_split(frame))

    def _validation_queries(self) -> list[str]:
        if self._validation is None:
            file = self.options.validation
            paths = [] if file is None else [self.config.base / file]
            self._validation = [query.sql for query in open_workload(paths)] if paths else []
        return self._validation

    def _query(self, number: int) -> str | None:
        """Returns the random query with this number (from 0), the same in every process."""
        assert self._sampler is not None
        sql = None
        while self._sampled <= number:
            sql = self._sampler.sample()
            self._sampled += 1
        return sql

    def _time_random(self, db_controller: PostgreSQLController, sql: str) -> Mapping[str, Any]:
        """Returns the row of a random query, also of one that fails."""
        began = time.perf_counter()
        row = {"sql": sql, "role": "training", "execution_time": None, "physical_plan": None}
        try:
            return _time(db_controller, sql, "training")
        except QueryTimeout:
            return {**row, "status": "timeout"}
        except QueryCancelled:
            if time.perf_counter() - began < self.options.timeout_s:
                raise  # cancelled by somebody else: the user, most likely
            return {**row, "status": "timeout"}
        except QueryError:
            return {**row, "status": "error"}


class LatencyUpdate(PeriodicModelUpdateEvent):
    """Trains a latency model again, on all successful queries of the workload so far.

    - `table`: the table of the config's `collect:` section, with `physical_plan: true`;
    - `pretraining_table`: the table of `LatencyPretraining`, whose rows are used too.

    The model stays as it is without new rows, and with fewer than ten rows. The latest 600 rows
    are used, without queries that are also validation queries.
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
        db_controller: PostgreSQLController,
        data_manager: DataManager,
    ) -> FeatureRegressor | None:
        """Return a regression trained on all rows, including that of the last query.

        None keeps the model. Raises `DriverError` if the config names no model for the event.
        """
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
        if self.pretraining_table is None:
            return train(pilot_model, self._collected, [])
        frame = data_manager.read_all(self.pretraining_table, reader=reader)
        earlier, validation = _split(frame)
        return train(pilot_model, earlier + self._collected, validation)


def train(
    pilot_model: PilotModel, training: Sequence[TimedPlan], validation: Sequence[TimedPlan]
) -> FeatureRegressor | None:
    """Fit a regression to the latest 600 rows of `training`, and measure it on `validation`.

    Sets `metrics` and `trained_rows` of `pilot_model`. Queries of `validation` are not trained
    on. Returns None for fewer than ten rows.
    """
    kept_out = {plan.sql for plan in validation}
    rows = [plan for plan in training if plan.sql not in kept_out][-_MOST_ROWS:]
    if len(rows) < _LEAST_ROWS:
        return None
    model = FeatureRegressor.fit(
        [plan.features for plan in rows], [plan.log_seconds for plan in rows]
    )
    pilot_model.trained_rows = len(rows)
    if validation:
        predicted = model.predict([plan.features for plan in validation])
        errors = [abs(p - plan.log_seconds) for p, plan in zip(predicted, validation, strict=True)]
        pilot_model.metrics = {
            "q_error": _mean_factor(errors),
            "worst_q_error": 10.0 ** max(errors),
        }
    else:
        pilot_model.metrics = {"left_out_q_error": _mean_factor(model.left_out_errors.tolist())}
    return model


def _mean_factor(errors: Sequence[float]) -> float:
    """Returns the geometric mean of the factors whose absolute log10 are `errors`."""
    return float(10.0 ** (math.fsum(errors) / len(errors)))


def _time(db_controller: PostgreSQLController, sql: str, role: str) -> Mapping[str, Any]:
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
    """Returns the usable rows of a frame: those to train on, and those to validate with."""
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
        rows = validation if row.get("role") == "validation" else training
        rows.append(TimedPlan(str(row.get("sql")), features, log_seconds))
    return training, validation

"""Chooses planner settings for each query, by the times that other queries took with them.

The idea is Bao's (Marcus et al., SIGMOD 2021): the driver writes no plans. It chooses among a few
*arms*, each a set of planner settings, and the planner does the rest.

- `HintModel` holds what was measured, and for each arm a regression;
- `HintPretraining` runs each training query in each arm, with a time-out for what is slower;
- `ChosenHints` pushes the settings of the arm that is expected to be the fastest.

Where Bao asks the planner for a plan of each arm, this driver asks for the native plan only, and
predicts from it how long the query takes in each arm: planning a query with eight joins takes
milliseconds, and the planner's own view of a query tells as much. A query that was measured itself
runs in the arm that was the fastest then.

The native arm is left only if that is expected to pay: the query must be expected to take
`least_s` natively, and the arm to be `least_gain` times as fast. Queries of a form that was always
short are not planned for that decision at all.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotcli.common.errors import (
    CheckpointError,
    DriverError,
    QueryCancelled,
    QueryError,
    QueryTimeout,
    UsageError,
)
from pilotcli.drivers.plans import plan_features
from pilotcli.drivers.regression import FeatureRegressor
from pilotcli.events.base import PretrainingModelEvent
from pilotcli.events.model import CheckpointedModel, PilotModel
from pilotcli.steering.handlers import HintPushHandler
from pilotcli.workload import open_workload
from pilotcli.workload.logs.normal_form import normal_form

if TYPE_CHECKING:
    from pilotcli.config import PilotConfig
    from pilotcli.steering.controller import PostgreSQLController
    from pilotcli.storage.store.data_manager import DataManager

Settings = Mapping[str, str]
NATIVE = "native"
_PARALLEL = {
    "min_parallel_table_scan_size": "0",
    "min_parallel_index_scan_size": "0",
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0.001",
}
ARMS: Mapping[str, Settings] = {
    NATIVE: {},
    "no nested loops": {"enable_nestloop": "off"},
    "parallel": _PARALLEL,
    "parallel hash joins": {"enable_nestloop": "off", "enable_mergejoin": "off", **_PARALLEL},
    "no hash joins": {"enable_hashjoin": "off"},
}
"""The arms that are used if a config names no others. The native one comes first."""
LEAST_S = 0.05
LEAST_GAIN = 1.1
_FILE = "measured.json"
_FORMAT = 1
_LEAST_ROWS = 10
_MOST_ROWS = 600  # the regression takes time cubic in its rows
_SHORTEST_S = 1e-5
_ONCE_S = 0.5
"""A query that takes longer is run once in each arm, a shorter one twice."""
_FOLDS = 5
_SEED = 0


@dataclass(slots=True)
class Measured:
    """What a training has measured and learned.

    - `arms`: the settings of each arm;
    - `seconds`: by query and arm, where a time-out counts as its limit;
    - `features`: of the native plan of each query;
    - `predictors`: for each arm, a regression from such features to log10 of seconds.
    """

    arms: Mapping[str, Settings]
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    features: dict[str, Mapping[str, float]] = field(default_factory=dict)
    predictors: dict[str, FeatureRegressor] = field(default_factory=dict)
    _longest: dict[str, float] = field(default_factory=dict)
    """The longest native seconds of the queries of each form."""

    def fit(self) -> None:
        """Train the regressions on the latest queries; raises `ValueError` for too few."""
        queries = list(self.features)[-_MOST_ROWS:]
        self.predictors = _fit(self, queries)

    def longest_s(self, sql: str) -> float | None:
        """The longest native seconds of the queries that differ from `sql` in values only; None
        without any."""
        if not self._longest:
            for known, seconds in self.seconds.items():
                form = normal_form(known)
                self._longest[form] = max(self._longest.get(form, 0.0), seconds[NATIVE])
        return self._longest.get(normal_form(sql))

    def predict(self, features: Mapping[str, float]) -> dict[str, float]:
        """Returns the seconds that a query with these features is expected to take in each arm."""
        found = {arm: model.predict([features])[0] for arm, model in self.predictors.items()}
        return {arm: float(10.0**value) for arm, value in found.items()}


class HintModel(CheckpointedModel):
    """Keeps what was measured; `model` is a `Measured`, None before the first training."""

    def dump(self, folder: Path) -> None:
        """Write the measurements as JSON, and each regression as an `.npz` file."""
        model: Measured = self.model
        stored = {
            "format": _FORMAT,
            "arms": model.arms,
            "seconds": model.seconds,
            "features": model.features,
        }
        (folder / _FILE).write_text(json.dumps(stored), encoding="utf-8")
        for number, arm in enumerate(model.arms):
            if arm in model.predictors:
                model.predictors[arm].save(folder / f"{number}.npz")

    def restore(self, folder: Path) -> None:
        """Read what `dump` wrote. Raises `CheckpointError`."""
        try:
            stored = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            model = Measured(dict(stored["arms"]), stored["seconds"], stored["features"])
        except (OSError, ValueError, KeyError, TypeError) as exc:
            message = f"{folder / _FILE} is not a file of measured queries: {exc}"
            raise CheckpointError(message) from exc
        for number, arm in enumerate(model.arms):
            if (path := folder / f"{number}.npz").exists():
                model.predictors[arm] = FeatureRegressor.load(path)
        self.model = model


class ChosenHints(HintPushHandler):
    """Pushes the settings of the arm that is expected to be the fastest for the query.

    - `least_s`: a query that is expected to take fewer seconds runs natively;
    - `least_gain`: how many times as fast as the native arm another one must be expected to be.
    """

    def __init__(
        self,
        config: PilotConfig,
        pilot_model: PilotModel,
        least_s: float = LEAST_S,
        least_gain: float = LEAST_GAIN,
    ) -> None:
        super().__init__(config)
        if least_s < 0 or least_gain < 1:
            raise UsageError(
                "ChosenHints: least_s must be 0 or more and least_gain 1 or more, not "
                f"{least_s!r} and {least_gain!r}"
            )
        self.pilot_model = pilot_model
        self.least_s = least_s
        self.least_gain = least_gain

    def acquire_injected_data(self, sql: str) -> Settings | None:
        """Return the settings of the chosen arm; None for the native one."""
        model = self.pilot_model.model
        if not isinstance(model, Measured):
            return None
        expected = model.seconds.get(sql) or self._predicted(model, sql)
        if not expected:
            return None
        arm = choose(expected, self.least_s, self.least_gain)
        self.log(arm=arm, predicted_s=expected[arm], native_s=expected[NATIVE])
        return model.arms[arm] or None

    def _predicted(self, model: Measured, sql: str) -> Mapping[str, float] | None:
        """The expected seconds in each arm; None for what is no query, or always short."""
        longest_s = model.longest_s(sql)
        if not model.predictors or (longest_s is not None and longest_s < self.least_s / 2):
            return None
        if self.interactor is None:
            raise DriverError("ChosenHints is not registered with a scheduler")
        self.interactor.pull_physical_plan()
        plan = self.interactor.execute(sql).physical_plan
        features = plan_features(plan)
        return model.predict(features) if features else None


def choose(expected: Mapping[str, float], least_s: float, least_gain: float) -> str:
    """Returns the arm that takes the fewest of the `expected` seconds, if it is worth leaving the
    native one: see `ChosenHints`."""
    native_s = expected[NATIVE]
    fastest = min(expected, key=lambda arm: expected[arm])
    if native_s < least_s or native_s < least_gain * expected[fastest]:
        return NATIVE
    return fastest


class HintPretraining(PretrainingModelEvent):
    """Runs queries in each arm, and trains a `HintModel` on the times.

    - `queries`: SQL files, relative to the config; without them, the workload of the run, in a
      paired run what the driver learns from;
    - `arms`: settings by arm, instead of `ARMS`; the native arm need not be named;
    - `timeout_s`: seconds after which a query is cancelled in the native arm; in the others it is
      cancelled when it takes twice as long as in the fastest so far;
    - `budget_s`: seconds after which no further query is run; None for all queries. The order of
      the queries is random, and always the same.

    An arm whose plan another one has had already is not run again.
    """

    def __init__(
        self,
        config: PilotConfig,
        bind_pilot_model: PilotModel,
        data_saving_table: str,
        enable_collection: bool = True,
        enable_training: bool = True,
        *,
        queries: str | Sequence[str] | None = None,
        arms: Mapping[str, Settings] | None = None,
        timeout_s: float = 60.0,
        budget_s: float | None = None,
    ) -> None:
        super().__init__(
            config, bind_pilot_model, data_saving_table, enable_collection, enable_training
        )
        if not timeout_s > 0 or (budget_s is not None and not budget_s > 0):
            raise UsageError(
                "HintPretraining: timeout_s and budget_s must be more than 0, not "
                f"{timeout_s!r} and {budget_s!r}"
            )
        self.queries = [queries] if isinstance(queries, str) else queries
        self.arms: Mapping[str, Settings] = ARMS if arms is None else {NATIVE: {}, **arms}
        self.timeout_s = timeout_s
        self.budget_s = budget_s
        self._texts: Sequence[str] | None = None
        self._spent_s = 0.0

    def iterative_data_collection(
        self, db_controller: PostgreSQLController, train_data_manager: DataManager
    ) -> tuple[Sequence[Mapping[str, Any]], bool]:
        """Run the next query in all arms, and return a row for each of them.

        The order is fixed: the number of saved rows is the place where an interrupted collection
        goes on.
        """
        if self._texts is None:
            self._texts = self._read_queries()
            self.target_rows = len(self._texts) * len(self.arms)
        number = self.collected_rows // len(self.arms)
        if number >= len(self._texts) or (self.budget_s or math.inf) <= self._spent_s:
            return [], True
        began = time.perf_counter()
        try:
            rows = self._measured(db_controller, self._texts[number])
        finally:
            db_controller.reset()
        self._spent_s += time.perf_counter() - began
        return rows, number + 1 == len(self._texts)

    def custom_model_training(
        self,
        bind_pilot_model: PilotModel,
        db_controller: PostgreSQLController,
        data_manager: DataManager,
    ) -> Measured | None:
        """Return a model of the collected rows; None if fewer than ten queries ran."""
        model = Measured(dict(self.arms))
        if data_manager.exist_table(self.data_saving_table):
            frame = data_manager.read_all(self.data_saving_table, reader=type(self).__name__)
            for row in frame.to_dict("records"):
                if row["status"] in ("ok", "timeout") and row["arm"] in self.arms:
                    model.seconds.setdefault(row["sql"], {})[row["arm"]] = float(row["seconds"])
                    if row["arm"] == NATIVE:
                        model.features[row["sql"]] = dict(row["features"])
        model.features = {
            sql: found for sql, found in model.features.items() if NATIVE in model.seconds[sql]
        }
        if len(model.features) < _LEAST_ROWS:
            return None
        model.fit()
        bind_pilot_model.trained_rows = len(model.features)
        bind_pilot_model.metrics = held_out(model)
        return model

    def _read_queries(self) -> Sequence[str]:
        if self.queries is not None:
            found = [
                query.sql for query in open_workload([self.config.base / q for q in self.queries])
            ]
        elif self.workload is not None:
            found = [query.sql for query in self.workload]
        else:
            raise UsageError(
                "HintPretraining has no queries to learn from",
                hint="Name a file under args: {queries: train.sql}; `pilot run` has a workload.",
            )
        texts = list(dict.fromkeys(found))
        random.Random(_SEED).shuffle(texts)
        return texts

    def _measured(self, db_controller: PostgreSQLController, sql: str) -> list[Mapping[str, Any]]:
        """A row for each arm, in which those with one plan have one time."""
        row: Mapping[str, Any] = {"sql": sql, "seconds": None, "features": {}}
        try:
            plans = db_controller.explain_under(sql, list(self.arms.values()))
        except QueryError:
            return [{**row, "arm": arm, "status": "error"} for arm in self.arms]
        rows: list[Mapping[str, Any]] = []
        known: dict[str, tuple[float, str]] = {}
        for (arm, settings), plan in zip(self.arms.items(), plans, strict=True):
            text = json.dumps(plan["Plan"], sort_keys=True)
            if text not in known:
                fastest = min((seconds for seconds, _ in known.values()), default=None)
                limit_s = self.timeout_s if fastest is None else min(self.timeout_s, 2 * fastest)
                known[text] = _time(db_controller, sql, settings, max(limit_s, 0.01))
            seconds, status = known[text]
            features = plan_features(plan) if arm == NATIVE else {}
            rows.append(
                {"sql": sql, "arm": arm, "seconds": seconds, "status": status, "features": features}
            )
        return rows


def held_out(model: Measured) -> dict[str, float]:
    """Returns how good the choices are for queries that a model has not seen, by cross-validation.

    - `speedup`: how many times as fast all queries are together as natively, planning left out;
    - `best_speedup`: the same with the fastest arm for each query;
    - `q_error`: geometric mean of the factors between predicted and measured native seconds.
    """
    queries = list(model.features)[-_MOST_ROWS:]
    random.Random(_SEED).shuffle(queries)
    taken = dict.fromkeys(("native", "chosen", "best"), 0.0)
    errors = []
    for fold in range(_FOLDS):
        judged = queries[fold::_FOLDS]
        part = Measured(model.arms, model.seconds, model.features)
        part.predictors = _fit(model, [sql for sql in queries if sql not in set(judged)])
        for sql in judged:
            expected, seconds = part.predict(model.features[sql]), model.seconds[sql]
            errors.append(abs(math.log(expected[NATIVE] / max(seconds[NATIVE], _SHORTEST_S))))
            arm = choose(expected, LEAST_S, LEAST_GAIN)
            taken["native"] += seconds[NATIVE]
            taken["chosen"] += seconds.get(arm, seconds[NATIVE])
            taken["best"] += min(seconds.values())
    return {
        "speedup": taken["native"] / taken["chosen"],
        "best_speedup": taken["native"] / taken["best"],
        "q_error": math.exp(math.fsum(errors) / len(errors)),
    }


def _fit(model: Measured, queries: Sequence[str]) -> dict[str, FeatureRegressor]:
    predictors = {}
    for arm in model.arms:
        own = [sql for sql in queries if arm in model.seconds[sql]]
        seconds = (max(model.seconds[sql][arm], _SHORTEST_S) for sql in own)
        predictors[arm] = FeatureRegressor.fit(
            [model.features[sql] for sql in own], [math.log10(value) for value in seconds]
        )
    return predictors


def _time(
    db_controller: PostgreSQLController, sql: str, settings: Settings, limit_s: float
) -> tuple[float, str]:
    """Returns the seconds of a query with `settings`, and how it ended."""
    for name, value in {**settings, "statement_timeout": str(round(limit_s * 1000))}.items():
        db_controller.set_hint(name, value)
    shortest = math.inf
    try:
        for _ in range(2):
            began = time.perf_counter()
            db_controller.execute(sql, fetch=True)
            elapsed_s = time.perf_counter() - began
            shortest = min(shortest, elapsed_s)
            if elapsed_s > _ONCE_S:
                break
    except QueryTimeout:
        return min(shortest, limit_s), "timeout" if math.isinf(shortest) else "ok"
    except QueryCancelled:
        if time.perf_counter() - began < limit_s / 2:
            raise  # long before the time-out: by the user, most likely
        return min(shortest, limit_s), "timeout" if math.isinf(shortest) else "ok"
    except QueryError:
        return math.nan, "error"
    finally:
        db_controller.reset()
    return shortest, "ok"

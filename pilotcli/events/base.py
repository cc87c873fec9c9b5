"""The event classes that drivers derive from, with PilotScope's documented signatures.

The base class of an event decides when it is called, its one method what it does. The order of
events and the handling of failures are in `pilotcli.events.runner`; an event never calls another.
"""

from __future__ import annotations

import contextlib
import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pilotcli.common.errors import UsageError
from pilotcli.common.records import ModelVersion
from pilotcli.events.model import PilotModel, save_now

if TYPE_CHECKING:
    from pilotcli.config import PilotConfig
    from pilotcli.steering.controller import PostgreSQLController
    from pilotcli.storage.store.data_manager import DataManager
    from pilotcli.workload.upcoming import WorkloadQueries


@dataclass(frozen=True, slots=True)
class ModelUpdate:
    """The result of an update or a training.

    - `model`: the model that the event updates or trains;
    - `saved`: False when the driver returned None, which keeps the model as it is;
    - `version`: the new checkpoint; None when the model's own `save_model` returned none.
    """

    model: PilotModel
    saved: bool
    version: ModelVersion | None = None


class Event(ABC):
    """The base of all events.

    - `config`: the database and folder settings of the run;
    - `resumed`: True while `pilot run --resume` repeats a call that was running when its run was
      interrupted or killed. That call may have done half of its work;
    - `workload`: the queries that the run replays, set before the first call; None in a script,
      in `pilot pretrain`, and in the constructor.
    """

    resumed: bool = False
    workload: WorkloadQueries | None = None
    pilot_model: PilotModel | None = None
    """The model that the config names for this event; `self.pilot_model.save()` saves it."""
    scheduler: ClassVar[str | None] = None
    """The scheduler of a run with such events, as `module:Class`; None for pilot's own."""

    def __init__(self, config: PilotConfig) -> None:
        self.config = config


class QueryFinishEvent(Event):
    """Called after every `interval_count` finished queries.

    An event may change its `interval_count`; the new value applies from its next firing on.
    """

    def __init__(
        self,
        config: PilotConfig,
        interval_count: int = 1,
        pilot_model: PilotModel | None = None,
    ) -> None:
        """Raises `UsageError` for an `interval_count` that is not a whole number of 1 or more."""
        super().__init__(config)
        if pilot_model is not None:
            self.pilot_model = pilot_model
        self.interval_count = checked_interval(interval_count, f"{type(self).__name__}: ")

    @abstractmethod
    def process(self, db_controller: PostgreSQLController, data_manager: DataManager) -> Any:
        """Called after every `interval_count` finished queries. The return value is ignored.

        - `db_controller`: the run's database, over a connection that replays no queries;
        - `data_manager`: the collected rows, including those of the query that just finished.

        An exception is reported with its traceback and does not end the run.
        """


class WorkloadBeforeEvent(Event):
    """Called once, before the first query of a workload; never with `enable=False`."""

    def __init__(
        self,
        config: PilotConfig,
        enable: bool = True,
        pilot_model: PilotModel | None = None,
    ) -> None:
        super().__init__(config)
        if pilot_model is not None:
            self.pilot_model = pilot_model
        self.enable = enable

    @abstractmethod
    def process(self, db_controller: PostgreSQLController, data_manager: DataManager) -> Any:
        """Called once, before the first query, with the arguments of `QueryFinishEvent.process`.

        The return value is ignored. An exception is reported and does not end the run.
        """


class PeriodicModelUpdateEvent(QueryFinishEvent):
    """Updates a model after every `interval_count` finished queries; with `execute_on_init` also
    once when the scheduler is initialised."""

    def __init__(
        self,
        config: PilotConfig,
        interval_count: int,
        pilot_model: PilotModel | None = None,
        execute_on_init: bool = True,
    ) -> None:
        """Raises `UsageError` for an `interval_count` that is not a whole number of 1 or more."""
        super().__init__(config, interval_count)
        self.pilot_model = pilot_model
        self.execute_on_init = execute_on_init

    def process(
        self, db_controller: PostgreSQLController, data_manager: DataManager
    ) -> ModelUpdate | None:
        """Call `custom_model_update`, then set and save the model that it returns."""
        updated = self.custom_model_update(self.pilot_model, db_controller, data_manager)
        return None if self.pilot_model is None else _adopt(self.pilot_model, updated)

    @abstractmethod
    def custom_model_update(
        self,
        pilot_model: Any,
        db_controller: PostgreSQLController,
        data_manager: DataManager,
    ) -> Any:
        """Return the updated user model; pilot sets it as `pilot_model.model` and saves it.

        - `pilot_model`: the model that the config names for this event, None without one; of the
          driver's own class;
        - `db_controller`: the run's database, over a connection that replays no queries;
        - `data_manager`: the collected rows, including those of the query that just finished.

        None keeps the model as it is, and nothing is saved. An exception does the same; it is
        reported and does not end the run.
        """


class PretrainingModelEvent(Event):
    """Collects data and trains a model before the application starts.

    Before each call of `iterative_data_collection` pilot sets two attributes, which include the
    work of an interrupted pretraining that is being continued:

    - `collected_rows`: how many rows this event has saved;
    - `collection_iteration`: how many of these calls have ended.

    An event that knows how many rows it will collect sets `target_rows`, as an attribute of the
    class or of the object, at any time; pilot then shows how far the collection is.
    """

    collected_rows: int = 0
    collection_iteration: int = 0
    target_rows: int | None = None

    def __init__(
        self,
        config: PilotConfig,
        bind_pilot_model: PilotModel,
        data_saving_table: str,
        enable_collection: bool = True,
        enable_training: bool = True,
    ) -> None:
        super().__init__(config)
        self.bind_pilot_model = bind_pilot_model
        self.data_saving_table = data_saving_table
        self.enable_collection = enable_collection
        self.enable_training = enable_training

    @abstractmethod
    def iterative_data_collection(
        self, db_controller: PostgreSQLController, train_data_manager: DataManager
    ) -> tuple[Sequence[Mapping[str, Any]], bool]:
        """Return `(rows, terminate)`; called again until `terminate` is true.

        - `rows`: a list of dicts, column to value; saved in `data_saving_table` before the next
          call;
        - `terminate`: whether the collection is complete.

        `train_data_manager` holds the rows saved so far. An exception, or a value of another form,
        ends this pretraining and is reported.
        """

    @abstractmethod
    def custom_model_training(
        self,
        bind_pilot_model: Any,
        db_controller: PostgreSQLController,
        data_manager: DataManager,
    ) -> Any:
        """Return the trained user model; pilot sets it as `bind_pilot_model.model` and saves it.

        `data_manager` holds the collected rows, in the table `data_saving_table`. None keeps the
        model as it is, and nothing is saved.
        """

    def training_argument(self) -> Any:
        """Returns the first argument of `custom_model_training`."""
        return self.bind_pilot_model

    def train(self, db_controller: PostgreSQLController, data_manager: DataManager) -> ModelUpdate:
        """Call `custom_model_training`, then set and save the model that it returns."""
        trained = self.custom_model_training(self.training_argument(), db_controller, data_manager)
        return _adopt(self.bind_pilot_model, trained)


def _adopt(pilot_model: PilotModel, user_model: Any) -> ModelUpdate:
    """Set and save `user_model`; if saving fails, the model stays as it was."""
    if user_model is None:
        return ModelUpdate(pilot_model, saved=False)
    before = pilot_model.model
    pilot_model.model = user_model
    try:
        version = save_now(pilot_model)
    except BaseException:
        pilot_model.model = before
        raise
    return ModelUpdate(pilot_model, saved=True, version=version)


def checked_interval(value: Any, prefix: str = "") -> int:
    """Returns an `interval_count`; raises `UsageError` for a value that is none."""
    with contextlib.suppress(TypeError):
        if operator.index(value) >= 1 and not isinstance(value, bool):
            return operator.index(value)
    raise UsageError(
        f"{prefix}interval_count must be a whole number from 1 on, not {value!r}",
        hint="An event fires after every interval_count finished queries.",
    )

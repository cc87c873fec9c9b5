"""The event classes that drivers derive from, with PilotScope's documented signatures.

An event says when it wants to be called by the class it derives from and what to do by the one
method it implements. Which event is due, in which order, and what happens when one fails is the
business of `pilotcli.events.runner`; an event never calls another.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pilotcli.common.errors import DriverError, PilotError, UsageError
from pilotcli.common.records import ModelVersion
from pilotcli.events.model import PilotModel
from pilotcli.storage.checkpoints.pickling import unpicklable_part

if TYPE_CHECKING:
    from pilotcli.config import PilotConfig
    from pilotcli.databases.protocols import BaseDBController
    from pilotcli.storage.store.data_manager import DataManager

__all__ = [
    "Event",
    "ModelUpdate",
    "PeriodicModelUpdateEvent",
    "PretrainingModelEvent",
    "QueryFinishEvent",
    "WorkloadBeforeEvent",
]


@dataclass(frozen=True, slots=True)
class ModelUpdate:
    """What came of an update or a training.

    `saved` is False when the driver returned None and the model that was there stays. `version`
    is the checkpoint, or None where the model's own `save_model` keeps it.
    """

    model: PilotModel
    saved: bool
    version: ModelVersion | None = None


class Event(ABC):
    """The base of all events.

    `resumed` is True while an event is called again that was running when its run was interrupted
    or killed, and which `pilot run --resume` continues: what it did then may be half done.
    """

    resumed: bool = False
    scheduler: ClassVar[str | None] = None
    """The scheduler of a run with such events, as `module:Class`; None for pilot's own."""

    def __init__(self, config: PilotConfig) -> None:
        self.config = config


class QueryFinishEvent(Event):
    """Called after every `interval_count` finished queries.

    An event may change its `interval_count`; that counts from its next firing on.
    """

    def __init__(self, config: PilotConfig, interval_count: int = 1) -> None:
        """Refuse an `interval_count` that is no whole number from 1 on (`UsageError`)."""
        super().__init__(config)
        self.interval_count = _checked_interval(interval_count, type(self).__name__)

    @abstractmethod
    def process(self, db_controller: BaseDBController, data_manager: DataManager) -> Any:
        """Called after every `interval_count` finished queries; what it returns is ignored.

        `db_controller` has a connection of its own, apart from the one that replays queries.
        `data_manager` holds what was collected up to and with the query that just finished.
        """


class WorkloadBeforeEvent(Event):
    """Called once, before the first query of a workload; never when not `enable`."""

    def __init__(self, config: PilotConfig, enable: bool = True) -> None:
        super().__init__(config)
        self.enable = enable

    @abstractmethod
    def process(self, db_controller: BaseDBController, data_manager: DataManager) -> Any:
        """Called once, before the first query; what it returns is ignored."""


class PeriodicModelUpdateEvent(QueryFinishEvent):
    """Updates a model after every `interval_count` finished queries, and once when the scheduler
    is initialised if `execute_on_init`."""

    def __init__(
        self,
        config: PilotConfig,
        interval_count: int,
        pilot_model: PilotModel | None = None,
        execute_on_init: bool = True,
    ) -> None:
        """Refuse an `interval_count` that is no whole number from 1 on (`UsageError`)."""
        super().__init__(config, interval_count)
        self.pilot_model = pilot_model
        self.execute_on_init = execute_on_init

    def process(
        self, db_controller: BaseDBController, data_manager: DataManager
    ) -> ModelUpdate | None:
        """Ask for the updated model, set it and save it."""
        updated = self.custom_model_update(self.pilot_model, db_controller, data_manager)
        return None if self.pilot_model is None else _adopt(self.pilot_model, updated)

    @abstractmethod
    def custom_model_update(
        self,
        pilot_model: PilotModel | None,
        db_controller: BaseDBController,
        data_manager: DataManager,
    ) -> Any:
        """Return the updated user model, which is then set as `pilot_model.model` and saved.

        None keeps the model that was there, and nothing is saved.
        """


class PretrainingModelEvent(Event):
    """Collects data and trains a model before the application starts.

    Before each call of `iterative_data_collection` pilot sets `collected_rows` (rows that this
    event has saved so far, also by an interrupted pretraining that is being continued) and
    `collection_iteration` (calls that have been completed, counted likewise).
    """

    collected_rows: int = 0
    collection_iteration: int = 0

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
        self, db_controller: BaseDBController, train_data_manager: DataManager
    ) -> tuple[Sequence[Mapping[str, Any]], bool]:
        """Return `(rows, terminate)`: rows to save, as dicts of column to value, and whether the
        collection is complete. Called until it is."""

    @abstractmethod
    def custom_model_training(
        self,
        bind_pilot_model: PilotModel,
        db_controller: BaseDBController,
        data_manager: DataManager,
    ) -> Any:
        """Return the trained user model, which is then set as `bind_pilot_model.model` and saved.

        None keeps the model that was there, and nothing is saved.
        """

    def training_argument(self) -> Any:
        """What `custom_model_training` receives first."""
        return self.bind_pilot_model

    def train(self, db_controller: BaseDBController, data_manager: DataManager) -> ModelUpdate:
        """Ask for the trained model, set it and save it."""
        trained = self.custom_model_training(self.training_argument(), db_controller, data_manager)
        return _adopt(self.bind_pilot_model, trained)


def _adopt(pilot_model: PilotModel, user_model: Any) -> ModelUpdate:
    """Set and save `user_model`; a save that fails leaves the model as it was."""
    if user_model is None:
        return ModelUpdate(pilot_model, saved=False)
    before = pilot_model.model
    pilot_model.model = user_model
    try:
        saved = _saved(pilot_model)
    except BaseException:
        pilot_model.model = before
        raise
    version = saved if isinstance(saved, ModelVersion) else None
    return ModelUpdate(pilot_model, saved=True, version=version)


def _saved(pilot_model: PilotModel) -> Any:
    """Save, and say which part of the model cannot be pickled where it is that."""
    try:
        return pilot_model.save_model()
    except PilotError:
        raise
    except Exception as exc:
        part = unpicklable_part(pilot_model.model, "model", exc)
        if part is None:
            raise
        raise DriverError(
            f"the model {pilot_model.model_name!r} cannot be saved: pickle does not take {part} "
            f"({exc})",
            hint="Leave it out: in the `__getstate__` of its class, or before it is returned.",
        ) from exc


def _checked_interval(value: int, event: str) -> int:
    try:
        interval = operator.index(value)
    except TypeError:
        interval = 0
    if interval < 1 or isinstance(value, bool):
        raise UsageError(
            f"{event}: interval_count must be a whole number from 1 on, not {value!r}",
            hint="An event fires after every interval_count finished queries.",
        )
    return interval

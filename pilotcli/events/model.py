"""The models that pilot keeps: PilotScope's `PilotModel`, and one with versioned checkpoints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotcli.common.errors import CheckpointError
from pilotcli.common.records import ModelVersion
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore

__all__ = ["CheckpointedModel", "PilotModel", "Provenance"]


class PilotModel(ABC):
    """A user's model and how it is saved and loaded.

    `model` is the user's own object. A driver may set `metrics` before it returns from an update
    or a training, to what the model reached (`{"mae_ms": 3.2}`): pilot shows the first and stores
    all of them with the checkpoint. `trained_rows` likewise: the number of rows the model was
    trained on.
    """

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name
        self.model: Any = None
        self.metrics: Mapping[str, float] = {}
        self.trained_rows: int | None = None

    @abstractmethod
    def save_model(self) -> Any:
        """Save `self.model`. Called by pilot after each update and training."""

    @abstractmethod
    def load_model(self) -> Any:
        """Load what `save_model` saved and assign it to `self.model`."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which firing is at work, for the checkpoints that it saves."""

    event: str | None = None
    query_seq: int | None = None
    run_id: int | None = None


class CheckpointedModel(PilotModel):
    """A model whose every save is a new version under `.pilot/models/<model_name>/`.

    A subclass says how to write itself into a folder (`dump`) and how to read itself back
    (`restore`); versions, checksums, atomicity and rollback are pilot's.
    """

    def __init__(self, model_name: str) -> None:
        super().__init__(model_name)
        self.checkpoints = CheckpointStore(Path(".pilot") / "models")
        self.provenance = Provenance()

    @abstractmethod
    def dump(self, folder: Path) -> None:
        """Write `self.model` into the empty `folder`, as one or more files."""

    @abstractmethod
    def restore(self, folder: Path) -> None:
        """Read what `dump` wrote into `folder` and assign it to `self.model`."""

    def save_model(self) -> ModelVersion:
        """Save a new version and make it the current one; raises `CheckpointError`."""
        return self.checkpoints.save(
            self.model_name,
            self.dump,
            model_class=f"{type(self).__module__}.{type(self).__qualname__}",
            event=self.provenance.event,
            query_seq=self.provenance.query_seq,
            run_id=self.provenance.run_id,
            trained_rows=self.trained_rows,
            metrics=self.metrics,
        )

    def load_model(self, version: int | None = None) -> ModelVersion:
        """Verify and restore `version` (None: the current one).

        `restore` may run code that the files hold, as Python's pickle does. Raises
        `CheckpointError` when the version is missing, its files are not what was saved, or it was
        not saved in this home and `checkpoints` does not trust all that it has.
        """
        store = self.checkpoints
        found = store.current(self.model_name) if version is None else None
        if version is not None:
            found = store.get(self.model_name, version)
        if found is None:
            raise CheckpointError(
                f"there is no checkpoint of the model {self.model_name!r} in {store.root}",
                hint="Train it first: pilot pretrain, or a run with its events.",
            )
        store.verify(found)
        self.restore(found.path)
        self.metrics = dict(found.metrics)
        self.trained_rows = found.trained_rows
        return found

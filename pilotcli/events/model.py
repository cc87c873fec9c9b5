"""The models that pilot keeps: PilotScope's `PilotModel`, and one with versioned checkpoints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotcli.common.errors import CheckpointError, DriverError, PilotError, text_of
from pilotcli.common.records import ModelVersion
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.checkpoints.pickling import unpicklable_part


class PilotModel(ABC):
    """A user's model, and how it is saved and loaded.

    - `model`: the user's own object;
    - `metrics`: name to value, as `{"mae_ms": 3.2}`; pilot shows the first one and stores all of
      them with the checkpoint;
    - `trained_rows`: the number of rows that the model was trained on.

    A driver may set `metrics` and `trained_rows` before it returns from an update or a training,
    or calls `save`.
    """

    pilot_saves: Sequence[ModelVersion | None] = ()
    """What was saved in the running call of an event, which pilot takes when the call ends."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name
        self.model: Any = None
        self.metrics: Mapping[str, float] = {}
        self.trained_rows: int | None = None

    def save(self) -> ModelVersion | None:
        """Save the model now, and return its new version; None for a model that saves itself.

        For an event of any kind that has changed `self.model`. In a run the version is recorded
        with its origin, as that of an update is: call it in the event's method. Raises what
        `save_model` raises, and `DriverError` for a model that cannot be pickled.
        """
        return save_now(self)

    @abstractmethod
    def save_model(self) -> Any:
        """Save `self.model`. Called after each update and training, and by `save`.

        An exception makes the event fail; `self.model` then stays what it was before.
        """

    @abstractmethod
    def load_model(self) -> Any:
        """Load the model that `save_model` saved, and assign it to `self.model`."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """The firing that saves a checkpoint: its event, the query before it, and its run."""

    event: str | None = None
    query_seq: int | None = None
    run_id: int | None = None


class CheckpointedModel(PilotModel):
    """A model with versions: each save makes a new one under `.pilot/models/<model_name>/`.

    A subclass writes its model into a folder (`dump`) and reads it back (`restore`). pilot adds
    versions, checksums, atomic saves and rollback.
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
        """Read the files that `dump` wrote into `folder`, and assign the model to `self.model`."""

    def save_model(self) -> ModelVersion:
        """Save a new version, make it the current one and return it. Raises `CheckpointError`."""
        version = self.checkpoints.save(
            self.model_name,
            self.dump,
            model_class=f"{type(self).__module__}.{type(self).__qualname__}",
            event=self.provenance.event,
            query_seq=self.provenance.query_seq,
            run_id=self.provenance.run_id,
            trained_rows=self.trained_rows,
            metrics=self.metrics,
        )
        self.pilot_saves = (*self.pilot_saves, version)
        return version

    def load_model(self, version: int | None = None) -> ModelVersion:
        """Check and restore `version` (None: the current one), and return it.

        `restore` may run code that the files hold, as Python's pickle does. Raises
        `CheckpointError` if the version is missing, its files have changed since they were saved,
        or they were saved in another home and `checkpoints` does not trust those.
        """
        store, name = self.checkpoints, self.model_name
        found = store.current(name) if version is None else store.get(name, version)
        if found is None:
            raise CheckpointError(
                f"there is no checkpoint of the model {name!r} in {store.root}",
                hint="Train it first: pilot pretrain, or a run with its events.",
            )
        store.verify(found)
        self.restore(found.path)
        self.metrics = dict(found.metrics)
        self.trained_rows = found.trained_rows
        return found


def save_now(pilot_model: PilotModel) -> ModelVersion | None:
    """Save a model, and note it in its `pilot_saves`. Raises a `DriverError` that names the part at
    fault if pickling fails."""
    before = len(pilot_model.pilot_saves)
    try:
        saved = pilot_model.save_model()
    except PilotError:
        raise
    except Exception as exc:
        part = unpicklable_part(pilot_model.model, "model", exc)
        if part is None:
            raise
        raise DriverError(
            f"the model {pilot_model.model_name!r} cannot be saved: pickle does not take {part} "
            f"({text_of(exc)})",
            hint="Leave it out: in the `__getstate__` of its class, or before you return it.",
        ) from exc
    version = saved if isinstance(saved, ModelVersion) else None
    if len(pilot_model.pilot_saves) == before:  # a model that saves itself
        pilot_model.pilot_saves = (*pilot_model.pilot_saves, version)
    return version

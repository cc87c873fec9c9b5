"""The base of every model that pilot keeps: PilotScope's `PilotModel`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

__all__ = ["PilotModel"]


class PilotModel(ABC):
    """A user's model and how it is saved and loaded.

    `model` is the user's own object. `metrics` may be set by a driver before it returns from an
    update or a training, to what the model reached (`{"mae_ms": 3.2}`); pilot shows the first
    and stores all of them with the checkpoint. `trained_rows` likewise: the number of rows the
    model was trained on.

    Subclasses that want versioned checkpoints derive from
    `pilotcli.storage.checkpoints.CheckpointedModel` instead.
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

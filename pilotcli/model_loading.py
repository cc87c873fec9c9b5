"""Which version of each model a run begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pilotcli.config.model import ModelSpec
from pilotcli.errors import DriverError, PilotError
from pilotcli.model import CheckpointedModel, PilotModel
from pilotcli.records import ModelVersion
from pilotcli.signals import Bus, ModelLoaded
from pilotcli.storage.checkpoints import CheckpointStore

__all__ = ["current_version", "load_models"]


def load_models(
    models: Mapping[str, PilotModel], specs: Sequence[ModelSpec], store: CheckpointStore, bus: Bus
) -> None:
    """Load every model as its `load:` says; raises `CheckpointError` or `DriverError`."""
    for spec in specs:
        model = models[spec.name]
        version: ModelVersion | None = None
        if isinstance(model, CheckpointedModel):
            model.checkpoints = store
            if spec.load is False or (spec.load == "auto" and current_version(model) is None):
                continue
            wanted = spec.load if type(spec.load) is int else None
            version = _loading(model, lambda m=model, w=wanted: m.load_model(w))  # type: ignore[misc]
        elif spec.load is True:
            _loading(model, model.load_model)
        else:
            continue
        bus.emit(ModelLoaded(model.model_name, version))


def _loading(model: PilotModel, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except PilotError:
        raise
    except Exception as exc:
        raise DriverError(
            f"the model {model.model_name!r} could not be loaded: {type(exc).__name__}: {exc}",
            hint="Begin anew with `load: false` for this model, or repair its load_model/restore.",
        ) from exc


def current_version(model: PilotModel) -> ModelVersion | None:
    """The version of `model` in use; None where there is none, or the model keeps itself."""
    if not isinstance(model, CheckpointedModel):
        return None
    return model.checkpoints.current(model.model_name)

"""Loads the version of each model that a run begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pilotcli.common.errors import DriverError, PilotError
from pilotcli.common.records import ModelVersion
from pilotcli.common.signals import Bus, ModelLoaded, Notice
from pilotcli.config.model import ModelSpec
from pilotcli.events.model import CheckpointedModel, PilotModel
from pilotcli.storage.checkpoints.checkpoints import FROM_ELSEWHERE, CheckpointStore

__all__ = ["current_version", "load_models", "load_models_again", "loading"]


def load_models(
    models: Mapping[str, PilotModel], specs: Sequence[ModelSpec], store: CheckpointStore, bus: Bus
) -> None:
    """Load every model as its `load:` says; raises `CheckpointError` or `DriverError`."""
    for spec in specs:
        model = models[spec.name]
        version: ModelVersion | None = None
        if isinstance(model, CheckpointedModel):
            model.checkpoints = store.trusting() if spec.trust else store
            if spec.load is False or (spec.load == "auto" and current_version(model) is None):
                continue
            wanted = spec.load if type(spec.load) is int else None
            if spec.trust:
                _warn(model, wanted, bus)
            version = loading(model, lambda m=model, w=wanted: m.load_model(w))  # type: ignore[misc]
        elif spec.load is True:
            loading(model, model.load_model)
        else:
            continue
        bus.emit(ModelLoaded(model.model_name, version))


def load_models_again(
    models: Mapping[str, PilotModel],
    specs: Sequence[ModelSpec],
    store: CheckpointStore,
    bus: Bus,
    versions: Mapping[str, int | None],
) -> None:
    """Load the versions that were in use in a run that is continued, by model name.

    A newer one, which the firing that was interrupted has saved, stays, and is not the current one.
    A model that keeps itself is loaded as its `load:` says.
    """
    for spec in specs:
        model = models[spec.name]
        if not isinstance(model, CheckpointedModel):
            load_models(models, [spec], store, bus)
            continue
        model.checkpoints = store.trusting() if spec.trust else store
        wanted = versions.get(model.model_name)
        if wanted is None:
            continue
        current = current_version(model)
        if current is None or current.version != wanted:
            store.rollback(model.model_name, wanted)
        if spec.trust:
            _warn(model, wanted, bus)
        version = loading(model, lambda m=model, w=wanted: m.load_model(w))  # type: ignore[misc]
        bus.emit(ModelLoaded(model.model_name, version))


def _warn(model: CheckpointedModel, wanted: int | None, bus: Bus) -> None:
    """Warn of a version from elsewhere that is about to be loaded."""
    store, name = model.checkpoints, model.model_name
    version = store.current(name) if wanted is None else store.get(name, wanted)
    if version is None or (origin := store.origin(version)) == "own":
        return
    text = f"version {version.version} of the model {name!r} {FROM_ELSEWHERE[origin]}"
    bus.emit(Notice("warning", f"{text}; it is trusted, and runs what code its files may hold"))


def loading(model: PilotModel, load: Callable[[], Any]) -> Any:
    """What `load` returns; raises `DriverError` for what a driver raises in it."""
    try:
        return load()
    except PilotError:
        raise
    except Exception as exc:
        raise DriverError(
            f"the model {model.model_name!r} could not be loaded: {type(exc).__name__}: {exc}",
            hint="Set `load: false` for this model, or repair its load_model/restore.",
        ) from exc


def current_version(model: PilotModel) -> ModelVersion | None:
    """The version of `model` in use; None where there is none, or the model keeps itself."""
    if not isinstance(model, CheckpointedModel):
        return None
    return model.checkpoints.current(model.model_name)

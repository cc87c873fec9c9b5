"""Loads the version of each model that a run begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pilotcli.common.debugger import current
from pilotcli.common.errors import DriverError, PilotError
from pilotcli.common.failures import failure_of
from pilotcli.common.records import ModelVersion
from pilotcli.common.signals import Bus, ModelLoaded, Notice
from pilotcli.config.model import ModelSpec
from pilotcli.events.model import CheckpointedModel, PilotModel
from pilotcli.storage.checkpoints.checkpoints import FROM_ELSEWHERE, CheckpointStore


def load_models(
    models: Mapping[str, PilotModel],
    specs: Sequence[ModelSpec],
    store: CheckpointStore,
    bus: Bus,
    in_use: Mapping[str, int | None] | None = None,
    *,
    fresh: bool = False,
) -> None:
    """Load every model as its `load:` says; with `fresh` not those with `auto`. Raises
    `CheckpointError` or `DriverError`.

    In a continued run, `in_use` has the version of each checkpointed model, by the model's name.
    That version is loaded and becomes the current one; a newer one, which the interrupted firing
    saved, stays.
    """
    for spec in specs:
        model = models[spec.name]
        if not isinstance(model, CheckpointedModel):
            if spec.load is True:
                loading(model, model.load_model)
                bus.emit(ModelLoaded(model.model_name, None))
            continue
        model.checkpoints = store.trusting() if spec.trust else store
        if in_use is not None:
            wanted = in_use.get(model.model_name)
            if wanted is None:
                continue
            current = current_version(model)
            if current is None or current.version != wanted:
                model.checkpoints.rollback(model.model_name, wanted)
        elif spec.load is False or (
            spec.load == "auto" and (fresh or current_version(model) is None)
        ):
            continue
        else:
            wanted = spec.load if type(spec.load) is int else None
        if spec.trust:
            _warn(model, wanted, bus)
        version = loading(model, partial(model.load_model, wanted))
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
    """Returns the result of `load`; raises `DriverError` for an exception of the driver's code."""
    try:
        return load()
    except PilotError:
        raise
    except BaseException as exc:
        if (debugger := current()) is not None:
            debugger.failed(exc)
        raise DriverError(
            f"the model {model.model_name!r} could not be loaded: {failure_of(exc)}",
            hint="Set `load: false` for this model, or repair its load_model/restore.",
        ) from exc


def current_version(model: PilotModel) -> ModelVersion | None:
    """The version of `model` in use; None where there is none, or the model keeps itself."""
    if not isinstance(model, CheckpointedModel):
        return None
    return model.checkpoints.current(model.model_name)

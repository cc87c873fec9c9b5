"""Completes the names of models, events, handlers and baselines."""

from __future__ import annotations

from pilotcli.cli.completions.given import Found, Parameters, config_of
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore


def baselines(parameters: Parameters, incomplete: str) -> Found:
    """`native`; the shell completes the paths of configs itself."""
    yield "native", "the database without the driver"


def models(parameters: Parameters, incomplete: str) -> Found:
    """The models of the config, and those that have a checkpoint."""
    config = config_of(parameters)
    classes = {spec.name: spec.class_path for spec in config.models}
    stored = CheckpointStore(config.home / "models").models()
    for name in dict.fromkeys([*classes, *stored]):
        yield name, classes.get(name, "not in the config")


def events(parameters: Parameters, incomplete: str) -> Found:
    """The events of the config, also behind others and a comma."""
    before, comma, _ = incomplete.rpartition(",")
    for spec in config_of(parameters).events:
        if spec.name not in before.split(","):
            yield f"{before}{comma}{spec.name}", spec.class_path


def handlers(parameters: Parameters, incomplete: str) -> Found:
    """The handlers of the config."""
    return ((spec.name, spec.class_path) for spec in config_of(parameters).handlers)

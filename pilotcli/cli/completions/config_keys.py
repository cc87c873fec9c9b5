"""Completes the keys of a config, and their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import Field, fields
from typing import Any

from pilotcli.cli.completions.given import Found, Parameters, config_of
from pilotcli.config.model import (
    CollectSection,
    CompatSection,
    DatabaseSection,
    EventSpec,
    HandlerSpec,
    RunSection,
    SteeringSection,
    StoreSection,
)
from pilotcli.config.schema import key_docs

_SECTIONS = {
    "database": DatabaseSection,
    "store": StoreSection,
    "run": RunSection,
    "collect": CollectSection,
    "steering": SteeringSection,
    "compat": CompatSection,
}
_OTHER_KEYS = {
    "home": "RunConfig.home",
    "workload": "RunConfig.workload",
    "events.count": "RunConfig.count",
    "events.timeout": "RunConfig.event_timeout",
    "handlers.timeout": "RunConfig.handler_timeout",
}
_MODEL_KEYS = ("load", "keep", "trust", "on_regression")


def config_keys(parameters: Parameters, incomplete: str) -> Found:
    """The keys of a config, as `--set` takes them; of a key that is whole, its values."""
    keys = {key: field for key, field in _keys(parameters) if key.startswith(incomplete)}
    docs = key_docs()
    whole = incomplete.partition("=")[0]
    matching = [found for found in _keys(parameters) if found[0].startswith(whole)]
    if len(matching) == 1 or "=" in incomplete:
        keys = {key: field for key, field in matching if key == whole or len(matching) == 1}
    for key, (doc, field) in keys.items():
        yield f"{key}=", docs[doc]
        if len(keys) == 1:
            yield from ((f"{key}={value}", docs[doc]) for value in _values(field))


def _keys(parameters: Parameters) -> Iterator[tuple[str, tuple[str, Field[Any] | None]]]:
    """The keys, each with the name of its documentation and its field."""
    for section, cls in _SECTIONS.items():
        for field in fields(cls):
            yield f"{section}.{field.name}", (f"{cls.__name__}.{field.name}", field)
    yield from ((key, (doc, None)) for key, doc in _OTHER_KEYS.items())
    config = config_of(parameters)
    for model in config.models:
        yield from (
            (f"models.{model.name}.{key}", (f"ModelSpec.{key}", None)) for key in _MODEL_KEYS
        )
    specs: Sequence[EventSpec | HandlerSpec] = (*config.events, *config.handlers)
    for spec in specs:
        place = "events" if isinstance(spec, EventSpec) else "handlers"
        if place == "events":
            yield f"events.{spec.name}.enabled", ("EventSpec.enabled", None)
        for name in spec.args:
            yield f"{place}.{spec.name}.args.{name}", ("EventSpec.args", None)


def _values(field: Field[Any] | None) -> Sequence[object]:
    """Values of a key to choose from."""
    if field is None:
        return ()
    if field.metadata["kind"] == "boolean":
        return ("true", "false")
    choices: Sequence[object] = field.metadata.get("choices", ())
    if choices or field.default in (None, ()) or not isinstance(field.default, (int, float, str)):
        return choices
    return (field.default,)

"""Imports the classes of a config, checks their arguments, and makes models and events of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotcli.common.errors import ConfigError, PilotError, PluginError, Problem
from pilotcli.config import PilotConfig, RunConfig
from pilotcli.config.model import EventSpec, HandlerSpec, ModelSpec
from pilotcli.config.secrets import masked, secrets_in
from pilotcli.config.tree import problem_at
from pilotcli.events.base import Event
from pilotcli.events.model import PilotModel
from pilotcli.plugins.aliases import install
from pilotcli.plugins.checks import Spec, argument_problems, load_class, noun_of
from pilotcli.plugins.importing import describe_error
from pilotcli.plugins.signatures import Signature
from pilotcli.steering.handlers import BasePushHandler

__all__ = ["BuiltEvent", "Plugins", "check_plugins"]


@dataclass(frozen=True, slots=True)
class BuiltEvent:
    """An event, and the entry of the config that it was made from."""

    spec: EventSpec
    event: Event


@dataclass(frozen=True, slots=True)
class Plugins:
    """The classes of a config, imported and with checked arguments."""

    base: Path
    models: Mapping[str, tuple[ModelSpec, type[PilotModel]]]
    events: Sequence[tuple[EventSpec, type[Event]]]
    handlers: Sequence[tuple[HandlerSpec, type[BasePushHandler]]]
    secrets: frozenset[str] = frozenset()

    def build_models(self) -> dict[str, PilotModel]:
        """Returns a new model for each entry of `models:`, by name. Raises `PluginError`."""
        built = {}
        for name, (spec, cls) in self.models.items():
            arguments = dict(spec.args)
            parameter = Signature(cls).first("model_name", arguments)
            if parameter is not None:
                arguments.setdefault(parameter, name)
            built[name] = self._build(spec, cls, arguments)
        return built

    def build_events(
        self, config: PilotConfig, models: Mapping[str, PilotModel]
    ) -> tuple[BuiltEvent, ...]:
        """Returns a new event for each enabled entry of `events:`, in order.

        Raises `PluginError`.
        """
        return tuple(
            BuiltEvent(spec, self._build(spec, cls, _arguments(spec, cls, config, models)))
            for spec, cls in self.events
        )

    def build_handlers(
        self, config: PilotConfig, models: Mapping[str, PilotModel]
    ) -> tuple[BasePushHandler, ...]:
        """Returns a new handler for each entry of `handlers:`, in order. Raises `PluginError`."""
        return tuple(
            self._build(spec, cls, _arguments(spec, cls, config, models))
            for spec, cls in self.handlers
        )

    def scheduler(self) -> type[Any] | None:
        """Returns the subclass of `PilotScheduler` that the events and handlers expect, None for
        `PilotScheduler` itself. The kinds of config, controller and data manager that they get
        depend on it."""
        paths = [cls.scheduler for _, cls in self.events]
        paths += [cls.scheduler for _, cls in self.handlers]
        path = next((path for path in paths if path is not None), None)
        if path is None:
            return None
        module, _, name = path.partition(":")
        scheduler: type[Any] = getattr(importlib.import_module(module), name)
        return scheduler

    def _build(self, spec: Spec, cls: type[Any], arguments: Mapping[str, Any]) -> Any:
        what = f"the {noun_of(spec)} {spec.name!r}"
        try:
            return Signature(cls).call(cls, arguments)
        except PilotError as exc:
            text = str(problem_at(spec.mark, f"{what}: {self._masked(exc.message, spec)}"))
            raise PluginError(text, hint=exc.hint) from exc
        except KeyboardInterrupt:
            raise
        except BaseException as exc:
            why = self._masked(describe_error(exc, [self.base]), spec)
            message = f"{what} cannot be built, {cls.__name__}() raised {why}"
            text = str(problem_at(spec.mark, message))
            raise PluginError(text, hint="--debug shows the traceback.") from exc

    def _masked(self, text: str, spec: Spec) -> str:
        """Returns a constructor's message without the secrets among its arguments."""
        return str(masked(text, secrets=self.secrets | secrets_in(spec.args)))


def _arguments(
    spec: EventSpec | HandlerSpec,
    cls: type[Any],
    config: PilotConfig,
    models: Mapping[str, PilotModel],
) -> dict[str, Any]:
    signature = Signature(cls)
    arguments = dict(spec.args)
    parameter = signature.first("config", arguments)
    if parameter is not None:
        arguments.setdefault(parameter, config)
    model_parameter = signature.model(cls)
    if spec.model is not None and model_parameter is not None:
        arguments[model_parameter] = models[spec.model]
    return arguments


def check_plugins(config: RunConfig) -> Plugins:
    """Import the classes that `config` names, without those of disabled events, and check their
    arguments. Raises `ConfigError` with all problems; its cause is the first exception."""
    install(before_installed=config.compat.pilotscope == "ours")
    problems: list[Problem] = []
    causes: list[BaseException] = []

    def check(spec: Spec) -> type[Any] | None:
        try:
            cls = load_class(spec, config.base)
        except PilotError as exc:
            message = f"the {noun_of(spec)} {spec.name!r}: {exc.message}"
            problems.append(problem_at(spec.class_mark, message, exc.hint))
            causes.extend([exc.__cause__] if exc.__cause__ is not None else [])
            return None
        problems.extend(argument_problems(spec, cls))
        return cls

    models = [(spec, check(spec)) for spec in config.models]
    events = [(spec, check(spec)) for spec in config.events if spec.enabled]
    handlers = [(spec, check(spec)) for spec in config.handlers]
    if problems:
        problems.sort(key=lambda problem: (problem.line is None, problem.line, problem.column))
        raise ConfigError(problems) from next(iter(causes), None)
    return Plugins(
        config.base,
        {spec.name: (spec, cls) for spec, cls in models if cls is not None},
        [(spec, cls) for spec, cls in events if cls is not None],
        [(spec, cls) for spec, cls in handlers if cls is not None],
        config.secrets,
    )

"""Checks the classes that a config names, and the arguments that it gives them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pilotcli.common.errors import PluginError, Problem, UsageError
from pilotcli.common.suggestions import did_you_mean
from pilotcli.config.model import EventSpec, HandlerSpec, Mark, ModelSpec
from pilotcli.config.tree import problem_at
from pilotcli.events.base import Event, QueryFinishEvent, checked_interval
from pilotcli.events.model import PilotModel
from pilotcli.events.schedule import kind_of
from pilotcli.plugins.importing import load_object
from pilotcli.plugins.signatures import MODEL_PARAMETERS, Signature
from pilotcli.steering.handlers import BasePushHandler

Spec = ModelSpec | EventSpec | HandlerSpec

_BASES: dict[type[Any], tuple[type[Any], str]] = {
    ModelSpec: (PilotModel, "model"),
    EventSpec: (Event, "event"),
    HandlerSpec: (BasePushHandler, "handler"),
}
_DERIVE: dict[type[Any], str] = {
    PilotModel: "A model derives from CheckpointedModel or PilotModel.",
    BasePushHandler: "A push handler derives from HintPushHandler, CardPushHandler, "
    "CommentPushHandler, ScanJoinMethodPushHandler, JoinOrderPushHandler, KnobPushHandler or "
    "IndexPushHandler.",
}


def noun_of(spec: Spec) -> str:
    """Returns `event`, `model` or `handler`."""
    return _BASES[type(spec)][1]


def load_class(spec: Spec, base: Path) -> type[Any]:
    """Returns the class of `spec`, imported and of the right kind. Raises `PluginError`."""
    expected, noun = _BASES[type(spec)]
    cls = load_object(spec.class_path, base)
    if not isinstance(cls, type):
        what = "a function" if inspect.isroutine(cls) else f"a {type(cls).__name__}"
        raise PluginError(
            f"{spec.class_path} is {what}, not a class", hint=f"Name the class of the {noun}."
        )
    if expected is Event:
        kind_of(cls)
    elif not issubclass(cls, expected):
        raise PluginError(f"{cls.__name__} is not a {noun}", hint=_DERIVE[expected])
    if inspect.isabstract(cls):
        missing = sorted(getattr(cls, "__abstractmethods__", ()))
        methods = "method" if len(missing) == 1 else "methods"
        raise PluginError(
            f"{cls.__name__} is abstract: it lacks the {methods} {', '.join(missing)}",
            hint=f"Implement the {methods}, or name a subclass that does.",
        )
    return cls


def argument_problems(spec: Spec, cls: type[Any]) -> Iterator[Problem]:
    """Yields the problems of the arguments of `spec`, each with its place in the config."""
    signature = Signature(cls)
    name = cls.__name__
    what = f"the {noun_of(spec)} {spec.name!r}"

    def problem(mark: Mark | None, message: str, hint: str) -> Problem:
        return problem_at(mark or spec.class_mark or spec.mark, f"{what}: {message}", hint)

    first = "model_name" if isinstance(spec, ModelSpec) else "config"
    by_pilot = {signature.first(first, spec.args)}
    if not isinstance(spec, ModelSpec):
        parameter = signature.model(cls)
        by_pilot.add(parameter)
        given = parameter if parameter in MODEL_PARAMETERS and parameter in spec.args else None
        if spec.model is not None and parameter is None:
            hint = "Take `model:` out, or give its constructor a parameter pilot_model."
            yield problem(spec.model_mark, f"{name} takes no model", hint)
        elif spec.model is not None and given:
            hint = f"Take it out: `model: {spec.model}` gives it."
            yield problem(spec.arg_marks.get(given), f"{given} is given twice", hint)
        elif spec.model is None and not given and parameter and signature.requires(parameter):
            hint = "Name one of the `models:` section: model: my_model"
            yield problem(spec.mark, f"{name} needs a model", hint)
        elif spec.model is None and given and isinstance(spec.args[given], str):
            hint = f"Write model: {spec.args[given]} beside `args:`."
            yield problem(spec.arg_marks.get(given), f"{given} must be a model, not its name", hint)
    for argument in spec.args:
        if argument not in signature.named and not signature.takes_any:
            settable = [known for known in signature.named if known not in by_pilot]
            hint = did_you_mean(argument, settable, listed="It takes")
            mark = spec.arg_marks.get(argument)
            yield problem(mark, f"{name} takes no argument {argument!r}", hint)
    for parameter in signature.named:
        if not (parameter in spec.args or parameter in by_pilot) and signature.requires(parameter):
            hint = f"Give it under args: {{{parameter}: ...}}"
            yield problem(spec.mark, f"{name} needs the argument {parameter!r}", hint)
    if issubclass(cls, QueryFinishEvent):
        try:
            checked_interval(spec.args.get("interval_count", 1))
        except UsageError as exc:
            yield problem(spec.arg_marks.get("interval_count"), exc.message, exc.hint or "")

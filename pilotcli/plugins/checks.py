"""What can be wrong with a class that a config names, and with the arguments that it gives."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pilotcli.common.errors import PluginError, Problem
from pilotcli.common.suggestions import did_you_mean
from pilotcli.config.model import EventSpec, HandlerSpec, Mark, ModelSpec
from pilotcli.config.tree import problem_at
from pilotcli.events.base import Event, QueryFinishEvent
from pilotcli.events.model import PilotModel
from pilotcli.events.schedule import kind_of
from pilotcli.plugins.importing import load_object
from pilotcli.plugins.signatures import MODEL_PARAMETERS, Signature
from pilotcli.steering.handlers import BasePushHandler

__all__ = ["Spec", "argument_problems", "load_class", "noun_of"]

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
    """`event`, `model` or `handler`."""
    return _BASES[type(spec)][1]


def load_class(spec: Spec, base: Path) -> type[Any]:
    """The class of `spec`, imported and known to be of its kind. Raises `PluginError`."""
    expected, noun = _BASES[type(spec)]
    cls = load_object(spec.class_path, base)
    if not isinstance(cls, type):
        what = "a function" if inspect.isroutine(cls) else f"a {type(cls).__name__}"
        raise PluginError(
            f"{spec.class_path} is {what}, no class", hint=f"Name the class of the {noun}."
        )
    if expected is Event:
        kind_of(cls)
    elif not issubclass(cls, expected):
        hint = _DERIVE[expected]
        raise PluginError(f"{cls.__name__} is no {noun}", hint=hint)
    if inspect.isabstract(cls):
        missing = sorted(getattr(cls, "__abstractmethods__", ()))
        methods = "method" if len(missing) == 1 else "methods"
        raise PluginError(
            f"{cls.__name__} is abstract: it lacks the {methods} {', '.join(missing)}",
            hint=f"Implement {'it' if len(missing) == 1 else 'them'}, or name a subclass that has.",
        )
    return cls


def argument_problems(spec: Spec, cls: type[Any]) -> Iterator[Problem]:
    """What is wrong with the arguments of `spec`, each at its place."""
    signature = Signature(cls)
    name = cls.__name__
    what = f"the {noun_of(spec)} {spec.name!r}"

    def problem(mark: Mark | None, message: str, hint: str) -> Problem:
        return problem_at(mark or spec.class_mark or spec.mark, f"{what}: {message}", hint)

    by_pilot = {signature.first(_passed_first(spec), spec.args)}
    if not isinstance(spec, ModelSpec):
        parameter = signature.model(cls)
        by_pilot.add(parameter)
        given = [one for one in MODEL_PARAMETERS if one in spec.args and one == parameter]
        if spec.model is not None and parameter is None:
            hint = "Take `model:` out, or give its constructor a parameter pilot_model."
            yield problem(spec.model_mark, f"{name} takes no model", hint)
        elif spec.model is not None and given:
            hint = f"Take it out: `model: {spec.model}` gives it."
            yield problem(spec.arg_marks.get(given[0]), f"{given[0]} is given twice", hint)
        elif spec.model is None and not given and parameter and signature.requires(parameter):
            hint = "Name one of the `models:` section: model: my_model"
            yield problem(spec.mark, f"{name} needs a model", hint)
        elif spec.model is None and given and isinstance(spec.args[given[0]], str):
            hint = f"Write model: {spec.args[given[0]]} beside `args:`."
            mark = spec.arg_marks.get(given[0])
            yield problem(mark, f"{given[0]} must be a model, not its name", hint)
    for one in spec.args:
        if one not in signature.named and not signature.takes_any:
            settable = [known for known in signature.named if known not in by_pilot]
            hint = did_you_mean(one, settable, listed="It takes")
            yield problem(spec.arg_marks.get(one), f"{name} takes no argument {one!r}", hint)
    for one in signature.named:
        if one not in spec.args and one not in by_pilot and signature.requires(one):
            hint = f"Give it under args: {{{one}: ...}}"
            yield problem(spec.mark, f"{name} needs the argument {one!r}", hint)
    interval = spec.args.get("interval_count", 1)
    if issubclass(cls, QueryFinishEvent) and not _is_count(interval):
        message = f"interval_count must be a whole number from 1 on, not {interval!r}"
        hint = "An event fires after every interval_count finished queries."
        yield problem(spec.arg_marks.get("interval_count"), message, hint)


def _passed_first(spec: Spec) -> str:
    return "model_name" if isinstance(spec, ModelSpec) else "config"


def _is_count(value: Any) -> bool:
    try:
        return operator.index(value) >= 1 and not isinstance(value, bool)
    except TypeError:
        return False

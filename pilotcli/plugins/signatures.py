"""The parameters of a constructor, and which of them takes which argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

MODEL_PARAMETERS = ("pilot_model", "bind_pilot_model", "model")
"""The parameters that take the config's `model:`; the first one that a class has is used."""

_DOCUMENTED = frozenset(
    (
        *MODEL_PARAMETERS,
        "interval_count",
        "execute_on_init",
        "enable",
        "data_saving_table",
        "enable_collection",
        "enable_training",
    )
)
"""Parameters of the event classes that never take the config, whatever their position."""


class Signature:
    """The parameters of a class's constructor, without `self`."""

    def __init__(self, cls: Callable[..., Any]) -> None:
        try:
            parameters = list(inspect.signature(cls).parameters.values())
        except (ValueError, TypeError):
            # A class written in C may not show its parameters; its constructor checks them.
            parameters = [inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)]
        variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        self.takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
        self.named = {p.name: p for p in parameters if p.kind not in variadic}

    def requires(self, name: str) -> bool:
        """Whether there is a parameter of this name without a default."""
        parameter = self.named.get(name)
        return parameter is not None and parameter.default is inspect.Parameter.empty

    def first(self, name: str, given: Collection[str]) -> str | None:
        """Returns the parameter for the argument `name` that pilot passes first: the one of that
        name, or else the first one that needs a value and is not in `given`. None without one."""
        if name in self.named:
            return name
        first = next(iter(self.named.values()), None)
        if (
            first is None
            or first.kind is inspect.Parameter.KEYWORD_ONLY
            or not self.requires(first.name)
            or first.name in given
            or first.name in _DOCUMENTED
        ):
            return name if self.takes_any else None
        return first.name

    def model(self, cls: type[Any]) -> str | None:
        """Returns the parameter for the model; None if the class takes none."""
        known = next((name for name in MODEL_PARAMETERS if name in self.named), None)
        if known is not None or not self.takes_any:
            return known
        trains = hasattr(cls, "custom_model_training")
        return "bind_pilot_model" if trains else "pilot_model"

    def call(self, cls: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """Call `cls` with `arguments`: by name, except those taken by position only."""
        rest = dict(arguments)
        positional = []
        for name, parameter in self.named.items():
            if parameter.kind is not inspect.Parameter.POSITIONAL_ONLY or name not in rest:
                break
            positional.append(rest.pop(name))
        return cls(*positional, **rest)

"""What a constructor takes, and how its arguments are found: by the names of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

__all__ = ["MODEL_PARAMETERS", "Signature"]

MODEL_PARAMETERS = ("pilot_model", "bind_pilot_model", "model")
"""The parameters that take the config's `model:`; the first that a class has is meant."""

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
"""Parameters of the event classes that mean something else than the config, wherever they stand."""


class Signature:
    """The parameters of a class's constructor, `self` left out."""

    def __init__(self, cls: Callable[..., Any]) -> None:
        try:
            parameters = list(inspect.signature(cls).parameters.values())
        except (ValueError, TypeError):
            # A class written in C may have none to show; it says itself what it does not take.
            parameters = [inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)]
        self.takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
        variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        self.named = {one.name: one for one in parameters if one.kind not in variadic}

    def requires(self, name: str) -> bool:
        """Whether there is a parameter of this name without a default."""
        found = self.named.get(name)
        return found is not None and found.default is inspect.Parameter.empty

    def first(self, name: str, given: Collection[str]) -> str | None:
        """The parameter for the argument that pilot itself passes first, `name`: the one called
        so, or else the first that needs a value and is not among `given`. None: there is none."""
        if name in self.named:
            return name
        for one, parameter in self.named.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY or not self.requires(one):
                break
            return one if one not in given and one not in _DOCUMENTED else self._any(name)
        return self._any(name)

    def _any(self, name: str) -> str | None:
        return name if self.takes_any else None

    def model(self, cls: type[Any]) -> str | None:
        """The parameter for a model; None where the class takes none."""
        known = next((name for name in MODEL_PARAMETERS if name in self.named), None)
        if known is not None or not self.takes_any:
            return known
        trains = hasattr(cls, "custom_model_training")
        return "bind_pilot_model" if trains else "pilot_model"

    def call(self, cls: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """Call `cls` with `arguments` by name, except where it takes them by position only."""
        rest = dict(arguments)
        positional = []
        for name, parameter in self.named.items():
            if parameter.kind is not inspect.Parameter.POSITIONAL_ONLY or name not in rest:
                break
            positional.append(rest.pop(name))
        return cls(*positional, **rest)

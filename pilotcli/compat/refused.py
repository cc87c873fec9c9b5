"""Classes of PilotScope's, and attributes of its classes, that pilot does not have."""

from __future__ import annotations

from typing import Any, ClassVar

from pilotcli.common.errors import CapabilityError


class Refused:
    """An attribute that is refused: reading it from an object raises `CapabilityError`.

    A driver may still set it; then it is the driver's own.
    """

    def __init__(self, message: str, hint: str) -> None:
        self._message = message
        self._hint = hint

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"{owner.__name__}.{name}"

    def __get__(self, found: object, owner: type | None = None) -> Refused:
        if found is None:
            return self
        raise CapabilityError(f"{self._name}: {self._message}", hint=self._hint)


class RefusedClass:
    """The base of a class that is refused: making an object of it raises `CapabilityError`."""

    message: ClassVar[str]
    hint: ClassVar[str]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        raise CapabilityError(self.message, hint=self.hint)

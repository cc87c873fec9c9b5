"""A thread whose target's value, or error, comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["ValueThread"]


class ValueThread(threading.Thread):
    """`join` returns what the target has returned, and raises what it has raised."""

    def __init__(
        self,
        group: None = None,
        target: Callable[..., Any] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = True,
    ) -> None:
        super().__init__(group, target, name, args, kwargs, daemon=daemon)
        self.result: Any = None
        self.exception: BaseException | None = None

    def run(self) -> None:
        """Call the target."""
        try:
            if self._target is not None:  # type: ignore[attr-defined]
                self.result = self._target(*self._args, **self._kwargs)  # type: ignore[attr-defined]
        except BaseException as error:  # noqa: BLE001 - raised again by join()
            self.exception = error

    def join(self, timeout: float | None = None) -> Any:
        """Wait for the end."""
        super().join(timeout)
        if self.exception is not None:
            raise self.exception
        return self.result

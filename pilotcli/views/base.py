"""What every view of a run is."""

from __future__ import annotations

from typing import TypeVar

_Own = TypeVar("_Own", bound="View")


class View:
    """Receives signals, from any thread, and shows them until it is closed."""

    def __call__(self, signal: object) -> None:
        """Take a signal; an unknown one is ignored."""
        raise NotImplementedError

    def __enter__(self: _Own) -> _Own:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def step_aside(self) -> None:
        """Leave the terminal to a debugger, until `step_back`; signals go on coming."""

    def step_back(self) -> None:
        """Show the run again, and what has come meanwhile."""

    def check(self) -> None:
        """Raise `StorageError` if something could not be shown because the output is full."""

    def close(self) -> None:
        """Show what stays. May be called twice, and from a signal handler."""

"""The view of a run, and which one a stream gets."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Protocol, TextIO

from pilotcli.views.console import wants_live
from pilotcli.views.jsonl import JsonlView
from pilotcli.views.live import LiveView
from pilotcli.views.plain import PlainView

__all__ = ["Format", "View", "make_view"]

Format = Literal["auto", "live", "plain", "jsonl"]


class View(Protocol):
    """Receives signals, from any thread, and shows them."""

    def __call__(self, signal: object) -> None:
        """Take a signal. What the view does not know is left out."""

    def __enter__(self) -> View:
        """Begin to show."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""

    def close(self) -> None:
        """Show what stays. May be called twice, and from a signal handler."""


def make_view(
    *,
    format: Format = "auto",
    quiet: bool = False,
    verbose: bool = False,
    color: bool | None = None,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> View:
    """The view for `stream` (by default what `sys.stdout` is now; the view keeps to it).

    `auto` is `live` in a terminal and `plain` elsewhere and where the environment variable `CI`
    is set. `live` without a terminal, on a dumb one, or with `quiet` is `plain`: control
    characters never reach a file. `color` as in `wants_color`. `clock` is monotonic, `wall` since
    the epoch; both in seconds.
    """
    stream = sys.stdout if stream is None else stream
    if format == "jsonl":
        return JsonlView(stream, verbose=verbose, wall=wall)
    live = format == "live" or (format == "auto" and not os.environ.get("CI"))
    if live and not quiet and wants_live(stream):
        return LiveView(stream, verbose=verbose, color=color, clock=clock, wall=wall)
    return PlainView(stream, quiet=quiet, verbose=verbose, clock=clock, wall=wall)

"""Chooses the view of a run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Literal, TextIO

from pilotcli.views.base import View
from pilotcli.views.console import wants_live
from pilotcli.views.jsonl import JsonlView
from pilotcli.views.live import LiveView
from pilotcli.views.plain import PlainView

Format = Literal["auto", "live", "plain", "jsonl"]


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

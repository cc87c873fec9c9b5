"""Python's debugger for a command that calls drivers' code in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

from pilotcli.common.debugger import Debugger
from pilotcli.common.errors import UsageError
from pilotcli.common.signals import Bus, Notice
from pilotcli.run.driver_output import release_output, retake_output
from pilotcli.run.prompt import Prompt


def make_debugger(
    bus: Bus,
    say: Callable[[str], None],
    *,
    post_mortem: bool,
    step_aside: Callable[[], None] = lambda: None,
    step_back: Callable[[], None] = lambda: None,
) -> Debugger:
    """Returns the debugger that `breakpoint()` opens, and with `post_mortem` a failure. Make it
    before output is captured.

    `say` writes a line to standard output as it is then; `step_aside` and `step_back` are those of
    the view. Raises `UsageError` for `post_mortem` without a terminal.
    """
    terminal = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
    if post_mortem and not terminal:
        raise UsageError(
            "--pdb needs a terminal as standard input and output",
            hint="Leave it out: `pilot runs show` has the tracebacks of a run.",
        )

    def leave() -> None:
        step_aside()
        release_output()

    def come_back() -> None:
        retake_output()
        step_back()

    return Debugger(
        Prompt,
        terminal=terminal,
        say=say,
        post_mortem=post_mortem,
        step_aside=leave,
        step_back=come_back,
        warn=lambda text: bus.emit(Notice("warning", text)),
    )

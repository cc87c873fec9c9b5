"""The prompt of Python's debugger, in the terminal of a run."""

from __future__ import annotations

import pdb
from types import FrameType, TracebackType
from typing import Any

from pilotcli.common.debugger import Debugger
from pilotcli.common.failures import is_users

_PILOT = ["pilotcli.common.*", "pilotcli.events.*", "pilotcli.steering.*", "pilotcli.run.*"]
"""Modules in which it does not stop: a step out of the driver's code ends there."""


class Prompt(pdb.Pdb):
    """Python's debugger, which takes the terminal before it prompts, and gives it back when the
    user goes on."""

    def __init__(self, owner: Debugger) -> None:
        super().__init__(nosigint=True, skip=_PILOT)
        self._owner = owner
        self._quiet = False

    def begin(self, frame: FrameType) -> None:
        """Stop at the next line of `frame`."""
        self.set_trace(frame)

    def look(self, traceback: TracebackType | None) -> None:
        """Look around where an error was raised."""
        self.reset()
        self.interaction(None, traceback)

    def setup(self, f: FrameType | None, tb: TracebackType | None) -> Any:
        """Of a traceback, select the innermost frame of the user's own files."""
        done = super().setup(f, tb)
        if tb is not None:
            frames = [frame for frame, _ in self.stack]
            own = [at for at, frame in enumerate(frames) if is_users(frame.f_code.co_filename)]
            if own and own[-1] != self.curindex:
                self._quiet = True
                self._select_frame(own[-1])
                self._quiet = False
        return done

    def print_stack_entry(self, *args: Any, **options: Any) -> None:
        """Show where the debugger is."""
        if not self._quiet:
            super().print_stack_entry(*args, **options)

    def interaction(self, frame: FrameType | None, traceback: Any) -> None:
        """Prompt until the user goes on; the terminal is taken before."""
        self._owner.take_terminal()
        super().interaction(frame, traceback)

    def set_continue(self) -> None:
        """Go on until the next breakpoint, which takes the terminal again."""
        super().set_continue()
        self._owner.give_terminal_back()

    def do_quit(self, arg: str) -> bool:
        """q(uit) | exit

        End the run. `continue` goes on with it.
        """
        self._owner.quit()
        self._user_requested_quit = True
        self.set_quit()
        return True

    do_q = do_exit = do_quit

    def do_EOF(self, arg: str) -> bool:
        """EOF (Ctrl-D)

        End the run, as `quit` does.
        """
        self._owner.say("")
        return self.do_quit(arg)

"""`breakpoint()` in a driver's code, and `--pdb`: Python's debugger in the terminal of a run.

The debugger needs the terminal for itself: what shows a run steps aside, and what captures output
lets go of it, from the first prompt until the user continues. Meanwhile no time limit ends a call.

`sys.breakpointhook` belongs to the whole process, and so does its one debugger.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Protocol

from pilotcli.common.failures import failure_of, place_of_frame
from pilotcli.common.redaction import redacted

KEYS = "c goes on, q ends the run, h shows help"

Action = Callable[[], None]


class Prompt(Protocol):
    """The debugger's prompt, which asks a `Debugger` for the terminal."""

    def begin(self, frame: FrameType) -> None:
        """Stop at the next line of `frame`."""

    def look(self, traceback: TracebackType | None) -> None:
        """Look around where an error was raised."""


class Debugger:
    """Opens the debugger, and gives it the terminal.

    - `prompt`: makes the prompt;
    - `terminal`: whether standard input and output are one;
    - `say`: writes a line to it, while the debugger has it;
    - `post_mortem`: open it where a call of a driver's code fails;
    - `step_aside`, `step_back`: give the terminal away, and take it again;
    - `warn`: shows a text where no debugger can be opened.

    Safe for several threads: one of them has the terminal at a time.
    """

    def __init__(
        self,
        prompt: Callable[[Debugger], Prompt],
        *,
        terminal: bool,
        say: Callable[[str], None],
        post_mortem: bool = False,
        step_aside: Action = lambda: None,
        step_back: Action = lambda: None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.end_run: Action = lambda: None
        """Ends the run, where there is one."""
        self.left = False
        """Whether the user has left the debugger to end the run."""
        self.say = say
        self._make_prompt = prompt
        self._terminal = terminal
        self._post_mortem = post_mortem
        self._step_aside = step_aside
        self._step_back = step_back
        self._warn = warn
        self._warned = False
        self._turn = threading.RLock()
        self._owner: int | None = None
        """The thread that has the terminal."""
        self._prompt: Prompt | None = None
        self._modes: Any = None

    @property
    def active(self) -> bool:
        """Whether the terminal is the debugger's."""
        return self._owner is not None

    def hook(self, *args: Any, **options: Any) -> Any:
        """What `breakpoint()` calls: pilot's debugger, or the one that PYTHONBREAKPOINT names."""
        chosen = os.environ.get("PYTHONBREAKPOINT")
        if chosen == "0" or self.left:
            return None
        frame = sys._getframe(1)
        if not self._terminal:
            self._warn_once(frame)
            return None
        if chosen:
            with self._with_terminal():
                return sys.__breakpointhook__(*args, **options)
        self.take_terminal()
        # Kept: it has the breakpoints that the user has set.
        self._prompt = self._prompt or self._make_prompt(self)
        self.say(f"breakpoint: {KEYS}")
        self._prompt.begin(frame)
        return None

    def failed(self, error: BaseException) -> None:
        """With `--pdb`, open the debugger where `error` was raised."""
        if not self._post_mortem or self.left:
            return
        with self._with_terminal():
            self.say(f"{redacted(failure_of(error))}\n{KEYS}")
            self._make_prompt(self).look(error.__traceback__)

    def quit(self) -> None:
        """End the run, as the user asks for at the prompt."""
        self.left = True
        self.end_run()

    def say_keys(self) -> None:
        """Say how to leave the prompt, after Ctrl-C."""
        self.say(f"\n{KEYS}")

    def call_ended(self) -> None:
        """Stop debugging in this thread: what follows is pilot's own code."""
        if self._owner == threading.get_ident():
            sys.settrace(None)
            self.give_terminal_back()

    def take_terminal(self) -> None:
        """Have this thread own the terminal; waits for another one to give it back."""
        if self._owner == threading.get_ident():
            return
        self._turn.acquire()
        self._step_aside()
        self._modes = _modes()
        self._owner = threading.get_ident()

    def give_terminal_back(self) -> None:
        """Let the run be shown again, if this thread owns the terminal."""
        if self._owner == threading.get_ident():
            self.restore_modes()
            self._owner = None
            self._step_back()
            self._turn.release()

    def restore_modes(self) -> None:
        """Set the terminal to what it was: the prompt's line editing changes it."""
        if self._modes is not None:
            import termios

            with contextlib.suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self._modes)

    @contextlib.contextmanager
    def _with_terminal(self) -> Iterator[None]:
        had = self._owner == threading.get_ident()
        self.take_terminal()
        try:
            yield
        finally:
            if not had:
                self.give_terminal_back()

    def _warn_once(self, frame: FrameType) -> None:
        if not self._warned:
            self._warned = True
            place = place_of_frame(frame) or "a driver's code"
            self._warn(
                f"breakpoint() in {place} is passed over: it needs a terminal as standard input "
                "and output"
            )


def _modes() -> Any:
    with contextlib.suppress(ImportError):
        import termios

        with contextlib.suppress(termios.error):
            return termios.tcgetattr(0)
    return None


_current: Debugger | None = None


def current() -> Debugger | None:
    """The debugger of this process, while a command may open one."""
    return _current


def is_debugging() -> bool:
    """Whether the debugger has the terminal."""
    return _current is not None and _current.active


@contextlib.contextmanager
def debugging(debugger: Debugger) -> Iterator[Debugger]:
    """While this is open, `breakpoint()` opens `debugger`."""
    global _current
    before = _current, sys.breakpointhook
    _current, sys.breakpointhook = debugger, debugger.hook
    try:
        yield debugger
    finally:
        _current, sys.breakpointhook = before

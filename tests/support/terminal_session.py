"""A `pilot` command in a terminal, to which a test types and whose output it waits for."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from pilot_starter import PILOT

PATIENCE_S = 60.0
"""Only ends a hang."""
_CONTROL = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]|\r")


class TerminalSession:
    """A running command; `said` is what it has written, without control sequences."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self._raw = b""
        self._read_to = 0

    @property
    def said(self) -> str:
        """All that it has written so far."""
        return _CONTROL.sub("", self._raw.decode("utf-8", "replace"))

    def wait_for(self, text: str) -> str:
        """Returns what was written since the last call, up to and with `text`."""
        give_up_at = time.monotonic() + PATIENCE_S
        while (at := self.said.find(text, self._read_to)) < 0:
            assert self._read(give_up_at - time.monotonic()), f"{text!r} did not come: {self.said}"
        begun, self._read_to = self._read_to, at + len(text)
        return self.said[begun : self._read_to]

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._terminal, f"{line}\n".encode())

    def press_ctrl_c(self) -> None:
        """Do what the terminal does for Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait until it has ended; returns its exit code."""
        while self._read(PATIENCE_S):
            pass
        return self.process.wait(timeout=PATIENCE_S)

    @property
    def modes(self) -> list[object]:
        """The modes of the terminal."""
        return termios.tcgetattr(self._terminal)

    def _read(self, patience_s: float) -> bool:
        """Read what is there; False at the end, or if nothing comes."""
        if not select.select([self._terminal], [], [], max(0.0, patience_s))[0]:
            return False
        with contextlib.suppress(OSError):  # the end of a terminal's output
            piece = os.read(self._terminal, 65536)
            self._raw += piece
            return bool(piece)
        return False


@contextlib.contextmanager
def in_terminal(folder: Path, *words: str) -> Iterator[TerminalSession]:
    """`pilot words...` in a terminal of its own, which is killed when this is left."""
    terminal, end = pty.openpty()
    with subprocess.Popen(
        [PILOT, *words],
        cwd=folder,
        stdin=end,
        stdout=end,
        stderr=end,
        env={**os.environ, "TERM": "xterm", "CI": ""},
    ) as process:
        os.close(end)
        try:
            yield TerminalSession(process, terminal)
        finally:
            process.kill()
            os.close(terminal)

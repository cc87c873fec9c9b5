"""Where output goes: writers that survive a closed pipe, and whether colour is wanted."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import threading
import traceback
from typing import IO, Any

from pilotcli.common.errors import ConfigError, PilotError, StorageError, described
from pilotcli.common.redaction import redacted
from pilotcli.views.text import Line, clean, indented, line_text

UNLIMITED = 10_000
"""Columns of a line that nothing limits."""

# Each takes one column, so that a layout holds in either spelling.
_PLAIN_SPELLING = str.maketrans("…→·µ✗│━─↑↓▶–├└▁▂▃▄▅▆▇█", "~>-ux|#-^v>-|`.,:;+*%#")  # noqa: RUF001
_GLYPHS = "".join(map(chr, _PLAIN_SPELLING))


class Writer:
    """Writes text to a stream and flushes it, from any thread.

    Never raises. Once the stream takes nothing any more, `closed` is True and nothing is written:
    a run goes on without a reader. `failure` is the reason, unless only the reader has gone away.
    What the stream's encoding lacks is spelled plainly.
    """

    def __init__(self, stream: IO[str] | None) -> None:
        self.stream = stream
        self.closed = stream is None
        self.failure: OSError | None = None
        self._lock = threading.Lock()
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._has_glyphs = _can_encode(_GLYPHS, self._encoding)

    def write(self, text: str) -> None:
        """Write `text` as it is and flush."""
        if not self._has_glyphs:
            text = text.translate(_PLAIN_SPELLING)
        with self._lock:
            if self.closed or self.stream is None:
                return
            try:
                try:
                    self.stream.write(text)
                except UnicodeEncodeError:
                    self.stream.write(text.encode(self._encoding, "replace").decode(self._encoding))
                self.stream.flush()
            except (OSError, ValueError) as exc:
                self.closed = True
                _silence(self.stream)
                if isinstance(exc, OSError) and not _is_gone(exc):
                    self.failure = exc

    def check(self) -> None:
        """Raise `StorageError` if something could not be written."""
        if self.failure is not None:
            raise unwritable(self.failure)


def unwritable(exc: OSError) -> StorageError:
    """The error for standard output that fails with `exc`."""
    return StorageError(
        f"standard output cannot be written: {exc.strerror or exc}",
        hint="Send it to a file with enough space, or to a program that reads it.",
    )


def out(text: str = "", *, exact: bool = False) -> None:
    """Write lines to standard output, without what could steer a terminal; with `exact` (data for
    programs) as they are. Raises `BrokenPipeError` when it takes nothing any more
    (`| head`), with which the command line ends quietly, and `StorageError` when it is full."""
    writer = Writer(sys.stdout)
    writer.write(f"{text if exact else _safe(text)}\n")
    writer.check()
    if writer.closed and writer.stream is not None:
        raise BrokenPipeError(errno.EPIPE, "standard output is closed")


_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def styled(line: Line) -> str:
    """`line` with its colours as escape sequences, of the 16 that the user's scheme decides on."""
    pieces = []
    for text, style in line:
        codes = ";".join(_CODES[word] for word in style.split())
        pieces.append(f"\x1b[{codes}m{text}\x1b[0m" if codes and text.strip() else text)
    return "".join(pieces)


def out_styled(line: Line) -> None:
    """Write a line to standard output, in colour where that is wanted."""
    if wants_color(sys.stdout):
        out(styled([(clean(text), style) for text, style in line]).rstrip(), exact=True)
    else:
        out(line_text(line).rstrip())


def err(text: str = "") -> None:
    """Write lines to standard error, as `out` does; a closed one is ignored."""
    Writer(sys.stderr).write(f"{_safe(text)}\n")


def _safe(text: str) -> str:
    return "\n".join(map(clean, text.split("\n")))


def error(exc: PilotError) -> None:
    """Write what went wrong and what to do next to standard error."""
    red, dim, end = ("\x1b[1;31m", "\x1b[2m", "\x1b[0m")
    if not wants_color(sys.stderr):
        red = dim = end = ""
    lines = exc.message.splitlines() or [type(exc).__name__]
    if isinstance(exc, ConfigError) and len(exc.problems) > 1:
        lines.insert(0, f"{len(exc.problems)} problems in the config")
    shown = [f"{red}error:{end} {clean(lines[0])}"]
    shown += [f"  {indented(line)}" for line in lines[1:]]
    shown += [f"{dim}  {indented(line)}{end}" for line in (exc.hint or "").splitlines()]
    Writer(sys.stderr).write("".join(f"{line}\n" for line in shown))


def defect(exc: Exception) -> None:
    """Write to standard error that pilot itself is broken."""
    err(clean(redacted(f"pilot: a defect of pilot itself: {described(exc)}")))
    err("  Run it again with --debug for the traceback, and please report it.")


def trace(exc: BaseException) -> None:
    """Write the traceback of an error to standard error, without secrets."""
    for line in redacted("".join(traceback.format_exception(exc))).splitlines():
        err(indented(line))


def wants_color(stream: Any, choice: bool | None = None) -> bool:
    """Whether `stream` should get colour.

    The first of these that says something decides: `choice` (an option of the command line),
    `NO_COLOR` (https://no-color.org: set and not empty means no), `FORCE_COLOR` (set, not empty
    and not `0`), `TERM=dumb`, and whether it is a terminal.
    """
    if choice is not None:
        return choice
    if os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR")
    if forced:
        return forced != "0"
    return wants_live(stream)


def wants_live(stream: Any) -> bool:
    """Whether `stream` is a terminal on which the cursor can be moved."""
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown", ""):
        return False
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def columns(elsewhere: int = UNLIMITED) -> int:
    """How wide a line of standard output may be: as the terminal, or `elsewhere`."""
    return shutil.get_terminal_size().columns if wants_live(sys.stdout) else elsewhere


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _is_gone(exc: Exception) -> bool:
    """Whether a write failed because nobody reads: a closed pipe, a lost terminal, or a stream that
    was closed in this process."""
    if isinstance(exc, OSError):
        return exc.errno in (errno.EPIPE, errno.EIO, errno.EBADF, errno.ESHUTDOWN)
    return True


def _silence(stream: IO[str]) -> None:
    """Send what is left in the stream's buffer nowhere, or the interpreter complains at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        number = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)

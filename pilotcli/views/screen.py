"""Paints a block of lines at the bottom of a terminal without flicker.

Only lines that changed are written, each over the old one and never erased first; a whole update
is one write, in a synchronized update where the terminal knows it (DEC mode 2026), with automatic
wrapping off, so that a terminal which counts a character's width otherwise does not break the
block. The cursor rests on the line below the block and stays visible: a process that is killed
leaves a usable terminal.
"""

from __future__ import annotations

from collections.abc import Sequence

from pilotcli.views.console import Writer

_BEGIN = "\x1b[?2026h\x1b[?7l"
_END = "\x1b[?7h\x1b[?2026l"
_ERASE_RIGHT = "\x1b[K"
_ERASE_BELOW = "\x1b[J"


class Screen:
    """The block. Not safe for use by several threads at once."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._lines: list[str] = []
        self._widths: list[int] = []
        self._columns = 0

    def paint(
        self,
        lines: Sequence[str],
        widths: Sequence[int],
        columns: int,
        above: Sequence[str] = (),
    ) -> None:
        """Show `lines`, `widths` columns wide each, and print `above` above them for good.

        `columns` is the terminal's width; `lines` must be narrower (erasing to the right of a full
        line would take its last character). They carry their colours; none has a line end.
        """
        if above or columns != self._columns or len(lines) < len(self._lines):
            text = self._whole(lines, columns, above)
        else:
            text = self._changes(lines)
        self._lines, self._widths, self._columns = list(lines), list(widths), columns
        if text:
            self._writer.write(f"{_BEGIN}{text}{_END}")

    def leave(self, columns: int, instead: Sequence[str]) -> None:
        """Remove the block and print `instead` in its place for good."""
        text = self._erased(columns) + "".join(f"{line}\r\n" for line in instead)
        self._lines, self._widths = [], []
        if text:
            self._writer.write(text)

    def _whole(self, lines: Sequence[str], columns: int, above: Sequence[str]) -> str:
        text = self._erased(columns)
        if above:
            # A long word, and what a driver writes, is the terminal's to wrap.
            text += "\x1b[?7h" + "".join(f"{line}\r\n" for line in above) + "\x1b[?7l"
        return text + "".join(f"{line}\r\n" for line in lines)

    def _erased(self, columns: int) -> str:
        if not self._lines:
            return ""
        # Not all at once from the first line: a terminal that is cleared from its top keeps what
        # was there in its history (tmux).
        up = "\r" + _move(-self._height(columns)) + _ERASE_RIGHT
        return up + _move(1) + _ERASE_BELOW + _move(-1)

    def _changes(self, lines: Sequence[str]) -> str:
        before = self._lines
        changed = [
            place
            for place, line in enumerate(lines)
            if place >= len(before) or line != before[place]
        ]
        if not changed:
            return ""
        row = len(before)
        text = "\r"
        for place in changed:
            if place < len(before):
                text += _move(place - row) + lines[place] + _ERASE_RIGHT + "\r"
                row = place
            else:
                text += _move(place - row) + _ERASE_RIGHT + lines[place] + "\r\n"
                row = place + 1
        return text + _move(len(lines) - row) + _ERASE_RIGHT

    def _height(self, columns: int) -> int:
        """How many rows the block takes, once the terminal was made narrower and wrapped it."""
        if columns >= self._columns:
            return len(self._lines)
        return sum(max(1, -(-width // max(1, columns))) for width in self._widths)


def _move(rows: int) -> str:
    if rows == 0:
        return ""
    return f"\x1b[{rows}B" if rows > 0 else f"\x1b[{-rows}A"

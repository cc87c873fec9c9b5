"""Enough of a terminal to see what a view leaves on it (ECMA-48, with xterm's wrapping
and tmux's history)."""

from __future__ import annotations

import re

from pilotcli.views.text import width

_TOKENS = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]|\x1b")


class Terminal:
    """A screen of `columns` by `rows`, and what has scrolled off its top."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.screen: list[list[str]] = [[]]
        self.gone: list[str] = []
        self.row = self.column = 0
        self.wraps = True
        self.pending = ""
        self.wrapped = 0
        """How often a line was longer than the screen is wide."""

    def feed(self, text: str) -> None:
        for token in _TOKENS.finditer(text):
            if token[3]:
                self._control(token[1], token[2], token[3])
            elif token[0] == "\r":
                self.column = 0
            elif token[0] == "\n":
                self._down()
            else:
                assert token[0] != "\x1b", "an escape sequence that no view should send"
                self._put(token[0])

    def lines(self) -> list[str]:
        """Everything above and on the screen, without trailing blanks."""
        shown = [*self.gone, *("".join(row).rstrip() for row in self.screen)]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    def _put(self, char: str) -> None:
        taken = width(char)
        if not taken:  # it combines with the character before, or at a line's start with the next
            if self.column:
                self.screen[self.row][self.column - 1] += char
            else:
                self.pending += char
            return
        char, self.pending = self.pending + char, ""
        if self.column + taken > self.columns:
            self.wrapped += 1
            if self.wraps:
                self.column = 0
                self._down()
            else:
                self.column = self.columns - taken
        row = self.screen[self.row]
        row.extend(" " * (self.column + taken - len(row)))
        row[self.column : self.column + taken] = [char] + [""] * (taken - 1)
        self.column += taken

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.screen):
            self.screen.append([])
        if len(self.screen) > self.rows:
            self.gone.append("".join(self.screen.pop(0)).rstrip())
            self.row -= 1

    def _control(self, private: str, parameter: str, kind: str) -> None:
        if private:
            assert parameter in ("7", "2026") and kind in "hl"
            if parameter == "7":
                self.wraps = kind == "h"
        elif kind == "A":
            self.row = max(0, self.row - int(parameter))
        elif kind == "B":
            self.row += int(parameter)
            assert self.row < len(self.screen), "moved below what was written"
        elif kind == "K":
            del self.screen[self.row][self.column :]
        elif kind == "J":
            if self.row == self.column == 0:  # tmux keeps a screen that is erased from its top
                self.gone += ["".join(row).rstrip() for row in self.screen]
            del self.screen[self.row][self.column :]
            del self.screen[self.row + 1 :]
        else:
            assert kind == "m", f"a sequence that no view should send: {kind}"

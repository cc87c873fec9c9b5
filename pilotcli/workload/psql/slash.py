"""The arguments of psql's meta-commands, read as psql reads them.

Source: PostgreSQL documentation, psql, "Meta-Commands": arguments are separated by space, quotes
and variables work in them, and an unquoted backslash ends them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pilotcli.workload.psql import lex
from pilotcli.workload.psql.quoting import quote_literal, quote_name

_ESCAPE = re.compile(rb"''|\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_QUOTE_OR_ESCAPE = re.compile(rb"''|'|\\.", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"b": b"\b", b"r": b"\r", b"f": b"\f"}


class ArgumentError(Exception):
    """An argument that cannot be read; the message says why."""


class Arguments:
    """Reads the arguments in `line`, the text from the command's name to the end of the line."""

    def __init__(self, line: bytes, lookup: Callable[[bytes], bytes | None]) -> None:
        self.line = line
        self.pos = 0
        self._lookup = lookup

    def next(self) -> bytes | None:
        """The next argument, or None when there is none. Raises `ArgumentError`."""
        self._skip_space()
        value, begin = bytearray(), self.pos
        while self.pos < len(self.line):
            byte = self.line[self.pos : self.pos + 1]
            if byte in (b"\\", *_SPACES):
                break
            value += self._piece(byte)
        return bytes(value) if self.pos > begin else None

    def all(self) -> list[bytes]:
        """The arguments up to the end of the command."""
        found = []
        while (value := self.next()) is not None:
            found.append(value)
        return found

    def skip(self) -> None:
        """Skip the remaining arguments, and evaluate nothing."""
        quote = b""
        while self.pos < len(self.line):
            byte = self.line[self.pos : self.pos + 1]
            if quote == b"'" and byte == b"\\":
                self.pos += 1
            elif byte == quote:
                quote = b""
            elif not quote and byte in (b"'", b'"', b"`"):
                quote = byte
            elif not quote and byte == b"\\":
                return
            self.pos += 1
        self.pos = len(self.line)

    def end(self) -> int:
        r"""How far the command goes; `\\` after it belongs to it."""
        self._skip_space()
        if self.line.startswith(b"\\\\", self.pos):
            self.pos += 2
        return self.pos

    def _skip_space(self) -> None:
        while self.line[self.pos : self.pos + 1] in _SPACES and self.pos < len(self.line):
            self.pos += 1

    def _piece(self, byte: bytes) -> bytes:
        if byte == b"'":
            begin = self.pos + 1
            for found in _QUOTE_OR_ESCAPE.finditer(self.line, begin):
                if found[0] == b"'":
                    self.pos = found.end()
                    return _ESCAPE.sub(_unescaped, self.line[begin : found.start()])
            raise ArgumentError("the quote ' is never closed")
        if byte == b"`":
            raise ArgumentError("a shell command in backquotes is not run")
        if byte == b'"':
            begin, end = self.pos, self.line.find(b'"', self.pos + 1)
            if end < 0:
                raise ArgumentError('the quote " is never closed')
            self.pos = end + 1
            return self.line[begin : self.pos]
        variable = lex.VARIABLE.match(self.line, self.pos) if byte == b":" else None
        if variable is None:
            self.pos += 1
            return byte
        self.pos = variable.end()
        kind = variable.lastindex or 0
        value = self._lookup(variable[kind])
        if kind == 4:
            return b"FALSE" if value is None else b"TRUE"
        if value is None:
            return variable[0]
        if kind == 1:
            return value
        return quote_literal(value) if kind == 2 else quote_name(value)


_SPACES = (b" ", b"\t", b"\n", b"\r", b"\f", b"\v")


def _unescaped(found: re.Match[bytes]) -> bytes:
    escape: bytes | None = found[1]
    if escape is None:
        return b"'"
    if escape[:1] == b"x" and len(escape) > 1:
        return bytes([int(escape[1:], 16)])
    if escape.isdigit() and escape[0] < ord("8"):
        return bytes([int(escape, 8) & 0xFF])
    return _LETTERS.get(escape, escape)


def boolean(word: str) -> bool | None:
    """psql's reading of a Boolean: `true`, `false`, `yes`, `no`, `on`, `off`, `1`, `0` or a
    beginning of one that is not ambiguous, in any case; None for anything else."""
    low = word.lower()
    if low and ("true".startswith(low) or "yes".startswith(low) or low in ("on", "1")):
        return True
    if low and ("false".startswith(low) or "no".startswith(low) or low in ("of", "off", "0")):
        return False
    return None

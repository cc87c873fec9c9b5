"""Reads a script token by token, with everything that psql keeps track of.

psql reads a script line by line. The scanner treats the text as psql does: it drops white space and
`--` comments before a statement, and blank lines outside quotes; it keeps everything else as it is.
Source: PostgreSQL documentation, psql, "Entering SQL Commands" and "Meta-Commands"; for what these
leave open, recordings of what psql sends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pilotcli.common.errors import WorkloadError
from pilotcli.common.records import NO_FACTS, QueryFacts
from pilotcli.workload.psql import lex
from pilotcli.workload.psql.quoting import quote_literal, quote_name
from pilotcli.workload.psql.strings import StringsMode
from pilotcli.workload.psql.window import Window

_STRETCH_BYTES = 1 << 16
_SEMICOLON, _BACKSLASH, _NEWLINE = b";\\\n"


class MetaCommand(NamedTuple):
    """A backslash command; the scanner's position is after its name."""

    name: str
    line: int


LookUp = Callable[[bytes, int], "bytes | None"]
"""Takes the name of a psql variable and a line; returns the value, None when it is not set."""


class Scanner:
    """Collects the text of one statement after the other.

    Without `look_up`, a backslash and a colon have no special meaning: the text is plain SQL.
    """

    def __init__(self, window: Window, strings: StringsMode, look_up: LookUp | None = None) -> None:
        self.window = window
        self.active = True
        """False inside a branch of `\\if` that is not taken; its text goes nowhere."""
        self.has_expected = False
        """Whether a comment has said which answer a statement must have."""
        self._strings = strings
        self._look_up = look_up
        self._values: list[tuple[Window, bytes]] = []
        self._text = bytearray()
        self._newline = False
        self._line: int | None = None
        self._name: str | None = None
        self._facts = NO_FACTS
        self._joined = False
        self._depth = 0
        self._identifiers: list[bytes] = []
        self._counting = True
        self._function = False
        self._begin_depth = 0
        self._handlers: dict[int, Callable[[], MetaCommand | bool | None]] = {
            ord("'"): self._quote,
            ord('"'): self._identifier,
            ord("$"): self._dollar,
            _BACKSLASH: self._backslash,
            ord(":"): self._colon,
            ord("("): self._open,
            ord(")"): self._close,
            ord("-"): self._dash,
            ord("/"): self._slash,
            _NEWLINE: self._newlines,
            _SEMICOLON: self._semicolon,
        }

    def in_value(self) -> bool:
        """Whether the scanner reads the value of a variable, not the script itself."""
        return bool(self._values)

    def fail(self, message: str, line: int, hint: str) -> WorkloadError:
        """The error for a place in this script."""
        return WorkloadError(message, file=self.window.file, line=line, hint=hint)

    def scan(self) -> MetaCommand | bool:
        """Go on to the end of a statement (True), a command, or the end of the script (False)."""
        while True:
            window = self.window
            if window.pos >= len(window.buf) and not window.more():
                if not self._values:
                    return False
                self.window = self._values.pop()[0]
                continue
            if self._newline and window.buf[window.pos] == _NEWLINE:
                self._newlines()
                continue
            if self._line is None and self._leading():
                continue
            self._plain()
            window = self.window
            if window.pos < len(window.buf):
                found = self._handlers.get(window.buf[window.pos], self._other)()
                if found is not None:
                    return found

    def _leading(self) -> bool:
        """Skip white space and comments before the first word; False at that word."""
        window = self.window
        first = window.buf[window.pos]
        if first in b" \t\r\f\v":
            rest = window.buf[window.pos : window.pos + 4096]
            self._emit(len(rest) - len(rest.lstrip(b" \t\r\f\v")))
            return True
        if first == _NEWLINE:
            self._newlines()
            return True
        if first in b"-/":
            if len(window.buf) - window.pos < 2 and window.more():
                return True
            opening = window.buf[window.pos : window.pos + 2]
            if opening in (b"--", b"/*"):
                self._dash() if opening == b"--" else self._slash()
                return True
        if first != _SEMICOLON and not (first == _BACKSLASH and self._look_up is not None):
            self._line = self._line_here()
        return False

    def _line_here(self) -> int:
        outer = self._values[0][0] if self._values else self.window
        return outer.line_at(outer.pos)

    def _plain(self) -> None:
        """Add the text that needs no decision."""
        window = self.window
        if not self._counting:
            pattern = lex.VALUE_STRETCH if self._values else lex.STRETCH
            found = pattern.match(window.buf, window.pos, window.pos + _STRETCH_BYTES)
            if found and found.end() > window.pos:
                # What follows may be part of a word that begins in here: the floor stays.
                self._emit(found.end() - window.pos, keep_floor=True)
            return
        while found := lex.WORDS.match(window.buf, window.pos):
            if found.end() + 2 > len(window.buf) and window.more():
                continue
            word = found[1]
            self._emit(found.end() - window.pos, keep_floor=word is None)
            if word is not None:
                self._count(word.lower())
                if not self._counting:
                    return
            if window.pos >= len(window.buf):
                return

    def _count(self, word: bytes) -> None:
        """psql's rule for function bodies: in a statement that begins with CREATE [OR REPLACE]
        FUNCTION or PROCEDURE, semicolons between BEGIN and END do not end it."""
        if self._function:
            if self._depth == 0:
                if word == b"begin" or (word == b"case" and self._begin_depth):
                    self._begin_depth += 1
                elif word == b"end" and self._begin_depth:
                    self._begin_depth -= 1
            return
        self._identifiers.append(word)
        head = self._identifiers
        if head[1:] in ([b"or"], [b"or", b"replace"]) or len(head) == 1:
            self._counting = head[0] == b"create"
        else:
            self._function = head[-1] in (b"function", b"procedure")
            self._counting = self._function

    def _emit(self, size: int, *, keep_floor: bool = False) -> None:
        """Move over `size` bytes, into the statement where they belong to one."""
        window = self.window
        text = window.buf[window.pos : window.pos + size]
        window.pos += size
        if not keep_floor:
            window.floor = window.pos
        if self._line is None and not self._text and not text.startswith(b"/*"):
            return
        self._add(text)

    def _add(self, text: bytes) -> None:
        if not self.active:
            return
        if self._newline:
            self._newline = False
            self._text += b"\n"
        self._text += text
        if len(self._text) > self.window.MAX_BYTES:
            raise self.window.too_long(self._line or self._line_here())

    # ---- one handler for each byte at which something may happen

    def _other(self) -> None:
        self._emit(1, keep_floor=True)

    def _newlines(self) -> None:
        window = self.window
        if self._values:
            self._emit(1)
            return
        while window.pos < len(window.buf) and window.buf[window.pos] == _NEWLINE:
            window.skip_to(window.pos + 1)
        self._newline = bool(self._text)

    def _open(self) -> None:
        self._depth += 1
        self._emit(1)

    def _close(self) -> None:
        self._depth = max(0, self._depth - 1)
        self._emit(1)

    def _semicolon(self) -> bool | None:
        window = self.window
        if self._depth or self._begin_depth:
            self._emit(1)
            return None
        self._identifiers.clear()
        self._counting, self._function = True, False
        window.skip_to(window.pos + 1)
        self._add(b"")  # a newline before the semicolon belongs to the statement
        return self.active or None

    def _dash(self) -> None:
        window = self.window
        while True:
            found = lex.LINE_COMMENT.match(window.buf, window.pos)
            end = found.end() if found else window.pos + 1
            if end < len(window.buf) or not window.more():
                break
        if found and self._line is None and self.active and not self._values:
            line_begin = window.buf.rfind(b"\n", 0, window.pos) + 1
            self._name, self._facts = self._notes(line_begin, end, self._name, self._facts)
        self._emit(end - window.pos)

    def _slash(self) -> None:
        window = self.window
        if len(window.buf) - window.pos < 2 and window.more():
            return None
        if window.buf[window.pos + 1 : window.pos + 2] != b"*":
            return self._emit(1)
        line, depth = self._line_here(), 0
        while True:
            end = window.pos
            for edge in lex.COMMENT_EDGE.finditer(window.buf, window.pos):
                depth += 1 if edge[0] == b"/*" else -1
                end = edge.end()
                if depth == 0:
                    return self._emit(end - window.pos)
            # The last byte may be the first half of an edge.
            self._emit(max(end, len(window.buf) - 1) - window.pos)
            if not window.more():
                raise self._unterminated("comment", "*/", line)

    def _identifier(self) -> None:
        self._to(b'"', 1, "quoted identifier", '"')

    def _to(self, closing: bytes, skip: int, what: str, shown: str) -> None:
        """Emit up to and with `closing`, looked for from `skip` bytes on."""
        window, line = self.window, self._line_here()
        self._emit(skip)
        while (end := window.buf.find(closing, window.pos)) < 0:
            # What is skipped need not stay in the window, however long the token is.
            self._emit(max(0, len(window.buf) - window.pos - len(closing) + 1))
            if not window.more():
                raise self._unterminated(what, shown, line)
        self._emit(end + len(closing) - window.pos)

    def _quote(self) -> None:
        window = self.window
        *before, prefix = window.word_before(window.pos).lower().split(b"&")
        unicode_prefix = bool(before) and prefix == b"" and before[-1] == b"u"
        escapes = prefix == b"e"
        if not unicode_prefix and prefix not in (b"b", b"x", b"e"):
            escapes = not self._strings.standard_at(self._line_here())
        while True:
            self._string(escapes)
            window = self.window
            while True:  # is it continued, or was the quote the first of a pair?
                if window.buf[window.pos : window.pos + 1] == b"'":
                    if prefix in (b"b", b"x"):  # no pair there: a string of its own follows
                        escapes = not self._strings.standard_at(self._line_here())
                    break
                gap = lex.BETWEEN_STRINGS.match(window.buf, window.pos)
                if gap and gap.end() == len(window.buf) and window.more():
                    continue
                pattern = lex.CONTINUED_IN_VALUE if self._values else lex.CONTINUED
                found = pattern.match(window.buf, window.pos)
                if found is None:
                    return
                self._emit(found.end() - 1 - window.pos)

    def _string(self, escapes: bool) -> None:
        """Emit one string from its quote to the next that is not escaped by a backslash."""
        if not escapes:
            return self._to(b"'", 1, "quoted string", "'")
        window, line = self.window, self._line_here()
        self._emit(1)
        while True:
            begin = window.pos
            found = lex.ESCAPED_STRETCH.match(window.buf, begin, begin + _STRETCH_BYTES)
            assert found is not None
            end = found.end()
            self._emit(end - begin)
            if window.buf[end : end + 1] == b"'":
                return self._emit(1)
            if len(window.buf) - end < 2 and not window.more():
                raise self._unterminated("quoted string", "'", line)

    def _dollar(self) -> None:
        window = self.window
        word = window.word_before(window.pos).rpartition(b"&")[2]
        # a$b is a name, and 1a$b is junk that counts as one word; $b after a number is not.
        rest = lex.NAME_REST if word and not word.isdigit() else lex.DOLLAR_WORD
        found = rest.match(window.buf, window.pos)
        assert found is not None
        if found.end() >= len(window.buf) - 1 and window.more():
            return None
        if rest is lex.NAME_REST:
            return self._emit(found.end() - window.pos)
        quote = lex.DOLLAR_QUOTE.match(window.buf, window.pos)
        if quote:
            shown = quote[0].decode("utf-8", "replace")
            return self._to(quote[0], len(quote[0]), "dollar quote", shown)
        parameter = lex.PARAMETER.match(window.buf, window.pos)
        return self._emit(parameter.end() - window.pos if parameter else 1)

    def _colon(self) -> None:
        window = self.window
        found = lex.VARIABLE_BEGIN.match(window.buf, window.pos)
        assert found is not None
        if found.end() >= len(window.buf) - 1 and window.more():
            return None
        following = window.buf[window.pos + 1 : window.pos + 2]
        if following in (b":", b"="):
            return self._emit(2)
        variable = lex.VARIABLE.match(window.buf, window.pos)
        if variable is None or self._look_up is None:
            return self._emit(1)
        name = variable[variable.lastindex or 0]
        value = self._look_up(name, self._line_here()) if self.active else None
        size = variable.end() - window.pos
        kind = variable.lastindex
        if kind == 4 and self.active:
            window.skip_to(variable.end())
            return self._add(b"TRUE" if value is not None else b"FALSE")
        if value is None or (kind == 1 and any(name == inner for _, inner in self._values)):
            return self._emit(size)
        window.skip_to(variable.end())
        if kind == 1:
            self._values.append((window, name))
            self.window = Window.over(value, window.file)
            return None
        return self._add(quote_literal(value) if kind == 2 else quote_name(value))

    def _backslash(self) -> MetaCommand | None:
        window = self.window
        if self._look_up is None:
            self._emit(1)
            return None
        if len(window.buf) - window.pos < 2 and window.more():
            return None
        following = window.buf[window.pos + 1 : window.pos + 2]
        if following in (b";", b":") and following:
            if following == b":" and self._line is None:
                self._line = self._line_here()
            window.skip_to(window.pos + 2)
            self._add(following)
            if following == b";":
                self._identifiers.clear()
                self._counting, self._function, self._joined = True, False, True
            return None
        self._newline = False  # a line that begins with a command adds none
        line = self._line_here()
        window.rest_of_line()
        start = end = window.pos + 1
        while end < len(window.buf) and window.buf[end] not in b" \t\n\r\f\v\\":
            end += 1
        window.skip_to(end)
        return MetaCommand(window.buf[start:end].decode("utf-8", "replace"), line)

    # ---- the statement collected so far

    def reset(self) -> None:
        """Forget the text collected so far, and what was open in it."""
        self._clear()
        self._depth = self._begin_depth = 0
        self._identifiers.clear()
        self._counting, self._function = True, False

    def drop_end_mark(self) -> None:
        """Forget a Ctrl-Z at the end of the script: programs of DOS and Windows write it there."""
        text = self._text.rstrip()
        if text.endswith(b"\x1a"):
            self._text = text[:-1].rstrip()
            if not self._text:
                self._line = None

    def mark(self) -> tuple[int, int | None]:
        """The current state, for `go_back`."""
        return self._depth, self._line

    def go_back(self, mark: tuple[int, int | None]) -> None:
        """Forget what a branch of `\\if` that was not taken has opened."""
        self._depth, self._line = mark
        self._newline = False

    def _clear(self) -> None:
        self._text = bytearray()
        self._newline = self._joined = False
        self._line = self._name = None
        self._facts = NO_FACTS

    def _notes(
        self, start: int, end: int, name: str | None, facts: QueryFacts
    ) -> tuple[str | None, QueryFacts]:
        """What the last comment lines `-- name: ...` and `-- expect: ...` between `start` and
        `end` say; `name` and `facts` where they say nothing."""
        window = self.window
        for found in lex.NOTE.finditer(window.buf, start, end):
            # Before the window's begin, the line of a comment may have begun with something else.
            if found.start() or window.base == window.begin:
                value = found[2].decode("utf-8", "replace")
                if found[1] == b"name":
                    name = value
                else:
                    self.has_expected = True
                    facts = QueryFacts(expect=value)
        return name, facts

    def _unterminated(self, what: str, closing: str, line: int) -> WorkloadError:
        return self.fail(
            f"the {what} that begins here is never closed", line, f"Add the missing {closing}"
        )

"""Splits bytes into statements, exactly as psql does (psql 15 and newer).

`Splitter` reads whole ordinary statements with one pattern, many at a time, and anything else token
by token (see `scanner`). The caller gets the meta-commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pilotcli.common.records import NO_FACTS, QueryFacts
from pilotcli.common.sql_commands import leading_keyword
from pilotcli.workload.psql import lex
from pilotcli.workload.psql.copy import CopySlice, is_copy_from_stdin, read_copy_data
from pilotcli.workload.psql.scanner import LookUp, MetaCommand, Scanner
from pilotcli.workload.psql.strings import StringsMode
from pilotcli.workload.psql.window import Window

CHUNK_BYTES = 1 << 18
LONGEST_AT_ONCE = 1 << 16
"""Bytes. A longer statement is read token by token: the pattern remembers each of its repetitions,
so a match may need a hundred times the memory of the text."""
_SEMICOLON = ord(";")
_PARTS = re.compile("[^;]+")


class Statement(NamedTuple):
    """One statement: its text without the semicolon, the line of its first word, that word in
    capitals, the name that a comment gives it, the data of a `COPY ... FROM STDIN`, and what else
    its file says of it."""

    sql: str
    line: int
    command: str
    name: str | None = None
    copy: CopySlice | None = None
    facts: QueryFacts = NO_FACTS


class Splitter(Scanner):
    """Iterates over the statements (in lists) and the meta-commands of one script.

    `tee` receives the bytes of inline COPY data while they are skipped.
    """

    def __init__(
        self,
        window: Window,
        strings: StringsMode,
        look_up: LookUp | None = None,
        tee: Callable[[bytes], object] | None = None,
    ) -> None:
        super().__init__(window, strings, look_up)
        self._tee = tee
        self._previous: tuple[str | bytearray, int] | None = None

    def __iter__(self) -> Iterator[list[Statement] | MetaCommand]:
        while True:
            if not self._text and self.active and not self._values:
                ordinary = self._ordinary()
                if ordinary:
                    yield ordinary
                window = self.window
                if len(window.buf) - window.pos < window.chunk_bytes and window.more():
                    continue
            found = self.scan()
            if isinstance(found, MetaCommand):
                yield found
                continue
            if not found:
                self.drop_end_mark()
            statement = self.take(forced=not found)
            if statement is not None:
                yield [statement]
            if not found:
                return

    def _ordinary(self) -> list[Statement]:
        """Statements in a row, up to the first that is not in memory or holds something special."""
        window = self.window
        buf, pos, last = window.buf, window.pos, len(window.buf) - 1
        match, count, new = lex.STATEMENT.match, buf.count, tuple.__new__
        no_facts = NO_FACTS
        commands: dict[bytes, str] = {}
        made: list[Statement] = []
        name, facts = self._name, self._facts
        line, counted = window.line_at(pos), pos
        while (found := match(buf, pos, pos + LONGEST_AT_ONCE)) and (end := found.end()) <= last:
            start, word_end = found.span(1)
            if buf[end] != _SEMICOLON:
                break
            line += count(b"\n", counted, start)
            counted = start
            sql = buf[start:end]
            if b"\n\n" in sql:
                sql = lex.BLANK_LINES.sub(lambda kept: kept[1] or b"\n", sql)
            try:
                text = sql.decode()
                command = commands.get(buf[start:word_end])
                if command is None:
                    word = buf[start:word_end]
                    command = commands[word] = word.decode().upper()
            except UnicodeDecodeError:
                break  # `scan` says what is wrong
            if start - pos > 8:
                name, facts = self._notes(pos, start, name, facts)
            made.append(new(Statement, (text, line, command, name, None, facts)))
            name, facts = None, no_facts
            pos = end + 1
        if made:
            self._previous = (made[-1].sql, made[-1].line)
        self._name, self._facts = name, facts
        window.skip_to(pos)
        return made

    def take(self, *, forced: bool = True) -> Statement | None:
        """The statement collected so far, as at a semicolon; None for an empty one.

        `forced`, at the end of a script and for `\\g`, forgets open parentheses and blocks.
        """
        sql, line, name, joined = self._text, self._line, self._name, self._joined
        facts = self._facts
        if line is None and (sql or not forced):
            self._previous = (sql, self._line_here())
        if forced:
            self.reset()
        else:
            self._clear()
        if line is None:
            return None
        text = self._decode(sql, line)
        self._previous = (text, line)
        del sql  # a long statement is in memory once from here on
        found = self._build(text, line, name, joined)
        return found._replace(facts=facts) if found is not None and facts != NO_FACTS else found

    def take_again(self) -> Statement | None:
        """The statement that `\\g` sends: the one collected so far, or else the one before it."""
        if self._text or self._previous is None:
            return self.take()
        sql, line = self._previous
        self.reset()
        text = sql if isinstance(sql, str) else self._decode(sql, line)
        return self._build(text, line, None, False)

    def _build(self, text: str, line: int, name: str | None, joined: bool) -> Statement | None:
        command = leading_keyword(text)
        if not command and not text.strip(" \t\n\r\f\v;"):
            return None
        if command in lex.WATCHED:
            self._strings.observe(command, text, self._line_here())
        copy = None
        if joined and any(is_copy_from_stdin(part[0]) for part in _PARTS.finditer(text)):
            raise self.fail(
                "COPY ... FROM STDIN is joined to another statement",
                line,
                "Let it be a statement of its own: put ; instead of \\; before and after it.",
            )
        if command == "COPY" and is_copy_from_stdin(text):
            if self._values or self._look_up is None:
                raise self.fail(
                    "COPY ... FROM STDIN has no data here",
                    line,
                    "Write it into a .sql file, with its data on the lines below it.",
                )
            copy = read_copy_data(self.window, self._tee)
        return Statement(text, line, command, name, copy)

    def _decode(self, sql: bytearray, line: int) -> str:
        try:
            return sql.decode()
        except UnicodeDecodeError as problem:
            at = line + sql.count(b"\n", 0, problem.start)
            raise self.fail(
                f"the byte 0x{sql[problem.start]:02x} is not UTF-8",
                at,
                "A workload is UTF-8 text; convert it, with iconv -f LATIN1 -t UTF-8 for example.",
            ) from None

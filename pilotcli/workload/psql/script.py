"""Runs a psql script: the splitter's statements, and the meta-commands that psql would do.

A command without effect on the statements is skipped; the others are done as psql does them, or
refused. `ScriptState` holds what lasts from file to file, as in one psql session.
Source: PostgreSQL documentation, psql, "Meta-Commands" and "SQL Interpolation".
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from pilotcli.common.errors import WorkloadError
from pilotcli.common.records import CopyData
from pilotcli.workload.expected_texts import expected_text
from pilotcli.workload.psql import commands
from pilotcli.workload.psql.copy import CopySlice, read_copy_data
from pilotcli.workload.psql.drawing import DRAWN, draw
from pilotcli.workload.psql.lex import NAME_BYTES
from pilotcli.workload.psql.scanner import MetaCommand
from pilotcli.workload.psql.slash import ArgumentError, Arguments, boolean
from pilotcli.workload.psql.splitter import Splitter, Statement
from pilotcli.workload.psql.strings import StringsMode
from pilotcli.workload.refusals import Refusals

_MAX_INCLUDES = 50
MAX_VARIABLES_BYTES = 64_000_000
"""`\\set v :v:v` doubles a value with every line."""

Found = tuple[str, list[Statement], "CopyData | None"]
"""Statements in a row with the name of their file; one with COPY data comes alone, with the place
of its data."""

Notify = Callable[[str, str], None]
"""Takes the kind of a notice to the user and its text; the first one of each kind is shown."""

_DATA_FOLLOWS = re.compile(rb"(?i)\sfrom\s+stdin\b")

Include = Callable[[Path, "Script", int], Iterator[Found]]


@dataclass(slots=True)
class ScriptState:
    """What one script leaves for the next: variables and the meaning of backslashes."""

    variables: dict[bytes, bytes] = field(default_factory=dict)
    strings: StringsMode = field(default_factory=StringsMode)
    notify: Notify = lambda kind, text: None
    random: Random = field(default_factory=lambda: Random(1))
    restricted: bool = False
    used_bytes: int = 0
    """What the values of the variables set by scripts take."""

    @classmethod
    def start(
        cls,
        variables: Mapping[str, str] | None,
        *,
        standard: bool = True,
        notify: Notify = lambda kind, text: None,
    ) -> ScriptState:
        """The state before the first script."""
        given = {name.encode(): value.encode() for name, value in (variables or {}).items()}
        used = sum(map(len, given.values()))
        return cls(given, StringsMode(standard), notify, used_bytes=used)


@dataclass(slots=True)
class _Branch:
    """One open `\\if`: whether its text counts, and whether one of its branches was taken."""

    outer: bool
    taken: bool
    line: int
    mark: tuple[int, int | None]
    active: bool = True
    in_else: bool = False


class Script:
    """Iterates over the statements of one script and of what it includes.

    `include` opens another script, `copy_data` says where inline COPY data can be read from;
    `depth` says how many scripts lie around this one.
    """

    def __init__(
        self,
        splitter: Splitter,
        state: ScriptState,
        include: Include,
        copy_data: Callable[[CopySlice], CopyData],
        *,
        folder: Path | None = None,
        depth: int = 0,
    ) -> None:
        self.state = state
        self.depth = depth
        self.file = splitter.window.file
        self.folder = folder
        self._splitter = splitter
        self._include = include
        self._copy_data = copy_data
        self._branches: list[_Branch] = []
        self._line = 0
        self._refusals = Refusals()

    def __iter__(self) -> Iterator[Found]:
        with self._refusals.ending():
            for found in self._found():
                if not self._refusals:
                    yield found

    def _found(self) -> Iterator[Found]:
        file = self.file
        for found in self._splitter:
            if isinstance(found, list):
                if self._splitter.has_expected:
                    self._check_expected(found)
                yield (file, found, None) if found[0].copy is None else self._with_data(found[0])
                continue
            self._line = found.line
            if found.name == "q" and self._splitter.active:
                self._check_allowed("q")
                last = self._splitter.take()
                if last is not None:
                    yield self._with_data(last)
                return
            yield from self._command(found)
        if self._branches:
            self._line = self._branches[-1].line
            raise self._error("this \\if has no \\endif", "Add \\endif to the same file.")

    def _check_expected(self, statements: list[Statement]) -> None:
        for statement in statements:
            if (text := statement.facts.expect) is not None:
                try:
                    expected_text(text, self.file, statement.line)
                except WorkloadError as problem:
                    self._refusals.add(problem)

    def _with_data(self, found: Statement) -> Found:
        return self.file, [found], None if found.copy is None else self._copy_data(found.copy)

    def _command(self, command: MetaCommand) -> Iterator[Found]:
        splitter, window = self._splitter, self._splitter.window
        if splitter.in_value():
            raise self._error(
                f"\\{command.name} is in the value of a variable",
                "A variable may hold SQL only; write the command into the file.",
            )
        end = window.rest_of_line()
        begin, line = window.pos, window.buf[window.pos : end]
        arguments = Arguments(line, lambda name: look_up(self.state, self.file, name, command.line))
        try:
            made = self._do(command.name, arguments)
        except ArgumentError as problem:
            made = None
            self._refuse(
                command.name,
                self._error(f"\\{command.name}: {problem}", "Correct the line, or remove it."),
            )
        except WorkloadError as problem:
            made = None
            self._refuse(command.name, problem)
        if command.name in commands.WHOLE_LINE:
            arguments.pos = len(line)
        arguments.skip()
        window.skip_to(begin + arguments.end())
        if command.name == "copy" and splitter.active and _DATA_FOLLOWS.search(line):
            read_copy_data(window, None)  # not to take it for SQL: the command is refused
        if command.name in ("g", "gx") and splitter.active:
            again = splitter.take_again()
            if again is not None:
                yield self._with_data(again)
        elif isinstance(made, Path):
            yield from self._include(made, self, command.line)

    def _refuse(self, name: str, problem: WorkloadError) -> None:
        """Keep `problem`, to report it with those of the lines below."""
        if name in ("if", "elif", "else", "endif"):
            raise problem  # which lines count is not known from here on
        self._refusals.add(problem)
        if name.startswith("g") or name in ("watch", "crosstabview"):
            self._splitter.reset()  # it would have sent the statement

    def _do(self, name: str, arguments: Arguments) -> Path | None:
        """Do a command that yields no statement itself; returns the script to include, if any."""
        if name in ("if", "elif", "else", "endif"):
            self._conditional(name, arguments)
            return None
        if not self._splitter.active:
            return None
        self._check_allowed(name)
        if name in ("g", "gx"):
            self._options_only(name, arguments)
        elif name == "set":
            self._set(arguments)
        elif name == "unset":
            gone = self.state.variables.pop(arguments.next() or b"", b"")
            self.state.used_bytes -= len(gone)
        elif name == "getenv":
            self._getenv(arguments)
        elif name in ("i", "ir", "include", "include_relative"):
            return self._path(name, arguments)
        elif name in ("r", "reset"):
            self._splitter.reset()
        elif name == "restrict":
            self.state.restricted = True
        elif name == "unrestrict":
            self.state.restricted = False
        elif name == "encoding":
            self._encoding(arguments)
        elif commands.only_shows(name):
            text = f"\\{name} only shows what is in the database, and is skipped"
            self.state.notify(
                "shows", f"{self.file}:{self._line}: {text}, as are other lines like it"
            )
        elif name not in commands.HARMLESS:
            raise self._error(
                f"the psql command \\{name} cannot be replayed", commands.advice(name)
            )
        return None

    def _check_allowed(self, name: str) -> None:
        if self.state.restricted and name != "unrestrict":
            raise self._error(
                f"\\{name} is between \\restrict and \\unrestrict",
                "psql refuses every command there; remove it, or the two around it.",
            )

    # ---- commands

    def _conditional(self, name: str, arguments: Arguments) -> None:
        splitter = self._splitter
        if name == "if":
            outer = splitter.active
            taken = outer and self._condition(name, arguments)
            branch = _Branch(outer, taken, self._line, splitter.mark(), active=taken)
            self._branches.append(branch)
            splitter.active = taken
            return
        if not self._branches:
            raise self._error(f"\\{name} has no \\if before it", "Add \\if, or remove the line.")
        branch = self._branches[-1]
        if name != "endif" and branch.in_else:
            raise self._error(f"\\{name} comes after \\else", "\\else is the last branch.")
        if branch.active:
            branch.mark = splitter.mark()
        else:
            splitter.go_back(branch.mark)
        if name == "endif":
            self._branches.pop()
            splitter.active = branch.outer
            return
        branch.in_else = name == "else"
        may = branch.outer and not branch.taken
        branch.active = may and (name == "else" or self._condition(name, arguments))
        branch.taken |= branch.active
        splitter.active = branch.active

    def _condition(self, name: str, arguments: Arguments) -> bool:
        text = b" ".join(arguments.all()).decode("utf-8", "replace")
        value = boolean(text)
        if value is None:
            raise self._error(
                f"\\{name} needs true or false, not {text!r}",
                "psql takes true, false, yes, no, on, off, 1 or 0; it computes nothing.",
            )
        return value

    def _set(self, arguments: Arguments) -> None:
        name = arguments.next()
        if name is None:
            return
        value = b"".join(arguments.all())
        if name.strip(NAME_BYTES) or b"$" in name:
            raise self._error(
                f"{name.decode('utf-8', 'replace')!r} is no name for a variable",
                "A name is made of letters, digits and underscores.",
            )
        shown = name.decode("utf-8", "replace")
        wanted = boolean(value.decode("utf-8", "replace") or "on")
        if commands.SETTINGS.get(shown, wanted) != wanted:
            raise self._error(
                f"\\set {shown} {value.decode('utf-8', 'replace')} changes what psql sends",
                "pilot sends each statement by itself, as written; remove the line.",
            )
        if DRAWN.match(value):
            try:
                value = draw(value, self.state.random)
            except ValueError as problem:
                raise self._error(
                    f"\\set {shown} {value.decode('utf-8', 'replace')} cannot be drawn: {problem}",
                    "pilot draws random(low, high) of whole numbers, as pgbench does; its other "
                    "variables, such as :scale, are set above: \\set scale 1",
                ) from None
        self._assign(name, value)

    def _assign(self, name: bytes, value: bytes) -> None:
        state = self.state
        state.used_bytes += len(value) - len(state.variables.get(name, b""))
        if state.used_bytes > MAX_VARIABLES_BYTES:
            raise self._error(
                f"the variables grow beyond {MAX_VARIABLES_BYTES:,} bytes",
                "A variable seems to be set to itself more than once, again and again.",
            )
        state.variables[name] = value

    def _getenv(self, arguments: Arguments) -> None:
        name, variable = arguments.next(), arguments.next()
        if not name or not variable:
            raise ArgumentError("it needs two arguments, a variable and an environment variable")
        value = os.environb.get(variable)
        if value is not None:
            self._assign(name, value)

    def _encoding(self, arguments: Arguments) -> None:
        name = (arguments.next() or b"UTF8").decode("utf-8", "replace")
        if name.upper().replace("-", "") not in ("UTF8", "UNICODE"):
            raise self._error(
                f"the encoding {name!r} is not read", "Convert the file to UTF-8 with iconv."
            )

    def _options_only(self, name: str, arguments: Arguments) -> None:
        given = b" ".join(arguments.all())
        if given and not (given.startswith(b"(") and given.endswith(b")")):
            raise self._error(
                f"\\{name} with a file or a program is not done",
                f"Use \\{name} alone, or end the statement with a semicolon.",
            )

    def _path(self, name: str, arguments: Arguments) -> Path:
        given = arguments.next()
        if not given:
            raise ArgumentError("it needs a file name")
        text = os.fsdecode(given)
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = text[1:-1]
        if self.depth >= _MAX_INCLUDES:
            raise self._error(
                f"\\{name} {text}: {_MAX_INCLUDES} files include each other",
                "A file seems to include itself; break the circle.",
            )
        # As psql does, a ~ before the name of no user stays what it is.
        path = Path(os.path.expanduser(text))  # noqa: PTH111
        if name in ("ir", "include_relative") and self.folder is not None:
            return self.folder / path
        return path

    def _error(self, message: str, hint: str) -> WorkloadError:
        return WorkloadError(message, file=self.file, line=self._line, hint=hint)


def look_up(state: ScriptState, file: str, name: bytes, line: int) -> bytes | None:
    """The value of a variable; None when it is not set.

    Raises `WorkloadError` for a variable that psql itself would fill from its connection.
    """
    value = state.variables.get(name)
    if value is None and name.decode("utf-8", "replace") in commands.FILLED_BY_PSQL:
        shown = name.decode()
        raise WorkloadError(
            f"the variable {shown} is filled by psql itself, and is not known here",
            file=file,
            line=line,
            hint=f"Set it in the file: \\set {shown} value",
        )
    return value

"""The errors of pilot: one tree, each class with the exit code that a command ends with.

    PilotError
    ├── UsageError              2   the command line, a path, a folder that cannot be used
    │   ├── ConfigError         2   the config; holds every problem found, not only the first
    │   ├── WorkloadError       2   a workload file, with file and line
    │   └── PluginError         2   a class that a config names cannot be loaded or built
    ├── CapabilityError         2   the database cannot do what the config or a driver needs
    ├── StorageError            2   the journal, a checkpoint folder or `.pilot/` cannot be written
    │   └── CheckpointError     2   a checkpoint is missing, damaged or could not be saved
    ├── DriverError             3   an event, a handler or a training failed
    │   └── SteeringError       3   a handler's request cannot be carried out for this query
    ├── DatabaseError           4   the database cannot be reached, or was lost for good
    │   └── StoreError          4   the same for the store
    ├── QueryError              1   a statement did not end `ok`
    │   ├── QueryTimeout        1
    │   └── QueryCancelled      1
    └── Interrupted             130 the user stopped the run

A message says what went wrong, where, and what to do next. It never contains a secret, even where
it quotes a driver or the server (`pilotcli.common.redaction`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pilotcli.common.redaction import redacted

if TYPE_CHECKING:
    from typing_extensions import Self


class PilotError(Exception):
    """The root of all errors that pilot raises on purpose.

    `hint` says what to do next, as a sentence of its own; it is shown below the message, in a
    traceback too (from Python 3.11 on). `original` is the exception that this error stands for:
    psycopg2's, or that of a driver's own code. `statement` is the SQL that failed.
    """

    exit_code = 2
    original: BaseException | None = None
    statement: str | None = None

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        # PilotScope's drivers raise some of these errors without a message.
        message = redacted(message or (type(self).__doc__ or "").partition("\n")[0])
        super().__init__(message)
        self.message = message
        self.hint = hint and redacted(hint)
        self.note_hint()

    def note_hint(self) -> None:
        """Have tracebacks show the hint."""
        if self.hint and sys.version_info >= (3, 11):
            self.add_note(self.hint)

    def standing_for(self, original: BaseException) -> Self:
        """Set `original`, and return the error."""
        self.original = original
        return self

    def __str__(self) -> str:
        return self.message


class UsageError(PilotError):
    """The command line or the file system does not allow the request."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a file, with its place (1-based)."""

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    hint: str | None = None

    @property
    def where(self) -> str:
        """`file:line:column`, as far as known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n    {self.hint}" if self.hint else text


class ConfigError(UsageError):
    """The config is not valid; `problems` lists all problems, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(
            replace(
                problem,
                message=_shortened(redacted(problem.message)),
                hint=problem.hint and redacted(problem.hint),
            )
            for problem in problems
        )
        super().__init__("\n".join(map(str, self.problems)))


MOST_CHARS = 2_000
"""The longest message about a config, which may quote a value of any length."""


def _shortened(text: str) -> str:
    if len(text) <= MOST_CHARS:
        return text
    half = MOST_CHARS // 2
    return f"{text[:half]} … {len(text) - 2 * half:,} characters … {text[-half:]}"


class WorkloadError(UsageError):
    """A workload cannot be read; the message begins with `file:line:` where one is known."""

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(str(Problem(message, file, line)), hint=hint)
        self.file = file
        self.line = line


class PluginError(UsageError):
    """A class named by the config cannot be imported, or not built with the given arguments."""


class CapabilityError(PilotError):
    """The database cannot do what a driver or the config asks for."""


class StorageError(PilotError):
    """A file of pilot's own (journal, checkpoint, lock) cannot be read or written."""


class CheckpointError(StorageError):
    """A checkpoint is missing, damaged, or could not be saved."""


class DriverError(PilotError):
    """An event, a handler or a training failed."""

    exit_code = 3


class SteeringError(DriverError):
    """A handler's request has the wrong form, or the server refuses it; the query did not run."""


class DatabaseError(PilotError):
    """The database cannot be reached, refuses the connection, or was lost for good."""

    exit_code = 4


class StoreError(DatabaseError):
    """The store cannot be reached, created or written."""


class QueryError(PilotError):
    """A statement failed. `sqlstate` is the server's five-letter code, where it sent one."""

    exit_code = 1

    def __init__(
        self, message: str = "", *, sqlstate: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


class QueryTimeout(QueryError):
    """The statement ran longer than its time-out and was ended by the server."""


class QueryCancelled(QueryError):
    """The statement was cancelled: by pilot itself (Ctrl-C) or by another client."""


class Interrupted(PilotError):
    """The user stopped the run; everything before that is saved."""

    exit_code = 130


def text_of(error: BaseException) -> str:
    """The text of an exception; of one whose `__str__` fails, what Python writes in its place."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a driver's class
        return "<exception str() failed>"


def described(error: BaseException) -> str:
    """Class and text of an exception."""
    text = text_of(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

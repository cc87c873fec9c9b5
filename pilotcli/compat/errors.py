"""Errors in the form in which scripts written for PilotScope know them: SQLAlchemy's.

Such scripts catch `sqlalchemy.exc.ProgrammingError` and read `(psycopg2.errors.UndefinedTable)` in
its text. What the compat classes raise is both: pilot's own error and SQLAlchemy's class, with
SQLAlchemy's text and attributes. Where SQLAlchemy is not installed, classes of the same names take
its place.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn, TypeVar

from pilotcli.common.errors import (
    DriverError,
    PilotError,
    QueryError,
    QueryTimeout,
    SteeringError,
    StoreError,
    UsageError,
)
from pilotcli.common.redaction import redacted

T = TypeVar("T")

_DB_API = frozenset(
    {
        *("DataError", "DatabaseError", "IntegrityError", "InterfaceError", "InternalError"),
        *("NotSupportedError", "OperationalError", "ProgrammingError"),
    }
)
"""The classes of errors that Python's database modules share (PEP 249)."""
_TIMEOUT = "PilotScope:"
"""What PilotScope's message about a time-out begins with."""
_REFUSALS = (UsageError, SteeringError, StoreError)


def as_theirs(error: PilotError, statement: str | None = None) -> PilotError:
    """Returns `error` in SQLAlchemy's form; itself where SQLAlchemy has no error for it.

    `statement` is the SQL that failed; without it, what was sent to the server.
    """
    if hasattr(error, "orig") or error.message.startswith(_TIMEOUT):
        return error
    original, written = _database_error(error)
    kind = next((base.__name__ for base in type(original).__mro__ if base.__name__ in _DB_API), "")
    if original is None or not kind:
        return _as_runtime_error(error)
    statement = statement or written
    if isinstance(error, QueryTimeout):
        return _timeout(error, original, statement)
    made: PilotError = _class_of(type(error), kind)(error, original, statement)  # type: ignore[arg-type]
    return made


def raise_theirs(error: PilotError, statement: str | None = None) -> NoReturn:
    """Raises the error in SQLAlchemy's form; see `as_theirs`."""
    theirs = as_theirs(error, statement)
    try:
        if theirs is error:
            raise error
        raise theirs.with_traceback(error.__traceback__) from theirs.original
    finally:
        del error, theirs  # no circle with their traceback, which would keep a connection


def original_of(error: BaseException) -> BaseException | None:
    """Returns what a driver's own code has raised, for an error that pilot made of it."""
    cause: BaseException | None = error
    while isinstance(cause, DriverError):
        if cause.original is not None:
            return cause.original
        cause = cause.__cause__
    return None


def raises_theirs(class_: type[T]) -> type[T]:
    """A class decorator: what the methods raise, inherited ones too, is in SQLAlchemy's form."""
    for name in dir(class_):
        if name.startswith("__") and not (name == "__init__" and name in vars(class_)):
            continue
        found = inspect.getattr_static(class_, name)
        if inspect.isfunction(found) and not inspect.isgeneratorfunction(found):
            setattr(class_, name, raising_theirs(found))
    return class_


def raising_theirs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function, whose errors are in SQLAlchemy's form."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except PilotError as error:
            raise_theirs(error)

    return wrapper


def no_such_table(error: PilotError, table: str) -> PilotError:
    """Returns `error`, about a missing table, as SQLAlchemy's `NoSuchTableError`."""
    theirs = _sqlalchemy_exc()
    own = next(base for base in type(error).__mro__ if base.__module__ == PilotError.__module__)
    bases = (own,) if theirs is None else (own, theirs.NoSuchTableError)
    made: PilotError = type("NoSuchTableError", bases, {"__module__": __name__})(
        f"there is no table {table!r}", hint=error.hint
    )
    return made


def _database_error(error: BaseException | None) -> tuple[BaseException | None, str | None]:
    """Returns the error that one of pilot's stands for, and the statement that failed."""
    statement = None
    while isinstance(error, PilotError):
        statement = error.statement or statement
        below = error.original or error.__cause__
        error = below if below is not error else None
    return error, statement


def _as_runtime_error(error: PilotError) -> PilotError:
    """Returns a refusal as a `RuntimeError`, too: that is what PilotScope raises."""
    if isinstance(error, (RuntimeError, OSError)) or not isinstance(error, _REFUSALS):
        return error
    kind = type(error)
    made: PilotError = type(kind.__name__, (kind, RuntimeError), {"__module__": kind.__module__})(
        error.message, hint=error.hint
    )
    return made


def _sqlalchemy_exc() -> ModuleType | None:
    try:
        import sqlalchemy.exc
    except ModuleNotFoundError:
        return None
    return sqlalchemy.exc


def _timeout(error: QueryTimeout, original: BaseException, statement: str | None) -> QueryTimeout:
    """Returns PilotScope's own exception, in its words: scripts read them."""
    text = f"{_TIMEOUT}{_text_of(original, statement)}"
    return QueryTimeout(text, sqlstate=error.sqlstate, hint=error.message).standing_for(original)


def _text_of(original: BaseException, statement: str | None) -> str:
    kind = type(original)
    text = f"({kind.__module__}.{kind.__qualname__}) {original}"
    return text if statement is None else f"{text}\n[SQL: {statement}]"


class _Own(Exception):
    """In place of SQLAlchemy's errors: their text and attributes."""

    statement: str | None
    orig: BaseException

    def __init__(self, statement: str | None, original: BaseException) -> None:
        super().__init__(_text_of(original, statement))
        self.statement, self.orig, self.params = statement, original, None

    def __str__(self) -> str:
        return _text_of(self.orig, self.statement)


@functools.cache
def _class_of(own: type[PilotError], kind: str) -> Callable[..., Any]:
    """Returns the class that is pilot's `own` and SQLAlchemy's `kind`; it is made from one of
    pilot's errors and a statement."""
    theirs = _sqlalchemy_exc()
    base: Any = type(kind, (_Own,), {}) if theirs is None else getattr(theirs, kind)

    def __init__(
        self: Any, error: PilotError, original: BaseException, statement: str | None
    ) -> None:
        if theirs is None:
            base.__init__(self, statement, original)
        else:
            base.__init__(self, statement, None, original)
        self.message, self.hint, self.original = error.message, error.hint, original
        if isinstance(error, QueryError):
            self.sqlstate = error.sqlstate
        self.note_hint()

    def __str__(self: Any) -> str:
        return redacted(base.__str__(self))

    members = {"__init__": __init__, "__str__": __str__, "__module__": base.__module__}
    return type(kind, (own, base), members)

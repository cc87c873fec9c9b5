"""What every database must do for the core, and nothing more.

The core works with a `Target` (the database under test) and its `Session`s. Drivers work with a
`BaseDBController`, PilotScope's documented class, which rests on a session of its own, so that
nothing an event does reaches the session that replays the workload.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pilotcli.common.records import CopyData

Row = tuple[Any, ...]


class Rows(NamedTuple):
    """What a statement returned: its rows, empty where it returns none.

    `row_count` is the number of rows returned or changed, None where the server does not say.
    `description` is that of the DB-API's cursor (PEP 249), None where there are no rows.
    """

    rows: Sequence[Row] = ()
    row_count: int | None = None
    description: Sequence[Any] | None = None

    @property
    def columns(self) -> list[str]:
        """The names of the columns, empty where there are none."""
        return [column[0] for column in self.description or ()]


class Session(Protocol):
    """One connection. Used by one thread at a time; `cancel` may be called from any other."""

    def execute(self, sql: str, copy: CopyData | None = None) -> Rows:
        """Run `sql` as it stands, in one round trip, and fetch all rows.

        Raises `QueryTimeout`, `QueryCancelled` or `QueryError` for a failed statement, and
        `DatabaseError` when the connection is lost (the session is closed then).
        """

    def explain(self, sql: str) -> dict[str, Any]:
        """The planner's plan of `sql`, which is not run: the dict that holds the key `Plan`.

        Raises as `execute` does.
        """

    @property
    def in_transaction(self) -> bool:
        """Whether the workload has opened a transaction block that is still open."""

    @property
    def transaction_failed(self) -> bool:
        """Whether the open block has failed, so that the server refuses all but its end."""

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""

    def rollback(self) -> None:
        """End an open transaction block; does nothing without one."""

    def cancel(self) -> None:
        """Cancel the running statement, which then raises `QueryCancelled`; where the server does
        not hear of it within some seconds, its connection is cut."""

    def close(self) -> None:
        """Close the connection; safe to call twice."""


class Target(Protocol):
    """The database under test, ready to be connected to."""

    @property
    def description(self) -> str:
        """What and where it is, for the user, without secrets."""

    @property
    def server_version(self) -> str:
        """The server's version, as it names it: `18.6`."""

    def session(self, *, timeout_s: float | None = None, max_rows: int | None = None) -> Session:
        """Open a session whose statements end after `timeout_s` (None: never), and which keeps
        `max_rows` rows of a result (None: all)."""

    def close(self) -> None:
        """Let go of the target; the embedded server stops if nobody else uses it."""


@runtime_checkable
class UndoesChanges(Protocol):
    """A target that undoes what outlives a query: knobs, indexes, extensions.

    A target need not do this. Ask for it with `isinstance(target, UndoesChanges)`. `close` undoes
    what is changed; `not_undone` then says in words what could not be undone.
    """

    not_undone: Sequence[str]

    def has_changes(self) -> bool:
        """Whether something is changed through this target now, and not undone."""

    def all_or_none(self) -> AbstractContextManager[None]:
        """Undo what is changed through this target meanwhile if the body raises."""

    def for_a_while(self) -> AbstractContextManager[None]:
        """Undo what is changed through this target meanwhile, however the body ends."""


@runtime_checkable
class DropsBuffers(Protocol):
    """A target that can drop what its server has cached. A target need not."""

    def drop_buffers(self) -> None:
        """Drop it now; all sessions are closed by this. Raises `CapabilityError` or
        `DatabaseError` where it is not possible."""


@runtime_checkable
class StartsAgain(Protocol):
    """A target that can start its server again after it has died. A target need not."""

    def start_again(self) -> bool:
        """Start the server if pilot runs it, and it has died; returns whether that was done.
        Raises `DatabaseError` where it does not start, or where another process uses it."""


@dataclass(frozen=True, slots=True)
class DatabaseObjects:
    """By name, without their schema: the text of views, and of tables with row security, what
    decides about their rows; kind, volatility, language and body of functions, as `pg_proc` has
    them; the sets of columns that name each row; and what calls functions without their name: the
    functions that read like a column (`row.function`), those of operators, and those of casts by
    words for the type that they give."""

    views: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, Sequence[tuple[str, str, str, str]]] = field(default_factory=dict)
    unique: Mapping[str, Sequence[frozenset[str]]] = field(default_factory=dict)
    row_functions: Set[str] = frozenset()
    operators: Mapping[str, Sequence[str]] = field(default_factory=dict)
    casts: Mapping[str, Sequence[str]] = field(default_factory=dict)


@runtime_checkable
class HasObjects(Protocol):
    """A target that knows what its users defined. A target need not."""

    def objects(self) -> DatabaseObjects:
        """Read them now. Raises as `Session.execute` does."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server is: its `build` as it names itself, by name the `settings` that differ from
    their defaults, without those that may hold secrets, and the versions of the installed
    `extensions`."""

    build: str
    settings: Mapping[str, str]
    extensions: Mapping[str, str]


@runtime_checkable
class HasFacts(Protocol):
    """A target that knows what its server is set to. A target need not."""

    def facts(self) -> ServerFacts:
        """Read them now. Raises as `Session.execute` does."""


class PlansWithIndexes(Protocol):
    """A way to show the planner indexes that are not there, in one session. Nothing is built."""

    name: str
    """What does it, for a message."""

    def show(self, session: Any, statements: Sequence[str], hidden: Sequence[int]) -> None:
        """An `EXPLAIN` in `session` sees the indexes of these `CREATE INDEX` statements from now
        on, and none of the real ones with the numbers (oid) in `hidden`.

        Costs nothing where it is so already. Raises `QueryError` for a statement that the server
        would refuse.
        """

    def size_bytes(self, session: Any, statement: str, table: str) -> int:
        """How large the index would be, on `table` (quoted) and its partitions. Raises as
        `show`."""


class BaseDBController(ABC):
    """What a driver does with the database. Methods keep PilotScope's names and arguments.

    Safe to use from several threads: each has a connection of its own.
    """

    @abstractmethod
    def execute(self, sql: str, fetch: bool = False, fetch_column_name: bool = False) -> Any:
        """Run `sql`. With `fetch`, return a list of tuples, headed by the tuple of column names
        with `fetch_column_name`; otherwise None."""

    @abstractmethod
    def explain_physical_plan(self, sql: str) -> dict[str, Any]:
        """The planner's plan of `sql`, without running it: a dict with the key `Plan`."""

    @abstractmethod
    def explain_execution_plan(self, sql: str) -> dict[str, Any]:
        """Run `sql` under `EXPLAIN ANALYZE`: a dict with `Plan` and `Execution Time` (ms)."""

    @abstractmethod
    def get_estimated_cost(self, sql: str) -> float:
        """The planner's total cost of `sql`, in its own units."""

    @abstractmethod
    def set_hint(self, key: str, value: object) -> None:
        """Set the server setting `key` for the calling thread's session."""

    @abstractmethod
    def reset(self) -> None:
        """Leave the calling thread's session as it was when new: no open transaction, no changed
        settings. Costs nothing when the session was not used since the last reset."""

    @abstractmethod
    def cancel(self) -> None:
        """Cancel what runs in any of this controller's sessions."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections of all threads."""

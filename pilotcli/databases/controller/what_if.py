"""What-if indexes: the planner sees indexes that are not there, and none of the hidden ones.

pilot's planner module shows them where the floor above offers it, else HypoPG. Neither builds
anything. Without both, indexes are real for a moment: pilot makes them in a transaction around an
`EXPLAIN`, and rolls it back. Writers of the table wait meanwhile, and each `EXPLAIN` builds the
indexes again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from psycopg2 import sql as compose

from pilotcli.common.errors import CapabilityError, QueryError, SteeringError
from pilotcli.common.records import Index
from pilotcli.databases.changes.changes import Changes
from pilotcli.databases.changes.objects import run
from pilotcli.databases.controller.index_sql import create_statement, find_index
from pilotcli.databases.controller.names import identifier, literal_name
from pilotcli.databases.protocols import PlansWithIndexes
from pilotcli.databases.session.session import PostgresSession, plan_of

_SAVEPOINT = "pilot_what_if"
_EXPLAINED = "auto_explain.log_min_duration"
LIKE = "pg_temp.pilot_like"
_NO_TEMP_TABLES = ("42501", "25006")
"""The role may not make them, or the transaction is read-only."""
"""The setting that steering sets to 0 to get plans from auto_explain."""

Offer = Callable[[PostgresSession], PlansWithIndexes | None]
"""Returns the planner module's way for a new session of the target; None where it is missing."""


class WhatIf:
    """The what-if indexes of one controller, the same in all of its sessions."""

    def __init__(self, changes: Callable[[], Changes], offer: Offer) -> None:
        self._changes = changes
        self._offer = offer
        self._guard = threading.RLock()
        self.indexes: tuple[Index, ...] = ()
        """All of them, in the order in which they were made."""
        self.hidden: tuple[tuple[int, Index], ...] = ()
        """Number (oid) and description of the real indexes that are hidden."""
        self._way: PlansWithIndexes | None = None
        self._has_looked = False
        self._written: tuple[tuple[Index, ...], list[str]] = ((), [])
        """The statements of the indexes."""

    def add(self, session: PostgresSession, index: Index) -> None:
        """Add one, whose table and columns are there, or show a hidden one again.

        Raises `SteeringError` for one that cannot be shown or that the server would refuse.
        """
        with self._guard:
            at = find_index([hidden for _, hidden in self.hidden], index)
            if at is not None:
                self.hidden = self.hidden[:at] + self.hidden[at + 1 :]
                return
            way = None if session.transaction_failed else self._find_way(session)
            if way is not None:
                _size_bytes(way, session, index)  # looks at it as a query does
            elif not session.transaction_failed:
                _refuse_wrong(session, index)
            self.indexes = (*self.indexes, index)

    def remove(self, index: Index) -> bool:
        """Remove the first one that `index` names; False when there is none."""
        with self._guard:
            at = find_index(self.indexes, index)
            if at is not None:
                self.indexes = self.indexes[:at] + self.indexes[at + 1 :]
            return at is not None

    def hide(self, session: PostgresSession, oid: int, index: Index) -> None:
        """Hide a real index. Raises `CapabilityError` where nothing can."""
        with self._guard:
            way = self._find_way(session)
            if way is None or (isinstance(way, _HypoPG) and not way.hides):
                why = "that takes the planner module or HypoPG"
                if way is not None:
                    why = f"{way.name} is too old: it hides indexes from 1.4 on"
                raise CapabilityError(
                    f"the existing index {index.index_name!r} cannot be hidden from what-if plans: "
                    f"{why}",
                    hint="Run `pilot doctor` to see how to get the planner module.",
                )
            if all(known != oid for known, _ in self.hidden):
                self.hidden = (*self.hidden, (oid, index))

    def clear(self) -> None:
        """Remove all, and hide none."""
        with self._guard:
            self.indexes = ()
            self.hidden = ()

    def prepare(self, session: PostgresSession) -> None:
        """Give a session the current indexes, where they need not be built.

        A new session loads HypoPG even without indexes: auto_explain can name them in its messages
        only if it is loaded later.
        """
        if session.transaction_failed:
            return
        way = self._find_way(session)
        if way is not None:
            indexes, hidden = self.indexes, self.hidden
            if self._written[0] is not indexes:
                self._written = (indexes, _statements(session, indexes))
            try:
                way.show(session, self._written[1], [oid for oid, _ in hidden])
            except QueryError as error:
                self._blame_index(session, error)
                raise

    @contextlib.contextmanager
    def at_work(self, session: PostgresSession) -> Iterator[None]:
        """While this lasts, an `EXPLAIN` in `session` sees the indexes."""
        if not self.indexes or self._find_way(session) is not None:
            try:
                yield  # the session is prepared
            except QueryError as error:
                self._blame_index(session, error)
                raise
            return
        with rolled_back(session):
            _create_all(session, self.indexes)
            yield

    def _blame_index(self, session: PostgresSession, error: QueryError) -> None:
        """Raise `SteeringError` if an index is the reason for `error`: its table has changed."""
        way = self._way
        if way is None or session.transaction_failed or session.closed:
            return
        for index in self.indexes:
            try:
                _size_bytes(way, session, index)
            except SteeringError as refused:
                if error.message in refused.message:
                    raise SteeringError(
                        f"the what-if index {index.index_name or list(index.columns)} does not fit "
                        f"the table {index.table!r} any more: {error.message}",
                        hint="Drop it with drop_index.",
                    ) from error

    def size_bytes(self, session: PostgresSession, index: Index) -> int:
        """How large the index would be: an estimate, or measured where it must be built."""
        way = self._find_way(session)
        if way is not None:
            return _size_bytes(way, session, index)
        with rolled_back(session):
            before = indexes_size_bytes(session, index.table)
            _create_all(session, [index])
            return indexes_size_bytes(session, index.table) - before

    def _find_way(self, session: PostgresSession) -> PlansWithIndexes | None:
        """The way that does not build, as a plan shows; found out outside of a transaction.

        HypoPG is created where the server has it and the role may, and dropped at the end.
        """
        with self._guard:
            if not self._has_looked and not session.in_transaction:
                self._way = self._offer(session)
                if self._way is None and hypopg_works(session):
                    self._changes().make_extension(session, "hypopg")
                    self._way = _HypoPG(session)
                self._has_looked = True
            return self._way


class _HypoPG:
    """HypoPG's indexes; implements `PlansWithIndexes`. It keeps them for each session."""

    def __init__(self, session: PostgresSession) -> None:
        ((version, self.hides),) = session.execute(
            "SELECT extversion, to_regprocedure('hypopg_hide_index(oid)') IS NOT NULL"
            " FROM pg_extension WHERE extname = 'hypopg'"
        ).rows
        self.name = f"HypoPG {version}"
        self._known: WeakKeyDictionary[PostgresSession, object] = WeakKeyDictionary()

    def show(
        self, session: PostgresSession, statements: Sequence[str], hidden: Sequence[int]
    ) -> None:
        wanted = (tuple(statements), tuple(hidden))
        if self._known.get(session) == wanted:
            return
        self._known.pop(session, None)
        session.execute("SELECT hypopg_reset()")
        for statement in statements:
            _make_hypothetical(session, statement)
        if self.hides:
            session.execute("SELECT hypopg_unhide_all_indexes()")
            for oid in hidden:
                session.execute(f"SELECT hypopg_hide_index({int(oid)})")
        self._known[session] = wanted

    def size_bytes(self, session: PostgresSession, statement: str, table: str) -> int:
        number = _make_hypothetical(session, statement)
        ((size,),) = session.execute(f"SELECT hypopg_relation_size({number})").rows
        session.execute(f"SELECT hypopg_drop_index({number})")
        return int(size)


def _size_bytes(way: PlansWithIndexes, session: PostgresSession, index: Index) -> int:
    statement, table = _statements(session, [index])[0], identifier(index.table)
    try:
        return way.size_bytes(session, statement, table.as_string(session.connection))
    except QueryError as error:
        raise SteeringError(
            f"{way.name} takes no what-if index like this: {error.message}",
            hint=f"The statement was: {statement}",
        ) from error


def _statements(session: PostgresSession, indexes: Sequence[Index]) -> list[str]:
    return [create_statement(index).as_string(session.connection) for index in indexes]


def indexes_size_bytes(session: PostgresSession, table_name: str) -> int:
    """The size of all indexes of a table and its partitions, including those of constraints."""
    ((size,),) = run(
        session,
        "SELECT coalesce((SELECT sum(pg_indexes_size(relid)) FROM pg_partition_tree({0})),"
        " pg_indexes_size({0}))",
        literal_name(table_name),
    )
    return int(size)


def _create_all(session: PostgresSession, indexes: Sequence[Index]) -> None:
    """Make the indexes. One whose name is taken, by a real index or another of these, gets a name
    from the server: HypoPG gives all of them names of its own."""
    names = [index.index_name for index in indexes if index.index_name is not None]
    found = run(
        session,
        "SELECT wanted FROM unnest({}::text[]) AS wanted JOIN pg_class ON relname = wanted::name",
        compose.Literal(names),
    )
    taken: set[str | None] = {name for (name,) in found}
    for index in indexes:
        free = index.index_name not in taken
        taken.add(index.index_name)
        named = index if free else replace(index, index_name=None)
        run(session, "{}", create_statement(named))


@contextlib.contextmanager
def made_like(session: PostgresSession, index: Index) -> Iterator[None]:
    """Meanwhile `index` is made on `LIKE`, an empty table like its own."""
    with rolled_back(session):
        run(session, f"CREATE TEMP TABLE {LIKE} (LIKE {{}})", identifier(index.table))
        run(session, "{}", create_statement(replace(index, table=LIKE, index_name=None)))
        yield


def _refuse_wrong(session: PostgresSession, index: Index) -> None:
    try:
        with made_like(session, index):
            return
    except QueryError as error:
        if error.sqlstate not in _NO_TEMP_TABLES:
            raise SteeringError(
                f"the server takes no index like this: {error.message}", hint=error.hint
            ) from None


def _make_hypothetical(session: PostgresSession, statement: str) -> int:
    ((number,),) = run(
        session,
        "SELECT indexrelid::int8 FROM hypopg_create_index({})",
        compose.Literal(statement),
    )
    return int(number)


@contextlib.contextmanager
def rolled_back(session: PostgresSession) -> Iterator[None]:
    """Undo what the body does, and nothing else of an open transaction."""
    inside = session.in_transaction
    session.execute(f"SAVEPOINT {_SAVEPOINT}" if inside else "BEGIN")
    try:
        yield
    finally:
        if not session.closed:
            back = f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}; RELEASE SAVEPOINT {_SAVEPOINT}"
            session.execute(back if inside else "ROLLBACK")


def hypopg_works(session: PostgresSession) -> bool:
    """Whether a plan shows an index of HypoPG's; leaves nothing behind.

    It does not where auto_explain was loaded first, by the server: each message about such a plan
    would be an error.

    The extension need not have been created, if the role may do that. The session must not be
    inside a transaction block.
    """
    try:
        session.execute(
            "BEGIN; CREATE EXTENSION IF NOT EXISTS hypopg;"
            " CREATE TEMP TABLE pilot_probe (a int); SET LOCAL enable_seqscan = off"
        )
        ((number,),) = session.execute(
            "SELECT indexrelid::int8 FROM"
            " hypopg_create_index('CREATE INDEX ON pg_temp.pilot_probe (a)')"
        ).rows
        if session.execute(
            f"SELECT 1 FROM pg_settings WHERE name = '{_EXPLAINED}'"  # noqa: S608 - a constant
            " AND current_setting('is_superuser')::bool"
        ).rows:
            session.execute(f"SET LOCAL {_EXPLAINED} = 0")
        plan = plan_of(
            session.execute("EXPLAIN (FORMAT JSON) SELECT a FROM pg_temp.pilot_probe WHERE a = 1")
        )
        session.execute(f"SELECT hypopg_drop_index({number})")
    except QueryError:
        return False
    finally:
        session.rollback()
    return f"<{number}>" in index_names(plan["Plan"])


def index_names(node: dict[str, Any]) -> str:
    """The names of the indexes in a plan, joined."""
    below = "".join(map(index_names, node.get("Plans", ())))
    return str(node.get("Index Name", "")) + below

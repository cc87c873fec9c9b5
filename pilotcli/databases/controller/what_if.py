"""What-if indexes: the planner sees indexes that are not there.

With HypoPG they are hypothetical: pilot names them to each session, and none is built. Without
HypoPG they are real for a moment: pilot makes them in a transaction around an `EXPLAIN`, and rolls
it back. Writers of the table wait meanwhile, and each `EXPLAIN` builds the indexes again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from psycopg2 import sql as compose

from pilotcli.common.errors import QueryError
from pilotcli.common.records import Index
from pilotcli.databases.changes.changes import Changes
from pilotcli.databases.changes.objects import run
from pilotcli.databases.controller.names import identifier, literal_name
from pilotcli.databases.session.session import PostgresSession, plan_of

_SAVEPOINT = "pilot_what_if"


def create_statement(index: Index) -> compose.Composable:
    """The statement that makes `index`."""
    name: compose.Composable = compose.SQL("")
    if index.index_name is not None:
        name = compose.Identifier(index.index_name)
    return compose.SQL("CREATE INDEX {} ON {} ({})").format(
        name,
        identifier(index.table),
        compose.SQL(", ").join(map(compose.Identifier, index.columns)),
    )


def same_index(index: Index, wanted: Index) -> bool:
    """Whether `index` is what `wanted` names: by its name, or without a name by its columns."""
    if index.table != wanted.table:
        return False
    if wanted.index_name is not None:
        return index.index_name == wanted.index_name
    return tuple(index.columns) == tuple(wanted.columns)


class WhatIf:
    """The what-if indexes of one controller, the same in all of its sessions."""

    def __init__(self, changes: Callable[[], Changes]) -> None:
        self._changes = changes
        self._guard = threading.RLock()
        self.indexes: tuple[Index, ...] = ()
        """All of them, in the order in which they were made."""
        self._with_hypopg: bool | None = None
        self._known: WeakKeyDictionary[PostgresSession, tuple[Index, ...]] = WeakKeyDictionary()

    def add(self, index: Index) -> None:
        """Add one, whose table and columns are there."""
        with self._guard:
            self.indexes = (*self.indexes, index)

    def remove(self, index: Index) -> bool:
        """Remove the first one that `index` names; False when there is none."""
        with self._guard:
            for at, known in enumerate(self.indexes):
                if same_index(known, index):
                    self.indexes = self.indexes[:at] + self.indexes[at + 1 :]
                    return True
        return False

    def clear(self) -> None:
        """Remove all."""
        with self._guard:
            self.indexes = ()

    def uses_hypopg(self, session: PostgresSession) -> bool:
        """Whether HypoPG works here, as a plan shows. The extension is created where the server has
        it and the role may, and dropped at the end."""
        with self._guard:
            if self._with_hypopg is None:
                if session.in_transaction:
                    return False
                self._with_hypopg = hypopg_works(session)
                if self._with_hypopg:
                    self._changes().make_extension(session, "hypopg")
            return self._with_hypopg

    def prepare(self, session: PostgresSession) -> None:
        """Give a session the current indexes, where HypoPG works."""
        wanted = self.indexes
        unchanged = self._known.get(session, ()) == wanted
        if unchanged or session.transaction_failed or not self.uses_hypopg(session):
            return
        session.execute("SELECT hypopg_reset()")
        for index in wanted:
            _make_hypothetical(session, index)
        self._known[session] = wanted

    @contextlib.contextmanager
    def at_work(self, session: PostgresSession) -> Iterator[None]:
        """While this lasts, an `EXPLAIN` in `session` sees the indexes."""
        if not self.indexes or self.uses_hypopg(session):
            self.prepare(session)
            yield
            return
        with _rolled_back(session):
            _create_all(session, self.indexes)
            yield

    def size_bytes(self, session: PostgresSession, index: Index) -> int:
        """How large the index would be: HypoPG's estimate, or measured without HypoPG."""
        if self.uses_hypopg(session):
            number = _make_hypothetical(session, index)
            ((size,),) = session.execute(f"SELECT hypopg_relation_size({number})").rows
            session.execute(f"SELECT hypopg_drop_index({number})")
            return int(size)
        with _rolled_back(session):
            before = indexes_size_bytes(session, index.table)
            _create_all(session, [index])
            return indexes_size_bytes(session, index.table) - before


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
        named = index if free else Index(index.columns, index.table)
        run(session, "{}", create_statement(named))


def _make_hypothetical(session: PostgresSession, index: Index) -> int:
    statement = compose.Literal(create_statement(index).as_string(session.connection))
    ((number,),) = run(session, "SELECT indexrelid::int8 FROM hypopg_create_index({})", statement)
    return int(number)


@contextlib.contextmanager
def _rolled_back(session: PostgresSession) -> Iterator[None]:
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
        plan = plan_of(
            session.execute("EXPLAIN (FORMAT JSON) SELECT a FROM pg_temp.pilot_probe WHERE a = 1")
        )
        session.execute(f"SELECT hypopg_drop_index({number})")
    except QueryError:
        return False
    finally:
        session.rollback()
    return f"<{number}>" in _index_names(plan["Plan"])


def _index_names(node: dict[str, Any]) -> str:
    below = "".join(map(_index_names, node.get("Plans", ())))
    return str(node.get("Index Name", "")) + below

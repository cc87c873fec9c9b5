"""Makes and drops indexes and extensions, each in the log before it happens.

A change is made in one transaction that holds the advisory lock of its entry in the log. The
number (oid) of what was made is written to the log before the commit. So whenever pilot is killed,
log and database together show what happened. Whoever undoes it takes the same lock
first, and ends the server process that a killed pilot may have left behind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from psycopg2 import sql as compose

from pilotcli.common.errors import DatabaseError, QueryError, UsageError
from pilotcli.databases.changes.index_facts import IndexFacts, read_facts
from pilotcli.databases.changes.log import Book, Change, Entry
from pilotcli.databases.session.session import PostgresSession


def run(session: PostgresSession, template: str, *parts: compose.Composable) -> list[Any]:
    """Run a statement with quoted `parts` and return its rows."""
    text = compose.SQL(template).format(*parts).as_string(session.connection)
    return list(session.execute(text).rows)


@contextlib.contextmanager
def transaction(session: PostgresSession, lock: int) -> Iterator[None]:
    """One transaction that holds the advisory lock `lock`; rolled back when its body raises."""
    session.execute(f"BEGIN; SELECT pg_advisory_xact_lock({int(lock)})")
    try:
        yield
    except BaseException:
        with contextlib.suppress(DatabaseError, QueryError):
            session.rollback()
        raise
    session.execute("COMMIT")


def make_index(session: PostgresSession, book: Book, name: str, statement: str) -> int:
    """Run the `CREATE INDEX` in `statement`; returns the new index's number.

    `name` is for the user. Raises as `Session.execute` does; nothing is left then.
    """
    _require_no_transaction(session)
    (change,) = book.plan([Entry("index made", name)])
    with _forgotten_if_refused(book, [change]), transaction(session, change.lock):
        session.execute(statement)
        ((oid,),) = session.execute(
            "SELECT oid::int8 FROM pg_class WHERE relkind IN ('i', 'I')"
            " AND xmin = pg_current_xact_id()::xid"
            " AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid)"
        ).rows
        book.log.update(change.change_id, detail={"oid": oid}, state="planned")
    book.log.update(change.change_id, state="done")
    return int(oid)


def drop_indexes(session: PostgresSession, book: Book, oids: Sequence[int]) -> None:
    """Drop these indexes, all or none. The log has all that it takes to make them again.

    One that this target has made is dropped for good, with its entry. Raises `SteeringError` for
    one of a constraint, `QueryError` when the server refuses.
    """
    _require_no_transaction(session)
    facts = _facts_of(session, oids)
    made = {
        change.detail.get("oid"): change
        for change in book.log.pending(book.server, book.owner.token)
        if change.kind == "index made" and change.database_oid == book.database[0]
    }
    if not facts:
        return
    foreign = [index for index in facts if index.oid not in made]
    changes = book.plan(
        [Entry("index dropped", index.name, {"facts": asdict(index)}) for index in foreign]
    )
    lock = changes[0].lock if changes else made[facts[0].oid].lock
    with _forgotten_if_refused(book, changes), transaction(session, lock):
        names = compose.SQL(", ").join(index.qualified for index in facts)
        run(session, "DROP INDEX {}", names)
    for change in changes:
        book.log.update(change.change_id, state="done")
    book.log.forget(made[index.oid].change_id for index in facts if index.oid in made)


def make_extension(session: PostgresSession, book: Book, name: str) -> None:
    """Create an extension of the server's, unless it is there.

    One that another pilot has created is shared: the last of them drops it. Raises as
    `Session.execute` does, also when the server has no such extension.
    """
    _require_no_transaction(session)
    oid = _extension(session, name)
    if oid is not None:
        _share_extension(book, name, oid)
        return
    (change,) = book.plan([Entry("extension made", name)])
    with _forgotten_if_refused(book, [change]), transaction(session, change.lock):
        run(session, "CREATE EXTENSION {}", compose.Identifier(name))
        oid = _extension(session, name)
        book.log.update(change.change_id, detail={"oid": oid}, state="planned")
    book.log.update(change.change_id, state="done")


def _extension(session: PostgresSession, name: str) -> int | None:
    found = run(
        session, "SELECT oid::int8 FROM pg_extension WHERE extname = {}", compose.Literal(name)
    )
    return int(found[0][0]) if found else None


def _share_extension(book: Book, name: str, oid: int) -> None:
    with book.log.writing() as pen:
        makers = [
            change
            for change in pen.pending(book.server)
            if change.kind == "extension made"
            and change.database_oid == book.database[0]
            and change.detail.get("oid") == oid
        ]
        if not makers or any(change.owner.token == book.owner.token for change in makers):
            return
        (change,) = pen.plan(book, [Entry("extension made", name, {"oid": oid})])
        pen.update(change.change_id, state="done")


def _facts_of(session: PostgresSession, oids: Sequence[int]) -> list[IndexFacts]:
    session.execute("BEGIN; SET LOCAL search_path = pg_catalog")
    try:
        return [read_facts(session, oid) for oid in oids]
    finally:
        session.rollback()


def _require_no_transaction(session: PostgresSession) -> None:
    if session.in_transaction:
        raise UsageError(
            "indexes and extensions are made outside of a transaction block, and one is open",
            hint="Run COMMIT or ROLLBACK on this controller first.",
        )


@contextlib.contextmanager
def _forgotten_if_refused(book: Book, changes: Sequence[Change]) -> Iterator[None]:
    """Take entries out of the log when the server is known to have done nothing."""
    try:
        yield
    except QueryError:
        book.log.forget(change.change_id for change in changes)
        raise

"""Undoes what the log has, however far its maker got; doing it twice does no harm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal, NamedTuple

from psycopg2 import sql as compose

from pilotcli.common.errors import PilotError, QueryError, SteeringError
from pilotcli.databases.changes.autoconf import AutoConf, ServerAutoConf
from pilotcli.databases.changes.index_facts import IndexFacts, read_facts, statements_to_make
from pilotcli.databases.changes.log import Change, ChangeLog
from pilotcli.databases.changes.objects import run, transaction
from pilotcli.databases.session.session import PostgresSession

LOCK_TIMEOUT = "30s"
"""How long undoing waits for a table that somebody has locked."""


class Undone(NamedTuple):
    """What became of undoing one change.

    `undone`: it was; `gone`: there was nothing to undo any more; `left`: it could not be undone
    and stays in the log. `text` says it in words; it is empty where another outcome's text does.
    """

    change: Change
    outcome: Literal["undone", "gone", "left"]
    text: str


def undo_settings(log: ChangeLog, conf: AutoConf, changes: Sequence[Change]) -> list[Undone]:
    """Write settings back as they were before these changes, in a server's configuration.

    The changes stay in the log, to be forgotten once the server has acted on it. A setting that a
    later change of another pilot has overwritten is not touched: that change gets the value to
    bring back, and the first one is forgotten. Raises `CapabilityError` where the role may not.
    """
    outcomes: list[Undone] = []
    wanted = {change.change_id for change in changes}
    # The log is locked meanwhile, so that nobody reads a value that is about to be undone.
    with log.writing() as pen:
        for server, name in sorted({(change.server, change.name) for change in changes}):
            chain = [
                change
                for change in pen.pending(server)
                if change.kind == "setting" and change.name == name
            ]
            for first, last in reversed(_runs(chain, wanted)):
                old = chain[first].detail["old"]
                run_of_changes = chain[first : last + 1]
                if last + 1 < len(chain) and chain[last + 1].change_id not in wanted:
                    later = chain[last + 1]
                    pen.update(later.change_id, detail={**later.detail, "old": old})
                    pen.forget(change.change_id for change in run_of_changes)
                    text = f"{name}: another pilot has changed it since"
                    outcomes += [Undone(change, "gone", text) for change in run_of_changes]
                else:
                    outcomes += _bring_back(conf, run_of_changes, old)
    return outcomes


def _runs(chain: Sequence[Change], wanted: Collection[int]) -> list[tuple[int, int]]:
    """The first and last places of changes to be undone that follow each other."""
    found: list[tuple[int, int]] = []
    for at, change in enumerate(chain):
        if change.change_id not in wanted:
            continue
        if found and found[-1][1] == at - 1:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return found


def _bring_back(conf: AutoConf, changes: Sequence[Change], old: str | None) -> list[Undone]:
    """Undo changes of one setting; the last says what its value is now."""
    name, now = changes[0].name, conf.read().get(changes[0].name)
    outcome: Literal["undone", "gone", "left"] = "undone"
    made = {change.detail["new"] for change in changes if change.state != "planned"}
    if now != old and now not in made and all(change.state != "planned" for change in changes):
        outcome, text = "gone", f"{name} was changed by somebody else; it is left as it is"
    else:
        text = f"{name} is set back to {'its default' if old is None else old}"
        try:
            if now != old:
                conf.write(name, old)
        except QueryError as error:
            outcome, text = "left", f"{name} cannot be set back: {error.message}"
    # Several changes of a setting make one line.
    silent = [Undone(change, outcome, "") for change in changes[:-1]]
    return [*silent, Undone(changes[-1], outcome, text)]


def undo_changes(
    log: ChangeLog, connect_to: Callable[[str], PostgresSession], changes: Sequence[Change]
) -> list[Undone]:
    """Undo changes of one server, newest first. Undone settings stay in the log, for the caller to
    put in force and forget.

    `connect_to` opens a session on the database of a name, or without a name on any. Raises
    `DatabaseError` when no session can be opened.
    """
    outcomes: list[Undone] = []
    settings = [change for change in changes if change.kind == "setting"]
    objects = [change for change in changes if change.kind != "setting"]
    with contextlib.closing(connect_to("")) as session:
        names: dict[int, str] = dict(
            session.execute("SELECT oid::int8, datname::text FROM pg_database").rows
        )
        if settings:
            outcomes += _attempt(
                settings, lambda: undo_settings(log, ServerAutoConf(session), settings)
            )
    for oid in {change.database_oid for change in objects}:
        here = [change for change in objects if change.database_oid == oid]
        if oid not in names:
            log.forget(change.change_id for change in here)
            outcomes += [
                Undone(change, "gone", f"{change.name}: the database {change.database} was dropped")
                for change in here
            ]
            continue
        outcomes += _attempt(here, lambda: _undo_in(log, connect_to, names[oid], here))  # noqa: B023
    return outcomes


def _attempt(changes: Sequence[Change], work: Callable[[], list[Undone]]) -> list[Undone]:
    try:
        return work()
    except PilotError as error:
        return [Undone(change, "left", f"{change.name}: {error.message}") for change in changes]


def _undo_in(
    log: ChangeLog,
    connect_to: Callable[[str], PostgresSession],
    database: str,
    changes: Sequence[Change],
) -> list[Undone]:
    outcomes = []
    with contextlib.closing(connect_to(database)) as session:
        session.execute(f"SET search_path = pg_catalog; SET lock_timeout = '{LOCK_TIMEOUT}'")
        for change in sorted(changes, key=lambda change: -change.change_id):
            try:
                outcomes.append(_undo_object(session, log, change))
            except (QueryError, SteeringError) as error:
                outcomes.append(Undone(change, "left", f"{change.name}: {error.message}"))
    return outcomes


def _undo_object(session: PostgresSession, log: ChangeLog, change: Change) -> Undone:
    with _settled(session, log, change):
        # Another pilot may have been quicker: it held the lock until now.
        known = {other.change_id: other for other in log.pending(change.server)}
        if change.change_id not in known:
            return Undone(change, "gone", f"{change.name}: it is undone already")
        change = known[change.change_id]
        pending = list(known.values())
        if change.kind == "index made":
            outcome = _undo_made_index(session, log, change, pending)
        elif change.kind == "index dropped":
            outcome = _undo_dropped_index(session, log, change, pending)
        else:
            outcome = _undo_extension(session, change, pending)
    if outcome.outcome != "left":
        log.forget([change.change_id])
    return outcome


@contextlib.contextmanager
def _settled(session: PostgresSession, log: ChangeLog, change: Change) -> Iterator[None]:
    """A transaction in which nobody else makes or undoes this change any more."""
    high, low = change.lock >> 32, change.lock & 0xFFFFFFFF
    if log.is_left(change):
        run(session, _END_LEFT_BEHIND, compose.Literal(high), compose.Literal(low))
    with transaction(session, change.lock):
        yield


# Another pilot may be undoing the same; its session has a name of its own.
_END_LEFT_BEHIND = """
SELECT pg_terminate_backend(pid) FROM pg_locks AS l
WHERE locktype = 'advisory' AND classid = {}::bigint::oid AND objid = {}::bigint::oid
AND objsubid = 1 AND granted AND pid <> pg_backend_pid()
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND NOT EXISTS (SELECT FROM pg_stat_activity AS a
                WHERE a.pid = l.pid AND a.application_name = 'pilot undo')
"""


def _undo_made_index(
    session: PostgresSession, log: ChangeLog, change: Change, pending: Sequence[Change]
) -> Undone:
    oid = change.detail.get("oid")
    if oid is None:
        return Undone(change, "gone", f"the index {change.name} was not made")
    found = run(
        session,
        "SELECT n.nspname::text, c.relname::text FROM pg_class AS c"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.oid = {} AND c.relkind IN ('i', 'I')",
        compose.Literal(oid),
    )
    if not found:
        # Another pilot may have dropped it for its run, and need not make it again.
        log.forget(
            dropped.change_id
            for dropped in pending
            if dropped.kind == "index dropped" and dropped.detail["facts"]["oid"] == oid
        )
        return Undone(change, "gone", f"the index {change.name} is gone")
    run(session, "DROP INDEX {}", compose.Identifier(*found[0]))
    return Undone(change, "undone", f"the index {found[0][1]} is dropped")


def _undo_dropped_index(
    session: PostgresSession, log: ChangeLog, change: Change, pending: Sequence[Change]
) -> Undone:
    facts = IndexFacts.from_json(change.detail["facts"])
    table = compose.Identifier(facts.table_schema, facts.table).as_string(session.connection)
    index = facts.qualified.as_string(session.connection)
    ((has_table, is_there, other),) = run(
        session,
        "SELECT to_regclass({}) IS NOT NULL, EXISTS (SELECT FROM pg_class WHERE oid = {}"
        " AND relkind IN ('i', 'I')), to_regclass({})::oid::int8",
        compose.Literal(table),
        compose.Literal(facts.oid),
        compose.Literal(index),
    )
    if is_there:
        return Undone(change, "gone", f"the index {facts.name} was not dropped")
    if not has_table:
        return Undone(change, "gone", f"the table of the index {facts.name} is gone")
    if other is not None:
        return _compare(session, change, facts, int(other))
    for statement in statements_to_make(facts):
        session.execute(statement.as_string(session.connection))
    ((made,),) = run(session, "SELECT {}::regclass::oid::int8", compose.Literal(index))
    for change in pending:
        # Another pilot had made it, and will drop it.
        if change.kind == "index made" and change.detail.get("oid") == facts.oid:
            log.update(change.change_id, detail={**change.detail, "oid": made}, state="done")
    if facts.has_expressions:
        # The statistics about its expressions went with the index.
        session.execute(f"ANALYZE {table}")
    return Undone(change, "undone", f"the index {facts.name} is made again")


def _compare(session: PostgresSession, change: Change, facts: IndexFacts, other: int) -> Undone:
    """What to do where something of the same name has taken the index's place."""
    try:
        same = read_facts(session, other).definition == facts.definition
    except SteeringError:
        same = False
    if same:
        return Undone(change, "gone", f"somebody has made the index {facts.name} again")
    return Undone(
        change,
        "left",
        f"the index {facts.name} is not made again, its name is taken; it was: {facts.definition}",
    )


def _undo_extension(session: PostgresSession, change: Change, pending: Sequence[Change]) -> Undone:
    oid = change.detail.get("oid")
    sharing = [
        other
        for other in pending
        if other.kind == "extension made"
        and other.change_id != change.change_id
        and other.database_oid == change.database_oid
        and other.detail.get("oid") == oid
    ]
    if oid is None or sharing:
        return Undone(change, "gone", f"the extension {change.name} need not be dropped")
    found = run(
        session, "SELECT extname::text FROM pg_extension WHERE oid = {}", compose.Literal(oid)
    )
    if not found:
        return Undone(change, "gone", f"the extension {change.name} is gone")
    run(session, "DROP EXTENSION {}", compose.Identifier(found[0][0]))
    return Undone(change, "undone", f"the extension {change.name} is dropped")

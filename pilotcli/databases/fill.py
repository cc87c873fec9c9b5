"""Fills the embedded database from the config's `database.setup`, once, all in one transaction."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from pilotcli.common.errors import QueryError, UsageError, WorkloadError
from pilotcli.common.records import Query
from pilotcli.common.sql_commands import block_step, command_of
from pilotcli.databases.session.connection import Server, connect
from pilotcli.databases.session.session import PostgresSession
from pilotcli.workload import open_workload

_LOCK = 7_209_554_318  # any number; two pilots that fill the same database meet at it

_TABLE = """
CREATE SCHEMA IF NOT EXISTS pilot;
CREATE TABLE IF NOT EXISTS pilot.setup (
    position integer PRIMARY KEY,
    file text NOT NULL,
    sha256 text NOT NULL,
    done_at timestamptz NOT NULL DEFAULT now()
)"""


def run_setup(server: Server, files: Sequence[Path], step: Callable[[str], None]) -> None:
    """Run `files` in the server's database unless that was done before.

    The table `pilot.setup` of the database records what was run, in the same transaction. When a
    file has changed since, nothing runs, and `step` gets a warning.

    Raises `WorkloadError` with file and line of a statement that fails, `UsageError` for a file
    that cannot be read; nothing of the setup is kept then.
    """
    sums = [(path.name, _sha256(path)) for path in files]
    session = PostgresSession(connect(server), server.where)
    with contextlib.closing(session):
        if _is_done(session, sums, step):
            return
        # Locked first: only a transaction that begins then is sure to see the other pilot's work.
        session.execute(f"SELECT pg_advisory_lock({_LOCK})")
        session.execute("BEGIN")
        if _is_done(session, sums, step):
            return
        step(f"filling the database {server.database} from {', '.join(n for n, _ in sums)}")
        with contextlib.closing(open_workload(files)) as queries:
            for query in queries:
                _run_query(session, query)
        session.execute(f"RESET ALL; SET LOCAL synchronous_commit = on; {_TABLE}")
        # A dump of a database that pilot has filled brings the record of that one.
        session.execute("DELETE FROM pilot.setup")
        with session.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO pilot.setup (position, file, sha256) VALUES (%s, %s, %s)",
                [(position, name, digest) for position, (name, digest) in enumerate(sums, 1)],
            )
        session.execute("COMMIT")


def _is_done(
    session: PostgresSession, sums: Sequence[tuple[str, str]], step: Callable[[str], None]
) -> bool:
    if session.execute("SELECT to_regclass('pilot.setup') IS NULL").rows[0][0]:
        return False
    done = session.execute("SELECT file, sha256 FROM pilot.setup ORDER BY position").rows
    if [digest for _, digest in done] != [digest for _, digest in sums]:
        known = {digest for _, digest in done}
        changed = [name for name, digest in sums if digest not in known]
        step(
            f"the setup has changed since the database was filled ({', '.join(changed) or 'order'})"
            ": the database is used as it is; `pilot db reset` deletes it, to be filled again"
        )
    return True


def _run_query(session: PostgresSession, query: Query) -> None:
    step = block_step(query.command, query.sql)
    if step.begins or step.ends or command_of(query.command).in_block == "never":
        raise WorkloadError(
            f"{query.command} in a setup file, which runs as one transaction",
            file=query.file,
            line=query.line,
            hint="Remove it.",
        )
    try:
        session.execute(query.sql, query.copy)
    except QueryError as error:
        raise WorkloadError(
            f"the setup fails here: {error.message}",
            file=query.file,
            line=query.line,
            hint="Nothing of the setup was kept; correct the file and run again.",
        ) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UsageError(
            f"the setup file {path} cannot be read: {error.strerror}",
            hint="Paths under `database.setup` are relative to the config.",
        ) from error
    return digest.hexdigest()

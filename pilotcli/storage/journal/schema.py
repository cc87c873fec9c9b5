"""Opens the journal's file, defines its tables, and turns its errors into messages."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pilotcli.common.errors import StorageError
from pilotcli.common.os_advice import advice, reason
from pilotcli.common.sqlite_files import open_database
from pilotcli.config.home import create_private, make_home
from pilotcli.storage.journal.rows import OTHER_COLUMNS, RESULT_FIELDS, USUAL_COLUMNS, column_sql

FILE_NAME = "journal.db"
BUSY_TIMEOUT_S = 10.0

# The two tables that grow with a run declare no reference to it, which SQLite would check for every
# row, although the run's writer has just made the run.
TABLES = """
CREATE TABLE runs (
    run_id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    workload TEXT NOT NULL,
    config_path TEXT,
    config_text TEXT NOT NULL,
    database TEXT NOT NULL,
    options TEXT NOT NULL,
    started_at REAL NOT NULL,
    finished_at REAL,
    status TEXT NOT NULL,
    exit_code INTEGER,
    summary TEXT NOT NULL DEFAULT '{}',
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    pid_start TEXT NOT NULL,
    request TEXT NOT NULL DEFAULT '{}', -- JSON: what a resumed run has to ask for again
    workload_digest TEXT, -- of all its statements, null where that was not known at the start
    paired_with INTEGER, -- the run whose queries took turns with those of this one
    arm TEXT, -- which of the two this is: driver or baseline
    name TEXT, -- as the user calls it
    tags TEXT, -- JSON: a list
    note TEXT,
    provenance TEXT, -- JSON: an object with what the run depended on
    experiment INTEGER, -- the first driver's run of an experiment of several folds
    fold INTEGER -- of that experiment, from 1
);
CREATE TABLE queries (
    run_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    label TEXT NOT NULL,
    file TEXT,
    line INTEGER,
    command TEXT NOT NULL,
    sql TEXT NOT NULL,
    sql_chars INTEGER NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
CREATE TABLE results (
    run_id INTEGER NOT NULL,
    result INTEGER NOT NULL, -- counts from 1 in each run, in the order in which queries ended
    {results},
    PRIMARY KEY (run_id, result)
) WITHOUT ROWID;
CREATE INDEX results_failed ON results (run_id) WHERE status <> 'ok';
CREATE TABLE firings (
    firing_id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    event TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    after_query INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    duration_s REAL NOT NULL,
    fired INTEGER NOT NULL,
    fired_at REAL NOT NULL,
    error TEXT,
    traceback TEXT
);
CREATE INDEX firings_by_run ON firings (run_id);
CREATE TABLE counters (
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (run_id, name)
) WITHOUT ROWID;
CREATE TABLE models (
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    path TEXT NOT NULL,
    created_at REAL NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    event TEXT,
    query_seq INTEGER,
    trained_rows INTEGER,
    metrics TEXT NOT NULL,
    PRIMARY KEY (run_id, model, version)
);
CREATE TABLE pretraining (
    event TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    table_name TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    iterations INTEGER NOT NULL,
    collected INTEGER NOT NULL,
    trained INTEGER NOT NULL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (event, fingerprint)
);
"""

RESUMING = """
CREATE TABLE begun ( -- the firing that began last, and by its number whether it has ended
    run_id INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    number INTEGER NOT NULL,
    event TEXT NOT NULL,
    reason TEXT NOT NULL,
    after_query INTEGER NOT NULL
);
CREATE TABLE warmed ( -- queries of warm-up rounds that have ended
    run_id INTEGER NOT NULL,
    round INTEGER NOT NULL, -- counts from 0
    seq INTEGER NOT NULL,
    PRIMARY KEY (run_id, round, seq)
) WITHOUT ROWID;
CREATE TABLE loaded ( -- the checkpoint of each model with which a run began
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    model TEXT NOT NULL,
    version INTEGER,
    PRIMARY KEY (run_id, model)
);
CREATE TABLE resumes (
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    resumed_at REAL NOT NULL,
    after_result INTEGER NOT NULL,
    forced INTEGER NOT NULL
)
"""

SUMMARIES = """
CREATE TABLE summaries ( -- counts and latencies of a run, up to one of its results (RunSummary)
    run_id INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    upto INTEGER NOT NULL,
    summary TEXT NOT NULL -- JSON
)
"""

PLANS = """
CREATE TABLE plans ( -- of a query that was asked for its plan: the first, and each that changed
    run_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    round INTEGER NOT NULL, -- 0: taken apart from the rounds, with actual rows
    plan TEXT NOT NULL, -- JSON, an object with the key Plan
    PRIMARY KEY (run_id, seq, round)
) WITHOUT ROWID
"""

REMOVED = """
CREATE TABLE removed ( -- runs that the user removed: their numbers are not used again
    run_id INTEGER PRIMARY KEY,
    removed_at REAL NOT NULL
)
"""
_RESULTS = ",\n    ".join(map(column_sql, (*USUAL_COLUMNS[1:], *OTHER_COLUMNS)))
TABLES = ";".join((TABLES.replace("{results}", _RESULTS), RESUMING, SUMMARIES, PLANS, REMOVED))

UPGRADES = {
    2: "ALTER TABLE runs ADD COLUMN request TEXT NOT NULL DEFAULT '{}';"
    "ALTER TABLE runs ADD COLUMN workload_digest TEXT;" + RESUMING,
    3: SUMMARIES,
    4: "ALTER TABLE runs ADD COLUMN paired_with INTEGER;ALTER TABLE runs ADD COLUMN arm TEXT;"
    + PLANS,
    6: "ALTER TABLE runs ADD COLUMN name TEXT;ALTER TABLE runs ADD COLUMN tags TEXT;"
    "ALTER TABLE runs ADD COLUMN note TEXT;ALTER TABLE runs ADD COLUMN provenance TEXT;"
    "ALTER TABLE runs ADD COLUMN experiment INTEGER;ALTER TABLE runs ADD COLUMN fold INTEGER;"
    + REMOVED,
}
"""By format: the statements that upgrade a file of that format to the next one, besides new columns
of results."""
SCHEMA_VERSION = max(
    *(field.since for field in RESULT_FIELDS.values()), *(before + 1 for before in UPGRADES)
)

# SQLite result codes (https://www.sqlite.org/rescode.html).
_PERM, _BUSY, _LOCKED, _READONLY, _CORRUPT = 3, 5, 6, 8, 11
_FULL, _CANTOPEN, _NOTADB = 13, 14, 26
# The sqlite3 module has the code from Python 3.11 on; before, only SQLite's fixed text for it.
_CODES = {
    "database is locked": _BUSY,
    "attempt to write a readonly database": _READONLY,
    "database disk image is malformed": _CORRUPT,
    "database or disk is full": _FULL,
    "unable to open database file": _CANTOPEN,
    "file is not a database": _NOTADB,
}


def connect(home: Path) -> sqlite3.Connection:
    """Open `home`/journal.db for writing, creating folder, file and tables where missing.

    Raises `StorageError` when the folder cannot be written, or the file is damaged or was
    written by a newer pilot.
    """
    path = home / FILE_NAME
    make_home(home)
    return connect_file(path)


def connect_file(path: Path) -> sqlite3.Connection:
    """Open the journal in the file `path` as `connect` does."""
    with journal_errors(path):
        create_private(path)
        return _open(path, "", _prepare)


def connect_readonly(home: Path) -> sqlite3.Connection | None:
    """Open an existing journal to read it, also from a read-only folder; None without a file.

    Raises `StorageError` for a damaged file or one written by a newer pilot.
    """
    path = home / FILE_NAME
    with journal_errors(path):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return _open(path, "mode=ro", _checked_version)
        except sqlite3.OperationalError:
            # In WAL mode a reader needs a shared-memory file beside the journal. Where it cannot
            # be made and no writer left a log behind, the file alone has everything.
            log = path.with_name(FILE_NAME + "-wal")
            if log.exists() and log.stat().st_size:
                raise
            return _open(path, "mode=ro&immutable=1", _checked_version)


def _open(
    path: Path, options: str, prepare: Callable[[sqlite3.Connection, Path], object]
) -> sqlite3.Connection:
    connection = open_database(path, timeout_s=BUSY_TIMEOUT_S, options=options)
    try:
        prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    if _checked_version(connection, path) == SCHEMA_VERSION:
        return
    with transaction(connection, path):
        version = _checked_version(connection, path)  # another pilot may have been faster
        upgrades = ";".join(map(_upgrade, range(version, SCHEMA_VERSION)))
        for statement in (upgrades if version else TABLES).split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _use_wal(connection: sqlite3.Connection) -> None:
    # The switch takes an exclusive lock without waiting for it, so two pilots that create the
    # same journal at once can meet here; SQLite's own time-out does not apply.
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _code(error) != _BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _upgrade(before: int) -> str:
    columns = [
        f"ALTER TABLE results ADD COLUMN {column_sql(name)}"
        for name, field in RESULT_FIELDS.items()
        if field.since == before + 1
    ]
    return ";".join([*columns, UPGRADES.get(before, "")])


def _checked_version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"the journal {path} was written by a newer pilot (its format is {version}, "
            f"this pilot reads up to {SCHEMA_VERSION})",
            hint="Upgrade pilot, or use another `home:`.",
        )
    return version


def _code(error: sqlite3.Error) -> int | None:
    """The primary result code of `error`, where it is known."""
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    return _CODES.get(str(error)) if extended is None else extended & 0xFF


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Commit all writes of a `with` block, or none of them. Raises `StorageError`."""
    with journal_errors(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # A full disk ends the transaction by itself.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def journal_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into `StorageError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(f"the journal {path}: {error}", hint=_hint(error, path)) from error
    except OSError as error:
        hint = advice(error, f"Check the disk and the permissions of {path.parent}.")
        file = error.filename if reason(error) != error.strerror else path
        raise StorageError(f"the journal {file}: {error.strerror}", hint=hint) from error


def _hint(error: sqlite3.Error, path: Path) -> str:
    code = _code(error)
    if code == _FULL:
        return f"The disk of {path.parent} is full: make room there."
    if code in (_READONLY, _CANTOPEN, _PERM):
        return f"{path.parent} and the files in it must be writable, or set another `home:`."
    if code in (_BUSY, _LOCKED):
        return "Another program holds the journal; end it and start again."
    if code in (_CORRUPT, _NOTADB):
        return f"The file is damaged: move {path} away, and pilot begins a new one."
    return f"Check the disk and the permissions of {path.parent}."

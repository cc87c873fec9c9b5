"""How much space pilot's data takes, and what makes it less."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pilotcli.common.files import size_on_disk
from pilotcli.common.quantities import plural, size
from pilotcli.config import PilotConfig
from pilotcli.databases.embedded.admin import server_statuses
from pilotcli.databases.opening import connect_store
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal
from pilotcli.storage.journal.deletion import size_bytes
from pilotcli.storage.store.unsaved_rows import runs_with_rows

LARGE_BYTES = 100_000_000
"""From here on, what makes it less is shown, too."""

PRUNE_RUNS = "Remove old runs: pilot runs prune --keep 20 --older 30d"
PRUNE_MODELS = "Remove old checkpoints: pilot models prune --all --keep 3"
RESET = (
    "Drop tables that you do not need: pilot db psql; pilot db reset deletes everything on the "
    "embedded server."
)


def home_sizes(home: Path) -> Iterator[tuple[str, str, str]]:
    """Yields the name, the size in words and what to do for the journal, the checkpoints and the
    data of embedded servers in `home`, and for rows that wait for the store."""
    with Journal.open(home) as journal:
        runs, path = journal.count_runs(), journal.path
    journal_bytes = size_bytes(path)
    yield (
        "journal",
        f"{plural(runs, 'run')}, {size(journal_bytes)}",
        PRUNE_RUNS if journal_bytes > LARGE_BYTES else "",
    )
    store = CheckpointStore(home / "models")
    versions = sum(len(store.versions(name)) for name in store.models())
    if versions:
        model_bytes = size_on_disk(store.root)
        text = f"{plural(versions, 'checkpoint')}, {size(model_bytes)}"
        yield "models", text, PRUNE_MODELS if model_bytes > LARGE_BYTES else ""
    for server in server_statuses(home):
        text = f"PostgreSQL {server.version}, {size(server.size_bytes)} of data in {home}"
        yield "server", text, RESET if server.size_bytes > LARGE_BYTES else ""


def unsaved_rows(home: Path) -> str | None:
    """Says how much waits in files for the store, and of which runs; None for nothing."""
    runs = runs_with_rows(home)
    if not runs:
        return None
    waiting = sum(_size(path) for path in home.glob("run-*.rows-*"))
    numbers = ", ".join(map(str, runs))
    return f"rows that run {numbers} collected wait in {size(waiting)} of files for the store"


def store_bytes(config: PilotConfig) -> int:
    """The size of the store's database, in bytes. Raises `StoreError`."""
    with contextlib.closing(connect_store(config)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.lstat().st_blocks * 512
    return 0

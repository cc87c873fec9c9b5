"""Manages the embedded servers of a folder: `pilot db status`, `stop` and `reset`.

None of this needs the server's programs, so it works for every major version that left a cluster.
"""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pilotcli.common.errors import DatabaseError, StorageError
from pilotcli.common.files import require_own_link, size_on_disk
from pilotcli.common.liveness import close_lock, open_lock, try_lock
from pilotcli.common.os_advice import advice_for_link, reason
from pilotcli.config.home import require_safe
from pilotcli.databases.embedded.folder import SERVER_LOCK, Place, State, require_own_links_in
from pilotcli.databases.embedded.process import (
    require_no_hidden_server,
    running_pid,
    runs_hidden,
    stop,
)


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One embedded server.

    - `version`: as it was started last, or its major version when it never was;
    - `pid`: of the running server, None when it does not run, or runs in another container;
    - `pinned`: whether it stays up without a user;
    - `users`: process ids of the pilots that use it, as far as the system shows them;
    - `hidden_users`: whether only processes use it that cannot be seen, in another container;
    - `size_bytes`: of the cluster on disk.
    """

    version: str
    running: bool
    pid: int | None
    pinned: bool
    users: tuple[int, ...]
    hidden_users: bool
    data_dir: Path
    size_bytes: int
    log_file: Path
    socket_dir: str | None


@dataclass(frozen=True, slots=True)
class Stopped:
    """What became of a server that was to be stopped. `users` are the pilots that keep it up, where
    `stopped` is false."""

    version: str
    was_running: bool
    stopped: bool
    users: tuple[int, ...]


def server_statuses(home: Path) -> list[ServerStatus]:
    """The embedded servers under `home`, oldest major version first; starts nothing."""
    return [_status(place) for place in _places(home) if place.data_dir.exists()]


def stop_servers(home: Path) -> list[Stopped]:
    """Stop the servers under `home`, and unpin them.

    A server that another process uses runs on until that process has ended. Raises `DatabaseError`
    when one cannot be stopped, which then stays pinned.
    """
    outcomes = []
    for place in _places(home):
        with place.mutex():
            require_no_hidden_server(place)
            pid = running_pid(place.data_dir)
            with _alone(place) as alone:
                if alone:
                    stop(place, pid)
                users = () if alone else _users(place)
            place.pin_file.unlink(missing_ok=True)
            outcomes.append(Stopped(_version(place), pid is not None, alone, users))
    return outcomes


def reset_servers(home: Path) -> list[Path]:
    """Delete the clusters under `home`, target and store alike; returns the deleted folders.

    The journal and the checkpoints stay. Raises `DatabaseError` when another process uses one of
    them (those before it are deleted already), `StorageError` when files cannot be deleted.
    """
    deleted = []
    for place in _places(home):
        with place.mutex(), _alone(place) as alone:
            require_no_hidden_server(place)
            if not alone:
                users = ", ".join(map(str, _users(place))) or "unknown"
                raise DatabaseError(
                    f"the embedded server in {place.folder} is in use (process {users})",
                    hint="Wait until that pilot has ended, or end it.",
                )
            stop(place, running_pid(place.data_dir))
            if place.data_dir.exists():
                _delete(place)
                deleted.append(place.data_dir)
    return deleted


def _delete(place: Place) -> None:
    socket_dir = place.known_socket_dir()
    # Renamed first, so that a deletion cut short leaves no half of a cluster.
    old = place.folder / f"data.old-{secrets.token_hex(4)}"
    try:
        place.data_dir.rename(old)
        for name in ("state.json", "pinned", "server.log", "server.log.old", SERVER_LOCK):
            (place.folder / name).unlink(missing_ok=True)
        place.forget_socket_dir(socket_dir)
        shutil.rmtree(old)
    except OSError as error:
        raise StorageError(
            f"{place.data_dir} cannot be deleted: {error.strerror}",
            hint="Delete it as the user who owns it.",
        ) from error


def _places(home: Path) -> list[Place]:
    require_safe(home)
    for link in (home / "pg", *home.glob("pg/*")):
        require_own_link(link)
        require_own_links_in(link)
    try:
        found = [
            Place(folder.resolve(), int(folder.name))
            for folder in (home / "pg").iterdir()
            if folder.name.isdigit() and folder.is_dir()
        ]
        for place in found:
            close_lock(open_lock(place.users_lock))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StorageError(
            f"the folder {home / 'pg'} cannot be used: {reason(error)}",
            hint=advice_for_link(error) or "Work on it as the user who owns it.",
        ) from error
    return sorted(found, key=lambda place: place.major)


@contextlib.contextmanager
def _alone(place: Place) -> Iterator[bool]:
    """Whether no process uses the server; it stays so while the place's mutex is held."""
    descriptor = open_lock(place.users_lock)
    try:
        yield try_lock(descriptor, fcntl.LOCK_EX)
    finally:
        close_lock(descriptor)


def _is_used(place: Place) -> bool:
    """Whether a process uses the server; False while another pilot starts or stops it."""
    mutex = open_lock(place.folder / "mutex.lock")
    try:
        if not try_lock(mutex, fcntl.LOCK_EX):
            return False
        with _alone(place) as alone:
            return not alone
    finally:
        close_lock(mutex)


def _status(place: Place) -> ServerStatus:
    pid = running_pid(place.data_dir)
    running = pid is not None or runs_hidden(place)
    state = place.read_state() if running else None
    users = _users(place)
    return ServerStatus(
        version=_version(place),
        running=running,
        pid=pid,
        pinned=place.pin_file.exists(),
        users=users,
        hidden_users=not users and _is_used(place),
        data_dir=place.data_dir,
        size_bytes=size_on_disk(place.data_dir),
        log_file=place.log_file,
        socket_dir=_socket_dir(state, is_seen=pid is not None),
    )


def _socket_dir(state: State | None, *, is_seen: bool) -> str | None:
    """Where the server's socket is; None for one of another container that is not there here."""
    if state is None or not (is_seen or Path(state.socket_dir).is_dir()):
        return None
    return state.socket_dir


def _version(place: Place) -> str:
    state = place.read_state()
    return state.version if state is not None else str(place.major)


def _users(place: Place) -> tuple[int, ...]:
    """Who holds the lock, from Linux's list of locks (proc_locks(5))."""
    try:
        inode = place.users_lock.stat().st_ino
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return ()
    pids = set()
    for line in lines:
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
            pids.add(int(fields[4]))
    return tuple(sorted(pids - {0}))  # 0: a process of another container

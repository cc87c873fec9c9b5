"""Starts and stops the server process of a cluster, and says whether it runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

from pilotcli.common.errors import DatabaseError, StorageError
from pilotcli.common.files import open_log, open_there
from pilotcli.common.liveness import close_lock, is_held, open_lock
from pilotcli.common.os_advice import advice, advice_for, reason
from pilotcli.databases.embedded.binaries import Binaries
from pilotcli.databases.embedded.cluster import run_as
from pilotcli.databases.embedded.folder import SERVER_LOCK, Place
from pilotcli.databases.embedded.os_user import Account

_START_PATIENCE_S = 60.0
_RECOVERY_PATIENCE_S = 600.0
_STOP_PATIENCE_S = 60.0
_POLL_S = 0.004
_LARGEST_LOG_BYTES = 16_000_000


def _pid_file(data_dir: Path) -> list[str]:
    """The lines of postmaster.pid: process id first, state (`ready`) in the eighth."""
    try:
        text = (data_dir / "postmaster.pid").read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return []
    return text.split("\n")


def running_pid(data_dir: Path) -> int | None:
    """The process id of the server of `data_dir`, or None when none runs.

    A process id in a file that was left behind may be another program's now. A server works in
    its data directory, which shows which it is where the system has /proc. Elsewhere a server of
    pilot's own must also hold its lock.
    """
    lines = _pid_file(data_dir)
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a dead child of this process would look alive
    if _shows_processes():
        if _works_in(pid, data_dir):
            return pid
        # The file may have the number that a server has in its own container.
        inner = [outer for outer in _working_in(data_dir) if _number_inside(outer) == pid]
        return inner[0] if inner else None
    lock = data_dir.with_name(SERVER_LOCK)
    if lock.exists() and not is_held(lock):
        return None
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return pid


def _shows_processes() -> bool:
    """Whether the system says in which folder a process works, as Linux does."""
    return Path("/proc/self/cwd").exists()


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").samefile(folder)
    except OSError:
        return False


def _working_in(folder: Path) -> list[int]:
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return []
    return [pid for pid in pids if _works_in(pid, folder)]


def _number_inside(pid: int) -> int | None:
    """The number of a process in its own PID namespace (proc_pid_status(5), NSpid)."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return None


def start(place: Place, binaries: Binaries, account: Account) -> int:
    """Start the server and wait until it takes connections; returns its process id.

    Needs the place's mutex, and `configure` before. Raises `DatabaseError` with the end of the
    server's log when it does not come up.
    """
    _clear_remains(place)
    log_start = _rotate_log(place.log_file)
    program = binaries.folder / "postgres"
    try:
        lock = open_lock(place.server_lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # nobody holds it; others look at it for a moment
            # For its owner alone: the server's errors quote statements.
            with os.fdopen(open_log(place.log_file), "ab") as log:
                process = subprocess.Popen(
                    [str(program), "-D", str(place.data_dir)],
                    **run_as(account, program),
                    stdout=log,
                    stderr=log,
                    pass_fds=[lock],
                )
        finally:
            close_lock(lock)
    except OSError as error:
        raise StorageError(
            f"the server cannot be started in {place.folder}: {reason(error)}",
            hint=advice(error, "Name another folder with `home:` in the config."),
        ) from error
    try:
        wait_until_ready(place, process.pid, log_start)
    except BaseException:
        process.kill()
        process.wait()
        raise
    # The server outlives this object by design; without a return code it would warn about that.
    process.returncode = 0
    return process.pid


def wait_until_ready(place: Place, pid: int, log_start: int = 0) -> None:
    """Wait until the server with this process id takes connections.

    Crash recovery is given ten minutes, any other start one. Raises `DatabaseError`.
    """
    began = time.monotonic()
    while True:
        lines = _pid_file(place.data_dir)
        ours = running_pid(place.data_dir) == pid
        if ours and len(lines) > 7 and lines[7].strip() == "ready":
            return
        if not _is_alive(pid):
            raise _did_not_start(place, log_start)
        patience_s = _RECOVERY_PATIENCE_S if ours else _START_PATIENCE_S
        if time.monotonic() - began > patience_s:
            raise _did_not_start(place, log_start, f"did not get ready within {patience_s:.0f} s")
        time.sleep(_POLL_S)


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _did_not_start(place: Place, log_start: int, what: str = "did not start") -> DatabaseError:
    said = log_tail(place.log_file, log_start)
    otherwise = (
        "Correct a setting that the server refuses under `database.settings`; `pilot db reset` "
        "deletes the server's data, to begin again."
    )
    return DatabaseError(
        f"the embedded PostgreSQL in {place.folder} {what}; its log says:\n{said}",
        hint=f"The whole log is {place.log_file}. {advice_for(said, otherwise)}",
    )


def log_size(log_file: Path) -> int:
    """The size of a log in bytes; 0 for one that is missing."""
    try:
        return log_file.stat().st_size
    except OSError:
        return 0


def log_tail(log_file: Path, start: int) -> str:
    """The last lines of a log after its first `start` bytes, indented for a message."""
    try:
        with os.fdopen(open_there(log_file), "rb") as log:
            log.seek(max(start, log_size(log_file) - 8000))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        text = ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-12:]) or "    (nothing)"


def _rotate_log(log_file: Path) -> int:
    """Put a large log aside; returns where in the file the next start begins."""
    size = log_size(log_file)
    if size > _LARGEST_LOG_BYTES:
        log_file.replace(log_file.with_suffix(".log.old"))
        return 0
    return size


def _clear_remains(place: Place) -> None:
    """Remove what a killed server has left, so that the next one can start.

    PostgreSQL does this itself, except where the process id in its lock files is that of another
    program now. Backends that have outlived their server are ended first: they work on the same
    files. Needs the place's mutex, and that no server runs here. Raises `DatabaseError` when one
    runs in another container.
    """
    if not _pid_file(place.data_dir) and not is_held(place.server_lock):
        return
    give_up_at = time.monotonic() + _STOP_PATIENCE_S
    while (orphans := _working_in(place.data_dir)) or _may_have_orphans(place):
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)
        if time.monotonic() > give_up_at:
            which = f": {orphans}" if orphans else ""
            raise DatabaseError(
                f"processes of the server that was killed in {place.folder} do not end{which}",
                hint="End them with `kill -9`, then start again.",
            )
        time.sleep(0.02)
    require_no_hidden_server(place)
    socket_dir = place.known_socket_dir()
    if _shows_processes() and socket_dir is not None:
        sockets = socket_dir.glob(".s.PGSQL.*")
        for path in (place.data_dir / "postmaster.pid", *sockets):
            path.unlink(missing_ok=True)


def _may_have_orphans(place: Place) -> bool:
    """Whether backends may have outlived their server, where the system does not show them. They
    hold its lock, and end by themselves."""
    return not _shows_processes() and is_held(place.server_lock)


def runs_hidden(place: Place) -> bool:
    """Whether a server runs here of which no process can be seen: in another container."""
    if _shows_processes():
        return not _working_in(place.data_dir) and is_held(place.server_lock)
    return running_pid(place.data_dir) is None and is_held(place.server_lock)


def require_no_hidden_server(place: Place) -> None:
    """Raise `DatabaseError` if the place's server runs in another container."""
    if runs_hidden(place):
        raise DatabaseError(
            f"the server in {place.folder} runs in another container",
            hint="Stop it there, or use another folder with `home:`.",
        )


def stop(place: Place, pid: int | None) -> None:
    """Stop the server: roll back what is open, write a checkpoint, end (a fast shutdown).

    Without a process id, remove what a killed server has left. Needs the place's mutex. Raises
    `DatabaseError` when the server does not end within a minute, or runs in another container.
    """
    if pid is None:
        _clear_remains(place)
        return
    try:
        os.kill(pid, signal.SIGINT)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise DatabaseError(
            f"the server with the process id {pid} belongs to another user",
            hint="Stop it as the user who started it.",
        ) from error
    give_up_at = time.monotonic() + _STOP_PATIENCE_S
    while running_pid(place.data_dir) == pid:
        if time.monotonic() > give_up_at:
            raise DatabaseError(
                f"the server with the process id {pid} does not stop",
                hint=f"Its log is {place.log_file}.",
            )
        time.sleep(_POLL_S)

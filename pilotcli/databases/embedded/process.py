"""Starts and stops the server process of a cluster, and tells whether it runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from pilotcli.common.errors import DatabaseError, StorageError
from pilotcli.config.home import create_private
from pilotcli.databases.embedded.binaries import Binaries
from pilotcli.databases.embedded.cluster import run_as
from pilotcli.databases.embedded.folder import Place
from pilotcli.databases.embedded.os_user import Account

__all__ = ["running_pid", "start", "stop", "wait_until_ready"]

_START_PATIENCE_S = 60.0
_RECOVERY_PATIENCE_S = 600.0
_STOP_PATIENCE_S = 60.0
_POLL_S = 0.004
_LARGEST_LOG_BYTES = 16_000_000


def _pid_file(data_dir: Path) -> list[str]:
    """The lines of postmaster.pid: process id first, state (`ready`) in the eighth."""
    try:
        return (data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def running_pid(data_dir: Path) -> int | None:
    """The process id of the server of `data_dir`, or None when none runs.

    A process id in a left-over file may be another program's by now. A server works in its data
    directory, which tells it apart where the system has /proc.
    """
    lines = _pid_file(data_dir)
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a dead child of this process would look alive
    if Path("/proc/self/cwd").exists():
        return pid if _works_in(pid, data_dir) else None
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return pid


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").samefile(folder)
    except OSError:
        return False


def start(place: Place, binaries: Binaries, account: Account) -> int:
    """Start the server and wait until it takes connections; returns its process id.

    Needs the place's mutex, and `configure` before. Raises `DatabaseError` with the end of the
    server's log when it does not come up.
    """
    _clear_remains(place)
    log_start = _rotate_log(place.log_file)
    program = binaries.program("postgres")
    try:
        create_private(place.log_file)  # the server's errors quote statements
        with place.log_file.open("ab") as log:
            process = subprocess.Popen(
                [str(program), "-D", str(place.data_dir)],
                **run_as(account, program),
                stdout=log,
                stderr=log,
            )
    except OSError as error:
        raise StorageError(
            f"the server cannot be started in {place.folder}: {error.strerror}",
            hint="Make room there, or name another folder with `home:` in the config.",
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


def wait_until_ready(place: Place, pid: int, log_start: int | None = None) -> None:
    """Wait until the server with this process id takes connections.

    Crash recovery is given ten minutes, any other start one. Raises `DatabaseError`.
    """
    began = time.monotonic()
    while True:
        lines = _pid_file(place.data_dir)
        ours = bool(lines) and lines[0].strip() == str(pid)
        if ours and len(lines) > 7 and lines[7].strip() == "ready":
            return
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                raise _did_not_start(place, log_start)
        if not _is_alive(pid):
            raise _did_not_start(place, log_start)
        patience_s = _RECOVERY_PATIENCE_S if ours else _START_PATIENCE_S
        if time.monotonic() - began > patience_s:
            raise _did_not_start(place, log_start, f"did not get ready within {patience_s:.0f} s")
        time.sleep(_POLL_S)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _did_not_start(
    place: Place, log_start: int | None, what: str = "did not start"
) -> DatabaseError:
    said = _log_tail(place.log_file, log_start)
    return DatabaseError(
        f"the embedded PostgreSQL in {place.folder} {what}; its log says:\n{said}",
        hint=f"The whole log is {place.log_file}. A setting that the server refuses stands under "
        "`database.settings`; `pilot db reset` deletes the server's data and begins anew.",
    )


def _log_tail(log_file: Path, log_start: int | None, lines: int = 12) -> str:
    try:
        with log_file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(log_start or 0, size - 8000))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return "    (nothing)"
    return "\n".join("    " + line for line in text.splitlines()[-lines:]) or "    (nothing)"


def _rotate_log(log_file: Path) -> int:
    """Put a large log aside; returns where in the file the next start begins."""
    try:
        size = log_file.stat().st_size
    except OSError:
        return 0
    if size > _LARGEST_LOG_BYTES:
        log_file.replace(log_file.with_suffix(".log.old"))
        return 0
    return size


def _clear_remains(place: Place) -> None:
    """Make way for a start after a server was killed.

    PostgreSQL does this itself, except when the process id in its lock files belongs to another
    program by now. Backends that have outlived their server are ended first: they work on the
    same files.
    """
    if not _pid_file(place.data_dir):
        return
    give_up_at = time.monotonic() + _STOP_PATIENCE_S
    while orphans := [pid for pid in _all_pids() if _works_in(pid, place.data_dir)]:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)
        if time.monotonic() > give_up_at:
            raise DatabaseError(
                f"processes of a server that was killed do not end: {orphans}",
                hint="End them with `kill -9`, then start again.",
            )
        time.sleep(0.02)
    state = place.read_state()
    if Path("/proc/self/cwd").exists() and state is not None:
        for path in (
            place.data_dir / "postmaster.pid",
            *Path(state.socket_dir).glob(".s.PGSQL.*"),
        ):
            path.unlink(missing_ok=True)


def _all_pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return []


def stop(place: Place, pid: int) -> None:
    """Stop the server: roll back what is open, write a checkpoint, end (a fast shutdown).

    Needs the place's mutex. Raises `DatabaseError` when it does not end within a minute.
    """
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

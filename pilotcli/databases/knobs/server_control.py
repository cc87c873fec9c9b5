"""Stops and starts the target's server, where pilot may: the embedded one, or one of this machine
that its user owns."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pilotcli.common.errors import CapabilityError, DatabaseError, QueryError
from pilotcli.common.files import open_log
from pilotcli.databases.embedded.cluster import run_as
from pilotcli.databases.embedded.os_user import Account, server_account
from pilotcli.databases.embedded.process import log_size, log_tail, running_pid
from pilotcli.databases.embedded.server import Mend
from pilotcli.databases.remedies import role_of
from pilotcli.databases.session.server_place import find_server_place
from pilotcli.databases.session.session import PostgresSession

_PATIENCE_S = 120


class ServerControl(Protocol):
    """Control over a server's process: that of the embedded server, or of one of this machine.

    `mend` gets the data directory of a server that did not come up, to bring its configuration
    into order; it is started once more then, and the error is raised all the same.
    """

    @property
    def data_dir(self) -> Path:
        """The cluster."""

    def require(self) -> None:
        """Raise `DatabaseError` when the server cannot be restarted now, because others use it."""

    def restart(self, mend: Mend) -> None:
        """Stop and start the server. Raises `DatabaseError`."""

    def shut_down(self) -> None:
        """Stop the server. Raises `DatabaseError`."""

    def start(self, mend: Mend) -> None:
        """Start the server unless it runs. Raises `DatabaseError`."""

    def is_running(self) -> bool:
        """Whether the server's process is there."""

    def ends_with_this(self) -> bool:
        """Whether the server stops when this target is closed."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server of this machine, by its own `pg_ctl`; implements `ServerControl`."""

    data_dir: Path
    pg_ctl: Path
    account: Account
    log_file: Path

    def require(self) -> None:
        """Nothing to ask here: who is connected is asked of the server itself."""

    def restart(self, mend: Mend) -> None:
        """See `ServerControl.restart`. The server keeps the arguments that it was started with."""
        began = log_size(self.log_file)
        # Without a running server this starts one, also with the arguments of the last.
        if self._run("restart") == 0:
            return
        output = log_tail(self.log_file, began)
        mend(self.data_dir)
        began = log_size(self.log_file)
        if not self.is_running() and self._run("restart") != 0:
            output = f"{output}\n{log_tail(self.log_file, began)}"
        raise DatabaseError(
            f"the server in {self.data_dir} did not start; it says:\n{output}",
            hint=f"Its log is {self.log_file}, or where `log_directory` says.",
        )

    def shut_down(self) -> None:
        if self.is_running() and self._run("stop") != 0:
            raise DatabaseError(f"the server in {self.data_dir} does not stop")

    def start(self, mend: Mend) -> None:
        if not self.is_running():
            self.restart(mend)

    def is_running(self) -> bool:
        return self._run("status") == 0

    def ends_with_this(self) -> bool:
        """Never: somebody else has started it."""
        return False

    def _run(self, action: str) -> int:
        how = [] if action == "status" else ["-m", "fast", "-w", "-t", str(_PATIENCE_S)]
        with os.fdopen(open_log(self.log_file), "ab") as log:
            return subprocess.run(
                [str(self.pg_ctl), action, "-s", "-D", str(self.data_dir), *how],
                **run_as(self.account, self.pg_ctl),
                stdout=log,
                stderr=log,
                check=False,
            ).returncode


def find_local_server(session: PostgresSession, home: Path) -> LocalServer:
    """Control over the server that `session` is connected to, if it is one of this machine that
    the user of this process owns. Raises `CapabilityError` that says why not, and what to do."""
    place = find_server_place(session)
    if place.elsewhere is not None:
        raise _cannot(place.elsewhere)
    try:
        ((shown,),) = session.execute("SHOW data_directory").rows
    except QueryError:
        role = role_of(session)
        raise _cannot(
            "the role may not see where its data is",
            f"Have a superuser run `GRANT pg_read_all_settings TO {role.name}`. ",
        ) from None
    data_dir = Path(shown)
    try:
        (data_dir / "postmaster.pid").stat()
        pid = running_pid(data_dir)
        # A server in a container may have its data where another one has them on this machine.
        if pid is None or place.process not in (None, pid):
            raise _cannot("its process is not one of this machine")
        owner = server_account(data_dir)
        if os.geteuid() not in (0, data_dir.stat().st_uid):
            raise _cannot(f"it belongs to the user {owner.name}")
        program = Path(f"/proc/{pid}/exe").resolve(strict=True)
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except (OSError, ValueError):
        raise _cannot("its process or its data cannot be reached from here") from None
    if pid == 1 or b"\0INVOCATION_ID=" in b"\0" + environment:
        raise _cannot("a service manager runs it")
    pg_ctl = program.with_name("pg_ctl")
    if not os.access(pg_ctl, os.X_OK):
        raise _cannot(f"there is no pg_ctl beside {program}")
    return LocalServer(data_dir, pg_ctl, owner, _log_of(pid, home))


def _log_of(pid: int, home: Path) -> Path:
    """Where the server's messages go when it is started: where they go now, if that is a file."""
    try:
        now = Path(f"/proc/{pid}/fd/2").resolve(strict=True)
        if now.is_file() and os.access(now, os.W_OK):
            return now
    except OSError:
        pass
    return home / "restarted-server.log"


def _cannot(why: str, first: str = "") -> CapabilityError:
    return CapabilityError(
        f"pilot cannot restart this server: {why}",
        hint=f"{first}Knobs that take effect at a restart need one that pilot may restart: the "
        "embedded server, or one of this machine that runs as the user of pilot. Elsewhere have an "
        "administrator set them before the run (ALTER SYSTEM SET ..., then a restart).",
    )

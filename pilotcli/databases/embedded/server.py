"""The embedded server as pilot uses it: shared by all pilots of a folder, stopped by the last."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pilotcli.common.errors import DatabaseError, PilotError, StorageError
from pilotcli.common.liveness import close_lock, open_lock, try_lock
from pilotcli.common.os_advice import advice_for_link
from pilotcli.config.home import create_private
from pilotcli.databases.embedded.binaries import (
    Binaries,
    find_binaries,
    readable_for,
    setting_names,
)
from pilotcli.databases.embedded.cluster import SUPERUSER, configure, ensure_cluster
from pilotcli.databases.embedded.folder import PORT, Place, State, make_place
from pilotcli.databases.embedded.os_user import server_account
from pilotcli.databases.embedded.process import running_pid, start, stop, wait_until_ready
from pilotcli.databases.setting_names import meant_setting

Mend = Callable[[Path], None]
"""Gets the data directory of a server that does not run."""

_in_process: dict[Path, _Share] = {}
_guard = threading.RLock()


class _Share:
    """What all users of one server in this process have in common."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.pid = os.getpid()
        self.users = 0
        self.shut_down = False
        """Whether this process has stopped the server, and not started it again."""
        self.lock = open_lock(place.users_lock)

    def alone(self) -> bool:
        """Whether no other process uses the server; needs the place's mutex.

        Leaves the lock exclusive when true; when false this process holds none.
        """
        return try_lock(self.lock, fcntl.LOCK_EX)

    def share(self) -> None:
        """Count as a user from here on; needs the place's mutex."""
        fcntl.flock(self.lock, fcntl.LOCK_SH)


class EmbeddedServer:
    """A running embedded server, and this process's claim to it; implements `ServerControl`.

    `acquire` makes one; `release` gives it back. The server runs for as long as a
    process holds it, or until `pilot db stop` when `pilot db start` has pinned it.

    - `place`: its folder; `data_dir`: the cluster; `log_file`: its log;
    - `version`: `18.6`;
    - `host`: the folder of its socket, which libpq takes as `host`.
    """

    def __init__(self, share: _Share, state: State, binaries: Binaries) -> None:
        self._share = share
        self._binaries = binaries
        self._released = False
        self.place = share.place
        self.data_dir = share.place.data_dir
        self.log_file = share.place.log_file
        self.version = state.version
        self.host = state.socket_dir

    @classmethod
    def acquire(
        cls,
        home: Path,
        *,
        postgres_bin: Path | None = None,
        settings: Mapping[str, str] | None = None,
        on_step: Callable[[str], None] | None = None,
        mend: Mend | None = None,
    ) -> EmbeddedServer:
        """The server under `home`; created and started when it does not run.

        `on_step` gets a line about each step that takes a while. `settings` are the server's; a
        server that runs with others is restarted, unless somebody else uses it. `mend` gets the
        data directory whenever the server is about to be started, to bring its files into order.

        Raises `UsageError` for a `postgres_bin` that does not work, `StorageError` for a folder
        that does not, and `DatabaseError` when the server does not start.
        """
        binaries = find_binaries(postgres_bin)
        place = make_place(home, binaries.major)
        step, mend = on_step or (lambda _: None), mend or (lambda _: None)
        wanted = {key: str(value) for key, value in (settings or {}).items()}
        with _guard:
            share = _in_process.get(place.folder)
            if share is None or share.pid != os.getpid():
                share = _Share(place)
            with place.mutex():
                try:
                    state = _running(share, binaries, wanted, step, mend)
                    share.share()
                except BaseException:
                    if not share.users:
                        close_lock(share.lock)
                    raise
            share.users += 1
            if share.users == 1:
                _in_process[place.folder] = share
            return cls(share, state, binaries)

    @property
    def pid(self) -> int | None:
        """The server's process id; None when it does not run any more."""
        return running_pid(self.data_dir)

    def is_running(self) -> bool:
        """Whether the server's process is there."""
        return self.pid is not None

    def has_died(self) -> bool:
        """Whether the server does not run, although nobody in this process has shut it down."""
        return not self._share.shut_down and not self.is_running()

    def conninfo(self, dbname: str) -> dict[str, str]:
        """libpq's parameters to connect to the database `dbname`."""
        return {"host": self.host, "port": str(PORT), "user": SUPERUSER, "dbname": dbname}

    def pin(self) -> None:
        """Keep the server up when nobody uses it, until `pilot db stop`."""
        with self.place.mutex():
            try:
                create_private(self.place.pin_file)
            except OSError as error:
                raise StorageError(
                    f"{self.place.pin_file} cannot be made: {error.strerror}",
                    hint=advice_for_link(error) or "Delete it if it is not pilot's.",
                ) from error

    def ends_with_this(self) -> bool:
        """Whether the server stops as this is released, as far as can be known before."""
        with _guard:
            if self._share.users > 1 or self.place.pin_file.exists():
                return False
            with self.place.mutex():
                alone = self._share.alone()
                self._share.share()
                return alone

    def restart(self, after_failure: Mend) -> None:
        """Stop the server, and start it with what its configuration says now.

        When it does not start, `after_failure` gets the data directory, to bring the
        configuration into order, the server is started again, and the error is raised all the
        same. Raises `DatabaseError`, also when another process uses the server, which then goes
        on as it is.
        """
        with self._alone():
            self._stop()
            self._start_or_mend(after_failure)

    def shut_down(self) -> None:
        """Stop the server, and keep the claim to it. Raises `DatabaseError` as `restart` does."""
        with self._alone():
            self._share.shut_down = True
            self._stop()

    def start(self, after_failure: Mend) -> None:
        """Start the server unless it runs; as `restart` does it."""
        if self.is_running():
            return
        with self._alone():
            if not self.is_running():  # another thread may have started it meanwhile
                self._start_or_mend(after_failure)

    def require(self) -> None:
        """Raise `DatabaseError` when another process uses the server."""
        with self._alone():
            pass

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep all others out while the server is stopped and started."""
        with _guard, self.place.mutex():
            try:
                if not self._share.alone():
                    raise DatabaseError(
                        f"the embedded server in {self.place.folder} cannot be restarted now: "
                        "another process uses it",
                        hint="`pilot db status` shows which. Wait until it has ended, or use "
                        "another folder with `home:`.",
                    )
                yield
            finally:
                self._share.share()

    def _stop(self) -> None:
        if self.pid is not None:
            stop(self.place, self.pid)

    def _start_or_mend(self, after_failure: Mend) -> None:
        try:
            self._start()
        except DatabaseError:
            after_failure(self.data_dir)
            self._start()
            raise

    def _start(self) -> None:
        account = server_account(self.data_dir)
        start(self.place, readable_for(self._binaries, account), account)
        self._share.shut_down = False

    def release(self) -> None:
        """Give the server back; the last user stops it. Safe to call twice."""
        with _guard:
            if self._released or self._share.pid != os.getpid():
                return
            self._released = True
            self._share.users -= 1
            if self._share.users == 0:
                del _in_process[self.place.folder]
                _leave(self._share)

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def _running(
    share: _Share,
    binaries: Binaries,
    settings: Mapping[str, str],
    step: Callable[[str], None],
    mend: Mend,
) -> State:
    """The state of a server that runs with `settings`; started where needed."""
    place = share.place
    pid = running_pid(place.data_dir)
    state = place.read_state()
    if pid is not None and state is not None:
        if state.settings == settings:
            wait_until_ready(place, pid)
            return state
        _refuse_if_used(share, state, settings)
        step("restarting PostgreSQL with the config's settings")
    stop(place, pid)
    account = server_account(place.data_dir)
    binaries = readable_for(binaries, account)
    if not place.data_dir.exists():
        step(f"creating a PostgreSQL {binaries.major} cluster in {place.folder}")
    ensure_cluster(place, binaries, account)
    step(f"starting PostgreSQL {binaries.version}")
    state = State(binaries.version, str(place.socket_dir(account)), dict(settings))
    configure(place, account, Path(state.socket_dir), settings)
    place.write_state(state)
    mend(place.data_dir)
    try:
        start(place, binaries, account)
        share.shut_down = False
    except DatabaseError as error:
        if (meant := meant_setting(settings, setting_names(binaries))) is not None:
            hint = f"{meant} {error.hint or ''}".strip()
            raise DatabaseError(error.message, hint=hint) from error
        raise
    return state


def _refuse_if_used(share: _Share, state: State, settings: Mapping[str, str]) -> None:
    if share.users == 0 and share.alone():
        return
    if share.users:
        share.share()
    differing = sorted(
        key for key in {*state.settings, *settings} if state.settings.get(key) != settings.get(key)
    )
    raise DatabaseError(
        f"the embedded server in {share.place.folder} runs with other settings "
        f"({', '.join(differing)}), and somebody uses it",
        hint="Wait until the other pilot has ended, or use another folder with `home:`.",
    )


def _leave(share: _Share) -> None:
    place = share.place
    try:
        with place.mutex():
            if share.alone() and not place.pin_file.exists():
                pid = running_pid(place.data_dir)
                socket_dir = place.known_socket_dir()
                if pid is not None:
                    stop(place, pid)
                place.forget_socket_dir(socket_dir)
    finally:
        close_lock(share.lock)


@atexit.register
def _release_all() -> None:
    """Let go of what a caller has not released, when the process ends."""
    for share in list(_in_process.values()):
        if share.pid == os.getpid():
            _in_process.pop(share.place.folder, None)
            with contextlib.suppress(PilotError, OSError):
                _leave(share)

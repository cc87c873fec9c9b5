"""The folder of one embedded server, `<home>/pg/<major>/`, and the locks in it.

    data/         the cluster
    run/          the socket, unless that path would be too long
    server.log    what the server says
    state.json    how the server was started, for other pilots
    pinned        there while `pilot db start` keeps the server up
    mutex.lock    held while one pilot starts or stops the server
    users.lock    held, shared, by every process that uses the server
    server.lock   held by the server itself

Where root's server could not reach the folder, `<home>/pg/<major>` is a link to a folder outside.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pilotcli.common.errors import DatabaseError, StorageError
from pilotcli.common.files import open_folder, open_over, open_there, require_own_link
from pilotcli.common.liveness import close_lock, open_lock, try_lock
from pilotcli.common.os_advice import advice, advice_for_link, reason
from pilotcli.config.home import is_own_home, make_home
from pilotcli.databases.embedded.folder_for_root import link_outside
from pilotcli.databases.embedded.os_user import Account, can_walk, server_account

PORT = 5432
"""Part of the socket's name; nothing listens on a network port."""

SERVER_LOCK = "server.lock"
_LONGEST_SOCKET_PATH = 100  # bytes; sockaddr_un has room for 107 on Linux and 103 on macOS
_PLAIN_PATH = re.compile(r"[\w/.+-]+", re.ASCII)
_MUTEX_PATIENCE_S = 120.0
_SHORT_BASE = "/tmp"  # noqa: S108 - a folder made in it is private and its name random


@dataclass(frozen=True, slots=True)
class State:
    """How the server was started."""

    version: str
    socket_dir: str
    settings: Mapping[str, str] = field(default_factory=dict)


class Place:
    """One server's folder, free of symbolic links, and the files in it."""

    def __init__(self, folder: Path, major: int) -> None:
        self.folder = folder
        self.major = major
        self.data_dir = folder / "data"
        self.log_file = folder / "server.log"
        self.pin_file = folder / "pinned"
        """Exists while the server stays up without a user."""
        self.users_lock = folder / "users.lock"
        """Locked, shared, by every process that uses the server."""
        self.server_lock = folder / SERVER_LOCK
        """Held by the server, and by each of its processes that outlives it."""

    def read_state(self) -> State | None:
        """How the server was started last; None when that is not known."""
        try:
            with os.fdopen(open_there(self.folder / "state.json"), encoding="utf-8") as file:
                return State(**json.load(file))
        except (OSError, ValueError, TypeError):
            return None

    def write_state(self, state: State) -> None:
        """Record how the server is about to be started."""
        new = self.folder / "state.json.new"
        with os.fdopen(open_over(new), "w", encoding="utf-8") as file:
            json.dump(asdict(state), file)
        new.replace(self.folder / "state.json")

    @contextlib.contextmanager
    def mutex(self) -> Iterator[None]:
        """Hold the lock under which a server is created, started and stopped.

        Raises `DatabaseError` when another process holds it for two minutes.
        """
        try:
            descriptor = open_lock(self.folder / "mutex.lock")
        except OSError as error:
            raise StorageError(
                f"the embedded server's folder {self.folder} cannot be used: {reason(error)}",
                hint=advice_for_link(error)
                or "If somebody has deleted it, the server ends by itself within a minute.",
            ) from error
        give_up_at = time.monotonic() + _MUTEX_PATIENCE_S
        try:
            while not try_lock(descriptor, fcntl.LOCK_EX):
                if time.monotonic() > give_up_at:
                    raise DatabaseError(
                        f"another pilot has been starting or stopping the server in {self.folder} "
                        f"for {_MUTEX_PATIENCE_S:.0f} s",
                        hint="`pilot db status` shows which processes use it.",
                    )
                time.sleep(0.005)
            yield
        finally:
            close_lock(descriptor)

    def socket_dir(self, account: Account) -> Path:
        """A folder for the socket that only `account` (and root) can enter; created if needed.

        `run/` in the place, or a private folder with a short path if the socket's path would be
        longer than the system allows or contain characters that connection strings treat specially.
        """
        own = self.folder / "run"
        if _fits(own):
            try:
                own.mkdir(mode=0o700, exist_ok=True)
                require_own_link(own)
                give(own.resolve() if own.is_symlink() else own, account)
            except OSError as error:
                raise _unusable(own, error) from error
            return own
        known = self.known_socket_dir(account.uid)
        if known is not None and known != own:
            return known
        short = Path(tempfile.mkdtemp(prefix="pilot-", dir=_short_base(account)))
        give(short.resolve(), account)
        return short

    def known_socket_dir(self, owner: int | None = None) -> Path | None:
        """The socket's folder that `state.json` names; None if pilot has not made it.

        Another user may own the file, and name any folder in it. A short one has the `owner` of
        the cluster.
        """
        state = self.read_state()
        if state is None:
            return None
        folder = Path(state.socket_dir)
        if folder == self.folder / "run":
            return folder
        try:
            owner = self.data_dir.lstat().st_uid if owner is None else owner
        except OSError:
            return None
        is_short = folder.name.startswith("pilot-") and _is_private(folder, owner)
        base_is_safe = owner == os.geteuid() or folder.parent == Path(_SHORT_BASE)
        return folder if is_short and base_is_safe else None

    def forget_socket_dir(self, socket_dir: Path | None) -> None:
        """Remove a short socket folder, from `known_socket_dir`, that is no longer needed."""
        if socket_dir not in (None, self.folder / "run"):
            shutil.rmtree(socket_dir, ignore_errors=True)


def make_place(home: Path, major: int) -> Place:
    """The place of the server of this major version under `home`, created when missing.

    Raises `StorageError` if it cannot be created or belongs to another user.
    """
    home = make_home(home)
    link = home / "pg" / str(major)
    require_own_link(link.parent)
    require_own_link(link)
    try:
        require_own_links_in(link)
        place = Place(_make_folder(home, link), major)
        close_lock(open_lock(place.folder / "mutex.lock"))
    except OSError as error:
        raise _unusable(link, error) from error
    return place


def require_own_links_in(folder: Path) -> None:
    """Raise `StorageError` if a folder in a server's `folder` is a link of another user."""
    for name in ("data", "run"):
        require_own_link(folder / name)


def _unusable(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the folder {folder} cannot be used: {reason(error)}",
        hint=advice(error, "Name another folder with `home:` in the config."),
    )


def _make_folder(home: Path, link: Path) -> Path:
    account = server_account(link / "data")
    link.parent.mkdir(mode=0o700, exist_ok=True)
    if account.is_other:
        if is_own_home(home):
            _let_pass(home, account)
        _let_pass(link.parent.resolve(), account)
    reachable = link.exists() or not account.is_other or can_walk(link.parent, account)
    if link.is_symlink() or not reachable:
        if not link.exists():
            link_outside(link, account)
        folder = link.resolve()
    else:
        folder = link
        folder.mkdir(mode=0o700, exist_ok=True)
    if account.is_other:
        _let_pass(folder.resolve(), account)
    return folder.resolve()


def _let_pass(folder: Path, account: Account) -> None:
    """Let the group of `account`, and nobody else, pass through a folder of pilot's own."""
    descriptor = open_folder(folder)
    try:
        info = os.fstat(descriptor)
        if info.st_uid == os.geteuid() and info.st_mode & 0o077 == 0:
            os.fchown(descriptor, -1, account.gid)
            os.fchmod(descriptor, 0o710)
    finally:
        os.close(descriptor)


def _fits(socket_dir: Path) -> bool:
    path = os.fspath(socket_dir / f".s.PGSQL.{PORT}")
    return len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH and bool(_PLAIN_PATH.fullmatch(path))


def _short_base(account: Account) -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if (
        runtime
        and not account.is_other
        and _is_private(Path(runtime), account.uid)
        and _fits(Path(runtime) / "pilot-12345678")
    ):
        return runtime
    return _SHORT_BASE


def give(folder: Path, account: Account) -> None:
    """Let nobody but `account` (and root) use the folder, of whose path no part may be a link."""
    descriptor = open_folder(folder)
    try:
        if os.fstat(descriptor).st_uid != account.uid:
            os.fchown(descriptor, account.uid, account.gid)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _is_private(folder: Path, owner: int) -> bool:
    try:
        info = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == owner and info.st_mode & 0o077 == 0

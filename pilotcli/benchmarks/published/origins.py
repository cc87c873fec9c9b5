"""Opens what `--from` names: folders, single files, archives, and addresses to download."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from pilotcli.benchmarks.published.addresses import SCHEMES, parted, shown_name
from pilotcli.benchmarks.published.dumps import HEAD_BYTES, is_dump
from pilotcli.benchmarks.published.names import Origin
from pilotcli.common import quantities
from pilotcli.common.errors import UsageError
from pilotcli.common.suggestions import nearest

_BLOCK_BYTES = 1 << 20
_TOLD_BYTES = 64 << 20
_TIMEOUT_S = 30
_NO_HEAD = (403, 405, 501)  # servers that answer GET alone


@dataclass(frozen=True, slots=True)
class Opened:
    """The files of one thing that was named: each with its path inside of it. `unpacked` is the
    temporary folder of an archive's files."""

    name: str
    files: tuple[tuple[Path, str], ...]
    unpacked: Path | None = None


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens what is named.

    `known` are the addresses whose checksum is known, `agreed` asks the user before a download,
    `report` gets a line about each step that takes a while.
    """

    known: Sequence[Origin]
    agreed: Callable[[str], bool]
    report: Callable[[str], None]

    @contextlib.contextmanager
    def open(self, names: Sequence[str], folder: Path) -> Iterator[list[Opened]]:
        """Gives the files of each of `names`.

        Archives are unpacked into a temporary folder in `folder`, which is deleted at the end.
        Raises `UsageError` where one cannot be opened, is not what its checksum says, or where
        the user does not agree to a download.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pilot-from-", dir=folder) as made:
            opened = []
            for number, name in enumerate(names):
                place = Path(made) / str(number)
                place.mkdir()
                opened.append(self._opened(name, place))
            yield opened

    def _opened(self, name: str, place: Path) -> Opened:
        if name.startswith(SCHEMES):
            return Opened(shown_name(name), self._downloaded(name, place), place)
        path = Path(name)
        if path.is_dir():
            return Opened(name, _files(path))
        if not path.is_file():
            raise _missing(name, path)
        return Opened(name, self._unpacked(path, place, None), place)

    def _downloaded(self, name: str, place: Path) -> tuple[tuple[Path, str], ...]:
        address, sha256 = parted(name)
        tree = next((origin.tree for origin in self.known if origin.address == address), None)
        shown = shown_name(address)
        self.report(f"address:  {shown}")
        size, place_of_it = _looked_up(address, shown)
        if place_of_it != shown:
            self.report(f"leads to: {place_of_it}")
        self.report(f"size:     {size}")
        checksum = f"sha256 {sha256}" if sha256 else f"git tree {tree}" if tree else "unknown"
        self.report(f"checksum: {checksum}")
        if not self.agreed("Download it?"):
            raise UsageError(
                "nothing was downloaded",
                hint="Say yes when pilot asks, or give --yes.",
            )
        file = place / (PurePosixPath(address).name or "download")
        found = self._fetch(address, shown, file)
        if sha256 and found != sha256:
            raise UsageError(
                f"{shown} is not the file that you expect: its sha256 is {found}",
                hint="Nothing was written. Look at who sent it, or at the checksum.",
            )
        self.report(f"sha256:   {found}")
        return self._unpacked(file, place / "files", tree)

    def _fetch(self, address: str, shown: str, file: Path) -> str:
        """Downloads to `file`; returns its SHA-256."""
        checksum = hashlib.sha256()
        done = told = 0
        with _answer(address, shown, "GET") as answer, file.open("wb") as out:
            expected = answer.headers.get("Content-Length")
            try:
                while data := answer.read(_BLOCK_BYTES):
                    checksum.update(data)
                    out.write(data)
                    done += len(data)
                    if done - told >= _TOLD_BYTES:
                        told = done
                        self.report(f"{quantities.size(done)} downloaded")
            except (OSError, ValueError) as exc:
                raise _failed(shown, exc) from exc
        if expected is not None and int(expected) != done:
            raise _failed(shown, f"it ended after {done} of {expected} bytes")
        return checksum.hexdigest()

    def _unpacked(self, file: Path, place: Path, tree: str | None) -> tuple[tuple[Path, str], ...]:
        """Returns the files in an archive; of a file that is none, this file."""
        with file.open("rb") as opened:
            if is_dump(opened.read(HEAD_BYTES)):
                return ((file, file.name),)
        try:
            is_tar, is_zip = tarfile.is_tarfile(file), zipfile.is_zipfile(file)
        except EOFError as exc:
            raise _damaged(file, "it ends too early") from exc
        if is_tar or is_zip:
            self.report(f"unpacking {file.name}")
            place.mkdir(exist_ok=True)
            try:
                found = _unpack_tar(file, place) if is_tar else _unpack_zip(file, place)
            except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as exc:
                raise _damaged(file, exc) from exc
        if tree is not None and not (is_tar and found == tree):
            raise UsageError(
                f"{file.name} does not hold what it should: git's checksum is not {tree}",
                hint="Nothing was written. Clone the repository and name its folder.",
            )
        return _files(place) if is_tar or is_zip else ((file, file.name),)


def _files(folder: Path) -> tuple[tuple[Path, str], ...]:
    """Returns the files below a folder that are not hidden, and their paths in it."""
    found = []
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if not any(part.startswith(".") for part in inside.parts) and path.is_file():
            found.append((path, inside.as_posix()))
    return tuple(sorted(found, key=lambda file: file[1]))


def _inside(place: Path, name: str) -> Path | None:
    """Returns where a file of an archive goes; None for a name that leads out of the folder."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or any(part in ("..", "/") or ":" in part for part in parts):
        return None
    return place.joinpath(*parts)


def _write(source: IO[bytes], target: Path) -> str:
    """Writes a file of an archive; returns git's checksum of it, given its size."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        shutil.copyfileobj(source, out, _BLOCK_BYTES)
    return _blob(target)


def _blob(path: Path) -> str:
    checksum = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while data := file.read(_BLOCK_BYTES):
            checksum.update(data)
    return checksum.hexdigest()


def _unpack_tar(file: Path, place: Path) -> str:
    """Unpacks the regular files; returns git's checksum of the folder that the archive holds."""
    blobs: dict[str, tuple[str, str]] = {}
    with tarfile.open(file) as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            inside = PurePosixPath(*name.parts[1:]).as_posix()
            if member.issym():
                target = member.linkname.encode()
                blob = hashlib.sha1(b"blob %d\0%b" % (len(target), target), usedforsecurity=False)
                blobs[inside] = ("120000", blob.hexdigest())
            elif member.isreg() and (target_path := _inside(place, member.name)) is not None:
                source = archive.extractfile(member)
                assert source is not None
                mode = "100755" if member.mode & stat.S_IXUSR else "100644"
                blobs[inside] = (mode, _write(source, target_path))
    return tree_checksum(blobs)


def _unpack_zip(file: Path, place: Path) -> str:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            target = _inside(place, info.filename)
            if not info.is_dir() and target is not None:
                with archive.open(info) as source:
                    _write(source, target)
    return ""


def tree_checksum(blobs: dict[str, tuple[str, str]]) -> str:
    """Returns git's checksum of a folder, from the mode and checksum of each file by its path."""
    entries: dict[str, tuple[str, str]] = {}
    folders: dict[str, dict[str, tuple[str, str]]] = {}
    for path, blob in blobs.items():
        first, _, rest = path.partition("/")
        if rest:
            folders.setdefault(first, {})[rest] = blob
        else:
            entries[first] = blob
    for name, inner in folders.items():
        entries[f"{name}/"] = ("40000", tree_checksum(inner))
    text = b"".join(
        f"{mode} {name.rstrip('/')}\0".encode() + bytes.fromhex(checksum)
        for name, (mode, checksum) in sorted(entries.items(), key=lambda entry: entry[0].encode())
    )
    return hashlib.sha1(b"tree %d\0%b" % (len(text), text), usedforsecurity=False).hexdigest()


def _looked_up(address: str, shown: str) -> tuple[str, str]:
    """Returns the size that the server states, and the address to which it leads."""
    length, leads_to = None, shown
    try:
        with _answer(address, shown, "HEAD") as answer:
            length = answer.headers.get("Content-Length")
            leads_to = shown_name(answer.geturl())
    except UsageError as exc:
        if getattr(exc.__cause__, "code", None) not in _NO_HEAD:
            raise
    return "unknown" if length is None else quantities.size(int(length)), leads_to


def _answer(address: str, shown: str, method: str) -> Any:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(address, method=method, headers={"User-Agent": "pilot"})  # noqa: S310 - http(s) only
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310 - http(s) only
    except (OSError, ValueError) as exc:
        if isinstance(exc, urllib.error.HTTPError):
            exc.close()
        raise _failed(shown, exc) from exc


def _failed(shown: str, problem: object) -> UsageError:
    reason = getattr(problem, "reason", problem)
    reason = getattr(reason, "strerror", None) or reason
    return UsageError(
        f"{shown} cannot be downloaded: {reason}",
        hint="Nothing was written. Fetch it by other means, and name the file or folder.",
    )


def _damaged(file: Path, problem: object) -> UsageError:
    return UsageError(
        f"{file.name} cannot be unpacked: {problem}",
        hint="It may have been cut off: fetch it again.",
    )


def _missing(name: str, path: Path) -> UsageError:
    hint = "Name a folder, a file, an archive (.tar, .tgz, .zip), or an address."
    with contextlib.suppress(OSError):
        similar = nearest(path.name, [found.name for found in path.parent.iterdir()])
        if similar:
            hint = f"Did you mean {path.parent / similar}?"
    return UsageError(f"--from {name}: there is no such folder or file", hint=hint)

"""Archives: tar files, compressed or not, and zip files."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from pilotcli.common.errors import UsageError

_BLOCK_BYTES = 1 << 20
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
    ValueError, NotImplementedError, RuntimeError,
)  # fmt: skip


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Raises `UsageError` for what is wrong with an archive."""
    try:
        yield
    except _DAMAGE as exc:
        raise UsageError(
            f"{file.name} cannot be unpacked: {str(exc) or 'it ends too early'}",
            hint="It may have been cut off: fetch it again.",
        ) from exc


def is_archive(file: Path) -> bool:
    """Returns whether a file is an archive. Raises `UsageError` where it ends too early to tell."""
    with _readable(file):
        return tarfile.is_tarfile(file) or zipfile.is_zipfile(file)


def unpack(file: Path, place: Path) -> None:
    """Unpack the regular files of an archive into the folder `place`, and none beside it.

    Raises `UsageError` for a damaged archive.
    """
    place.mkdir(exist_ok=True)
    with _readable(file):
        if tarfile.is_tarfile(file):
            with tarfile.open(file) as archive:
                for member in archive:
                    if member.isreg():
                        _write(archive.extractfile(member), place, member.name)
                while archive.fileobj.read(_BLOCK_BYTES):
                    pass  # the checksum of what is compressed comes last
            return
        with zipfile.ZipFile(file) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    with packed.open(info) as source:
                        _write(source, place, info.filename)


def _write(source: IO[bytes] | None, place: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if source is None or not parts or any(part in ("..", "/") or ":" in part for part in parts):
        return
    target = place.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        shutil.copyfileobj(source, out, _BLOCK_BYTES)


def git_tree(file: Path) -> str:
    """Returns git's checksum of the folder that an archive holds; an empty text for a zip file."""
    blobs: dict[str, tuple[str, str]] = {}
    with _readable(file):
        if not tarfile.is_tarfile(file):
            return ""
        with tarfile.open(file) as archive:
            for member in archive:
                inside = PurePosixPath(*PurePosixPath(member.name).parts[1:]).as_posix()
                if member.issym():
                    blobs[inside] = ("120000", _checksum("blob", member.linkname.encode()))
                elif (source := archive.extractfile(member)) is not None:
                    mode = "100755" if member.mode & stat.S_IXUSR else "100644"
                    blobs[inside] = (mode, _checksum("blob", source.read()))
    return tree_checksum(blobs)


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
    return _checksum("tree", text)


def _checksum(kind: str, data: bytes) -> str:
    head = f"{kind} {len(data)}\0".encode()
    return hashlib.sha1(head + data, usedforsecurity=False).hexdigest()

"""Opens what `--from` names: folders, single files, archives, and addresses to download."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pilotcli.benchmarks.published.addresses import SCHEMES, parted, shown_name
from pilotcli.benchmarks.published.archives import git_tree, is_archive, unpack
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
        if not is_archive(file):
            if tree is not None:
                raise _other_tree(file, tree)
            return ((file, file.name),)
        if tree is not None and git_tree(file) != tree:
            raise _other_tree(file, tree)
        self.report(f"unpacking {file.name}")
        unpack(file, place)
        return _files(place)


def _other_tree(file: Path, tree: str) -> UsageError:
    return UsageError(
        f"{file.name} does not hold what it should: git's checksum is not {tree}",
        hint="Nothing was written. Clone the repository and name its folder.",
    )


def _files(folder: Path) -> tuple[tuple[Path, str], ...]:
    """Returns the files below a folder that are not hidden, and their paths in it."""
    found = []
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if not any(part.startswith(".") for part in inside.parts) and path.is_file():
            found.append((path, inside.as_posix()))
    return tuple(sorted(found, key=lambda file: file[1]))


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


def _missing(name: str, path: Path) -> UsageError:
    hint = "Name a folder, a file, an archive (.tar, .tgz, .zip), or an address."
    with contextlib.suppress(OSError):
        similar = nearest(path.name, [found.name for found in path.parent.iterdir()])
        if similar:
            hint = f"Did you mean {path.parent / similar}?"
    return UsageError(f"--from {name}: there is no such folder or file", hint=hint)

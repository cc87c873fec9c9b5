"""Opening the files of a workload: plain, compressed, or standard input."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from pilotcli.common.errors import WorkloadError
from pilotcli.common.records import CopyData
from pilotcli.workload import kinds
from pilotcli.workload.paths import bare_name, missing_path
from pilotcli.workload.psql.copy import CopySlice
from pilotcli.workload.unpacking import reading, unpacked, unreadable, zip_member

Read = Callable[[int], bytes]
_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16


class Spool:
    """A temporary file that grows at its end and is read anywhere."""

    def __init__(self) -> None:
        with tempfile.NamedTemporaryFile(prefix="pilot-workload-", delete=False) as made:
            self.path = Path(made.name)
        self._file = self.path.open("r+b")
        self.size_bytes = 0

    def append(self, data: bytes) -> None:
        """Write `data` at the end, visible to everyone who opens the file."""
        self._file.seek(self.size_bytes)
        self._file.write(data)
        self._file.flush()
        self.size_bytes += len(data)

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`."""
        self._file.seek(offset)
        return self._file.read(size)

    def close(self) -> None:
        """Remove the file; safe to call twice."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class Source:
    """One file of a workload, read from its beginning as often as needed.

    `name` is what messages call it, `inner_name` the name of what is in it, whose suffix tells the
    format, `folder` what `\\ir` is relative to, `size_bytes` the size on disk, None when unknown.
    """

    def __init__(self, name: str, folder: Path, size_bytes: int | None) -> None:
        self.name = name
        self.inner_name = bare_name(name)
        self.folder = folder
        self.size_bytes = size_bytes
        self._spool: Spool | None = None

    def open(self) -> AbstractContextManager[Read]:
        """Open it; yields a function that reads up to so many further bytes, none at the end."""
        raise NotImplementedError

    def head(self, *, waits: bool = False) -> bytes:
        """Its first bytes, unpacked; of a stream, what is there with a line, unless it `waits` for
        the rest of them."""
        head = b""
        with self.open() as read:
            while len(head) < _HEAD_BYTES and (data := read(_HEAD_BYTES)):
                head += data
                if self.size_bytes is None and b"\n" in head and not waits:
                    break
        return head

    def tee(self) -> Callable[[bytes], object] | None:
        """A function that receives inline COPY data while it is skipped, if one is needed."""
        return None

    def copy_data(self, copy: CopySlice) -> CopyData:
        """Where the data of a COPY can be read from."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove what was spooled."""
        if self._spool is not None:
            self._spool.close()
        self._spool = None


class PlainSource(Source):
    """A file that is read as it is."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), path.parent, path.stat().st_size)
        self.path = path

    @contextmanager
    def open(self) -> Iterator[Read]:
        with self.path.open("rb", buffering=0) as file:

            def read(size: int) -> bytes:
                try:
                    return file.read(size) or b""
                except OSError as problem:
                    raise unreadable(self.name, problem) from None

            yield _checked(read, self.name)

    def copy_data(self, copy: CopySlice) -> CopyData:
        """See `Source`: a slice of the file itself."""
        return CopyData(self.path, copy.offset, copy.size_bytes)


class CompressedSource(Source):
    """A compressed file; inline COPY data is spooled when it is first read.

    `kind` is one of `kinds.compression`.
    """

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(str(path), path.parent, path.stat().st_size)
        self.path = path
        self._kind = kind
        self._known: dict[CopySlice, CopyData] = {}
        self._pending: int | None = None
        if kind == "zip":
            with path.open("rb") as file, zip_member(file, self.name) as member:
                self.inner_name = member.name or self.inner_name

    @contextmanager
    def open(self) -> Iterator[Read]:
        self._pending = None  # of a reading that broke off inside COPY data
        with self.path.open("rb") as packed, unpacked(packed, self._kind, self.name) as file:
            yield _checked(reading(file, self._kind, self.name), self.name)

    def tee(self) -> Callable[[bytes], object]:
        return self._append

    def _append(self, data: bytes) -> None:
        if self._spool is None:
            self._spool = Spool()
        if self._pending is None:
            self._pending = self._spool.size_bytes
        self._spool.append(data)

    def copy_data(self, copy: CopySlice) -> CopyData:
        """See `Source`: a slice of the spool."""
        begin, self._pending = self._pending, None
        known = self._known.get(copy)
        if known is None:
            if self._spool is None:
                self._spool = Spool()
            offset = self._spool.size_bytes if begin is None else begin
            known = CopyData(self._spool.path, offset, copy.size_bytes, temporary=True)
            self._known[copy] = known
        elif begin is not None and self._spool is not None:
            self._spool.size_bytes = begin  # the same data as the first time: written over
        return known

    def close(self) -> None:
        super().close()
        self._known.clear()


class StreamSource(Source):
    """Standard input: kept in a spool, so that it can be read again."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__("<stdin>", Path(), None)
        self._fetch: Read = getattr(stream, "read1", stream.read)  # what there is, at once

    @contextmanager
    def open(self) -> Iterator[Read]:
        if self._spool is None:
            self._spool = Spool()
        spool, position = self._spool, 0

        def read(size: int) -> bytes:
            nonlocal position
            if position < spool.size_bytes:
                data = spool.read(position, size)
            else:
                data = self._fetch(size) or b"" if spool.size_bytes else self._begin(size)
                spool.append(data)
            position += len(data)
            return data

        yield read

    def _begin(self, size: int) -> bytes:
        """Read the first bytes; from here on a compressed stream is unpacked."""
        fetch, head = self._fetch, b""
        while len(head) < kinds.LONGEST_SIGNATURE and kinds.may_be_compressed(head):
            more = fetch(max(size, kinds.LONGEST_SIGNATURE)) or b""
            if not more:
                break
            head += more
        kind = kinds.compression(head)
        if kind == "zip":
            raise WorkloadError(
                "a zip file cannot be read from standard input",
                file=self.name,
                hint="Name the file itself, or unpack it: funzip FILE | pilot run -",
            )
        if kind is not None:
            packed = io.BufferedReader(_Rest(head, fetch))
            file = unpacked(packed, kind, self.name)
            self._fetch = reading(file, kind, self.name)
            head = self._fetch(_BLOCK_BYTES)
        kinds.refuse_other_kinds(head[: kinds.HEAD_BYTES], self.name)
        return head

    def copy_data(self, copy: CopySlice) -> CopyData:
        """See `Source`: a slice of the spool."""
        assert self._spool is not None
        return CopyData(self._spool.path, copy.offset, copy.size_bytes, temporary=True)


def open_source(path: Path) -> Source:
    """Returns the file of a workload. Raises `WorkloadError` if it does not exist, or cannot be
    read."""
    try:
        if not path.exists():
            raise missing_path(path)
        if path.is_fifo():
            return StreamSource(path.open("rb"))
        with path.open("rb") as file:
            kind = kinds.compression(file.read(kinds.HEAD_BYTES))
        return PlainSource(path) if kind is None else CompressedSource(path, kind)
    except (OSError, ValueError) as problem:
        raise unreadable(str(path), problem) from None


class _Rest(io.RawIOBase):
    """A stream from its beginning, of which `head` has been read."""

    def __init__(self, head: bytes, fetch: Read) -> None:
        self._head = head
        self._fetch = fetch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._head[: len(buffer)] or self._fetch(len(buffer)) or b""
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def _checked(read: Read, name: str) -> Read:
    """The same as `read`; raises `WorkloadError` if the first bytes show that it is no text."""
    head = b""
    while len(head) < kinds.HEAD_BYTES and (more := read(kinds.HEAD_BYTES - len(head))):
        head += more
    kinds.refuse_other_kinds(head, name)

    def rest(size: int) -> bytes:
        nonlocal head
        if head:
            data, head = head[:size], head[size:]
            return data
        return read(size)

    return rest

"""Opening the files of a workload: plain, compressed, or standard input."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from pilotcli.common.errors import WorkloadError
from pilotcli.common.records import CopyData
from pilotcli.workload.psql.copy import CopySlice

Read = Callable[[int], bytes]
_BLOCK_BYTES = 1 << 20


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

    `name` is what messages call it, `folder` what `\\ir` is relative to, `size_bytes` the size on
    disk, None when unknown.
    """

    def __init__(self, name: str, folder: Path, size_bytes: int | None) -> None:
        self.name = name
        self.folder = folder
        self.size_bytes = size_bytes
        self._spool: Spool | None = None

    def open(self) -> AbstractContextManager[Read]:
        """Open it; yields a function that reads up to so many further bytes, none at the end."""
        raise NotImplementedError

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
                    raise _unreadable(self.name, problem) from None

            yield read

    def copy_data(self, copy: CopySlice) -> CopyData:
        """See `Source`: a slice of the file itself."""
        return CopyData(self.path, copy.offset, copy.size_bytes)


class GzipSource(Source):
    """A compressed file; inline COPY data is spooled when it is first read."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), path.parent, path.stat().st_size)
        self.path = path
        self._known: dict[CopySlice, CopyData] = {}
        self._pending: int | None = None

    @contextmanager
    def open(self) -> Iterator[Read]:
        self._pending = None  # of a reading that broke off inside COPY data
        with gzip.open(self.path, "rb") as file:

            def read(size: int) -> bytes:
                try:
                    return file.read(min(size, _BLOCK_BYTES))
                except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
                    raise WorkloadError(
                        f"the compressed file is damaged or cut off ({problem})",
                        file=self.name,
                        hint="Check it with gzip -t, and fetch or make it again.",
                    ) from None
                except OSError as problem:
                    raise _unreadable(self.name, problem) from None

            yield read

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
        self._stream = stream

    @contextmanager
    def open(self) -> Iterator[Read]:
        if self._spool is None:
            self._spool = Spool()
        spool, position = self._spool, 0
        fetch = getattr(self._stream, "read1", self._stream.read)  # what there is, at once

        def read(size: int) -> bytes:
            nonlocal position
            if position < spool.size_bytes:
                data = spool.read(position, size)
            else:
                data = fetch(size) or b""
                spool.append(data)
            position += len(data)
            return data

        yield read

    def copy_data(self, copy: CopySlice) -> CopyData:
        """See `Source`: a slice of the spool."""
        assert self._spool is not None
        return CopyData(self._spool.path, copy.offset, copy.size_bytes, temporary=True)


def _unreadable(name: str, problem: OSError) -> WorkloadError:
    return WorkloadError(
        f"the file cannot be read: {problem.strerror or problem}",
        file=name,
        hint="Check that it is a file, and that you may read it.",
    )

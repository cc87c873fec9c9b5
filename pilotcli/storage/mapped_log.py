"""Files of records that survive a kill: they are mapped into memory, so that a write is a copy.

A file has its full size from the start, and the kernel keeps the copied records when the process is
killed. A power cut may lose the last ones.

A record is its length, its kind and a checksum, then its content. Zeros end the file.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from pilotcli.common.files import open_new, open_there

SIZE_BYTES = 1 << 20
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode


class RecordFormat:
    """The frame of a file's records; the kind of a record has `kind_bytes` bytes."""

    def __init__(self, kind_bytes: int) -> None:
        self._head = struct.Struct(f"<I{kind_bytes}sI")
        self.end = bytes(self._head.size)

    def record(self, content: bytes, kind: bytes = b"") -> bytes:
        """A record with that content, which must not be empty."""
        return self._head.pack(len(content), kind, zlib.crc32(content)) + content

    def read(self, path: Path) -> Iterator[tuple[bytes, bytes]]:
        """Yield kind and content of the records in a file, in the order in which they were
        written, up to the first incomplete record. Raises `OSError` when it cannot be read."""
        with os.fdopen(open_there(path), "rb") as file:
            while len(head := file.read(self._head.size)) == self._head.size:
                size, kind, checksum = self._head.unpack(head)
                content = file.read(size)
                if not size or len(content) != size or zlib.crc32(content) != checksum:
                    return
                yield kind, content


class MappedLog:
    """One file, created empty with room for at least `size_bytes` bytes of records; raises
    `OSError`, also when there is a file of that name.

    Not safe for several threads at once: the owner holds a lock.
    """

    def __init__(self, path: Path, format: RecordFormat, size_bytes: int = 0) -> None:
        self.path = path
        self._end = format.end
        self._at = 0
        self._room = max(SIZE_BYTES - len(self._end), size_bytes)
        file = open_new(path)
        try:
            _allocate(file, self._room + len(self._end))
            self._map = mmap.mmap(file, self._room + len(self._end))
        finally:
            os.close(file)

    def append(self, data: bytes) -> bool:
        """Add records; returns whether there was room for them."""
        end = self._at + len(data)
        if end > self._room:
            return False
        self._map[self._at : end + len(self._end)] = data + self._end
        self._at = end
        return True

    def fits(self, size_bytes: int) -> bool:
        """Whether the empty file has room for records of that size."""
        return size_bytes <= self._room

    def clear(self) -> None:
        """Forget all records."""
        self._at = 0
        self._map[: len(self._end)] = self._end

    def close(self, *, remove: bool) -> None:
        """Close the file, with `remove` delete it first; safe to call twice."""
        if remove and not self._map.closed:
            self.path.unlink(missing_ok=True)
        self._map.close()


def _allocate(file: int, size_bytes: int) -> None:
    """Take space on the disk for all of an empty file: on a full disk, a copy into mapped memory
    would kill the process. Where the system or the file system cannot do that (macOS has no
    posix_fallocate), zeros are written."""
    if hasattr(os, "posix_fallocate"):
        try:
            return os.posix_fallocate(file, 0, size_bytes)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
    zeros = bytes(SIZE_BYTES)
    written = 0
    while written < size_bytes:
        written += os.pwrite(file, zeros[: size_bytes - written], written)
    return None


def json_content(values: object) -> bytes:
    """The content of a record that holds `values` as JSON."""
    return _encode(values).encode("ascii")

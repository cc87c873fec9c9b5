"""Space for a mapped log is taken when it is created, also where posix_fallocate is missing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from small_disk import small_disk

from pilotcli.storage.mapped_log import SIZE_BYTES, MappedLog, RecordFormat

FORMAT = RecordFormat(kind_bytes=0)


def taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "posix_fallocate")


def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on file systems that cannot allocate, with a C library that does not do it for them."""

    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", refuse)


def kept(_: pytest.MonkeyPatch) -> None:
    """As on Linux."""


SYSTEMS = pytest.mark.parametrize("system", [kept, taken_away, refused])
System = Callable[[pytest.MonkeyPatch], None]


@SYSTEMS
@pytest.mark.parametrize("size_bytes", [0, 3 * SIZE_BYTES + 5])
def test_the_whole_file_has_its_place(
    system: System, size_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system(monkeypatch)
    log = MappedLog(tmp_path / "log", FORMAT, size_bytes)
    try:
        info = (tmp_path / "log").stat()
        assert info.st_size >= max(SIZE_BYTES, size_bytes)
        assert info.st_blocks * 512 >= info.st_size
        assert log.append(FORMAT.record(b"a")) and log.append(FORMAT.record(b"bc"))
        assert [content for _, content in FORMAT.read(log.path)] == [b"a", b"bc"]
    finally:
        log.close(remove=True)


@SYSTEMS
@pytest.mark.slow
def test_a_full_disk_is_an_error_at_once(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system(monkeypatch)
    with small_disk(tmp_path / "disk", "512k"):
        with pytest.raises(OSError) as caught:
            MappedLog(tmp_path / "disk" / "log", FORMAT)
        assert caught.value.errno == errno.ENOSPC

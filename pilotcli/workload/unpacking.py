"""Unpacks compressed files: gzip, xz, bzip2, zstd, and zip archives with one file."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

from pilotcli.common.errors import WorkloadError
from pilotcli.common.quantities import plural

_BLOCK_BYTES = 1 << 20
_TESTS = {"gzip": "gzip", "xz": "xz", "bzip2": "bzip2", "zip": "unzip", "zstd": "zstd"}
"""The program that tests a compressed file with the option -t."""


def unpacked(packed: BinaryIO | io.BufferedReader, kind: str, name: str) -> Any:
    """A file that reads what is in `packed`. Raises `WorkloadError` where this Python cannot."""
    if kind == "gzip":
        return gzip.GzipFile(fileobj=packed)
    if kind == "bzip2":
        return bz2.BZ2File(packed)
    if kind == "xz":
        return lzma.LZMAFile(packed)
    if kind == "zip":
        return zip_member(packed, name)
    try:
        return importlib.import_module("compression.zstd").ZstdFile(packed)
    except ImportError:
        raise WorkloadError(
            "the file is compressed by zstd, which Python reads from version 3.14 on",
            file=name,
            hint="Unpack it: zstd -d FILE, or zstd -dc FILE | pilot run -",
        ) from None


def zip_member(packed: BinaryIO | io.BufferedReader, name: str) -> Any:
    """The one file in a zip archive. Raises `WorkloadError` for more files and for none."""
    try:
        archive = zipfile.ZipFile(packed)
        files = [found for found in archive.infolist() if not found.is_dir()]
        if any(found.filename == "[Content_Types].xml" for found in files):
            raise WorkloadError(
                "this is an Office document, not SQL text",
                file=name,
                hint="Save it as CSV or plain text.",
            )
        files = [found for found in files if not found.filename.startswith("__MACOSX/")]
        if len(files) != 1:
            raise WorkloadError(
                f"the zip archive holds {plural(len(files), 'file')}; pilot reads those with one",
                file=name,
                hint="Unpack it, and name the folder: unzip FILE -d queries",
            )
        return archive.open(files[0])
    except (
        *(zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError),
        *(IndexError, ValueError),  # names in it that are none
    ) as problem:
        raise _damaged(name, "zip", problem) from None


def reading(file: Any, kind: str, name: str) -> Callable[[int], bytes]:
    """A function that reads from the unpacked `file`."""

    def read(size: int) -> bytes:
        try:
            data: bytes = file.read(min(size, _BLOCK_BYTES))
            return data
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as problem:
            raise _damaged(name, kind, problem) from None
        except OSError as problem:
            if problem.errno is None:
                raise _damaged(name, kind, problem) from None
            raise unreadable(name, problem) from None
        except Exception as problem:
            if type(problem).__name__ != "ZstdError":
                raise
            raise _damaged(name, kind, problem) from None

    return read


def _damaged(name: str, kind: str, problem: Exception) -> WorkloadError:
    return WorkloadError(
        f"the compressed file is damaged or cut off ({problem})",
        file=name,
        hint=f"Check it with {_TESTS[kind]} -t, and fetch or make it again.",
    )


def unreadable(name: str, problem: OSError | ValueError) -> WorkloadError:
    """Returns the error for a file that cannot be read."""
    reason = problem.strerror if isinstance(problem, OSError) else None
    return WorkloadError(
        f"the file cannot be read: {reason or problem}",
        file=name,
        hint="Check that it is a file, and that you may read it.",
    )

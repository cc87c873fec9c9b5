"""A folder for the homes of embedded servers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def server_folder() -> Iterator[Path]:
    """A temporary folder that a server's user can pass through, also where the tests run as root.

    The databases of many tests are a hundred thousand files: another process deletes the folder,
    and the tests go on.
    """
    folder = Path(tempfile.mkdtemp(prefix="pilot-tests-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        os.spawnlp(os.P_NOWAIT, "rm", "rm", "-rf", str(folder))

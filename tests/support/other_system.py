"""An environment for programs in which the system lacks what only Linux has."""

from __future__ import annotations

import os
from pathlib import Path

HOOK = """
import io
import os

LINUX_ONLY = (
    "posix_fallocate", "posix_fadvise", "sched_getaffinity", "sched_setaffinity", "O_PATH",
    "O_TMPFILE", "copy_file_range", "eventfd", "memfd_create", "pidfd_open", "splice", "pipe2",
    "process_cpu_count", "timerfd_create", "setns", "unshare", "fdatasync", "preadv", "pwritev",
)
for name in LINUX_ONLY:
    if hasattr(os, name):
        delattr(os, name)


def without_proc(function):
    def replacement(path, *arguments, **options):
        if not isinstance(path, int):
            name = os.fsdecode(path)
            if name == "/proc" or name.startswith("/proc/"):
                raise FileNotFoundError(2, "No such file or directory", name)
        return function(path, *arguments, **options)

    return replacement


for module, names in (
    (os, ("stat", "lstat", "open", "listdir", "scandir", "readlink", "access", "chdir")),
    (io, ("open",)),
):
    for name in names:
        setattr(module, name, without_proc(getattr(module, name)))
import builtins
builtins.open = io.open
"""
"""Run before the program's own code. What is taken is also missing on macOS."""


def other_system(folder: Path) -> dict[str, str]:
    """The environment of a program on a system that is not Linux; `folder` is made."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HOOK)
    return {**os.environ, "PYTHONPATH": str(folder)}

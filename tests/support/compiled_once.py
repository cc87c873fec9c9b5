"""Compiles the planner module once for all tests: each home gets a copy of the first file.

A compilation takes 2.5 s of CPU. The workers of pytest-xdist, and the commands that they start by
`pilot_starter`, share a folder of what was compiled. A command of the compiler that differs by
more than its output, as with other headers, is run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from pilotcli.steering.planner import building

Compile = Callable[[list[str], str], None]


def compile_or_copy(folder: Path, compile_really: Compile) -> Compile:
    """Returns what does the work of `compile_really`, or takes its result from `folder`."""

    def work(command: list[str], version: str) -> None:
        place = command.index("-o") + 1
        same = "\0".join([*command[:place], *command[place + 1 :]])
        kept = folder / hashlib.sha256(same.encode("utf-8", "surrogateescape")).hexdigest()
        try:
            shutil.copyfile(kept, command[place])
        except OSError:  # not there yet
            compile_really(command, version)
            new = kept.with_name(f"{kept.name}.{os.getpid()}")
            shutil.copyfile(command[place], new)
            new.replace(kept)

    return work


def compile_once(folder: Path) -> None:
    """Have this process, for as long as it lives, compile into `folder` or copy from there."""
    building._compile = compile_or_copy(folder, building._compile)

"""The names of a workload and of its files, as users see them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pilotcli.workload.paths import bare_name


def file_names(paths: Sequence[Path | None]) -> list[str]:
    """A short name for each file; no two are the same."""
    names = [_stem(path) for path in paths]
    doubled = {name for name, times in Counter(names).items() if times > 1}
    if not doubled:
        return names
    known = [str(path.absolute().parent) for path in paths if path is not None]
    root = Path(os.path.commonpath(known)) if known else Path()
    longer = [
        (path.absolute().parent.relative_to(root) / name).as_posix()
        if path is not None and name in doubled
        else name
        for path, name in zip(paths, names, strict=True)
    ]
    doubled = {name for name, times in Counter(longer).items() if times > 1}
    # Files of one folder with the same stem differ in their suffixes.
    return [
        f"{name}{path.name[len(_stem(path)) :]}" if path is not None and name in doubled else name
        for path, name in zip(paths, longer, strict=True)
    ]


def _stem(path: Path | None) -> str:
    if path is None:
        return "stdin"
    name = bare_name(path.name)
    return name.rpartition(".")[0] or name


def description_of(paths: Sequence[str | Path], files: Sequence[Path]) -> str:
    """What a user named as a workload (`paths`), and what was found (`files`), for a title."""
    if len(paths) == 1:
        text = str(paths[0])
        if text == "-":
            return "standard input"
        if len(files) == 1 and Path(text) == files[0]:
            return text
    count = f"{len(files)} file{'s' if len(files) != 1 else ''}"
    folders = {str(file.parent) for file in files}
    if len(folders) == 1:
        count += f" in {folders.pop()}/"
    return f"{count} and standard input" if any(str(path) == "-" for path in paths) else count

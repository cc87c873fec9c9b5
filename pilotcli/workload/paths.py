"""Finds the files of a workload: paths, globs and folders, in natural order."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pilotcli.common.errors import WorkloadError
from pilotcli.common.suggestions import nearest

_SUFFIXES = (".sql", ".csv", ".tsv", ".jsonl", ".ndjson")
_OTHER_SUFFIXES = (".txt", ".json")
_PICKLES = (".pkl", ".pickle")
_PACKED = (".gz", ".xz", ".bz2", ".zst", ".zip")
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the workload; `named` when the user gave its path itself. None is stdin."""

    path: Path | None
    named: bool


def resolve(paths: Sequence[str | Path]) -> tuple[Entry, ...]:
    """The files that `paths` stand for, in order; `-` is standard input.

    A folder stands for its files with SQL or tables (`_SUFFIXES`, in any case, each also
    compressed), or, when it has none, for its `.txt` and `.json` files. Raises `WorkloadError`
    where nothing is found.
    """
    if not paths:
        raise WorkloadError("no workload is named", hint="Name a file: pilot run workload.sql")
    entries: list[Entry] = []
    for given in paths:
        text = str(given)
        path = Path(text)
        if "\0" in text:
            raise WorkloadError(f"{text!r} cannot be used as a path", hint="Remove the zero byte.")
        if text == "-":
            if Entry(None, True) in entries:
                raise WorkloadError("standard input is named twice", hint="Name - once.")
            entries.append(Entry(None, True))
        elif _is_dir(path):
            entries += [Entry(found, False) for found in _folder(path)]
        elif path.exists():
            entries.append(Entry(path, True))
        elif glob.has_magic(text):
            entries += [Entry(found, False) for found in _glob(text)]
        else:
            raise missing_path(path)
    return tuple(entries)


def bare_name(name: str) -> str:
    """The name of a file without the suffix that says how the file is compressed."""
    suffix = next((suffix for suffix in _PACKED if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def natural_key(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A sort key in which numbers count as numbers: `1a 1b 2a 10a`; no two texts are equal."""
    parts = _DIGITS.split(text)
    key = tuple(
        (0, int(part), "") if place % 2 else (1, 0, part.casefold())
        for place, part in enumerate(parts)
    )
    return key, text


def missing_path(path: Path) -> WorkloadError:
    """The error for a path that does not exist; it names a file of a similar name."""
    try:
        names = [found.name for found in path.parent.iterdir()]
    except OSError:
        hint = f"There is no folder {path.parent} that can be read."
        if (found := _in_similar_folder(path)) is not None:
            hint = f"Did you mean {found}?"
        return WorkloadError(f"{path} does not exist", hint=hint)
    hint = f"Nothing in {path.parent.absolute()} has a similar name."
    if similar := nearest(path.name, names):
        hint = f"Did you mean {path.parent / similar}?"
    return WorkloadError(f"{path} does not exist", hint=hint)


def _in_similar_folder(path: Path) -> Path | None:
    """A path that exists, in a folder whose name is like that of the path's folder."""
    try:
        folders = [found.name for found in path.parent.parent.iterdir() if found.is_dir()]
    except OSError:
        return None
    similar = nearest(path.parent.name, folders)
    found = path.parent.parent / similar / path.name if similar else None
    return found if found is not None and found.exists() else None


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError) as problem:
        raise WorkloadError(
            f"{str(path)!r} cannot be used as a path: {problem}", hint="Name a file or a folder."
        ) from None


def _folder(folder: Path) -> list[Path]:
    try:
        files = [found for found in folder.iterdir() if _is_visible_file(found)]
    except OSError as problem:
        raise WorkloadError(
            f"the folder {folder} cannot be read: {problem.strerror}", hint="Check its permissions."
        ) from None
    if any(file.name == "toc.dat" for file in files):
        raise WorkloadError(
            f"the folder {folder} is an archive of pg_dump, not SQL text",
            hint=f"Turn it into SQL: pg_restore -f workload.sql {folder}",
        )
    # Pickles are refused when they are read, with what to do.
    suffixes = (_SUFFIXES, _OTHER_SUFFIXES, _PICKLES)
    found = next(filter(None, (_with_suffix(files, these) for these in suffixes)), [])
    if not found:
        raise WorkloadError(
            f"the folder {folder} holds no .sql, .csv or .jsonl file",
            hint=f"Name another folder, or a pattern such as '{folder}/**/*.sql'.",
        )
    return sorted(found, key=lambda file: natural_key(file.name))


def _with_suffix(files: Sequence[Path], suffixes: tuple[str, ...]) -> list[Path]:
    return [file for file in files if bare_name(file.name).lower().endswith(suffixes)]


def _glob(pattern: str) -> list[Path]:
    found = [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207
    files = [path for path in found if _is_visible_file(path)]
    if not files:
        raise WorkloadError(
            f"no file matches {pattern}",
            hint="** stands for folders at any depth, * for a part of a name.",
        )
    return sorted(files, key=lambda path: natural_key(str(path)))


def _is_visible_file(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")

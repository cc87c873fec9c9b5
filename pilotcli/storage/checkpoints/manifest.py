"""The manifest of a checkpoint: what was saved, by whom, and the checksums of its files."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import platform
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pilotcli.common.errors import CheckpointError
from pilotcli.common.files import open_over
from pilotcli.common.records import ModelVersion

MANIFEST = "manifest.json"
FORMAT = 1
_AS_THEY_ARE = [
    field.name for field in fields(ModelVersion) if field.name not in ("path", "metrics")
]
"""The fields of a version that a manifest has under the same names."""
_DAMAGES = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedFile:
    """One file of a checkpoint. `name` is relative to the checkpoint's folder, with slashes."""

    name: str
    size_bytes: int
    sha256: str


def files_of_model(folder: Path, model: str) -> list[SavedFile]:
    """The files that `model` has written into `folder`, written through to the disk. Raises
    `CheckpointError` when there is none, or a file is not allowed in a checkpoint."""
    if (folder / MANIFEST).exists():
        raise CheckpointError(
            f"the model {model!r} wrote a file named {MANIFEST}, which is pilot's own",
            hint="Give that file another name.",
        )
    files = _saved_files(folder, sync=True)
    if not files:
        raise CheckpointError(
            f"the model {model!r} wrote no file into its checkpoint",
            hint="Write at least one file into `folder` in `dump(folder)`.",
        )
    return files


def _saved_files(folder: Path, *, sync: bool) -> list[SavedFile]:
    """Every file under `folder` but the manifest, sorted by name; with `sync` also written
    through to the disk.

    Raises `CheckpointError` for anything but a file, such as a link or a socket: a checkpoint holds
    its own data.
    """
    files = [
        SavedFile(path.relative_to(folder).as_posix(), *_size_and_sha256(path, sync=sync))
        for path in _regular_files(folder, sync=sync)
        if path != folder / MANIFEST
    ]
    return sorted(files, key=lambda file: file.name)


def _regular_files(folder: Path, *, sync: bool) -> Iterator[Path]:
    for path in folder.iterdir():
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            yield from _regular_files(path, sync=sync)
        elif stat.S_ISREG(mode):
            yield path
        else:
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "no ordinary file"
            raise CheckpointError(
                f"the model wrote {path.name!r}, which is {kind}",
                hint="Write the data itself: a checkpoint must not depend on what is elsewhere.",
            )
    if sync:
        sync_folder(folder)


def _size_and_sha256(path: Path, *, sync: bool) -> tuple[int, str]:
    digest = hashlib.sha256()
    size_bytes = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            size_bytes += len(block)
            digest.update(block)
        if sync:
            os.fsync(file.fileno())
    return size_bytes, digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the entries of `folder` (new files, renames) survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_of(files: list[SavedFile]) -> str:
    """The sha256 over all files of a checkpoint, names and contents."""
    lines = (f"{file.sha256} {file.size_bytes} {file.name}\n" for file in files)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def clean_metrics(metrics: Mapping[str, Any] | None) -> dict[str, float]:
    """The metrics as floats. A metric that is no number is logged and left out, since it must not
    make a save fail."""
    numbers = {}
    for name, value in (metrics or {}).items():
        try:
            numbers[str(name)] = float(value)
        except (TypeError, ValueError):
            log.warning("the metric %r is no number and is left out", str(name))
    return numbers


def manifest_of(
    version: ModelVersion, files: list[SavedFile], *, model_class: str
) -> dict[str, Any]:
    """The manifest of `version`, without a seal."""
    return {
        "format": FORMAT,
        "class": model_class,
        **{name: getattr(version, name) for name in _AS_THEY_ARE},
        # JSON has no NaN and no infinities: they are written as text, which float() takes back.
        "metrics": {
            name: value if math.isfinite(value) else str(value)
            for name, value in version.metrics.items()
        },
        "files": [asdict(file) for file in files],
        "pilot": _pilot_version(),
        "python": platform.python_version(),
    }


def write_manifest(path: Path, content: Mapping[str, Any]) -> None:
    """Write a manifest into the file `path` and through to the disk."""
    with open(  # noqa: PTH123 - of a descriptor
        open_over(path), "w", encoding="utf-8", errors="surrogateescape"
    ) as file:
        json.dump(content, file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def read_manifest(folder: Path) -> tuple[ModelVersion, list[SavedFile], dict[str, Any]]:
    """Returns the version, the files and the whole content of the manifest in `folder`.

    Raises `CheckpointError` when it is missing, damaged, or of a newer pilot.
    """
    path = folder / MANIFEST
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            content = json.load(file)
        if content["format"] > FORMAT:
            raise CheckpointError(
                f"the checkpoint {folder} was written by a newer pilot", hint="Upgrade pilot."
            )
        version = ModelVersion(
            path=folder,
            metrics={name: float(value) for name, value in content["metrics"].items()},
            **{name: content[name] for name in _AS_THEY_ARE},
        )
        files = [SavedFile(**file) for file in content["files"]]
        _check_types(version, files)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except _DAMAGES as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    return version, files, content


def damage_of(version: ModelVersion, files: list[SavedFile]) -> str | None:
    """Returns the first difference between a version's folder and `files`, which its manifest
    lists; None without one. Reads every file. Raises `CheckpointError` when one cannot be read."""
    folder = version.path
    if digest_of(files) != version.sha256:
        return f"{folder / MANIFEST} was changed after the save"
    try:
        there = {file.name: file for file in _saved_files(folder, sync=False)}
    except OSError as error:
        raise CheckpointError(f"cannot read {folder}: {error.strerror or error}") from error
    for file in files:
        if file.name not in there:
            return f"{folder / file.name} is missing"
        if there[file.name] != file:
            return f"{folder / file.name} is damaged: it is not what was saved"
    added = sorted(there.keys() - {file.name for file in files})
    return f"{folder / added[0]} was added after the save" if added else None


def _check_types(version: ModelVersion, files: list[SavedFile]) -> None:
    """Raise `TypeError` for a value of another kind than is written here."""
    whole = [version.version, version.size_bytes, *(file.size_bytes for file in files)]
    maybe = [version.query_seq, version.run_id, version.trained_rows]
    texts = [version.model, version.sha256, *(file.sha256 for file in files)]
    texts += [file.name for file in files]
    right = (
        all(type(value) is int for value in whole)
        and all(value is None or type(value) is int for value in maybe)
        and all(isinstance(value, str) for value in texts)
        and (version.event is None or isinstance(version.event, str))
        and type(version.created_at) in (int, float)
        and math.isfinite(version.created_at)
    )
    if not right:
        raise TypeError("a value is of the wrong kind")


def _pilot_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pilot-db")
    except PackageNotFoundError:
        return "unknown"

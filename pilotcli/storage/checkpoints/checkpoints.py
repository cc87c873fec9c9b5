"""Checkpoints: saved versions of models, as folders that are complete or not there.

    <root>/<model>/000001/          one version: the model's files and manifest.json
    <root>/<model>/current          the number of the version in use
    <root>/<model>/.saving-...      a save that is under way, or was killed
    <root>.key                      what the versions saved here are sealed with

A save writes into a folder of its own, which gets its final name as the last step. Locks are
`flock`s on folders, so they end with their process, however it ends.
"""

from __future__ import annotations

import logging
import shlex
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pilotcli.common.errors import CheckpointError, StorageError
from pilotcli.common.files import require_own_link
from pilotcli.common.records import ModelVersion
from pilotcli.config.home import make_home
from pilotcli.storage.checkpoints.folder import (
    UNFINISHED,
    clean,
    close_to_others,
    current_number,
    file_errors,
    locked,
    point_at,
    remove,
    version_numbers,
    write_model,
)
from pilotcli.storage.checkpoints.manifest import (
    MANIFEST,
    clean_metrics,
    damage_of,
    digest_of,
    files_of_model,
    manifest_of,
    read_manifest,
    sync_folder,
    write_manifest,
)
from pilotcli.storage.checkpoints.seal import SEAL, Origin, key_of, make_key, origin_of, seal_of

LONGEST_NAME_BYTES = 200

FROM_ELSEWHERE: Mapping[Origin, str] = {
    "other": "was saved elsewhere, or its manifest was changed",
    "unsealed": "has no seal: an older pilot saved it, or somebody put it there",
}
"""What a message says about a version that does not come from its store."""

log = logging.getLogger(__name__)


class CheckpointStore:
    """The checkpoints of all models under `root`. Several processes may use one store at once.

    Loading a model may run code from its files, so `verify` accepts only versions that were saved
    here, unless `trust` is true.

    With `apart` the current version of each model stays as it is: what is saved here is current for
    this object only, which knows no current version before. If a model has none, the versions that
    are saved here become the current one in turn.

    Every method raises `CheckpointError` when the folder cannot be read or written as needed.
    """

    def __init__(self, root: Path, *, trust: bool = False, apart: bool = False) -> None:
        self.root = root.absolute()
        self.trust = trust
        self.apart = apart
        self._own: dict[str, int] = {}
        """With `apart`: the current version of each model, for this object."""
        self._key_file = self.root.with_name(f"{self.root.name}.key")

    def trusting(self) -> CheckpointStore:
        """The same store, but one that accepts checkpoints from elsewhere too."""
        return CheckpointStore(self.root, trust=True, apart=self.apart)

    def save(
        self,
        model: str,
        write: Callable[[Path], object],
        *,
        model_class: str,
        event: str | None = None,
        query_seq: int | None = None,
        run_id: int | None = None,
        trained_rows: int | None = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> ModelVersion:
        """Save a new version of `model`, make it the current one, and return it.

        `write` is called with an empty folder and writes the model's files into it. Its exceptions
        are passed on, except that a full or read-only disk becomes a `CheckpointError`; the earlier
        versions stay unchanged. The new version's number is the highest so far plus one.
        """
        home = self._folder(model)
        what = f"cannot save the model {model!r} in {home}"
        with self._unfinished(home, what) as folder:
            write_model(write, folder, what)
            with file_errors(what, home):
                close_to_others(folder)
                files = files_of_model(folder, model)
                with locked(home):
                    number = max(version_numbers(home), default=0) + 1
                    version = ModelVersion(
                        model=model,
                        version=number,
                        path=home / f"{number:06d}",
                        created_at=time.time(),
                        size_bytes=sum(file.size_bytes for file in files),
                        sha256=digest_of(files),
                        event=event,
                        query_seq=query_seq,
                        run_id=run_id,
                        trained_rows=None if trained_rows is None else int(trained_rows),
                        metrics=clean_metrics(metrics),
                    )
                    content = manifest_of(version, files, model_class=model_class)
                    write_manifest(folder / MANIFEST, self._sealed(content, model, number))
                    sync_folder(folder)
                    stays = current_number(home) if self._is_another_current(home, model) else None
                    point_at(home, stays or number, appearing=(folder, version.path))
        self._own[model] = number
        return version

    def models(self) -> list[str]:
        """The names of all models that have a checkpoint, sorted."""
        with file_errors(f"cannot read {self.root}", self.root):
            try:
                folders = [folder for folder in self.root.iterdir() if folder.is_dir()]
            except FileNotFoundError:
                return []
        return sorted(_model_name(folder) for folder in folders if version_numbers(folder))

    def versions(self, model: str) -> list[ModelVersion]:
        """The versions of `model`, oldest first. Versions with a damaged manifest are logged and
        left out."""
        found = []
        for number in version_numbers(self._folder(model)):
            with _logged(model, number):
                found.append(self.get(model, number))
        return found

    def current(self, model: str) -> ModelVersion | None:
        """The version in use: the one saved or rolled back to last; None without any.

        Raises `CheckpointError` when its manifest is damaged.
        """
        number = self._own.get(model) if self.apart else current_number(self._folder(model))
        return None if number is None else self.get(model, number)

    def get(self, model: str, version: int) -> ModelVersion:
        """One version. Raises `CheckpointError` when it is missing or its manifest damaged."""
        folder = self._folder(model) / f"{version:06d}"
        if not folder.is_dir():
            raise CheckpointError(
                f"there is no version {version} of the model {model!r} in {self.root}",
                hint="See: pilot models list",
            )
        try:
            return read_manifest(folder)[0]
        except CheckpointError as error:
            raise CheckpointError(
                error.message, hint=error.hint or self._way_back(model, version)
            ) from error

    def details(self, version: ModelVersion) -> Mapping[str, Any]:
        """The whole manifest of `version`: `class`, `files`, `python`, `pilot` and the rest."""
        return read_manifest(version.path)[2]

    def origin(self, version: ModelVersion) -> Origin:
        """Returns where `version` comes from; see `Origin`."""
        content = read_manifest(version.path)[2]
        with file_errors(f"cannot read {self._key_file}", self.root):
            key = key_of(self._key_file)
        return origin_of(key, content, *self._place(version))

    def verify(self, version: ModelVersion) -> None:
        """Check that `version` is unchanged since its save, and was saved here.

        Call this before you load anything from `version.path`. It compares the size and the sha256
        of every file with the manifest. Raises `CheckpointError`, which names the first file that
        is missing or changed, and, unless this store trusts all of its checkpoints, for a version
        that comes from elsewhere.
        """
        self._compare(version)
        origin = self.origin(version)
        if self.trust or origin == "own":
            return
        name, number = self._place(version)  # a copy may have another name than its manifest
        command = f"pilot models trust {shlex.quote(name)} --version {number}"
        raise CheckpointError(
            f"version {number} of the model {name!r} {FROM_ELSEWHERE[origin]}, "
            "and to load a model runs code that its files may hold",
            hint=f"If you know who made it: {command}; or --trust for one run.",
        )

    def adopt(self, model: str, version: int) -> ModelVersion:
        """Seal a version from elsewhere in its present state, so that it counts as saved here.

        Its files are compared with its manifest first, and nothing is loaded.
        """
        home = self._folder(model)
        found = self.get(model, version)
        self._compare(found)
        content = read_manifest(found.path)[2]
        with (
            file_errors(f"cannot seal version {version} of {model!r} in {home}", home),
            locked(home),
        ):
            new = home / f".{MANIFEST}"
            write_manifest(new, self._sealed(content, model, version))
            new.replace(found.path / MANIFEST)
            sync_folder(found.path)
        if self.origin(found) != "own":
            raise CheckpointError(
                f"the key {self._key_file} cannot vouch for a checkpoint: it is damaged, belongs "
                "to another user, or others can read it",
                hint="Make it yours and private (chmod 600), or delete it and trust your "
                "checkpoints again: a new one is made.",
            )
        return found

    def _compare(self, version: ModelVersion) -> None:
        found, files, _ = read_manifest(version.path)
        damage = damage_of(found, files)
        if damage is None and found.sha256 != version.sha256:
            damage = f"{version.path / MANIFEST} was changed after the save"
        if damage is not None:
            raise CheckpointError(damage, hint=self._way_back(*self._place(version)))

    def rollback(self, model: str, to: int | None = None) -> ModelVersion:
        """Make an older version the current one: `to`, or the one before the current.

        The version's files are compared with its manifest first. The newer versions stay; the next
        save gets the next number.
        """
        home = self._folder(model)
        now = current_number(home)
        if now is None:
            raise CheckpointError(
                f"there is no checkpoint of the model {model!r} in {self.root}",
                hint="See: pilot models list",
            )
        if to is None:
            to = max((number for number in version_numbers(home) if number < now), default=None)
        if to is None:
            raise CheckpointError(
                f"version {now} of the model {model!r} is the oldest there is; "
                "there is nothing to roll back to"
            )
        version = self.get(model, to)
        self._compare(version)
        apart = self._is_another_current(home, model)
        self._own[model] = to
        if apart:
            return version
        with file_errors(f"cannot roll back the model {model!r} in {home}", home), locked(home):
            point_at(home, to)
        return version

    def _is_another_current(self, home: Path, model: str) -> bool:
        """Whether a version is current that must stay so: with `apart`, one that was not saved by
        this object."""
        return self.apart and current_number(home) not in (None, self._own.get(model))

    def prune(self, model: str, keep: int) -> list[ModelVersion]:
        """Remove all but the newest `keep` versions and the current one; returns the removed ones,
        oldest first."""
        if keep < 1:
            raise CheckpointError(f"cannot keep {keep} checkpoints: at least 1 must stay")
        home = self._folder(model)
        if not home.is_dir():
            return []
        removed = []
        with file_errors(f"cannot prune the model {model!r} in {home}", home), locked(home):
            current = current_number(home)
            for number in version_numbers(home)[:-keep]:
                if number == current:
                    continue
                with _logged(model, number):
                    removed.append(self.get(model, number))
                remove(home / f"{number:06d}")
            clean(home)
        return removed

    def _folder(self, model: str) -> Path:
        """The folder of `model`; its name is safe for every model name."""
        name = quote(model, safe=" ", errors="surrogateescape")
        # A leading dot would hide the folder, or leave the root ("..").
        name = "%2E" + name[1:] if name.startswith(".") else name
        if not name or len(name) > LONGEST_NAME_BYTES:
            raise CheckpointError(
                f"a model cannot be named {model[:60]!r}: its name is "
                + ("too long" if name else "empty"),
                hint=f"At most {LONGEST_NAME_BYTES} letters, fewer where they are not ASCII.",
            )
        return self.root / name

    def _make_folders(self, home: Path) -> None:
        """Make what is missing down to a model's folder, each for its owner alone."""
        try:
            make_home(self.root.parent)
            for folder in (self.root, home):
                require_own_link(folder)
        except StorageError as error:
            raise CheckpointError(error.message, hint=error.hint) from error
        for folder in (self.root, home):
            folder.mkdir(mode=0o700, exist_ok=True)

    def _place(self, version: ModelVersion) -> tuple[str, int]:
        """The model and the number that the path of `version` names."""
        return _model_name(version.path.parent), int(version.path.name)

    def _sealed(self, content: Mapping[str, Any], model: str, version: int) -> dict[str, Any]:
        """A manifest with the seal of this store, or without a seal if the key is no secret."""
        with locked(self.root):
            make_key(self._key_file)
        key = key_of(self._key_file)
        unsealed = {name: value for name, value in content.items() if name != SEAL}
        if key is None:
            log.warning(
                "the key %s is damaged, belongs to another user, or others can read it: version "
                "%s of the model %r has no seal and is loaded only where it is trusted",
                self._key_file,
                version,
                model,
            )
            return unsealed
        return {**unsealed, SEAL: seal_of(key, unsealed, model, version)}

    def _way_back(self, model: str, version: int) -> str:
        """A hint to go back to the last undamaged version before `version`."""
        for number in reversed(version_numbers(self._folder(model))):
            if number < version and self._is_whole(model, number):
                command = f"pilot models rollback {shlex.quote(model)} --to {number}"
                return f"Go back to the last good version before it: {command}"
        return "There is no older version that is whole: train the model again, with `load: false`."

    def _is_whole(self, model: str, version: int) -> bool:
        try:
            found, files, _ = read_manifest(self._folder(model) / f"{version:06d}")
            return damage_of(found, files) is None
        except CheckpointError:
            return False

    @contextmanager
    def _unfinished(self, home: Path, what: str) -> Iterator[Path]:
        """Make a folder to save into, and remove it at the end unless it was renamed."""
        folder = home / f"{UNFINISHED}{uuid.uuid4().hex}"
        with ExitStack() as stack:
            with file_errors(what, home):
                self._make_folders(home)
                with locked(home):
                    clean(home)
                    folder.mkdir(mode=0o700)
                    stack.callback(shutil.rmtree, folder, ignore_errors=True)
                    stack.enter_context(locked(folder))
            yield folder


def _model_name(folder: Path) -> str:
    return unquote(folder.name, errors="surrogateescape")


@contextmanager
def _logged(model: str, number: int) -> Iterator[None]:
    try:
        yield
    except CheckpointError as error:
        log.warning("version %s of the model %r is left out: %s", number, model, error)

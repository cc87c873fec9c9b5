"""The request for a run, and the part of it that the journal keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pilotcli.common.errors import UsageError
from pilotcli.common.labels import NO_LABELS, RunLabels
from pilotcli.common.suggestions import did_you_mean
from pilotcli.config import RunConfig
from pilotcli.config.model import EventSpec


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The workload to replay, or the pretraining to run, and the events to use.

    `workload` names files, globs and folders; empty means the config's. `events` names the events
    to use; None means those that the config enables, an empty tuple none. `overrides` are those
    that `config` was loaded with, to continue the run later. `resume` is the run to continue; with
    `force` also if its workload or config has changed.

    For a paired run, `against` is what it is compared with, each `native` or the path of a config;
    `fail_if` has the conditions for its failure, and `resume_too` the other runs to continue, in
    the order of `against`. In a cross-validation, `fold` counts from 1, and `experiment` is the
    driver's run of the first fold, None in it.
    """

    config: RunConfig
    workload: tuple[str, ...] = ()
    events: tuple[str, ...] | None = None
    stdin: BinaryIO | None = None
    overrides: tuple[str, ...] = ()
    resume: int | None = None
    force: bool = False
    against: tuple[str, ...] = ()
    fail_if: tuple[str, ...] = ()
    resume_too: tuple[int, ...] = ()
    labels: RunLabels = NO_LABELS
    command: tuple[str, ...] = ()
    fold: int | None = None
    experiment: int | None = None

    @property
    def resumes(self) -> tuple[int | None, ...]:
        """The runs to continue, of all arms."""
        return (self.resume, *self.resume_too)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, globs and folders to replay. Raises `UsageError` when there are none."""
        paths = self.workload or self.config.workload
        if not paths:
            raise UsageError(
                "there is no workload to run",
                hint="Name a file, a glob or a folder: pilot run queries.sql; "
                "or set `workload:` in the config.",
            )
        return paths


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """The part of a `RunRequest` that the journal keeps, so that the run can be continued.

    `withheld` has the keys of overrides that are not kept, since they may contain a secret.
    `folder` is the current folder of the command, `total` the number of queries to run.
    """

    workload: tuple[str, ...] = ()
    events: tuple[str, ...] | None = None
    overrides: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    config: str | None = None
    folder: str = ""
    total: int | None = None
    against: tuple[str, ...] = ()
    fail_if: tuple[str, ...] = ()
    fold: int | None = None

    @classmethod
    def of(cls, request: RunRequest, total: int | None) -> StoredRequest:
        """The part to keep of `request`, which the running command has made."""
        path = request.config.path
        kept = tuple(text for text in request.overrides if not _may_be_secret(text))
        return cls(
            workload=request.workload or request.config.workload,
            events=request.events,
            overrides=kept,
            withheld=tuple(
                text.partition("=")[0] for text in request.overrides if text not in kept
            ),
            config=None if path is None else str(path.absolute()),
            folder=str(Path.cwd()),
            total=total,
            against=request.against,
            fail_if=request.fail_if,
            fold=request.fold,
        )


def _may_be_secret(override: str) -> bool:
    if override == "handlers=[]":
        return False
    key = override.partition("=")[0].strip()
    return not key.startswith(("--", "run.", "events.count", "collect.", "steering.", "home"))


def select_events(
    events: Sequence[EventSpec], names: Sequence[str] | None
) -> tuple[EventSpec, ...]:
    """The enabled events, or those in `names`, in the config's order.

    Raises `UsageError` for a name that the config does not have.
    """
    if names is None:
        return tuple(spec for spec in events if spec.enabled)
    known = [spec.name for spec in events]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, listed="The config has")
            raise UsageError(f"the config has no event named {name!r}", hint=hint)
    return tuple(replace(spec, enabled=True) for spec in events if spec.name in names)

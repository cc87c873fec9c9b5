"""What `pilot models` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotcli.common.quantities import MISSING, count, plural, size
from pilotcli.common.records import ModelVersion
from pilotcli.views.console import out
from pilotcli.views.layout import Column
from pilotcli.views.tables import as_json, show_json, show_table, when
from pilotcli.views.text import clean, joined, number


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A model with its versions, oldest first, and the one in use."""

    name: str
    current: ModelVersion | None
    versions: Sequence[ModelVersion]
    origins: Mapping[int, str] = field(default_factory=dict)
    """Where each version comes from, by its number (`pilotcli.storage.checkpoints.seal.Origin`)."""


def show_models(models: Sequence[ModelListing], folder: object, format: str) -> None:
    """One line per model: its current version."""
    if format == "json":
        show_json(
            [
                {
                    "model": model.name,
                    "current": model.current,
                    "versions": [version.version for version in model.versions],
                }
                for model in models
            ]
        )
        return
    if not models:
        out(f"There are no checkpoints in {clean(folder)}.")
        out("A run with events that train a model saves some: pilot run, or pilot pretrain.")
        return
    rows = [
        (clean(model.name), count(len(model.versions)), *_cells(model.current)) for model in models
    ]
    columns = (Column("MODEL", least=12, flexible=True), Column("VERSIONS", right=True, drop=4))
    show_table((*columns, *_COLUMNS), rows)


def show_model(model: ModelListing, format: str) -> None:
    """One line per version, oldest first; the current one has a star."""
    if format == "json":
        show_json(model)
        return
    current = None if model.current is None else model.current.version
    rows = [
        ("*" if version.version == current else "", *_cells(version)) for version in model.versions
    ]
    show_table((Column(" "), *_COLUMNS), rows)
    foreign = [str(number) for number, origin in model.origins.items() if origin != "own"]
    if foreign:
        which = f"version{'s' if len(foreign) > 1 else ''} {joined(foreign)}"
        out(f"Not saved by this home, so not loaded unless trusted: {which}.")
        out("To load a model runs code that its files may hold. See: pilot models trust --help")


def show_version(version: ModelVersion, details: Mapping[str, Any], format: str) -> None:
    """Everything that the manifest of one version says."""
    if format == "json":
        show_json({**as_json(version), **{key: details[key] for key in _DETAILS}})
        return
    facts = {
        "model": version.model,
        "version": str(version.version),
        "class": details["class"],
        "folder": str(version.path),
        "saved": when(version.created_at),
        "by event": _or_missing(version.event),
        "in run": _or_missing(version.run_id),
        "after query": _or_missing(version.query_seq),
        "trained on": MISSING
        if version.trained_rows is None
        else plural(version.trained_rows, "row"),
        "metrics": _metrics(version.metrics) or MISSING,
        "size": size(version.size_bytes),
        "sha256": version.sha256,
        "comes from": _ORIGINS[details["origin"]],
        "written with": f"pilot {details['pilot']}, Python {details['python']}",
    }
    for name, value in facts.items():
        out(f"{name:<13} {clean(value)}")
    out("files")
    for file in details["files"]:
        out(f"  {size(file['size_bytes']):>8}  {file['sha256'][:12]}  {clean(file['name'])}")


def show_current(version: ModelVersion) -> None:
    """Say which version is in use now."""
    out(f"{clean(version.model)} is at version {version.version}, saved {when(version.created_at)}")


def show_removed(removed: Sequence[ModelVersion]) -> None:
    """Say which versions were removed, and how much room that made."""
    for version in removed:
        out(
            f"removed {clean(version.model)} version {version.version} ({size(version.size_bytes)})"
        )
    total = size(sum(version.size_bytes for version in removed))
    out(f"{plural(len(removed), 'version')} removed, {total} freed")


def show_trusted(trusted: Sequence[ModelVersion]) -> None:
    """Say which versions are trusted like the home's own from now on."""
    for version in trusted:
        out(f"{clean(version.model)} version {version.version} is trusted from now on")
    if not trusted:
        out("There is nothing to trust: this home has saved or adopted all of it.")


_DETAILS = ("class", "files", "origin", "pilot", "python")

_ORIGINS = {
    "own": "this home",
    "other": "elsewhere, or its manifest was changed; not loaded unless trusted",
    "unsealed": "an older pilot or elsewhere: it has no seal; not loaded unless trusted",
}

_COLUMNS = (
    Column("VERSION", right=True),
    Column("SAVED"),
    Column("SIZE", right=True, drop=3),
    Column("EVENT", least=10, flexible=True, drop=2),
    Column("QUERY", right=True, drop=6),
    Column("ROWS", right=True, drop=5),
    Column("METRICS", least=10, flexible=True, drop=1),
)


def _cells(version: ModelVersion | None) -> tuple[str, ...]:
    if version is None:
        return (MISSING,) * len(_COLUMNS)
    return (
        str(version.version),
        when(version.created_at),
        size(version.size_bytes),
        _or_missing(version.event),
        count(version.query_seq),
        count(version.trained_rows),
        _metrics(version.metrics),
    )


def _metrics(metrics: Mapping[str, float]) -> str:
    return joined([f"{name} {number(value)}" for name, value in metrics.items()])


def _or_missing(value: object) -> str:
    return MISSING if value is None else str(value)

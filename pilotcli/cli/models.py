"""`pilot models list|show|trust|rollback|prune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pilotcli.cli.completion import completed_by
from pilotcli.cli.options import ConfigOption, FormatOption, SetOption
from pilotcli.common.errors import CheckpointError, UsageError
from pilotcli.common.suggestions import did_you_mean
from pilotcli.config import load_config
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.views import checkpoints

_Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", autocompletion=completed_by("names:models"), help="The model's name."
    ),
]


def list_(
    config: ConfigOption = None, set_: SetOption = None, format: FormatOption = "table"
) -> None:
    """List all models with their current checkpoints.

    \b
    Examples:
      pilot models list
      pilot models list --format json
    """
    store = _store(config, set_)
    models = [
        checkpoints.ModelListing(name, store.current(name), store.versions(name))
        for name in store.models()
    ]
    checkpoints.show_models(models, store.root, format)


def show(
    name: _Name,
    version: Annotated[
        int | None,
        typer.Option("--version", metavar="N", help="Show only this version, with all its files."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = "table",
) -> None:
    """Show a model's checkpoints, oldest first. A star marks the current one.

    \b
    Examples:
      pilot models show latency
      pilot models show latency --version 3
    """
    store = _store(config, set_, name)
    if version is None:
        versions = store.versions(name)
        origins = {found.version: store.origin(found) for found in versions}
        listing = checkpoints.ModelListing(name, store.current(name), versions, origins)
        checkpoints.show_model(listing, format)
        return
    found = store.get(name, version)
    checkpoints.show_version(found, {**store.details(found), "origin": store.origin(found)}, format)


def trust(
    name: _Name,
    version: Annotated[
        int | None,
        typer.Option("--version", metavar="N", help="Trust only this version. Default: all."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Trust checkpoints that this home did not save.

    Loading a model can run code in its files: most of them are Python pickles. So a run refuses
    checkpoints that were copied in or changed, or that an old pilot saved without a seal. Trust
    only checkpoints whose maker you know: this home then loads them like its own. This command
    compares the files with their checksums. It loads nothing.

    \b
    Examples:
      pilot models trust latency
      pilot models trust latency --version 3
    """
    store = _store(config, set_, name)
    versions = store.versions(name) if version is None else [store.get(name, version)]
    foreign = [found.version for found in versions if store.origin(found) != "own"]
    checkpoints.show_trusted([store.adopt(name, number) for number in foreign])


def rollback(
    name: _Name,
    to: Annotated[
        int | None,
        typer.Option(
            "--to", metavar="N", help="The version to go back to. Default: the one before."
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Make an older checkpoint of a model the current one.

    The next run loads it. pilot compares its files with their checksums first. Newer checkpoints
    stay.

    \b
    Examples:
      pilot models rollback latency
      pilot models rollback latency --to 3
    """
    checkpoints.show_current(_store(config, set_, name).rollback(name, to))


def prune(
    keep: Annotated[int, typer.Option("--keep", metavar="N", min=1, help="How many to keep.")],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", autocompletion=completed_by("names:models"), help="The model's name."
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Prune all models.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Remove a model's oldest checkpoints. The current one always stays.

    \b
    Examples:
      pilot models prune latency --keep 5
      pilot models prune --all --keep 3
    """
    if (name is None) != all_:
        raise UsageError("name one model, or say --all", hint="pilot models prune --all --keep 3")
    store = _store(config, set_, name)
    names = store.models() if name is None else [name]
    checkpoints.show_removed([version for model in names for version in store.prune(model, keep)])


def _store(config: Path | None, set_: list[str] | None, name: str | None = None) -> CheckpointStore:
    """Returns the home's checkpoints. Raises `CheckpointError` where they have no model `name`."""
    store = CheckpointStore(load_config(config, set_).home / "models")
    known = store.models()
    if name is not None and name not in known:
        raise CheckpointError(
            f"there is no checkpoint of a model {name!r} in {store.root}",
            hint=did_you_mean(name, known, listed="There are"),
        )
    return store

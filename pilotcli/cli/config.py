"""`pilot config show|schema`."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from pilotcli.cli.options import ConfigOption, SetOption
from pilotcli.config import load_config, shown_config, shown_yaml
from pilotcli.config.schema import config_schema
from pilotcli.views.console import out


def show(
    config: ConfigOption = None,
    set_: SetOption = None,
    format: Annotated[
        Literal["yaml", "json"], typer.Option("--format", help="YAML or JSON.")
    ] = "yaml",
) -> None:
    """Print the config as pilot uses it.

    Defaults, variables and overrides are filled in. Secrets are masked.

    \b
    Examples:
      pilot config show -c configs/forum.yaml
      pilot config show --set run.workers=4 --format json
    """
    loaded = load_config(config, set_)
    text = json.dumps(shown_config(loaded), indent=2) if format == "json" else shown_yaml(loaded)
    out(text, exact=True)


def schema() -> None:
    """Print the JSON Schema of a config, for editors.

    \b
    Example:
      pilot config schema > pilot.schema.json
    """
    out(json.dumps(config_schema(), indent=2))

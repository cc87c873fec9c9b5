"""`pilot config check|show|schema`."""

from __future__ import annotations

import enum
import os
from typing import Annotated

import typer

from pilotcli.cli.options import ConfigOption, SetOption

__all__ = ["app"]

app = typer.Typer(help="Check and show the config.", no_args_is_help=True, rich_markup_mode=None)


class ConfigFormat(str, enum.Enum):
    """How the merged config is shown."""

    yaml = "yaml"
    json = "json"


@app.command()
def check(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Check the config and its classes; report all problems at once.

    Models and events are built, as a run builds them.

    \b
    Examples:
      pilot config check
      pilot config check -c configs/forum.yaml
    """
    from pilotcli.config import PostgreSQLConfig, choose_embedded, load_config
    from pilotcli.plugins import check_plugins
    from pilotcli.views.console import out
    from pilotcli.views.driver_lines import driver_lines

    loaded = load_config(config, set_ or [])
    embedded = choose_embedded(loaded.database, os.environ)
    made = PostgreSQLConfig.from_run_config(loaded, embedded=embedded)
    with driver_lines():
        plugins = check_plugins(loaded)
        plugins.build_events(made, plugins.build_models())
    where = loaded.path or "no config: the defaults"
    count = {"model": len(loaded.models), "event": len(loaded.events)}
    counted = (f"{number} {noun}{'s' * (number != 1)}" for noun, number in count.items())
    out(f"{where}: all well ({', '.join(counted)})")


@app.command()
def show(
    config: ConfigOption = None,
    set_: SetOption = None,
    format: Annotated[
        ConfigFormat, typer.Option("--format", help="YAML or JSON.")
    ] = ConfigFormat.yaml,
) -> None:
    """Print the config as pilot uses it.

    Defaults, variables and overrides are filled in. Secrets are masked.

    \b
    Examples:
      pilot config show -c configs/forum.yaml
      pilot config show --set run.workers=4 --format json
    """
    from pilotcli.config import load_config, shown_config, shown_yaml
    from pilotcli.views.console import out

    loaded = load_config(config, set_ or [])
    if format is ConfigFormat.json:
        import json

        out(json.dumps(shown_config(loaded), indent=2))
    else:
        out(shown_yaml(loaded))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a config, for editors.

    \b
    Example:
      pilot config schema > pilot.schema.json
    """
    import json

    from pilotcli.config import config_schema
    from pilotcli.views.console import out

    out(json.dumps(config_schema(), indent=2))

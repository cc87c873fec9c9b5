"""`pilot handlers list`."""

from __future__ import annotations

from pilotcli.checks.dry_run import list_handlers
from pilotcli.cli.options import ConfigOption, FormatOption, SetOption
from pilotcli.config import load_config
from pilotcli.views.driver_lines import driver_lines
from pilotcli.views.dry_run import show_handlers


def list_(
    config: ConfigOption = None, set_: SetOption = None, format: FormatOption = "table"
) -> None:
    """List the handlers: name, what they push, when, model, class.

    \b
    Examples:
      pilot handlers list -c configs/forum-cards.yaml
      pilot handlers list --format json
    """
    loaded = load_config(config, set_)
    with driver_lines():
        listed = list_handlers(loaded)
    show_handlers(listed, format)

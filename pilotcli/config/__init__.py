"""The config: YAML into `RunConfig`, and the `PilotConfig` that drivers receive."""

from __future__ import annotations

from pilotcli.common.redaction import masked_dsn
from pilotcli.config.load import load_config
from pilotcli.config.model import RunConfig
from pilotcli.config.pilot_config import PilotConfig, PostgreSQLConfig, choose_embedded
from pilotcli.config.shown import shown_config, shown_yaml, yaml_text

__all__ = [
    "PilotConfig",
    "PostgreSQLConfig",
    "RunConfig",
    "choose_embedded",
    "load_config",
    "masked_dsn",
    "shown_config",
    "shown_yaml",
    "yaml_text",
]

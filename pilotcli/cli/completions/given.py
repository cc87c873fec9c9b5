"""What stands on the command line already: the config, and the journal of its home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pilotcli.config import RunConfig, load_config
from pilotcli.storage.journal.reader import JournalReader
from pilotcli.storage.journal.schema import FILE_NAME, connect_readonly

Parameters = Mapping[str, Any]
"""The parameters that stand on the command line, by name."""
Found = Iterator[tuple[str, str]]
"""Values, each with a text about it."""


def config_of(parameters: Parameters) -> RunConfig:
    """Returns the config. Raises `ConfigError`.

    Overrides without a value are left out: bash hands on `key=value` as three words.
    """
    path = parameters.get("config")
    overrides = [text for text in parameters.get("set_") or () if "=" in text]
    return load_config(None if path is None else Path(path), overrides)


def journal_of(parameters: Parameters) -> JournalReader | None:
    """Returns the journal, open to be read as it is; None where there is none."""
    home = config_of(parameters).home
    connection = connect_readonly(home)
    return None if connection is None else JournalReader(connection, home / FILE_NAME)

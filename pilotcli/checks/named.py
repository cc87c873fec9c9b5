"""Checks what a config names besides its classes: files and connection strings, without a database.

A run would find out when it has started a server.
"""

from __future__ import annotations

from collections.abc import Iterator

from pilotcli.common.errors import ConfigError, PilotError, Problem, WorkloadError
from pilotcli.config import RunConfig
from pilotcli.databases.opening import check_connection_string
from pilotcli.workload.paths import missing_path, resolve


def check_named(config: RunConfig, *, workload: bool = True) -> None:
    """Raises `ConfigError` with every file of `workload:` and `database.setup` that does not exist,
    and every connection string that cannot be read. Without `workload` that is left to others."""
    file = str(config.path) if config.path else None
    problems = [
        Problem(f"{key}{error.message}", file, hint=error.hint)
        for key, error in _errors(config, workload)
    ]
    if problems:
        raise ConfigError(problems)


def _errors(config: RunConfig, workload: bool) -> Iterator[tuple[str, PilotError]]:
    for path in config.workload if workload else ():
        try:
            resolve([path])
        except WorkloadError as error:
            yield "workload: ", error
    for script in config.database.setup:
        if not script.is_file():
            yield "database.setup: ", missing_path(script)
    for key, dsn in (("database.dsn", config.database.dsn), ("store.dsn", config.store.dsn)):
        try:
            check_connection_string(dsn, what=key)
        except PilotError as error:
            yield "", error

"""Checks what a config names besides its classes: files and connection strings, without a database.

A run would find out when it has started a server.
"""

from __future__ import annotations

from collections.abc import Iterator

from pilotcli.common.errors import ConfigError, PilotError, Problem, WorkloadError
from pilotcli.config import RunConfig
from pilotcli.config.home import shown_path
from pilotcli.databases.opening import check_connection_string
from pilotcli.workload.paths import missing_path, resolve


def check_named(config: RunConfig, *, workload: bool = True) -> None:
    """Raises `ConfigError` with every file of `workload:`, `run.learn_on` and `database.setup` that
    does not exist, and every connection string that cannot be read. Without `workload` the first
    two are left to others."""
    file = str(config.path) if config.path else None
    problems = [
        Problem(f"{key}{error.message}", file, hint=error.hint)
        for key, error in _errors(config, workload)
    ]
    if problems:
        raise ConfigError(problems)


def _errors(config: RunConfig, workload: bool) -> Iterator[tuple[str, PilotError]]:
    workloads = [("workload", path) for path in config.workload]
    workloads += [("run.learn_on", shown_path(path)) for path in config.run.learn_on]
    for key, path in workloads if workload else ():
        try:
            resolve([path])
        except WorkloadError as error:
            yield f"{key}: ", error
    for script in config.database.setup:
        if not script.is_file():
            yield "database.setup: ", missing_path(script)
    for key, dsn in (("database.dsn", config.database.dsn), ("store.dsn", config.store.dsn)):
        try:
            check_connection_string(dsn, what=key)
        except PilotError as error:
            yield "", error

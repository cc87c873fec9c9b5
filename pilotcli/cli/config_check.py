"""`pilot config check`, which imports drivers."""

from __future__ import annotations

import os

from pilotcli.checks.named import check_named
from pilotcli.cli.options import ConfigOption, SetOption
from pilotcli.common.errors import ConfigError, Problem, UsageError
from pilotcli.common.quantities import plural
from pilotcli.config import PostgreSQLConfig, choose_embedded, load_config
from pilotcli.databases.unused_settings import refuse_unused
from pilotcli.plugins import check_plugins
from pilotcli.run.experiment import refuse_contradictions
from pilotcli.views.console import out
from pilotcli.views.driver_lines import driver_lines


def check(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Check the config and its classes; report all problems at once.

    Models, events and handlers are built, as a run builds them. Files that the config names must
    exist. No database is used.

    \b
    Examples:
      pilot config check
      pilot config check -c configs/forum.yaml
    """
    loaded = load_config(config, set_)
    embedded = choose_embedded(loaded.database, os.environ)
    refuse_unused(loaded, os.environ, embedded=embedded)
    pilot_config = PostgreSQLConfig.from_run_config(loaded, embedded=embedded)
    refuse_contradictions(loaded.run)
    problems: list[Problem] = []
    try:
        check_named(loaded)
    except ConfigError as error:
        problems += error.problems
    try:
        with driver_lines():
            plugins = check_plugins(loaded)
            models = plugins.build_models()
            plugins.build_events(pilot_config, models)
            plugins.build_handlers(pilot_config, models)
    except UsageError as error:
        if not problems:
            raise
        one = Problem(error.message, hint=error.hint)
        found = error.problems if isinstance(error, ConfigError) else (one,)
        raise ConfigError([*problems, *found]) from error
    if problems:
        raise ConfigError(problems)
    counts = (
        plural(len(found), noun)
        for found, noun in (
            (loaded.models, "model"),
            (loaded.events, "event"),
            (loaded.handlers, "handler"),
        )
    )
    out(f"{loaded.path or 'no config: the defaults'}: all well ({', '.join(counts)})")

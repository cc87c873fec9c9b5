"""Which settings of a config have no effect on the server that it names."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg2
from psycopg2.extensions import parse_dsn

from pilotcli.common.errors import ConfigError, Problem
from pilotcli.config.model import DEFAULT_STORE, RunConfig, StoreSection
from pilotcli.config.pilot_config import LIBPQ_TARGETS
from pilotcli.databases.session.service_file import service_database


def refuse_unused(config: RunConfig, environ: Mapping[str, str], *, embedded: bool) -> None:
    """Raise `ConfigError` for settings that contradict a connection string, or that only the
    embedded server has, while `embedded` is false."""
    problems = [] if embedded else [*_of_embedded(config, environ), *_of_database(config, environ)]
    problems += _of_store(config.store, environ)
    if problems:
        raise ConfigError(problems)


def _of_embedded(config: RunConfig, environ: Mapping[str, str]) -> list[Problem]:
    database = config.database
    if database.dsn is not None:
        reason = "`database.dsn` names another"
    elif name := next((name for name in LIBPQ_TARGETS if environ.get(name)), None):
        reason = f"{name} is set in the environment"
    else:
        reason = "`database.embedded` is false"
    use = "Or use the embedded server: --set database.embedded=true."
    hints = {
        "setup": "Fill the database yourself, and leave the key out: --set database.setup=[].",
        "settings": "Set them on that server, or under `database.session`, and leave the key out: "
        "--set 'database.settings={}'.",
        "postgres_bin": "Leave the key out: --set database.postgres_bin=null.",
    }
    return [
        _problem(config, f"`database.{key}` is for the embedded server, but {reason}", hint, use)
        for key, hint in hints.items()
        if getattr(database, key)
    ]


def _of_database(config: RunConfig, environ: Mapping[str, str]) -> list[Problem]:
    named = config.database.name
    source, database = _database("database.dsn", config.database.dsn, environ)
    if database is None:
        source, database = _database_of_environment(environ)
    if None in (named, database) or named == database:
        return []
    text = f"{source} names the database {database!r}, and `database.name` {named!r}"
    hint = f"Leave one of them out: --set database.name={database}."
    return [_problem(config, text, hint)]


def _of_store(store: StoreSection, environ: Mapping[str, str]) -> list[Problem]:
    source, database = _database("store.dsn", store.dsn, environ)
    if store.database == DEFAULT_STORE or database in (None, store.database):
        return []
    text = f"{source} names the database {database!r}, and `store.database` {store.database!r}"
    return [Problem(text, hint="Leave one of them out.")]


def _problem(config: RunConfig, text: str, *hints: str) -> Problem:
    return Problem(text, str(config.path) if config.path else None, hint=" ".join(hints))


def _database(key: str, dsn: str | None, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The database that a connection string or its service names, and who names it; None also for a
    string that libpq refuses, which is reported elsewhere."""
    try:
        params = parse_dsn(dsn) if dsn else {}
    except psycopg2.Error:
        params = {}
    service = params.get("service")
    if service and not params.get("dbname"):
        return f"the service {service!r} of `{key}`", service_database(service, environ)
    return f"`{key}`", params.get("dbname") or None


def _database_of_environment(environ: Mapping[str, str]) -> tuple[str, str | None]:
    service = environ.get("PGSERVICE")
    if service and (database := service_database(service, environ)):
        return f"the service {service!r} of PGSERVICE", database
    return "PGDATABASE", environ.get("PGDATABASE") or None

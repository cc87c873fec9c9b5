"""What a run depends on besides its config and its workload, as the journal keeps it."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pilotcli
from pilotcli.common.errors import PilotError
from pilotcli.common.labels import RunLabels
from pilotcli.common.machine import machine_facts
from pilotcli.common.redaction import MASK, redacted
from pilotcli.config import PostgreSQLConfig, RunConfig
from pilotcli.config.secrets import is_secret_name, masked, names_secret
from pilotcli.databases.protocols import HasFacts, Target
from pilotcli.plugins import Plugins
from pilotcli.plugins.imported import package_versions
from pilotcli.run.git_state import git_state
from pilotcli.run.request import RunRequest
from pilotcli.storage.journal import Journal, RunJournal
from pilotcli.storage.journal.rows import storable

_LAST_KEY = re.compile(r"[\w-]+\]*$")


def gather(
    request: RunRequest, plugins: Plugins, target: Target, pilot_config: PostgreSQLConfig
) -> dict[str, Any]:
    """Returns what a run depends on, in types of JSON, without secrets. docs/json.md has the keys.

    Costs some milliseconds: one connection with one query, and one call of Git.
    """
    config = request.config
    state = git_state(config.base)
    return {
        "command": shown_words(request.command, config),
        "folder": str(Path.cwd()),
        "overrides": shown_words(request.overrides, config),
        **({} if state is None else {"git": state}),
        "versions": _versions(plugins),
        "machine": machine_facts(),
        "server": _server(target, embedded=bool(pilot_config.embedded)),
    }


def shown_words(words: Iterable[str], config: RunConfig) -> list[str]:
    """Returns words of a command line with every secret in them masked."""
    found = (masked(_without_value(word), secrets=config.secrets) for word in words)
    return [storable(redacted(word)) for word in found]


def _without_value(word: str) -> str:
    """The word `KEY=VALUE` without its value where key or value are named like a secret."""
    key, equals, value = word.partition("=")
    if key in ("--set", ""):
        inner, equals, value = value.partition("=")
        key = f"{key}={inner}"
    last = _LAST_KEY.search(key)
    secret = last is not None and is_secret_name(last[0].rstrip("]"))
    return f"{key}={MASK}" if equals and (secret or names_secret(value)) else word


def _versions(plugins: Plugins) -> dict[str, str]:
    """The versions of pilot, of Python, and of the packages that the drivers' modules import."""
    classes = [cls for _, cls in (*plugins.models.values(), *plugins.events, *plugins.handlers)]
    return {
        "pilot": pilotcli.__version__,
        "python": platform.python_version(),
        **package_versions(classes, "psycopg2"),
    }


def _server(target: Target, *, embedded: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"version": target.server_version, "embedded": embedded}
    if isinstance(target, HasFacts):
        try:
            facts = target.facts()
        except PilotError as exc:
            return {**found, "not_read": redacted(exc.message)}
        found |= {"build": facts.build, "settings": dict(facts.settings)}
        found["extensions"] = dict(facts.extensions)
    return found


def describe(
    entry: RunJournal, journal: Journal, request: RunRequest, provenance: Mapping[str, Any]
) -> None:
    """Record what the user calls the run, and what it depends on.

    The tags of a run that is continued are added to those that it has, and `continued` says what
    it depends on now and did not before.
    """
    labels = request.labels
    if request.resume is not None:
        before = journal.run(request.resume)
        labels = labels.added_to(RunLabels(before.name, before.tags, before.note))
        known = before.provenance
        changes = {key: value for key, value in provenance.items() if value != known.get(key)}
        provenance = {**known, "continued": [*known.get("continued", ()), changes]}
    entry.describe(labels, provenance)

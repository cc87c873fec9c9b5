"""What a run would do, found out without a database: its queries, its events, their firings."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pilotcli.config import PostgreSQLConfig, RunConfig, choose_embedded
from pilotcli.errors import UsageError
from pilotcli.event_runner import Registered, describe, firing_plan, kind_of
from pilotcli.plugins import check_plugins
from pilotcli.records import FiringReason
from pilotcli.runner import RunRequest, select_events
from pilotcli.signals import EventInfo
from pilotcli.workload import open_workload

__all__ = ["EventListing", "Examination", "examine", "list_events"]


@dataclass(frozen=True, slots=True)
class EventListing:
    """One event of a config, as `pilot events list` shows it."""

    info: EventInfo
    class_path: str
    file: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Examination:
    """What a run would do. `queries` counts one round; `config` is after all overrides."""

    workload: str
    queries: int
    config: RunConfig
    events: tuple[Registered, ...]

    @property
    def executions(self) -> int:
        """Queries over all rounds, warm-up excluded."""
        return self.queries * self.config.run.repeat

    def firings(self) -> Iterator[tuple[FiringReason, int, str]]:
        """Every firing in its order: why, after how many finished queries, which event."""
        return firing_plan(self.events, self.executions)


def examine(request: RunRequest) -> Examination:
    """Read the whole workload and build all classes; raises what a run would raise."""
    config = request.config
    paths = request.workload or config.workload
    if not paths:
        raise UsageError("there is no workload to look at", hint="Name a file, a glob or a folder.")
    config = replace(config, events=select_events(config.events, request.events))
    events = _built(config)
    with open_workload(paths, stdin=request.stdin, limit=config.run.limit) as workload:
        queries = sum(1 for _ in workload)
        return Examination(workload.description, queries, config, events)


def list_events(config: RunConfig) -> tuple[EventListing, ...]:
    """Every event of `config`, the disabled ones too, in the order in which they fire."""
    everything = replace(
        config, events=tuple(replace(spec, enabled=True) for spec in config.events)
    )
    specs = {spec.name: spec for spec in config.events}
    listings = []
    for registered in _built(everything):
        spec = specs[registered.name]
        listings.append(
            EventListing(
                info=describe(registered),
                class_path=spec.class_path,
                file=_source(type(registered.event)),
                enabled=spec.enabled,
            )
        )
    return tuple(listings)


def _built(config: RunConfig) -> tuple[Registered, ...]:
    plugins = check_plugins(config)
    embedded = choose_embedded(config.database, os.environ)
    pilot_config = PostgreSQLConfig.from_run_config(config, embedded=embedded)
    built = plugins.build_events(pilot_config, plugins.build_models())
    return tuple(Registered(one.spec.name, one.event, kind_of(one.event)) for one in built)


def _source(cls: type) -> str:
    try:
        return inspect.getsourcefile(cls) or ""
    except TypeError:
        return ""

"""What two runs that are compared did not have in common, besides their drivers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pilotcli.common.quantities import duration, listed, number, plural, size
from pilotcli.storage.journal import RunRecord

LISTED = 6
"""Differing settings, extensions or versions that are named."""

_MISSING = object()


def _plain(value: Any) -> str:
    if value is None or value in ((), [], ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else number(value)


def _time(value: Any) -> str:
    return "none" if value is None else duration(value)


_OPTIONS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "workers": ("workers", _plain),
    "timeout": ("time-out", _time),
    "warmup": ("warm-up rounds", _plain),
    "shuffle": ("random order", _plain),
    "rate": ("queries per second", _plain),
    "arrivals": ("arrivals", _plain),
    "duration": ("duration", _time),
    "think": ("think time", _time),
    "ramp": ("ramp", _time),
    "pace": ("pace", _plain),
    "cold": ("restart before each query", _plain),
    "prepare": ("prepare", _plain),
    "before_each": ("before each query", _plain),
}
"""Keys of `run:` that change what a query's time is, with their names and formats."""
_COLLECTED = {
    "actual_rows": "counts the rows of each step of a plan (collect.actual_rows), which costs "
    "each query time",
    "max_rows": "keeps a part of each result only (collect.max_rows)",
}
_MACHINE: Mapping[str, Callable[[Any], str]] = {
    "cpu": str,
    "cpus": lambda value: f"{value} CPUs",
    "memory_bytes": lambda value: f"{size(value)} of memory",
    "kernel": str,
}
_VERSION = re.compile(r"PostgreSQL (\S+) ")
# Settings that say where a server is, and what it logs.
_ELSEWHERE = re.compile(
    r"log_|lc_messages|listen_addresses|port$|unix_socket_|cluster_name|application_name|ssl|syslog"
)


def run_differences(a: RunRecord, b: RunRecord) -> tuple[str, ...]:
    """Returns in words what run `a` had or did, and the baseline `b` had or did otherwise.

    What the journal does not know of a run, as of one of an older pilot, is not compared.
    """
    return (
        *_options(a.options, b.options),
        *_learned(a, b),
        *_databases(a.database, b.database),
        *_settings(a, b),
        *_named("extensions", *_parts(a, b, "server", "extensions")),
        *_machine(*_parts(a, b, "machine")),
        *_named("versions", *_known_to_both(*_parts(a, b, "versions"))),
        *_collected(a, b),
        *_continued(a),
        *_continued(b),
    )


def _difference(what: str, value: str, other: str) -> str:
    return f"{what}: {value}, in the baseline {other}"


def _options(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    for key, (what, shown) in _OPTIONS.items():
        if key in a and key in b and a[key] != b[key]:
            yield _difference(what, shown(a[key]), shown(b[key]))


def _learned(a: RunRecord, b: RunRecord) -> Iterator[str]:
    """Yields what the drivers of runs that did not take turns learned from."""
    if not a.took_turns_with(b):
        texts = [_learned_from(run) for run in (a, b)]
        if texts[0] != texts[1]:
            yield _difference("learned before", *texts)


def _learned_from(run: RunRecord) -> str:
    rounds = run.learning_rounds
    if not rounds:
        return "nothing"
    options = run.options
    sources = {
        "learn_on": "the queries of {}",
        "split": "a part of the queries ({})",
        "folds": "the other folds ({})",
    }
    for key, words in sources.items():
        if options.get(key):
            return f"{words.format(_plain(options[key]))}, {plural(rounds, 'round')}"
    return f"the same queries, {plural(rounds, 'round')}"


def _databases(a: str, b: str) -> Iterator[str]:
    versions = [found[1] if (found := _VERSION.match(text)) else None for text in (a, b)]
    if None not in versions and versions[0] != versions[1]:
        yield _difference("server version", str(versions[0]), str(versions[1]))
    places = [_VERSION.sub("", text) for text in (a, b)]
    if places[0] != places[1]:
        yield _difference("database", *places)


def _settings(a: RunRecord, b: RunRecord) -> Iterator[str]:
    found = _parts(a, b, "server", "settings")
    sections = (_section(run, "database").get("session") or {} for run in (a, b))
    own, other = (
        {name: str(value) for name, value in {**server, **session}.items()}
        for server, session in zip(found, sections, strict=True)
    )
    yield from _named("settings", own, other, missing="the default")


def _machine(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    names = [name for name in _MACHINE if name in a and name in b and a[name] != b[name]]
    if names:
        texts = (", ".join(_MACHINE[name](part[name]) for name in names) for part in (a, b))
        yield _difference("machine", *texts)


def _named(
    what: str, a: Mapping[str, str], b: Mapping[str, str], missing: str = "none"
) -> Iterator[str]:
    """Yields one line about the entries that only one has, or that differ."""
    differing = [
        f"{name} {a.get(name, missing)} ({b.get(name, missing)})"
        for name in sorted({**a, **b})
        if a.get(name) != b.get(name) and not _ELSEWHERE.match(name)
    ]
    if differing:
        yield f"{what}, and in parentheses those of the baseline: {listed(differing, LISTED)}"


def _known_to_both(
    a: Mapping[str, str], b: Mapping[str, str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The entries whose names both have: packages of a driver are not the baseline's."""
    names = a.keys() & b.keys()
    return {name: a[name] for name in names}, {name: b[name] for name in names}


def _collected(a: RunRecord, b: RunRecord) -> Iterator[str]:
    own, other = (_section(run, "collect") for run in (a, b))
    took_turns = a.took_turns_with(b)
    if took_turns and any(part.get("compared") and part.get("table") for part in (own, other)):
        yield (
            "all arms collect what makes the server slower (collect.compared): in use, each query "
            "takes less"
        )
    for key, words in _COLLECTED.items():
        if took_turns and key == "actual_rows":
            continue  # in compared rounds no arm counts them, or all do
        if own.get(key) and not other.get(key):
            yield f"only run {a.run_id} {words}"
        elif other.get(key) and not own.get(key):
            yield f"only the baseline, run {b.run_id}, {words}"


def _continued(run: RunRecord) -> Iterator[str]:
    """Yields what a run that was continued met then, and not before."""
    parts = run.provenance.get("continued", ())
    changed = [
        what for what in ("machine", "server", "versions") if any(what in part for part in parts)
    ]
    if changed:
        yield f"run {run.run_id} was continued with other {' and '.join(changed)}"


def _parts(a: RunRecord, b: RunRecord, *keys: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The parts of both provenances under `keys`; both empty where one does not have it."""
    found = []
    for run in (a, b):
        part: Any = run.provenance
        for key in keys:
            part = part.get(key, _MISSING) if isinstance(part, Mapping) else _MISSING
        found.append(part)
    if any(part is _MISSING for part in found):
        return {}, {}
    return found[0], found[1]


def _section(run: RunRecord, name: str) -> Mapping[str, Any]:
    """A section of the config that a run used; empty where there is none."""
    config = json.loads(run.config_text or "{}")
    return config.get(name) or {}

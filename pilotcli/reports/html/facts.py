"""What was run, when, where and with which versions: below the page's title."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pilotcli.common.quantities import duration, plural, size
from pilotcli.config import yaml_text
from pilotcli.reports.html.data import HtmlReport, RunPart
from pilotcli.reports.html.markup import cut, text
from pilotcli.storage.journal import RunRecord

CONFIG_SHOWN = 20_000
SETTINGS_SHOWN = 100


def facts(report: HtmlReport) -> str:
    """The facts of the run, and those of its baseline that are other ones."""
    own = dict(_facts(report.run))
    rows = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in own.items())
    folded = [_config(report.run.record, "Config as run")]
    if report.baseline is not None:
        other = {name: value for name, value in _facts(report.baseline) if own.get(name) != value}
        if report.comparison is not None and report.comparison.paired:
            other.pop("date", None)
        rows += "".join(
            f"<dt>baseline's {text(name)}</dt><dd>{text(value)}</dd>"
            for name, value in other.items()
        )
        if report.baseline.record.config_text != report.run.record.config_text:
            folded.append(_config(report.baseline.record, "The baseline's config"))
    folded += [_settings(report.run.record)]
    return (
        f'<details class="about"><summary>{text(_line(report.run.record))}</summary>'
        f"<dl>{rows}</dl>{''.join(folded)}</details>"
    )


def _line(record: RunRecord) -> str:
    """When, with what and where, on one line."""
    versions, machine = (_mapping(record.provenance, name) for name in ("versions", "machine"))
    began = datetime.fromtimestamp(record.started_at).astimezone()
    parts = [f"{began:%Y-%m-%d %H:%M %Z}"]
    if versions.get("pilot"):
        parts.append(f"pilot {versions['pilot']}")
    parts.append(record.database)
    if versions.get("python"):
        parts.append(f"Python {versions['python']}")
    if machine:
        parts.append(_machine({name: machine.get(name) for name in ("cpu", "cpus")}))
    parts.append(Path(record.config_path).name if record.config_path else "no config")
    return "; ".join(part for part in parts if part)


def _facts(part: RunPart) -> Iterator[tuple[str, str]]:
    record = part.record
    known = record.provenance
    if record.name:
        yield "name", record.name
    if record.tags:
        yield "tags", ", ".join(record.tags)
    if record.note:
        yield "note", record.note
    began = datetime.fromtimestamp(record.started_at).astimezone()
    took = f", took {duration(record.elapsed_s)}" if record.elapsed_s is not None else ""
    yield "date", f"{began:%Y-%m-%d %H:%M:%S %Z}{took}"
    yield "run", f"{record.run_id}, {record.outcome}, {plural(part.statistics.total, 'execution')}"
    yield "workload", record.workload
    yield "database", record.database
    versions = _mapping(known, "versions")
    if versions:
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    server = _mapping(known, "server")
    if server.get("build"):
        yield "server", str(server["build"])
    machine = _machine(_mapping(known, "machine"))
    if machine:
        yield "machine", machine
    if known.get("command"):
        yield "command", _words(known["command"])
    yield "config", record.config_path or "none: built-in defaults"
    if known.get("overrides"):
        yield "overrides", _words(known["overrides"])
    git = _mapping(known, "git")
    if git.get("commit"):
        changed = ", with changes that are not committed" if git.get("changed") else ""
        yield "commit", f"{git['commit']}{changed}"


def _machine(machine: Mapping[str, Any]) -> str:
    parts = [str(machine[name]) for name in ("cpu", "system", "kernel") if machine.get(name)]
    if isinstance(machine.get("cpus"), int):
        parts.insert(1 if machine.get("cpu") else 0, plural(machine["cpus"], "CPU"))
    if machine.get("memory_bytes"):
        parts.append(f"{size(machine['memory_bytes'])} of memory")
    return ", ".join(parts)


def _config(record: RunRecord, title: str) -> str:
    whole = _yaml(record.config_text)
    if not whole:
        return ""
    name = f" {text(Path(record.config_path).name)}" if record.config_path else ""
    return (
        f"<details><summary>{title}{name}</summary>"
        f"<pre>{text(cut(whole, CONFIG_SHOWN))}</pre></details>"
    )


def _yaml(config_text: str) -> str:
    """The config of a run, which the journal has as JSON, as YAML."""
    try:
        config = json.loads(config_text)
    except ValueError:
        return config_text
    return yaml_text(config) if config else ""


def _settings(record: RunRecord) -> str:
    """The server's settings that are no defaults."""
    settings = _mapping(_mapping(record.provenance, "server"), "settings")
    if not settings:
        return ""
    lines = [f"{name} = {value}" for name, value in settings.items()]
    left_out = len(lines) - SETTINGS_SHOWN
    more = [f"… {left_out} more"] if left_out > 0 else []
    shown = "\n".join([*lines[:SETTINGS_SHOWN], *more])
    title = "The server's settings that are not its defaults"
    return f"<details><summary>{title}</summary><pre>{text(shown)}</pre></details>"


def _mapping(known: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = known.get(name)
    return value if isinstance(value, dict) else {}


def _words(value: Any) -> str:
    return shlex.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

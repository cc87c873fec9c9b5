"""What `pilot runs show --provenance` shows: what a run depended on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from pilotcli.common.quantities import plural, size
from pilotcli.config.shown import yaml_text
from pilotcli.storage.journal import RunRecord
from pilotcli.views.console import out
from pilotcli.views.tables import show_json, when
from pilotcli.views.text import clean, indented, joined

_COMMIT_DIGITS = 12


def label_facts(run: RunRecord) -> dict[str, str]:
    """What the user calls a run: its name, its tags and the note about it, where it has them."""
    facts = {"name": run.name or "", "tags": joined(run.tags), "note": run.note or ""}
    return {what: value for what, value in facts.items() if value}


def show_provenance(run: RunRecord, format: str) -> None:
    """The command, the code, the machine, the server and the config of a run."""
    if format == "json":
        content = {"run_id": run.run_id, "provenance": run.provenance}
        show_json({**content, "config": json.loads(run.config_text or "{}")})
        return
    facts = {
        "run": f"{run.run_id} ({run.kind})",
        **label_facts(run),
        "started": when(run.started_at),
        "workload": run.workload,
        "config": run.config_path or "none: built-in defaults",
        "database": run.database,
        **dict(_facts(run.provenance)),
    }
    for what, value in facts.items():
        out(f"{what:<10} {clean(value)}")
    if not run.provenance:
        out("\nThis run was made by an older pilot, which did not keep what it depended on.")
    settings = run.provenance.get("server", {}).get("settings", {})
    if settings:
        out("\nsettings of the server that differ from their defaults")
        longest = max(map(len, settings))
        for name, value in settings.items():
            out(f"  {clean(name):<{longest}}  {clean(value) or '(empty)'}")
    for part in run.provenance.get("continued", ()):
        out("\ncontinued later with" if part else "\ncontinued later")
        for what, value in _facts(part):
            out(f"  {what:<10} {clean(value)}")
    out("\nconfig as it was used")
    for line in yaml_text(json.loads(run.config_text or "{}")).splitlines():
        out(f"  {indented(line)}")


def _facts(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the parts of a provenance that take one line."""
    if "command" in provenance:
        yield "command", shlex.join(provenance["command"])
    if "folder" in provenance:
        yield "folder", provenance["folder"]
    if "git" in provenance:
        git = provenance["git"]
        changed = ", with changes that are not committed" if git["changed"] else ""
        yield "commit", git["commit"][:_COMMIT_DIGITS] + changed
    if "versions" in provenance:
        yield "versions", _named(provenance["versions"])
    if "machine" in provenance:
        machine = provenance["machine"]
        cpus = plural(machine.get("cpus", 0), "core")
        memory = f"{size(machine.get('memory_bytes'))} of memory"
        yield "machine", joined([machine.get("cpu", ""), cpus, memory])
        names = (machine.get(name, "") for name in ("system", "kernel", "architecture"))
        yield "system", joined([*names])
    if "server" in provenance:
        server = provenance["server"]
        yield "server", server.get("build", server["version"])
        if "not_read" in server:
            yield "", f"its settings could not be read: {server['not_read']}"
        if server.get("extensions"):
            yield "extensions", _named(server["extensions"])


def _named(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())

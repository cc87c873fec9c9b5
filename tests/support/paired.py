"""Paired runs of small workloads, from Python."""

from __future__ import annotations

from project_folder import Project

from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.gates import parse_gate
from pilotcli.common.signals import Bus, RunFinished
from pilotcli.config import RunConfig
from pilotcli.run.paired import Baseline, native, run_paired


def run_pair(
    project: Project,
    *workload: str,
    sets: tuple[str, ...] = (),
    gates: tuple[str, ...] = (),
    baseline: RunConfig | None = None,
) -> tuple[RunFinished, Comparison | None]:
    """Run the workload of `project` against the native database, or another config."""
    project.signals.clear()
    request = project.request(*workload, sets=("run.repeat=3", *sets))
    against = Baseline(baseline or native(request.config))
    bus = Bus(project.signals.append)
    finished, comparisons = run_paired(request, [against], bus, list(map(parse_gate, gates)))
    return finished, comparisons[0] if comparisons else None

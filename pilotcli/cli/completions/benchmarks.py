"""Completes the names of benchmarks."""

from __future__ import annotations

from pilotcli.benchmarks.catalog import BENCHMARKS
from pilotcli.cli.completions.given import Found, Parameters


def benchmarks(parameters: Parameters, incomplete: str) -> Found:
    """The benchmarks of `pilot workloads get`."""
    return ((name, benchmark.contents) for name, benchmark in BENCHMARKS.items())

"""The table of `pilot workloads list`, and its JSON."""

from __future__ import annotations

from collections.abc import Sequence

from pilotcli.benchmarks.catalog import Benchmark
from pilotcli.common.quantities import MISSING
from pilotcli.views.console import out
from pilotcli.views.layout import Column
from pilotcli.views.tables import show_items, show_json


def show_benchmarks(benchmarks: Sequence[Benchmark], format: str) -> None:
    """Write the benchmarks, one line each."""
    if format == "json":
        show_json(
            [
                {
                    "name": benchmark.name,
                    "contents": benchmark.contents,
                    "default_scale": benchmark.scale,
                    "missing_packages": list(benchmark.missing),
                    "install": benchmark.install if benchmark.missing else None,
                    "from_files": benchmark.from_files,
                }
                for benchmark in benchmarks
            ]
        )
        return
    show_items(
        benchmarks,
        [
            (Column("name"), lambda benchmark: benchmark.name),
            (Column("scale", right=True), _scale),
            (Column("ready"), _ready),
            (Column("contents", least=24, flexible=True), lambda benchmark: benchmark.contents),
        ],
    )
    lacking: dict[str, list[str]] = {}
    for benchmark in benchmarks:
        if benchmark.missing:
            lacking.setdefault(benchmark.install, []).append(benchmark.name)
    for install, names in lacking.items():
        out(f"\nFor {', '.join(names)}: {install}")
    if any(benchmark.from_files for benchmark in benchmarks):
        out("\nThose with --from are made from your files: pilot workloads get NAME says which.")


def _ready(benchmark: Benchmark) -> str:
    if benchmark.from_files:
        return "--from"
    return "no" if benchmark.missing else "yes"


def _scale(benchmark: Benchmark) -> str:
    return MISSING if benchmark.scale is None else f"{benchmark.scale:g}"

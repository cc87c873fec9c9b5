"""`pilot workloads list|get`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pilotcli.benchmarks.catalog import BENCHMARKS, benchmark_named, write_benchmark
from pilotcli.benchmarks.request import Request
from pilotcli.cli.asking import YesOption, agreed
from pilotcli.cli.completion import completed_by
from pilotcli.cli.options import FormatOption, change_folder
from pilotcli.common.quantities import plural
from pilotcli.views.benchmark_list import show_benchmarks
from pilotcli.views.console import err, out

SeedOption = Annotated[
    int,
    typer.Option(
        "--seed", metavar="N", help="Where random choices start. Default: 1.", show_default=False
    ),
]


def list_(format: FormatOption = "table") -> None:
    """List the benchmarks that pilot can write as folders.

    \b
    Examples:
      pilot workloads list
      pilot workloads list --format json
    """
    show_benchmarks(tuple(BENCHMARKS.values()), format)


def get(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=completed_by("benchmarks:benchmarks"),
            help="A name of pilot workloads list.",
        ),
    ],
    scale: Annotated[
        float | None,
        typer.Option(
            "--scale",
            metavar="S",
            help="How much data, as the benchmark counts it: tpch and tpcds from 0.01 on, forum "
            "0.05 to 20. Default: see pilot workloads list.",
        ),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="DIR",
            help="The folder to write, which must not exist. Default: NAME in the current folder.",
        ),
    ] = None,
    seed: SeedOption = 1,
    variants: Annotated[
        int,
        typer.Option(
            "--variants",
            metavar="N",
            min=1,
            help="Sets of parameters for each query, where a benchmark has several. Default: 1.",
            show_default=False,
        ),
    ] = 1,
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="PATH|URL",
            help="A folder, an archive or an address with files of the benchmark. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Write a benchmark as a folder: schema, data, queries, config.

    The queries are split into training and test. Benchmarks that others publish are made from
    files that you name. pilot shows the address, size and checksum of a file before it downloads
    it, and asks.

    \b
    Examples:
      pilot workloads get tpch && cd tpch && pilot run
      pilot workloads get tpcds --scale 1 --into ds1
      pilot workloads get job --from join-order-benchmark/ --from imdb.tgz
    """
    chosen = benchmark_named(name).scale if scale is None else scale
    place = into or Path(name)
    ask = (lambda question: True) if yes else agreed
    request = Request(name, chosen, seed, variants, err, tuple(from_ or ()), ask)
    train, test = write_benchmark(place, request)
    for_training = plural(train, "query", "queries")
    out(f"wrote {place}: {for_training} for training, {test} for test (seed {seed})")
    server = "" if (place / "schema.sql").exists() else "export DSN=postgresql://... && "
    out(f"\nNext:  {change_folder(place)}{server}pilot run")

"""Writes TPC-H and TPC-DS into a folder, with data and queries of DuckDB's extensions."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from pilotcli.benchmarks import duck, folder, tpcds, tpch
from pilotcli.benchmarks.request import Request
from pilotcli.common.quantities import plural

_LICENCE = """\
Data and query texts come from DuckDB's extension `{name}` ([{package}]({url}), MIT licence). It \
contains {tool} of the TPC, which is under the TPC's licence \
([tpc.org](https://www.tpc.org/tpc_documents_current_versions/current_specifications5.asp)).

What you measure here is not a result of {title} in the sense of the TPC: no refresh functions, no \
throughput run, no audit. Do not publish it under that name without saying so."""

_PARAMETERS_H = """\
Each query has {sets} of parameters. The first is that of the standard's validation run \
(`q05`). The others (`q05_2`, ...) are drawn from seed {seed} as the standard's section 2.4 says, \
from the values that the data has."""

_PARAMETERS_DS = "Each query has one set of parameters, that of DuckDB's extension (qualification)."


def write_tpch(place: Path, request: Request) -> tuple[int, int]:
    """Write TPC-H into the folder `place`; returns the numbers of training and test queries."""
    assert request.scale is not None
    title = f"TPC-H, scale {request.scale:g}"
    with duck.generator("tpch", request.scale, place) as connection:
        request.report("writing the rows of 8 tables")
        duck.write_schema(connection, tpch.TABLES, place, title)
        queries = _tpch_queries(connection, request, request.scale)
    about = (
        f"The 8 tables of TPC-H at scale {request.scale:g} with the keys of the standard, and"
        " indexes on foreign keys and dates. All 22 queries, in PostgreSQL's dialect.\n\n"
        + _PARAMETERS_H.format(sets=plural(request.variants, "set"), seed=request.seed)
    )
    return _write(place, request, title, about, queries)


def _tpch_queries(connection: Any, request: Request, scale: float) -> list[folder.LabelledQuery]:
    texts = list(enumerate(duck.queries(connection, "tpch"), 1))
    domains = tpch.read_domains(connection, scale)
    queries = []
    for variant in range(1, request.variants + 1):
        for number, sql in texts:
            if variant == 1:
                text, end = tpch.validation(number, sql, scale), ""
            else:
                chance = random.Random(f"{request.seed}/{variant}/{number}")
                text, end = tpch.with_parameters(number, sql, domains, chance), f"_{variant}"
            queries.append(folder.LabelledQuery(f"q{number:02}{end}", text))
    return queries


def write_tpcds(place: Path, request: Request) -> tuple[int, int]:
    """Write TPC-DS into the folder `place`; returns the numbers of training and test queries."""
    assert request.scale is not None
    title = f"TPC-DS, scale {request.scale:g}"
    with duck.generator("tpcds", request.scale, place) as connection:
        tables = tpcds.tables(connection)
        request.report(f"writing the rows of {len(tables)} tables")
        duck.write_schema(connection, tables, place, title)
        texts = enumerate(duck.queries(connection, "tpcds"), 1)
        queries = [
            folder.LabelledQuery(f"q{number:02}", tpcds.in_postgres(sql)) for number, sql in texts
        ]
    about = (
        f"The {len(tables)} tables of TPC-DS at scale {request.scale:g} with the keys and foreign"
        f" keys of the standard, and indexes on the foreign keys of the fact tables. All"
        f" {len(queries)} queries, in PostgreSQL's dialect.\n\n{_PARAMETERS_DS}"
    )
    return _write(place, request, title, about, queries)


def _write(
    place: Path,
    request: Request,
    title: str,
    about: str,
    queries: list[folder.LabelledQuery],
) -> tuple[int, int]:
    package = f"duckdb-extension-{request.name}"
    source = _LICENCE.format(
        name=request.name,
        package=package,
        url=f"https://pypi.org/project/{package}/",
        tool={"tpch": "dbgen", "tpcds": "dsdgen"}[request.name],
        title=title.partition(",")[0],
    )
    counts = folder.write_queries(place / "queries", queries, request.seed)
    named = folder.About(request.name, title, about, source, request.command)
    folder.write_about(place, named, counts, request.seed)
    return counts

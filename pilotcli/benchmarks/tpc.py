"""Writes TPC-H and TPC-DS into a folder, with data and queries of DuckDB's extensions."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from pilotcli.benchmarks import duck, folder, tpcds, tpcds_draws, tpch, tpch_draws
from pilotcli.benchmarks.request import Request
from pilotcli.common.errors import UsageError
from pilotcli.common.quantities import plural, size

_LICENCE = """\
Data and query texts come from DuckDB's extension `{name}` ([{package}]({url}), MIT licence). It \
contains {tool} of the TPC, which is under the TPC's licence \
([tpc.org](https://www.tpc.org/tpc_documents_current_versions/current_specifications5.asp)).

What you measure here is not a result of {title} in the sense of the TPC: no refresh functions, no \
throughput run, no audit. Do not publish it under that name without saying so."""

_OTHER_SETS = """\
Each query has {sets} of parameters. The first is that of {first} (`q05`). The others (`q05_2`, \
...) are drawn from seed {seed} as the standard's {section} says, from the values that the data \
has."""

_LEAST = 0.01
"""The smallest scale: below it DuckDB's dsdgen may never end, and dbgen makes keys twice."""

_BYTES = 10**9
"""About how large the rows of scale 1 are."""

_TRIES = 20
"""How often a set of parameters is drawn again that a query has already."""


def write_tpch(place: Path, request: Request) -> tuple[int, int]:
    """Write TPC-H into the folder `place`; returns the numbers of training and test queries."""
    scale = _checked_scale(place, request)
    title = f"TPC-H, scale {scale:g}"
    with duck.generator("tpch", scale, place) as connection:
        request.report("writing the rows of 8 tables")
        duck.write_schema(connection, tpch.TABLES, place, title)
        domains = tpch_draws.read_domains(connection, scale)
        texts = duck.queries(connection, "tpch")
    first = [tpch_draws.validation(number, sql, scale) for number, sql in enumerate(texts, 1)]
    queries = _with_variants(
        request,
        first,
        lambda number, chance: tpch_draws.with_parameters(
            number, texts[number - 1], domains, chance
        ),
    )
    about = (
        f"The 8 tables of TPC-H at scale {scale:g} with the keys of the standard, and"
        " indexes on foreign keys and dates. All 22 queries, in PostgreSQL's dialect.\n\n"
        + _about_parameters(request, "the standard's validation run", "section 2.4")
    )
    return _write(place, request, title, about, queries)


def write_tpcds(place: Path, request: Request) -> tuple[int, int]:
    """Write TPC-DS into the folder `place`; returns the numbers of training and test queries."""
    scale = _checked_scale(place, request)
    title = f"TPC-DS, scale {scale:g}"
    with duck.generator("tpcds", scale, place) as connection:
        tables = tpcds.tables(connection)
        request.report(f"writing the rows of {len(tables)} tables")
        duck.write_schema(connection, tables, place, title)
        domains = tpcds_draws.read_domains(connection)
        first = [tpcds.in_postgres(sql) for sql in duck.queries(connection, "tpcds")]
    queries = _with_variants(
        request,
        first,
        lambda number, chance: tpcds_draws.with_parameters(
            number, first[number - 1], domains, chance
        ),
    )
    about = (
        f"The {len(tables)} tables of TPC-DS at scale {scale:g} with the keys and foreign"
        f" keys of the standard, and indexes on the foreign keys of the fact tables. All"
        f" {len(first)} queries, in PostgreSQL's dialect.\n\n"
        + _about_parameters(request, "DuckDB's extension, for qualification", "appendix B")
    )
    return _write(place, request, title, about, queries)


def _checked_scale(place: Path, request: Request) -> float:
    """Returns the scale, and reports how large its data will be.

    Raises `UsageError` for a scale that is too small, or too large for the disk of `place`.
    """
    scale = request.scale
    assert scale is not None
    if scale < _LEAST:
        raise UsageError(
            f"{request.name} cannot be as small as --scale {scale:g}",
            hint=f"Choose a scale from {_LEAST:g} on.",
        )
    if request.name == "tpch" and (other := tpch.scale_with_keys(scale)) != scale:
        raise UsageError(
            f"tpch has no keys at --scale {scale:g}: DuckDB's generator makes rows twice",
            hint=f"Choose another one, such as --scale {other:g}.",
        )
    needed, left = scale * _BYTES, shutil.disk_usage(place).free
    if needed > left:
        raise UsageError(
            f"{request.name} at scale {scale:g} is about {scale:g} GB of data, and the disk of"
            f" {place.parent} has {size(left)} left",
            hint="Choose a smaller --scale, or a folder on another disk with --into.",
        )
    request.report(f"making about {size(needed)} of data")
    return scale


def _with_variants(
    request: Request, first: Sequence[str], draw: Callable[[int, random.Random], str]
) -> list[folder.LabelledQuery]:
    """Returns the queries with the first set of parameters, then those with other sets.

    `draw` returns a query, by its number, with other parameters. The sets of a query differ as
    long as there are others.
    """
    queries = [folder.LabelledQuery(f"q{number:02}", sql) for number, sql in enumerate(first, 1)]
    seen = [{sql} for sql in first]
    for variant in range(2, request.variants + 1):
        for number, texts in enumerate(seen, 1):
            chance = random.Random(f"{request.seed}/{variant}/{number}")
            sql = draw(number, chance)
            for _ in range(_TRIES):
                if sql not in texts:
                    break
                sql = draw(number, chance)
            texts.add(sql)
            queries.append(folder.LabelledQuery(f"q{number:02}_{variant}", sql))
    return queries


def _about_parameters(request: Request, first: str, section: str) -> str:
    sets = plural(request.variants, "set")
    if request.variants == 1:
        return f"Each query has {sets} of parameters, that of {first}."
    return _OTHER_SETS.format(sets=sets, first=first, seed=request.seed, section=section)


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

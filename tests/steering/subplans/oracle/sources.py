"""Everything that the oracle can judge, by the database that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from forum_demo import SCHEMA as FORUM_SCHEMA
from forum_queries import FORUM
from query_maker import QueryMaker
from random_joins import random_join

from .corpus import SCHEMA, cases_of, corpus_files
from .records import Case
from .tpc import BENCHMARKS, NotAvailable, benchmark

_FOLDER = Path(__file__).parents[1]
SEEDS = range(100)
"""Seeds of the generated queries."""


@dataclass
class Source:
    """Queries over one database, which the scripts `setup` make."""

    name: str
    database: str
    setup: Sequence[Path]
    cases: Sequence[Case]


def sources(wanted: Sequence[str], folder: Path, seeds: Sequence[int] = SEEDS) -> Iterator[Source]:
    """Yields the sources with these names (all without names), the corpus file by file.

    `seeds` are those of the generated queries, one query for each.
    """

    def is_wanted(name: str) -> bool:
        return not wanted or any(Path(part).stem == name for part in wanted)

    for path in corpus_files():
        if is_wanted(path.stem) or "corpus" in wanted:
            yield Source(path.stem, "corpus", [SCHEMA], list(cases_of(path)))
    if is_wanted("forum"):
        cases = [Case(f"forum:{label}", sql, borrowed=True) for label, sql in FORUM.items()]
        yield Source("forum", "forum", [FORUM_SCHEMA], cases)
    if is_wanted("random_joins"):
        cases = [Case(f"random_joins:{seed}", random_join(seed)) for seed in seeds]
        yield Source("random_joins", "small", [_FOLDER / "small.sql"], cases)
    if is_wanted("query_maker"):
        cases = [Case(f"query_maker:{seed}", QueryMaker(seed).query()) for seed in seeds]
        schema = _FOLDER.parent / "planner" / "schema.sql"
        yield Source("query_maker", "maker", [schema], cases)
    for name in BENCHMARKS:
        if is_wanted(name):
            try:
                setup, cases = benchmark(name, folder)
            except NotAvailable as error:
                print(f"{name}: left out, {error}")
                continue
            yield Source(name, name, [setup], cases)

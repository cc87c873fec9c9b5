"""Prints what the oracle finds, one line for each file of queries."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1] / "support")]

from corpus_cases import SCHEMA, cases_of, corpus_files  # noqa: E402
from forum_demo import SCHEMA as FORUM_SCHEMA  # noqa: E402
from forum_queries import FORUM  # noqa: E402
from oracle import Case, Oracle  # noqa: E402
from query_maker import QueryMaker  # noqa: E402
from random_joins import random_join  # noqa: E402
from tpc import BENCHMARKS, NotAvailable, benchmark  # noqa: E402

from pilotcli.config import PostgreSQLConfig  # noqa: E402
from pilotcli.databases.opening import open_target  # noqa: E402
from pilotcli.databases.target import PostgresTarget  # noqa: E402

KINDS = ("count", "estimate", "observed", "push", "rows", "silent", "error")
COLUMNS = (
    "queries",
    "  keys",
    "observed rows",
    "pushed",
    *KINDS,
    "order",
    "slow",
    "ignored",
    "left out",
)
GENERATED = 100
"""Queries of each generator."""


@dataclass
class Source:
    """Queries over one database, which the scripts `setup` make."""

    name: str
    database: str
    setup: Sequence[Path]
    cases: Sequence[Case]


def sources(wanted: Sequence[str], folder: Path) -> Iterator[Source]:
    """Yields the sources with these names (all without names), the corpus file by file."""
    tests = FOLDER.parents[1]

    def is_wanted(name: str) -> bool:
        return not wanted or any(Path(part).stem == name for part in wanted)

    for path in corpus_files():
        if is_wanted(path.stem) or "corpus" in wanted:
            yield Source(path.stem, "corpus", [SCHEMA], list(cases_of(path)))
    if is_wanted("forum"):
        cases = [Case(f"forum:{label}", sql, borrowed=True) for label, sql in FORUM.items()]
        yield Source("forum", "forum", [FORUM_SCHEMA], cases)
    if is_wanted("random_joins"):
        cases = [Case(f"random_joins:{seed}", random_join(seed)) for seed in range(GENERATED)]
        yield Source("random_joins", "small", [FOLDER / "small.sql"], cases)
    if is_wanted("query_maker"):
        cases = [Case(f"query_maker:{n}", QueryMaker(n).query()) for n in range(GENERATED)]
        schema = tests / "steering" / "planner" / "schema.sql"
        yield Source("query_maker", "maker", [schema], cases)
    for name in BENCHMARKS:
        if is_wanted(name):
            try:
                setup, cases = benchmark(name, folder)
            except NotAvailable as error:
                print(f"{name}: left out, {error}")
                continue
            yield Source(name, name, [setup], cases)


@contextmanager
def opened(source: Source, home: Path, asked: argparse.Namespace) -> Iterator[Oracle]:
    """An oracle for the source's database on the server that was asked for."""
    config = PostgreSQLConfig(home=home, db=source.database, embedded=True)
    if asked.server == "installed":
        config.postgres_bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    elif asked.server != "wheel":
        config = PostgreSQLConfig(home=home, dsn=asked.server)
    config.setup = tuple(source.setup)
    config.user_data_db_name = f"store_of_{source.database}"
    target = open_target(config)
    assert isinstance(target, PostgresTarget)
    oracle = Oracle(target, config, most_keys=asked.most_keys, push=not asked.no_push)
    try:
        yield oracle
    finally:
        oracle.close()
        target.close()


def main() -> int:
    """Judge, print, and return 1 if there are findings."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.steering.subplans.oracle",
        description="Compares sub-plans with the truth.",
    )
    parser.add_argument("files", nargs="*", help="corpus, a file's name, forum, tpch, ...")
    parser.add_argument("--limit", type=int, help="the first N queries of each file")
    parser.add_argument("--server", default="wheel", help="wheel, installed, or a DSN")
    parser.add_argument("--only", choices=KINDS, help="findings of this kind only")
    parser.add_argument("--most-keys", type=int, default=60, help="sub-plans judged of a query")
    parser.add_argument("--no-push", action="store_true", help="without pushes")
    parser.add_argument("--verbose", action="store_true", help="show each finding")
    parser.add_argument("--reasons", action="store_true", help="show what was left out, and why")
    asked = parser.parse_args()
    print(f"{'file':20}" + "".join(f"  {what}" for what in COLUMNS) + "  seconds")
    total = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="pilot-oracle-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        home = Path(folder) / ".pilot"
        found = sources(asked.files, Path(folder))
        for _, group in groupby(found, key=lambda source: source.database):
            first = next(group)
            with opened(first, home, asked) as oracle:
                for source in (first, *group):
                    total += _judge(source, oracle, asked)
    print(_line("all", total))
    return int(any(total[kind] for kind in KINDS))


def _judge(source: Source, oracle: Oracle, asked: argparse.Namespace) -> Counter[str]:
    began = time.perf_counter()
    cases = [case for case in source.cases[: asked.limit] if case.since <= oracle.version]
    verdicts = [oracle.judge(case) for case in cases]
    counts = Counter[str](queries=len(verdicts))
    for verdict in verdicts:
        verdict.findings = [
            finding for finding in verdict.findings if asked.only in (None, finding.kind)
        ]
        counts.update(finding.kind for finding in verdict.findings)
        counts["  keys"] += verdict.keys
        counts["observed rows"] += verdict.observed
        counts["pushed"] += verdict.applied
        counts["ignored"] += len(verdict.ignored)
        counts["order"] += verdict.order
        counts["slow"] += len(verdict.slow)
        counts["left out"] += verdict.left_out is not None
    counts["seconds"] = round(10 * (time.perf_counter() - began))
    print(_line(source.name, counts), flush=True)
    for verdict in verdicts:
        if asked.verbose:
            for finding in verdict.findings:
                print(f"  {finding}")
        if asked.reasons:
            if verdict.left_out is not None:
                print(
                    f"  left out {verdict.case.label}: {verdict.left_out}\n    {verdict.case.sql}"
                )
            for what in verdict.slow:
                print(f"  slow {verdict.case.label}: {what}\n    {verdict.case.sql}")
            for key, reason in verdict.ignored:
                print(
                    f"  ignored {verdict.case.label}: {reason}\n    {verdict.case.sql}\n    {key}"
                )
    return counts


def _line(name: str, counts: Counter[str]) -> str:
    numbers = "".join(f"{counts[what]:>{len(what) + 2}}" for what in COLUMNS)
    return f"{name:20}{numbers}{counts['seconds'] / 10:>9.1f}"


if __name__ == "__main__":
    sys.exit(main())

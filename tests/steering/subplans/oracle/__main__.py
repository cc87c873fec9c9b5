"""Prints what the oracle finds, one line for each file of queries."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.target import PostgresTarget

from .judge import Oracle
from .records import KINDS, Verdict

sys.path.append(str(Path(__file__).parents[3] / "support"))  # pytest does this by itself

from steered import postgres_bin

from .sources import SEEDS, Source, sources

COLUMNS = (
    "queries",
    "keys",
    "observed rows",
    "pushed",
    *KINDS,
    "order",
    "slow",
    "ignored",
    "left out",
)


@contextmanager
def opened(source: Source, home: Path, asked: argparse.Namespace) -> Iterator[Oracle]:
    """An oracle for the source's database on the server that was asked for."""
    config = PostgreSQLConfig(home=home, db=source.database, embedded=True)
    if asked.server in ("wheel", "installed") or Path(asked.server).is_dir():
        config.postgres_bin = postgres_bin(asked.server)
    else:
        config = PostgreSQLConfig(home=home, dsn=asked.server)
    config.setup = tuple(source.setup)
    config.server_settings = {"autovacuum": "off"}  # views read tables of the catalog
    config.user_data_db_name = f"store_of_{source.database}"
    target = open_target(config)
    assert isinstance(target, PostgresTarget)
    oracle = Oracle(
        target,
        config,
        most_keys=asked.most_keys,
        push=not asked.no_push,
        without_module=asked.without_module,
    )
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
    parser.add_argument(
        "--server", default="wheel", help="wheel, installed, a folder of programs, or a DSN"
    )
    parser.add_argument("--first-seed", type=int, default=SEEDS.start, help="of generated queries")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="number of generated queries")
    parser.add_argument("--only", choices=KINDS, help="findings of this kind only")
    parser.add_argument("--most-keys", type=int, default=60, help="sub-plans judged of a query")
    parser.add_argument("--no-push", action="store_true", help="without pushes")
    parser.add_argument(
        "--without-module", action="store_true", help="compare the keys with those without it"
    )
    parser.add_argument("--verbose", action="store_true", help="show each finding")
    parser.add_argument("--reasons", action="store_true", help="show what was left out, and why")
    asked = parser.parse_args()
    print(f"{'file':20}" + "".join(f"{what:>{_width(what)}}" for what in COLUMNS) + "  seconds")
    total = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="pilot-oracle-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        home = Path(folder) / ".pilot"
        seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
        found = sources(asked.files, Path(folder), seeds)
        for _, group in groupby(found, key=lambda source: source.database):
            first = next(group)
            with opened(first, home, asked) as oracle:
                for source in (first, *group):
                    total += _judge(source, oracle, asked)
    print(_line("all", total))
    return int(any(total[kind] for kind in KINDS))


def _judge(source: Source, oracle: Oracle, asked: argparse.Namespace) -> Counter[str]:
    began = time.perf_counter()
    counts = Counter[str]()
    for case in source.cases[: asked.limit]:
        if case.since <= oracle.version:
            verdict = oracle.judge(case)
            if asked.only is not None:
                verdict.findings = [one for one in verdict.findings if one.kind == asked.only]
            counts += _count(verdict)
            _show(verdict, asked)
    counts["seconds"] = round(10 * (time.perf_counter() - began))
    print(_line(source.name, counts), flush=True)
    return counts


def _count(verdict: Verdict) -> Counter[str]:
    return Counter(finding.kind for finding in verdict.findings) + Counter(
        {
            "queries": 1,
            "keys": verdict.keys,
            "observed rows": verdict.observed,
            "pushed": verdict.applied,
            "order": verdict.order,
            "slow": len(verdict.slow),
            "ignored": len(verdict.ignored),
            "left out": int(verdict.left_out is not None),
        }
    )


def _show(verdict: Verdict, asked: argparse.Namespace) -> None:
    case = verdict.case
    if asked.verbose:
        for finding in verdict.findings:
            print(f"  {finding}")
    if asked.reasons:
        reasons = [f"ignored {case.label}: {why}\n    {key}" for key, why in verdict.ignored]
        reasons += [f"slow {case.label}: {what}" for what in verdict.slow]
        if verdict.left_out is not None:
            reasons.append(f"left out {case.label}: {verdict.left_out}")
        for reason in reasons:
            print(f"  {reason}\n    {case.sql}")


def _width(column: str) -> int:
    return 2 + max(5, len(column))


def _line(name: str, counts: Counter[str]) -> str:
    numbers = "".join(f"{counts[what]:>{_width(what)}}" for what in COLUMNS)
    return f"{name:20}{numbers}{counts['seconds'] / 10:>9.1f}"


if __name__ == "__main__":
    sys.exit(main())

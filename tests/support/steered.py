"""A session with the planner module loaded, for tests and benchmarks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from given_server import GIVEN, GIVEN_SERVER, WHEEL

from pilotcli.databases.embedded.binaries import find_binaries
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.planner import Report, parse_report, rows_setting
from pilotcli.steering.subplans import DescribedQuery, SubPlan

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
KINDS = (
    [WHEEL if GIVEN == WHEEL else GIVEN_SERVER]
    if GIVEN
    else [WHEEL, "installed", *filter(None, os.environ.get("PILOT_TEST_SERVERS", "").split(":"))]
)
"""The installations on which tests of servers run; those of the variable are named by folder."""

Rows = Mapping[str, float]
"""Pushed rows; the key holds the names of the relations, with spaces between."""


def postgres_bin(kind: str) -> Path | None:
    """The folder of programs of an installation (itself a kind); None stands for pilot's own."""
    if kind in (WHEEL, GIVEN_SERVER):
        return None
    if kind != "installed":
        return Path(kind)
    if not INSTALLED:
        pytest.skip("no PostgreSQL is installed besides the one that comes with pilot")
    return INSTALLED[-1].parent


def home_of(kind: str, homes: Path) -> Path:
    """The home of an installation's server."""
    return homes / str(KINDS.index(kind))


def pg_config_of(kind: str) -> Path:
    """The `pg_config` that belongs to an installation."""
    folder = postgres_bin(kind)
    if folder is not None:
        return folder / "pg_config"
    return find_binaries().folder / "pg_config"


def pg_config_script(file: Path, version: str, otherwise: str) -> Path:
    """A pg_config that names `version`, and runs the command `otherwise` for all else."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        f'#!/bin/sh\ncase "$1" in --version) echo "{version}";; *) {otherwise};; esac\n'
    )
    file.chmod(0o755)
    return file


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan, the upper ones first."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def shape(plan: dict[str, Any]) -> tuple[Any, ...]:
    """A plan without its numbers: which node over which, on which relation."""
    own = tuple(plan.get(key) for key in ("Node Type", "Join Type", "Alias", "Index Name"))
    return (*own, *(shape(child) for child in plan.get("Plans", ())))


def estimates(report: Report) -> dict[SubPlan, float]:
    """The planner's own rows of each set of relations that it considered."""
    blocks = DescribedQuery(report.blocks_text or "[]").blocks
    return {
        blocks[number].subplan(mask): rows
        for number, sets in report.sets.items()
        if blocks[number].names
        for mask, rows in sets
    }


class Steered:
    """A session whose statements are steered one at a time."""

    def __init__(self, session: PostgresSession) -> None:
        self.session = session

    def message(self, sql: str, rows: Rows | None = None, report: str = "") -> str:
        """What is sent for `sql`: its settings hold for it alone."""
        entries = [(names.split(), number) for names, number in (rows or {}).items()]
        pushed = rows_setting(entries).replace("'", "''")
        return (
            f"SET LOCAL pilot_planner.rows = '{pushed}'; "
            f"SET LOCAL pilot_planner.report = '{report}'; {sql}"
        )

    def run(self, sql: str, rows: Rows | None = None, report: str = "") -> tuple[list[Any], Report]:
        """The rows that `sql` returns, and what the module tells of it."""
        return self.run_after("", sql, rows, report)

    def run_after(
        self, settings: str, sql: str, rows: Rows | None = None, report: str = ""
    ) -> tuple[list[Any], Report]:
        """The same, after the statements `settings` in the same message."""
        heard: list[str] = []
        self.session.connection.notices = heard
        found = self.session.execute(settings + self.message(sql, rows, report))
        return list(found.rows), parse_report(heard)

    def plan(self, sql: str, rows: Rows | None = None) -> tuple[dict[str, Any], Report]:
        """The plan of `sql`, and what became of the pushed rows."""
        found, report = self.run(f"EXPLAIN (FORMAT JSON) {sql}", rows)
        value = found[0][0]
        plan = (json.loads(value) if isinstance(value, str) else value)[0]["Plan"]
        return plan, report

"""Generated queries over a target, and the folder or the file that they are written to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotcli.benchmarks.edges import declared_edge, detected_edges, edge_text, with_edges
from pilotcli.benchmarks.folder import LabelledQuery, new_folder, split
from pilotcli.benchmarks.folder import write_queries as write_parts
from pilotcli.benchmarks.generate import QueryGenerator, left_out_text
from pilotcli.databases.protocols import Session, Target
from pilotcli.drivers.sampling import Catalog, read_catalog
from pilotcli.reports.files import whole_file

_README = """\
# Generated queries

{train} queries for training, {test} for test, over {database}.

Made by: `{command}`

Each query returned rows when it was made, within {limit_s:g} s.

## Joins

{joins}
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for: the least and most joins, and the rest of the command's options."""

    joins: tuple[int, int]
    queries: int
    seed: int
    declared: tuple[str, ...]
    detect: bool
    limit_s: float

    @property
    def command(self) -> str:
        """The command that asks for the same."""
        declared = "".join(f" --join '{join}'" for join in self.declared)
        detect = "" if self.detect else " --no-detect"
        return (
            f"pilot workloads generate --joins {self.joins[0]}..{self.joins[1]}"
            f" --queries {self.queries} --seed {self.seed}{declared}{detect}"
            f" --timeout {self.limit_s:g}s"
        )


@dataclass(frozen=True, slots=True)
class Made:
    """The queries, the joins that they take, and the database that they are for."""

    queries: list[LabelledQuery]
    joins: tuple[str, ...]
    database: str


class _SessionReader:
    def __init__(self, session: Session) -> None:
        self._session = session

    def execute(self, sql: str, fetch: bool = False) -> Any:
        return self._session.execute(sql).rows


def generate_queries(target: Target, choice: Choice, report: Callable[[str], None]) -> Made:
    """Returns queries over the readable tables of `target`.

    `report` gets a line about each join that was detected, and about what was left out.
    """
    with contextlib.closing(target.session()) as session:
        catalog, joins = _with_all_edges(session, choice, report)
    with contextlib.closing(target.session(timeout_s=choice.limit_s, max_rows=1)) as session:
        generator = QueryGenerator(session, catalog, joins=choice.joins, seed=choice.seed)
        generated = generator.generate(choice.queries)
    for line in left_out_text(generated, choice.limit_s):
        report(line)
    found = len(generated.queries)
    if found < choice.queries:
        report(f"only {found} different queries with rows were found, not {choice.queries}")
    return Made(generated.queries, joins, target.description)


def _with_all_edges(
    session: Session, choice: Choice, report: Callable[[str], None]
) -> tuple[Catalog, tuple[str, ...]]:
    """Returns the catalog with all edges to take, and a line about each edge."""
    reader = _SessionReader(session)
    catalog = read_catalog(reader, seed=choice.seed)
    lines = [f"{edge_text(catalog, edge)} (foreign keys)" for edge in catalog.edges]
    declared = [declared_edge(catalog, text) for text in choice.declared]
    lines += [f"{edge_text(catalog, edge)} (--join)" for edge in declared]
    catalog = with_edges(catalog, declared)
    if choice.detect:
        detected = detected_edges(reader, catalog)
        for edge, share in detected:
            text = edge_text(catalog, edge)
            report(f"detected a join: {text} ({share:.0%} of the sampled values are in both)")
            lines.append(f"{text} (detected, {share:.0%} of the sampled values)")
        catalog = with_edges(catalog, [edge for edge, _ in detected])
    return catalog, tuple(lines)


def write_folder(place: Path, made: Made, choice: Choice) -> tuple[int, int]:
    """Write `train/`, `test/` and a README into the new folder `place`; returns the counts."""
    with new_folder(place) as draft:
        train, test = write_parts(draft, made.queries, choice.seed)
        text = _README.format(
            train=train,
            test=test,
            database=made.database,
            command=choice.command,
            limit_s=choice.limit_s,
            joins="\n".join(f"- `{line}`" for line in made.joins) or "None.",
        )
        (draft / "README.md").write_text(text, "utf-8")
    return train, test


def write_file(path: Path, made: Made, choice: Choice) -> tuple[int, int]:
    """Write all queries to one file, those for training first, labelled `train-...` and `test-...`.

    Returns the counts.
    """
    parts = split(made.queries, choice.seed)
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f"-- {choice.command}\n")
        for name, part in zip(("train", "test"), parts, strict=True):
            for query in part:
                file.write(f"\n-- name: {name}-{query.label}\n{query.sql};\n")
    return len(parts[0]), len(parts[1])

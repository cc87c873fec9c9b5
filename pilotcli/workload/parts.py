"""Parts of workloads: what a driver learns from, and what it is judged on."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pilotcli.common.errors import UsageError
from pilotcli.common.records import Query
from pilotcli.common.sql_commands import command_of, may_write
from pilotcli.workload.logs.normal_form import normal_form
from pilotcli.workload.templates import templates
from pilotcli.workload.upcoming import QuerySource

SplitBy = Literal["query", "template"]


class Queries(QuerySource, Protocol):
    """The queries of a workload, or of a part of one; each iteration reads them again."""

    @property
    def description(self) -> str:
        """What they are, for a title."""

    def digest(self) -> str | None:
        """A checksum over all statements, if that is quick to find out."""


@dataclass(frozen=True, slots=True)
class Part:
    """The queries of `workload` with the numbers `kept`; their labels and numbers stay."""

    workload: Queries
    kept: Collection[int]
    description: str

    def __iter__(self) -> Iterator[Query]:
        return (query for query in self.workload if query.seq in self.kept)

    def count(self) -> int:
        return len(self.kept)

    def digest(self) -> str | None:
        return _combined(self.workload.digest(), *map(str, sorted(self.kept)))

    def with_whole(self) -> Part:
        """The whole workload, under the name of this part."""
        return Part(self.workload, {query.seq for query in self.workload}, self.description)


@dataclass(frozen=True, slots=True)
class After:
    """The queries of `workload`, with numbers that follow `last`: so they are told apart from those
    of another workload in the same run."""

    workload: Queries
    last: int

    @property
    def description(self) -> str:
        return self.workload.description

    def __iter__(self) -> Iterator[Query]:
        return (query._replace(seq=query.seq + self.last) for query in self.workload)

    def count(self) -> int | None:
        return self.workload.count()

    def digest(self) -> str | None:
        return self.workload.digest()


@dataclass(frozen=True, slots=True)
class Both:
    """What a driver is judged on, then what it learns from; each query has a number of its own."""

    test: Queries
    learning: Queries

    @property
    def description(self) -> str:
        return f"{self.test.description}, learned on {self.learning.description}"

    def __iter__(self) -> Iterator[Query]:
        yield from self.test
        yield from self.learning

    def count(self) -> int | None:
        counts = self.test.count(), self.learning.count()
        return None if counts[0] is None or counts[1] is None else counts[0] + counts[1]

    def digest(self) -> str | None:
        return _combined(self.test.digest(), self.learning.digest())


def split(workload: Queries, share: float, by: SplitBy, seed: int) -> tuple[Part, Part]:
    """Returns what to learn from, `share` of the queries or templates, and what to be judged on.

    Raises `UsageError` where one of them would be empty.
    """
    groups = _shuffled(workload, by, seed)
    learned = round(len(groups) * share)
    if not 0 < learned < len(groups):
        noun = "queries" if by == "query" else "templates"
        raise UsageError(
            f"{len(groups)} {noun} cannot be split {share:.0%} to {1 - share:.0%}: "
            "one part would be empty",
            hint="Choose another --split."
            if by == "query"
            else "Choose another --split, or --split-by query.",
        )
    title = f"{round(share * 100)}/{round(100 - share * 100)} by {by}, seed {seed}"
    return _parts(workload, groups[learned:], title)


def folds(
    workload: Queries, count: int | Literal["templates"], by: SplitBy, seed: int
) -> list[tuple[Part, Part]]:
    """Returns the folds of a cross-validation, each as `split` does: every query is in the test
    part of exactly one. `templates` leaves one template out in each.

    Raises `UsageError` for more folds than there are queries or templates.
    """
    if count == "templates":
        by = "template"
    groups = _shuffled(workload, by, seed)
    number = len(groups) if count == "templates" else count
    if not 1 < number <= len(groups):
        noun = "queries" if by == "query" else "templates"
        raise UsageError(
            f"{len(groups)} {noun} cannot make {number} folds", hint="Choose fewer --folds."
        )
    title = f"by {by}, seed {seed}"
    return [
        _parts(workload, groups[fold::number], f"fold {fold + 1} of {number} {title}")
        for fold in range(number)
    ]


def in_both(test: Queries, learning: Queries) -> list[Query]:
    """Returns the queries of `test` that are in `learning`, too, but for their values."""
    learned = {normal_form(query.sql) for query in learning if _is_judged(query)}
    return [query for query in test if _is_judged(query) and normal_form(query.sql) in learned]


def _shuffled(workload: Queries, by: SplitBy, seed: int) -> list[Sequence[int]]:
    """The numbers of the queries that may be apart, in groups that stay together."""
    queries = [query for query in workload if _is_judged(query)]
    # The same text twice is the same query.
    own = {query.seq: query.sql for query in queries}
    keys = templates(queries) if by == "template" else own
    groups: dict[str, list[int]] = {}
    for query in queries:
        groups.setdefault(keys[query.seq], []).append(query.seq)
    shuffled: list[Sequence[int]] = list(groups.values())
    random.Random(f"split/{seed}").shuffle(shuffled)
    return shuffled


def _parts(workload: Queries, tested: Sequence[Sequence[int]], title: str) -> tuple[Part, Part]:
    """The parts without and with the groups `tested`. Statements that are not judged, such as
    settings, are in both."""
    test = {seq for group in tested for seq in group}
    judged = {query.seq: _is_judged(query) for query in workload}
    learning = {seq for seq in judged if seq not in test}
    both = {seq for seq, is_judged in judged.items() if not is_judged}
    name = workload.description
    return (
        Part(workload, learning, f"{name} (the other part)"),
        Part(workload, test | both, f"{name} ({title})"),
    )


def _is_judged(query: Query) -> bool:
    """Whether a query is compared, and leaves nothing behind that others need."""
    return command_of(query.command).compared and not may_write(query.command, query.sql)


def _combined(*parts: str | None) -> str | None:
    if any(part is None for part in parts):
        return None
    text = "\0".join(part or "" for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

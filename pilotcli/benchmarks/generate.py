"""Makes queries over any database: joins, predicates that some rows meet, groups and orders."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pilotcli.benchmarks.folder import LabelledQuery
from pilotcli.common.errors import QueryError, QueryTimeout, UsageError
from pilotcli.databases.protocols import Session
from pilotcli.drivers.sampling import Catalog, Column, QuerySampler, SampledJoin

_ATTEMPTS = 30
"""How many joins are drawn at most for each query that is asked for."""

_ORDERED = frozenset("NDSE")  # typcategory of what min and max take: numbers, times, texts, enums
_GROUPED = frozenset("NSBE")
_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Generated:
    """The queries, and how many were drawn and left out, by reason."""

    queries: list[LabelledQuery]
    left_out: Counter[str]


class QueryGenerator:
    """Makes queries that return rows; the same database, seed and options make the same.

    `session` runs each query once, so that no query is empty or takes longer than its limit.
    """

    def __init__(
        self, session: Session, catalog: Catalog, *, joins: tuple[int, int], seed: int
    ) -> None:
        self._session = session
        self._catalog = catalog
        self._least = joins[0]
        self._sampler = QuerySampler(catalog, max_joins=joins[1], seed=seed)
        self._random = random.Random(seed)

    def generate(self, count: int) -> Generated:
        """Returns up to `count` different queries; raises `UsageError` if there is not one."""
        found: dict[str, None] = {}
        left_out: Counter[str] = Counter()
        for _ in range(count * _ATTEMPTS):
            if len(found) == count:
                break
            join = self._sampler.sample_join(self._least)
            if join is None:
                break
            if len(join.joins) < self._least:
                left_out["too few joins"] += 1
                continue
            try:
                met = self._with_rows(join)
                sql = None if met is None else self._query(met)
                if sql is None or not self._has_rows(f"({sql}) AS q"):
                    left_out["no rows"] += 1
                elif sql in found:
                    left_out["the same as another"] += 1
                else:
                    found[sql] = None
            except QueryTimeout:
                left_out["too slow"] += 1
            except QueryError:
                left_out["refused by the server"] += 1
        if not found:
            raise UsageError(
                "no query with rows was found: " + (_counted(left_out) or "no table has rows"),
                hint=f"Allow fewer joins (--joins 0..{max(self._least - 1, 0)}), declare some "
                "(--join 'a.x = b.y'), or fill the tables.",
            )
        width = len(str(count))
        queries = [LabelledQuery(f"g{number:0{width}}", sql) for number, sql in enumerate(found, 1)]
        return Generated(queries, left_out)

    def _with_rows(self, join: SampledJoin) -> SampledJoin | None:
        """Returns the join without the predicates that leave no row; None if it has none."""
        while not self._has_rows(self._source(join)):
            if not join.predicates:
                return None
            dropped = self._random.randrange(len(join.predicates))
            kept = join.predicates[:dropped] + join.predicates[dropped + 1 :]
            join = replace(join, predicates=kept)
        return join

    def _has_rows(self, source: str) -> bool:
        rows = self._session.execute(f"SELECT 1 FROM {source} LIMIT 1").rows  # noqa: S608 - quoted by the server
        return bool(rows)

    def _source(self, join: SampledJoin) -> str:
        tables = ", ".join(
            f"{self._catalog.tables[place].name} AS t{number}"
            for number, place in enumerate(join.tables)
        )
        conditions = (*join.joins, *join.predicates)
        return tables + ("\nWHERE " + "\n  AND ".join(conditions) if conditions else "")

    def _query(self, join: SampledJoin) -> str:
        """Returns one of four kinds of query over the join; the first where others do not fit."""
        kind = self._random.choice(("count", "extremes", "groups", "rows"))
        source = self._source(join)
        ordered = self._columns(join, _ORDERED, 2)
        if kind == "extremes" and ordered:
            shown = ", ".join(f"min({name}), max({name})" for name in ordered)
            return f"SELECT count(*), {shown}\nFROM {source}"
        groups = self._columns(join, _GROUPED, 2, repeated=True)
        if kind == "groups" and groups:
            listed = ", ".join(groups)
            order = self._random.choice(
                ("", f"\nORDER BY {listed}", f"\nORDER BY count DESC, {listed}\nLIMIT {_LIMIT}")
            )
            return f"SELECT {listed}, count(*) AS count\nFROM {source}\nGROUP BY {listed}{order}"
        if kind == "rows" and ordered:
            listed = ", ".join(ordered)
            order = ", ".join(f"{name}{self._random.choice(('', ' DESC'))}" for name in ordered)
            return f"SELECT {listed}\nFROM {source}\nORDER BY {order}\nLIMIT {_LIMIT}"
        return f"SELECT count(*)\nFROM {source}"

    def _columns(
        self, join: SampledJoin, categories: frozenset[str], most: int, *, repeated: bool = False
    ) -> list[str]:
        """Returns one to `most` columns of the join, those with repeated values if asked for."""
        fitting = [
            f"t{number}.{column.name}"
            for number, place in enumerate(join.tables)
            for at, column in enumerate(self._catalog.tables[place].columns)
            if column.category in categories
            and _compares(column)
            and (not repeated or self._repeats(place, at))
        ]
        return self._random.sample(fitting, min(len(fitting), self._random.randint(1, most)))

    def _repeats(self, place: int, at: int) -> bool:
        """Whether the sample has a column's values about twice each, or more often."""
        values = [row[at] for row in self._catalog.tables[place].rows]
        return len(set(values)) * 2 <= len(values)


def _compares(column: Column) -> bool:
    return not column.type.startswith("reg")  # regclass and such have no min and max


def _counted(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())


def left_out_text(generated: Generated, limit_s: float) -> Sequence[str]:
    """Returns a line for what was drawn and left out, and one for what may differ next time."""
    lines = []
    if generated.left_out:
        lines.append(f"left out: {_counted(generated.left_out)}")
    if generated.left_out["too slow"]:
        lines.append(
            f"queries of more than {limit_s:g} s are left out: another time, or a busier server, "
            "can give other queries for the same seed"
        )
    return lines

"""Makes queries at random, of every kind that the planner treats in its own way.

They run over the tables of `tests/steering/planner/schema.sql`, and return one row that says what
the query returned, in whatever order.
"""

from __future__ import annotations

import random

_TABLES = {
    "users": ("id", "city", "age"),
    "posts": ("id", "owner_id", "kind", "score"),
    "votes": ("id", "post_id", "user_id", "kind"),
    "tags": ("id", "post_id"),
    "days": ("day", "post_id", "hits"),
    "weather": ("day", "rain"),
    "animals": ("id", "legs"),
    "good_posts": ("id", "owner_id"),
    "guarded": ("id", "owner_id", "kind", "score"),
}
_NARROW = {"days": "day", "weather": "day"}
_JOINED_BY = ("id", "owner_id", "post_id", "user_id", "day", "x")


class QueryMaker:
    """A source of queries; the same `seed` makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._aliases = 0

    def query(self) -> str:
        """The next query."""
        self._aliases = 0
        select = self._select(depth=0)
        return f"SELECT count(*), sum(hashtext(q::text)::bigint) FROM ({select}) AS q"

    def _alias(self) -> str:
        # The same alias in different blocks is the usual thing.
        self._aliases += 1
        return self._random.choice("abcdefgh") + str(self._aliases % 7)

    def _select(self, depth: int) -> str:
        chance = self._random.random()
        if depth == 0 and chance < 0.08:
            operation = self._random.choice(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"])
            return f"({self._block(1, 1)}) {operation} ({self._block(1, 1)})"
        if depth == 0 and chance < 0.18:
            kind = self._random.choice(["", "MATERIALIZED", "NOT MATERIALIZED"])
            inner = self._block(depth + 1, 2)
            return f"WITH c AS {kind} (SELECT x0 AS x FROM ({inner}) AS w (x0)) " + self._block(
                depth, 1, extra="c"
            )
        return self._block(depth, self._random.choice([1, 2, 3]))

    def _item(
        self, depth: int, before: list[tuple[str, tuple[str, ...]]]
    ) -> tuple[str, str, list[str]]:
        """A member of FROM: its text, its alias and its columns."""
        chance = self._random.random()
        alias = self._alias()
        while any(alias == other for other, _ in before):
            alias += "x"
        most = self._random.choice([15, 30, 60, 90])
        if depth < 2 and chance < 0.12:
            inner = self._block(depth + 1, 1)
            return f"(SELECT x0 AS x FROM ({inner}) AS w (x0)) AS {alias}", alias, ["x"]
        if chance < 0.16:
            return f"generate_series(1, {most}) AS {alias} (x)", alias, ["x"]
        if chance < 0.20:
            return f"(VALUES (1), (2), (NULL), ({most})) AS {alias} (x)", alias, ["x"]
        table = self._random.choice(list(_TABLES))
        narrow = _NARROW.get(table, "id")
        if chance < 0.28 and before:
            other, columns = self._random.choice(before)
            column = self._random.choice(columns)
            lateral = (
                f"LATERAL (SELECT t.{narrow} AS x FROM {table} AS t "
                f"WHERE t.{narrow} = {other}.{column} AND t.{narrow} <= {most}) AS {alias}"
            )
            return lateral, alias, ["x"]
        columns = list(_TABLES[table])
        return f"(SELECT * FROM {table} WHERE {narrow} <= {most}) AS {alias}", alias, columns

    def _block(self, depth: int, width: int, extra: str | None = None) -> str:
        number = self._random.randint(1, 5) if depth == 0 else self._random.randint(1, 3)
        known: list[tuple[str, tuple[str, ...]]] = []
        text = ""
        if extra is not None:
            known.append((extra, ("x",)))
            text = extra
        for _ in range(number):
            item, alias, columns = self._item(depth, known)
            if not text:
                text = item
            else:
                text += self._join(item, alias, columns, known)
            known.append((alias, tuple(columns)))
        number = self._random.choice([0, 0, 1, 1, 2])
        where = [self._condition(depth, known) for _ in range(number)]
        conditions = f" WHERE {' AND '.join(where)}" if where else ""
        return self._shaped(text + conditions, known, width, depth)

    def _join(
        self, item: str, alias: str, columns: list[str], known: list[tuple[str, tuple[str, ...]]]
    ) -> str:
        other, theirs = self._random.choice(known)
        ours = [column for column in columns if column in _JOINED_BY] or columns
        there = [column for column in theirs if column in _JOINED_BY] or list(theirs)
        on = f"{alias}.{self._random.choice(ours)} = {other}.{self._random.choice(there)}"
        kinds = ["JOIN"] * 5 + ["LEFT JOIN"] * 3
        if not item.startswith("LATERAL"):
            kinds += ["RIGHT JOIN", "FULL JOIN"]
            if self._random.random() < 0.04:
                order = ", ".join(columns)  # so that it is always the same three
                return f" CROSS JOIN (SELECT * FROM {item} ORDER BY {order} LIMIT 3) AS {alias}"
        kind = self._random.choice(kinds)
        if kind != "FULL JOIN" and self._random.random() < 0.2:
            on += f" AND {alias}.{columns[0]} < {other}.{theirs[0]} + 40"
        return f" {kind} {item} ON {on}"

    def _condition(self, depth: int, known: list[tuple[str, tuple[str, ...]]]) -> str:
        alias, columns = self._random.choice(known)
        column = f"{alias}.{self._random.choice(columns)}"
        table = self._random.choice(["users", "posts", "votes", "days", "animals"])
        key = _NARROW.get(table, "id")
        other = self._random.choice(_TABLES[table])
        inner = self._random.choice([alias, "s"])  # one that hides the outer alias, or not
        chance = self._random.random()
        if depth > 1 or chance < 0.35:
            return f"{column} {self._random.choice(['<', '<>', '>='])} {chance * 60:.0f}"
        if chance < 0.5:
            return f"{column} IN (SELECT {inner}.{other} FROM {table} AS {inner} WHERE {key} < 80)"
        if chance < 0.75:
            negation = self._random.choice(["", "NOT "])
            return (
                f"{negation}EXISTS (SELECT 1 FROM {table} AS s WHERE s.{other} = {column} "
                "AND s." + key + " < 90)"
            )
        if chance < 0.85:
            return f"({column} = 3 OR {column} > 7 OR {column} IS NULL)"
        if chance < 0.93:
            return f"{column} > (SELECT min({other}) FROM {table} AS {inner} WHERE {key} > 2)"
        return f"{column} = ANY (ARRAY[1, 2, 3, 5, 8, 13])"

    def _shaped(
        self, rest: str, known: list[tuple[str, tuple[str, ...]]], width: int, depth: int
    ) -> str:
        picked = [self._random.choice(known) for _ in range(width)]
        columns = [f"{alias}.{self._random.choice(names)}" for alias, names in picked]
        listed = ", ".join(columns)
        chance = self._random.random()
        if chance < 0.5 or len(set(columns)) < width:
            return f"SELECT {listed} FROM {rest}"
        if chance < 0.6:
            return f"SELECT DISTINCT {listed} FROM {rest}"
        if chance < 0.7:
            return f"SELECT {listed} FROM {rest} GROUP BY {listed}"
        if chance < 0.8:
            order = ", ".join(str(position) for position in range(1, width + 1))
            return f"SELECT {listed} FROM {rest} ORDER BY {order} LIMIT 20"
        if chance < 0.9 and width == 1:
            return f"SELECT max({listed}) FROM {rest}"
        if width > 1:
            ranked = f"rank() OVER (PARTITION BY {columns[0]} ORDER BY {columns[1]})"
            return f"SELECT {', '.join(columns[1:])}, {ranked} FROM {rest}"
        return f"SELECT {listed} FROM {rest}"

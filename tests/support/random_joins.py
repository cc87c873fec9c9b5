"""Makes joins at random over the tables of `tests/steering/subplans/small.sql`."""

from __future__ import annotations

import random

_COLUMNS = {
    "makers": ["id", "town", "age"],
    "parts": ["id", "maker_id", "kind", "weight"],
    "orders": ["id", "part_id", "buyer_id", "kind"],
    "marks": ["id", "part_id"],
    "days": ["day", "part_id", "hits"],
    "animals": ["id", "legs"],
    "heavy": ["id", "maker_id"],
}
_KEYS = {
    "makers": ["id", "town"],
    "parts": ["id", "maker_id", "kind"],
    "orders": ["part_id", "buyer_id"],
    "marks": ["part_id"],
    "days": ["part_id"],
    "animals": ["id"],
    "heavy": ["id", "maker_id"],
}
_MAY_BE_NULL = {"makers": "age", "parts": "maker_id", "orders": "buyer_id", "marks": "part_id"}

Relation = tuple[str, str]


class _Maker:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.aliases = iter("abcdefgh")

    def table(self) -> str:
        return self.random.choice(list(_COLUMNS))

    def filter(self, alias: str, table: str) -> str:
        pick = self.random
        column = f"{alias}.{pick.choice(_COLUMNS[table])}"
        other = f"{alias}.{pick.choice(_COLUMNS[table])}"
        return pick.choice(
            [
                f"{column} {pick.choice(['=', '<', '>', '<>'])} {pick.choice([1, 3, 20, 60])}",
                f"{column} IN ({pick.randint(1, 5)}, {pick.randint(6, 60)})",
                f"{column} BETWEEN {pick.randint(1, 20)} AND {pick.randint(60, 300)}",
                f"({column} = {pick.randint(1, 9)} OR {other} > {pick.randint(10, 90)})",
                f"NOT ({column} = 3 AND {other} > 10)",
                f"{column} IS NOT NULL",
            ]
        )

    def key(self, relation: Relation) -> str:
        alias, table = relation
        return f"{alias}.{self.random.choice(_KEYS[table])}"

    def condition(self, new: Relation, known: list[Relation]) -> str:
        parts = [f"{self.key(new)} = {self.key(self.random.choice(known))}"]
        if self.random.random() < 0.15:
            parts.append(f"{self.key(new)} < {self.key(self.random.choice(known))}")
        if self.random.random() < 0.25:
            parts.append(self.filter(*new))
        return " AND ".join(parts)

    def source(self, alias: str, table: str) -> str:
        columns, chance = ", ".join(_COLUMNS[table]), self.random.random()
        if chance < 0.1:
            return f"(SELECT {columns} FROM {table} {alias} WHERE {_COLUMNS[table][0]} > 9) {alias}"
        if chance < 0.16:
            return f"(SELECT DISTINCT {columns} FROM {table}) {alias}"
        return f"{table} {alias}"

    def query(self) -> str:
        pick = self.random
        first = (next(self.aliases), self.table())
        known, last, where = [first], [first], []
        text = self.source(*first)
        for _ in range(pick.randint(1, 3)):
            new = (next(self.aliases), self.table())
            chance = pick.random()
            if chance < 0.35:
                text += f", {self.source(*new)}"
                where.append(self.condition(new, known))
                last = []
            elif chance < 0.95:
                word = (
                    "JOIN"
                    if chance < 0.6
                    else pick.choice(["LEFT JOIN", "LEFT JOIN", "RIGHT JOIN"])
                )
                text += f" {word} {self.source(*new)} ON {self.condition(new, last)}"
            else:
                text += f" FULL JOIN {self.source(*new)} ON {self.key(new)} = {self.key(last[-1])}"
            known.append(new)
            last.append(new)
        where += [self.filter(*one) for one in known if pick.random() < 0.3]
        nullable = [one for one in known if one[1] in _MAY_BE_NULL]
        if nullable and pick.random() < 0.1:
            alias, table = pick.choice(nullable)
            where.append(f"{alias}.{_MAY_BE_NULL[table]} IS NULL")
        where += [self.sub_query(pick.choice(known)) for _ in range(pick.choice([0, 0, 1, 2]))]
        shown = ", ".join(f"{alias}.{_COLUMNS[table][0]}" for alias, table in known)
        return f"SELECT {shown} FROM {text}" + (f" WHERE {' AND '.join(where)}" if where else "")

    def sub_query(self, outer: Relation) -> str:
        inner = (self.random.choice(["s", "t"]), self.table())
        own = self.filter(*inner)
        if self.random.random() < 0.5:
            text = f"SELECT {self.key(inner)} FROM {inner[1]} {inner[0]} WHERE {own}"
            return f"{self.key(outer)} IN ({text})"
        word = self.random.choice(["EXISTS", "NOT EXISTS"])
        joined = f"{self.key(inner)} = {self.key(outer)}"
        return f"{word} (SELECT 1 FROM {inner[1]} {inner[0]} WHERE {joined} AND {own})"


def random_join(seed: int) -> str:
    """A query of inner, outer, semi and anti joins; the same `seed` makes the same one."""
    return _Maker(seed).query()

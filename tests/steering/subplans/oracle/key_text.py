"""Reads the text of sub-plans' keys, as far as the oracle has to."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp


def is_part(key: str, other: str, views: Set[str]) -> bool:
    """Whether the rows of `other` may depend on those of `key`, or nobody can say.

    A view (`views` has their names) and a function may hold any relations.
    """
    small, large = _parts(key), _parts(other)
    if small is None or large is None or large.functions or large.names & views:
        return True
    if not (small.tables <= large.tables if large.nested else small.names <= large.names):
        return False
    return all(
        part in large.conditions
        or (constants <= large.constants and (large.nested or part in small.derivable))
        for part, constants in small.conditions.items()
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """The names and tables of a key, at any depth, and its conditions on single relations.

    `conditions` has the constants of each. A condition may be written otherwise in another key: an
    equality follows from others, one of an OR from a longer one (`derivable`), and within a
    sub-query (`nested`) columns have other names.
    """

    names: frozenset[str]
    tables: frozenset[str]
    conditions: Mapping[str, frozenset[str]]
    derivable: frozenset[str]
    constants: frozenset[str]
    functions: bool
    nested: bool


@lru_cache(maxsize=100_000)
def _parts(key: str) -> _Parts | None:
    try:
        tree = sqlglot.parse_one(key, read="postgres")
    except sqlglot.ParseError:
        return None
    names = {alias.name for alias in tree.find_all(exp.TableAlias)}
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = {table.name for table in tree.find_all(exp.Table)} - ctes
    functions = False
    for table in tree.find_all(exp.Table):
        names |= {table.name, table.alias_or_name}
        functions = functions or not isinstance(table.this, exp.Identifier)
    found: dict[str, frozenset[str]] = {}
    derivable = set()
    for holder in (*tree.find_all(exp.Where), *tree.find_all(exp.Join)):
        condition = holder.this if isinstance(holder, exp.Where) else holder.args.get("on")
        for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
            part = part and part.unnest()
            if part is None or part.find(exp.Query) is not None:
                continue
            if len({column.table for column in part.find_all(exp.Column)}) == 1:
                text = part.sql("postgres")
                found[text] = _constants(part)
                if isinstance(part, exp.EQ | exp.Or) and found[text]:
                    derivable.add(text)
    subqueries = tree.find_all(exp.Subquery)
    nested = bool(ctes) or any(isinstance(q.parent, exp.From | exp.Join) for q in subqueries)
    return _Parts(
        frozenset(names),
        frozenset(tables),
        found,
        frozenset(derivable),
        _constants(tree),
        functions,
        nested,
    )


def _constants(tree: exp.Expr) -> frozenset[str]:
    return frozenset(constant.this for constant in tree.find_all(exp.Literal))


def _split(text: str, separator: str) -> list[str]:
    """Splits at a separator that is outside of parentheses and quotes."""
    parts, depth, quote, start, at = [], 0, "", 0, 0
    while at < len(text):
        char = text[at]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif depth == 0 and text.startswith(separator, at):
            parts.append(text[start:at])
            at = start = at + len(separator)
            continue
        at += 1
    return [*parts, text[start:]]


def with_all_columns(key: str) -> str:
    """Returns the key in a form that uses all columns, also those that are aggregates."""
    head, select, rest = key.rpartition("SELECT COUNT(*) FROM ")
    return f"{head}SELECT COUNT(whole) FROM (SELECT * FROM {rest}) whole" if select else key


def reordered(key: str) -> Iterator[list[str]]:
    """Yields the key with its relations and conditions in other orders, a few at a time."""
    head, *rest = _split(key, " FROM ")
    parts = _split(" FROM ".join(rest), " WHERE ")
    if len(parts) != 2:
        return
    sources, conditions = _split(parts[0], ", "), _split(parts[1], " AND ")
    if len(sources) + parts[1].count("EXISTS") + parts[0].count(" JOIN ") < 3:
        return
    pick = random.Random(key)
    for _ in range(12):
        yield [
            f"{head} FROM {', '.join(pick.sample(sources, len(sources)))} "
            f"WHERE {' AND '.join(pick.sample(conditions, len(conditions)))}"
            for _ in range(12)
        ]

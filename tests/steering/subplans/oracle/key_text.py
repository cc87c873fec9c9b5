"""Reads the text of sub-plans' keys, as far as the oracle has to."""

from __future__ import annotations

import random
import re
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
    tables = {table.name for table in tree.find_all(exp.Table)} - ctes - {""}  # of VALUES
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
    """Returns the constants, those of arrays one by one, and the sums of two of them."""
    found: set[str] = set()
    for constant in tree.find_all(exp.Literal):
        text = str(constant.this)
        array = constant.is_string and text.startswith("{")
        found.update(part.strip('"') for part in text.strip("{}").split(",")) if array else (
            found.add(text)
        )
    for node in tree.find_all(exp.Add, exp.Sub):
        sides = [_number(node.this), _number(node.expression)]
        if None not in sides:
            left, right = map(float, sides)
            found.add(f"{left + right if isinstance(node, exp.Add) else left - right:g}")
    return frozenset(found)


def _number(node: exp.Expr) -> str | None:
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return str(node.this) if isinstance(node, exp.Literal) and not node.is_string else None


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
    """Yields the key with its relations and conditions in other orders, a few at a time.

    The sides of equalities change places, too, and equal columns are equated in other pairs.
    """
    head, *rest = _split(key, " FROM ")
    sources, *where = _split(" FROM ".join(rest), " WHERE ")
    items = _split(sources, ", ")
    conditions = _split(" WHERE ".join(where), " AND ") if where else []
    yield [_query(head, items, [*conditions, extra]) for extra in conditions]
    if len(items) + key.count("EXISTS") + key.count(" JOIN ") < 3:
        return
    pick = random.Random(key)
    for round_ in range(12):
        found = []
        for _ in range(12):
            own = _respelled(conditions, {}, pick)
            if conditions and round_ > 5:  # the query may have a condition twice
                own.append(pick.choice(conditions))
            found.append(_query(head, _rejoined(items, pick), own))
        yield found


def _query(head: str, items: list[str], conditions: list[str]) -> str:
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{head} FROM {', '.join(items)}{where}"


def _rejoined(items: list[str], pick: random.Random) -> list[str]:
    """Returns the items of FROM in another order. The outer side of a LEFT JOIN takes some of the
    others in; its conditions, and the relations on its inner side, change their order."""
    items = pick.sample(items, len(items))
    for at, item in enumerate(items):
        joined, *conditions = _split(item, " ON ")
        outer, *inner = _split(joined, " LEFT JOIN ")
        if len(conditions) != 1 or len(inner) != 1:
            continue
        if inner[0].startswith("(") and inner[0].endswith(")"):
            relations = _split(inner[0][1:-1], " CROSS JOIN ")
            inner = [f"({' CROSS JOIN '.join(pick.sample(relations, len(relations)))})"]
        taken = [other for other in items if len(_split(other, " JOIN ")) == 1]
        taken = pick.sample(taken, pick.randint(0, len(taken)))
        outer = " CROSS JOIN ".join(pick.sample([outer, *taken], len(taken) + 1))
        respelled = " AND ".join(_respelled(_split(conditions[0], " AND "), {}, pick))
        left = f"({outer})" if taken else outer
        items[at] = f"{left} LEFT JOIN {inner[0]} ON {respelled}"
        items = [other for other in items if other not in taken]
        break
    return items


_COLUMN = r'(?:\w+|"[^"]+")\.(?:\w+|"[^"]+")'
_EQUAL = re.compile(rf"({_COLUMN}) = ({_COLUMN})")
_EXISTS = re.compile(r"\(*(?:NOT )?EXISTS\(SELECT 1 FROM [^()]* WHERE ")


def _respelled(
    conditions: list[str], outside: Mapping[str, list[str]], pick: random.Random
) -> list[str]:
    """Returns conditions that mean the same; `outside`: columns of outer queries and their
    equals."""
    classes: dict[str, list[str]] = {}
    pairs, rest = [], []
    for condition in conditions:
        pair = _EQUAL.fullmatch(condition)
        if pair is None:
            rest.append(condition)
        elif pair[1] in outside or pair[2] in outside:
            ours, theirs = (pair[1], pair[2]) if pair[2] in outside else (pair[2], pair[1])
            pairs.append((ours, pick.choice(outside[theirs])))
        else:
            merged = list(dict.fromkeys(classes.get(pair[1], [pair[1]])))
            merged += [name for name in classes.get(pair[2], [pair[2]]) if name not in merged]
            for name in merged:
                classes[name] = merged
    for members in {id(known): known for known in classes.values()}.values():
        members = pick.sample(members, len(members))
        pairs += [(name, pick.choice(members[:at])) for at, name in enumerate(members) if at]
    around = {**outside, **classes}
    for at, condition in enumerate(rest):
        exists = _EXISTS.match(condition)
        if exists is not None:
            end = len(condition) - exists[0].count("(")  # the parentheses that it opens
            inside = _respelled(_split(condition[exists.end() : end], " AND "), around, pick)
            rest[at] = f"{exists[0]}{' AND '.join(inside)}{condition[end:]}"
    found = [*rest, *(" = ".join(pick.sample(pair, 2)) for pair in pairs)]
    return pick.sample(found, len(found))

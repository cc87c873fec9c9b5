"""Values for the parameters of statements, taken from the rows that their comparisons are about.

For each SELECT of a statement, its own FROM and WHERE without the comparisons with parameters give
rows. One of these rows is chosen, and each parameter gets a value with which this row is found.
"""

from __future__ import annotations

import math
import operator
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from pilotcli.common.errors import QueryError, QueryTimeout
from pilotcli.databases.protocols import Session
from pilotcli.steering.sql import literal
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.parsing import exp, parse, to_sql
from pilotcli.workload.logs.choice import only_reads
from pilotcli.workload.logs.parameters import parameters_in, with_parameters
from pilotcli.workload.logs.stat_statements import OWN
from pilotcli.workload.logs.statements import LoggedStatement

LIMIT_S = 5.0
"""How long a query for values may take, and the first row of a statement with its values."""
_FIRST_ROWS, _ROWS = 100_000, 1_000
_MARK = re.compile(r"\$(\d+)")
"""A parameter in a syntax tree: a literal with this text that is no value already (`_VALUE`)."""
_VALUE = "value"
_SIGNS = {
    "EQ": "=", "NullSafeEQ": "=", "NEQ": "<>", "NullSafeNEQ": "<>", "LT": "<", "LTE": "<=",
    "GT": ">", "GTE": ">=",
}  # fmt: skip
_WILD = re.compile(r"[\\%_]")
_OPPOSITES = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_NEGATED = {"=": "<>", "any": "<>", "like": "not like", "<>": "="}
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_DROPPED = ("distinct", "group", "having", "order", "limit", "offset", "windows", "locks", "into")
_SETTINGS = (
    "SET default_transaction_read_only = on; SET synchronize_seqscans = off; "
    "SET max_parallel_workers_per_gather = 0"  # the same first rows each time
)


class _Place(NamedTuple):
    """A parameter that is compared: its number, what the value is compared with, how, and the whole
    condition.

    `how` is a sign with the parameter on the right, `like`, `not like`, `array` for `= ANY ($1)`,
    or `any` for a further value of a list.
    """

    number: int
    compared: Any
    how: str
    condition: Any


class _Cell(NamedTuple):
    """A value as text, and its rank among those of all rows (0 where order does not matter)."""

    text: str
    rank: int


class Filler:
    """Fills in parameters of statements over one database; the same `seed` gives the same values.

    `session` is to have a time-out of `LIMIT_S`. It changes nothing.
    """

    def __init__(self, session: Session, seed: int) -> None:
        self._session = session
        self._seed = seed
        self._known: dict[str, tuple[str, str]] = {}
        session.execute(_SETTINGS)
        self._database = session.execute(f"SELECT {OWN} current_database()").rows[0][0]

    def fill(self, statement: LoggedStatement) -> str:
        """Give the statement values; returns why it cannot, or an empty text."""
        if statement.database != self._database:
            return "in another database"
        if not only_reads(statement):
            return "no values for writing"
        sql = statement.sql
        if sql not in self._known:
            self._known[sql] = self._filled(sql, statement.mean_rows)
        filled, reason = self._known[sql]
        if not reason:
            statement.sql, statement.values = filled, "sampled"
        return reason

    def _filled(self, sql: str, mean_rows: float | None) -> tuple[str, str]:
        """Returns the text with values, or why there is none."""
        try:
            tree = parse(with_parameters(sql, lambda number: f"'${number}'"))
            selects: list[Any] = sorted(tree.find_all(exp.Select), key=lambda node: -node.depth)
            limits = _limits(tree, mean_rows)
            wanted = set(parameters_in(sql)) - limits.keys()
            if wanted != {place.number for one in selects for place in _places(one)}:
                return "", "no column for a value"
            values = self._values(tree, selects)
            if values is None:
                return "", "no row for values"
            values |= limits
            filled = with_parameters(sql, lambda number: literal(values[number]))
            body = filled.rstrip("; \n\r\t")
            found = self._session.execute(f"SELECT {OWN} 1 FROM ({body}\n) AS q LIMIT 1").rows  # noqa: S608
            return filled, "" if found else "no row for values"
        except QueryTimeout:
            return "", "too slow for values"
        except (QueryError, NotAnalysable):
            return "", "not understood for values"

    def _values(self, tree: Any, selects: Sequence[Any]) -> dict[int, str] | None:
        """Returns a value for each parameter, inner SELECTs first; None without rows."""
        values: dict[int, str] = {}
        chance = random.Random(f"{self._seed} {to_sql(tree.copy())}")
        for select in selects:
            block = select.copy()
            compared = _places(block)
            if not compared:
                continue
            for condition in {id(place.condition): place.condition for place in compared}.values():
                condition.replace(exp.true())
            _add_with(block, select, tree)
            _forget_outer(block)
            places = list({place.number: place for place in reversed(compared)}.values())
            chosen = _choose(self._rows(block, places, chance), places, chance)
            if chosen is None:
                return None
            values |= chosen
            for node, number in list(_marks(tree)):
                if number in chosen:
                    node.set("this", chosen[number])
                    node.meta[_VALUE] = True
        return values

    def _rows(
        self, block: Any, places: Sequence[_Place], chance: random.Random
    ) -> list[list[_Cell]]:
        """Returns some of the rows that the block has for its places."""
        for key in _DROPPED:
            block.set(key, None)
        names = [f"c{at}" for at in range(len(places))]
        block.set(
            "expressions",
            [exp.alias_(place.compared, name) for place, name in zip(places, names, strict=True)],
        )
        cells = []
        for place, name in zip(places, names, strict=True):
            cells.append(f"ARRAY[{name}]::text" if place.how == "array" else f"{name}::text")
            cells.append(f"dense_rank() OVER (ORDER BY {name})" if place.how in _ORDERS else "0")
        known = " AND ".join(f"{name} IS NOT NULL" for name in names)
        first = f"SELECT * FROM ({to_sql(block)}) AS b WHERE {known} LIMIT {_FIRST_ROWS}"  # noqa: S608
        # One after the other, two rows of a join are mostly of the same row of one table.
        source = f"SELECT * FROM ({first}) AS f ORDER BY random() LIMIT {_ROWS}"  # noqa: S608
        self._session.execute(f"SELECT {OWN} setseed({chance.random()})")
        found = self._session.execute(f"SELECT {OWN} {', '.join(cells)} FROM ({source}) AS r").rows  # noqa: S608
        rows = [
            [_Cell(text, rank) for text, rank in zip(row[::2], row[1::2], strict=True)]
            for row in found
        ]
        return sorted(rows)


def _marks(tree: Any) -> Iterator[tuple[Any, int]]:
    """Yields the parameters in a tree, and their numbers."""
    for node in tree.find_all(exp.Literal):
        mark = None if _VALUE in node.meta else _MARK.fullmatch(node.this)
        if mark is not None:
            yield node, int(mark[1])


def _limits(tree: Any, mean_rows: float | None) -> dict[int, str]:
    """Returns values for the LIMIT and OFFSET of the whole statement: the rows that it returned on
    the mean, and the beginning."""
    found: dict[int, str] = {}
    for key, value in (("limit", math.ceil(mean_rows or 0)), ("offset", 0)):
        clause = tree.args.get(key)
        for node, number in _marks(clause) if clause is not None else ():
            alone = _out_of(node, exp.Paren, exp.Cast).parent is clause
            if alone and (value or key == "offset"):
                found[number] = str(value)
    return found


def _places(block: Any) -> list[_Place]:
    """Returns the parameters in the FROM and WHERE of a SELECT that are compared with something."""
    found = []
    for node, number in _marks(block):
        if node.find_ancestor(exp.Select) is block:
            place = _place(node, number)
            if place is not None and _is_filter(place.condition, block):
                found.append(place)
    return found


def _is_filter(condition: Any, block: Any) -> bool:
    node = condition
    while node.parent is not block:
        node = node.parent
    return isinstance(node, (exp.Where, exp.Join))


def _place(node: Any, number: int) -> _Place | None:
    """Returns how a parameter is compared; None where it is not, or with nothing of a row."""
    outer = _out_of(node, exp.Paren, exp.Cast)
    condition, compared, how = _comparison(outer)
    if not how or compared.find(exp.Column) is None:
        return None
    if compared.find(exp.Query) or any(_marks(compared)):
        return None
    negation = _out_of(condition, exp.Paren).parent
    if condition.args.get("negate") or isinstance(negation, exp.Not):
        how = _NEGATED.get(how, "")
        condition = negation if isinstance(negation, exp.Not) else condition
    compared = compared.copy()
    while how != "array" and node is not outer:
        node = node.parent
        if isinstance(node, exp.Cast):
            compared = exp.Cast(this=compared, to=node.to.copy())
    return _Place(number, compared, how, condition) if how else None


def _comparison(node: Any) -> tuple[Any, Any, str]:
    """Returns the condition that compares a parameter, its other side, and how; no `how` for none.

    `node` is the parameter with its casts.
    """
    condition, key, how = node.parent, node.arg_key, ""
    is_list = isinstance(condition, (exp.Array, exp.In)) and key == "expressions"
    if is_list:
        how = "=" if node is condition.expressions[0] else "any"
    if isinstance(condition, exp.Array):
        node = _out_of(condition, exp.Paren, exp.Cast)
    if isinstance(node.parent, exp.Any):
        condition, key = node.parent.parent, node.parent.arg_key
        how = (how or "array") if isinstance(condition, exp.EQ) else ""
    elif isinstance(condition, exp.Between):
        how = {"low": ">=", "high": "<="}.get(key, "")
    elif isinstance(condition, (exp.Like, exp.ILike)):
        how = "like" if key == "expression" else ""
    elif not isinstance(condition, exp.In):
        how = _SIGNS.get(type(condition).__name__, "")
        how = _OPPOSITES.get(how, how) if key == "this" else how
    return condition, how and (condition.expression if key == "this" else condition.this), how


def _out_of(node: Any, *kinds: Any) -> Any:
    """Returns the outermost of the nodes of these kinds around a node."""
    while isinstance(node.parent, kinds):
        node = node.parent
    return node


def _add_with(block: Any, select: Any, tree: Any) -> None:
    """Give the copy `block` of a SELECT the WITH queries of the statement that it can name."""
    clause = tree.args.get("with_")
    if clause is None or block.args.get("with_"):
        return
    earlier = []
    for query in clause.expressions:
        if query is select.find_ancestor(exp.CTE):
            break
        earlier.append(query.copy())
    if earlier:
        block.set("with_", exp.With(expressions=earlier, recursive=clause.args.get("recursive")))


def _forget_outer(block: Any) -> None:
    """Take out of a WHERE what is about columns of an outer SELECT."""
    own = {table.alias_or_name for table in block.find_all(exp.Table, exp.Subquery)}
    where = block.args.get("where")
    top = where and where.this
    for condition in list(top.flatten()) if isinstance(top, exp.And) else filter(None, [top]):
        if any(column.table not in {"", *own} for column in condition.find_all(exp.Column)):
            condition.replace(exp.true())


def _choose(
    rows: Sequence[Sequence[_Cell]], places: Sequence[_Place], chance: random.Random
) -> dict[int, str] | None:
    """Returns values by which one of the rows is found; None if there is no such row."""
    for row in chance.sample(rows, len(rows)):
        chosen: dict[int, str] = {}
        for at, place in enumerate(places):
            own = row[at]
            fitting = [cell.text for other in rows if _fits(cell := other[at], place.how, own)]
            if not fitting:
                break
            chosen[place.number] = _pattern(place.how, chance.choice(fitting))
        else:
            return chosen
    return None


def _fits(cell: _Cell, how: str, own: _Cell) -> bool:
    """Whether the row with the cell `own` is found by the value of another cell."""
    if how in ("<>", "not like"):
        return cell.text != own.text
    if how in _ORDERS:
        return _ORDERS[how](own.rank, cell.rank)
    return how == "any" or cell.text == own.text


def _pattern(how: str, text: str) -> str:
    """Returns the value; for LIKE, a pattern: the first half of the value and a wildcard."""
    if how == "like":
        return _WILD.sub(r"\\\g<0>", text[: (len(text) + 1) // 2]) + "%"
    return _WILD.sub(r"\\\g<0>", text) if how == "not like" else text

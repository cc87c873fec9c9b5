"""Parts of a parsed query: its relations, output columns and sort keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilotcli.analysis.fixed import Column
from pilotcli.analysis.open_functions import AGGREGATES
from pilotcli.steering.subplans.parsing import exp

_MOMENTS = frozenset({"now", "today", "tomorrow", "yesterday"})


def sources_of(tree: exp.Expr) -> list[exp.Expr]:
    first = tree.args.get("from_")
    found = [first.this] if first is not None else []
    found += [join.this for join in tree.args.get("joins") or ()]
    found += tree.args.get("laterals") or []
    # A table may carry joins of its own, where FROM has parentheses or commas.
    return [each for source in found for each in (source, *_joined(source))]


def _joined(source: exp.Expr) -> Iterable[exp.Expr]:
    return [join.this for join in source.args.get("joins") or ()]


def select_of(node: exp.Expr) -> exp.Select | None:
    return node.find_ancestor(exp.Select)


def name_of(function: exp.Anonymous) -> str:
    """Returns the name of a function in the catalog's spelling, without its schema."""
    name = function.this
    return str(name.name) if isinstance(name, exp.Expr) else str(name).lower()


def reads(tree: exp.Expr, name: str) -> bool:
    """Returns whether a part of a statement has a relation of that name in FROM."""
    return any(table.name == name and not table.db for table in tree.find_all(exp.Table))


def order_of(tree: exp.Expr) -> list[exp.Expr]:
    order = tree.args.get("order")
    return [] if order is None else [unwrapped(key) for key in order.expressions]


def unwrapped(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Ordered | exp.Paren | exp.Alias):
        node = node.this
    return node


def _items(tree: exp.Expr) -> Sequence[exp.Expr]:
    """Returns the output of a query, that of the first where several are united."""
    while isinstance(tree, exp.SetOperation | exp.Subquery):
        tree = tree.this
    return tree.expressions if isinstance(tree, exp.Select) else ()


def _is_star(item: exp.Expr) -> bool:
    return isinstance(item, exp.Star) or (
        isinstance(item, exp.Column) and isinstance(item.this, exp.Star)
    )


def places_of(items: Sequence[exp.Expr]) -> list[int | None]:
    """Returns the place of each output column: from the end behind a `*`, None between two."""
    stars = [number for number, item in enumerate(items) if _is_star(item)]
    return [
        number
        if not stars or number < stars[0]
        else number - len(items)
        if number > stars[-1]
        else None
        for number in range(len(items))
    ]


def meant_by(key: exp.Expr, tree: exp.Expr) -> exp.Expr:
    """Returns the expression that a number, or the name of an output column, stands for."""
    items = _items(tree)
    if isinstance(key, exp.Literal) and not key.is_string and key.this.isdecimal():
        number = int(key.this)
        stars = any(map(_is_star, items[:number]))
        return unwrapped(items[number - 1]) if number <= len(items) and not stars else key
    if isinstance(key, exp.Column) and not key.table:
        for item in items:
            if isinstance(item, exp.Alias) and item.alias == key.name:
                return unwrapped(item)
    return key


def output_of(key: exp.Expr, tree: exp.Expr) -> Column | None:
    """Returns the output column that shows a sort key: its place, or its name where a `*` does."""
    items = _items(tree)
    for place, item in zip(places_of(items), items, strict=True):
        if place is not None and not _is_star(item) and same_value(unwrapped(item), key):
            return place
    if isinstance(key, exp.Literal) and not key.is_string and key.this.isdecimal():
        return int(key.this) - 1
    starred = not items or any(map(_is_star, items))
    return key.name if starred and isinstance(key, exp.Column) else None


def shows_all(shown: Sequence[Column], tree: exp.Expr) -> bool:
    """Returns whether each output column is one of `shown`."""
    items = _items(tree)
    return bool(items) and not any(map(_is_star, items)) and set(range(len(items))) <= set(shown)


def same_value(one: exp.Expr, other: exp.Expr) -> bool:
    if isinstance(one, exp.Column) and isinstance(other, exp.Column):
        tables = {one.table, other.table} - {""}
        return one.name == other.name and len(tables) < 2
    return bool(one == other)


def aggregates(item: exp.Expr) -> bool:
    """Returns whether an expression aggregates the rows of its own query."""
    if isinstance(item, exp.Query | exp.Window):
        return False
    if isinstance(item, exp.Anonymous) and str(item.this).lower() in AGGREGATES:
        return True
    return any(map(aggregates, item.iter_expressions()))


def is_moment(node: exp.Expr) -> bool:
    """Returns whether a constant stands for the present: `timestamp 'now'`."""
    if not isinstance(node, exp.Cast) or not isinstance(node.this, exp.Literal):
        return False
    return str(node.this.name).strip().lower() in _MOMENTS

"""Conditions in canonical spelling, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.masks import union
from pilotcli.steering.subplans.parsing import exp, to_sql
from pilotcli.steering.subplans.scope import function_name, without_parens

# By the names of sqlglot's classes: importing this module does not import sqlglot.
_FLIPPED = {"EQ": "EQ", "NEQ": "NEQ", "LT": "GT", "GT": "LT", "LTE": "GTE", "GTE": "LTE"}
_NEGATED = {"EQ": "NEQ", "NEQ": "EQ", "LT": "GTE", "GTE": "LT", "GT": "LTE", "LTE": "GT"}
_STRICT = frozenset(
    """Add Sub Mul Div Mod Neg Like ILike DPipe RegexpLike RegexpILike Cast Paren Extract Collate
    AtTimeZone""".split()  # noqa: SIM905
)


def conjuncts(node: exp.Expression | None) -> list[exp.Expression]:
    """Returns the parts of a condition that must all hold, as PostgreSQL splits it."""
    if node is None:
        return []
    if isinstance(node, exp.Paren):
        return conjuncts(node.this)
    if isinstance(node, exp.And):
        parts = []
        stack: list[exp.Expression] = [node]
        while stack:
            top = without_parens(stack.pop())
            if isinstance(top, exp.And):
                stack.extend((top.expression, top.this))
            else:
                parts.extend(conjuncts(top))
        return parts
    if isinstance(node, exp.Not):
        inner = without_parens(node.this)
        if isinstance(inner, exp.Not):
            return conjuncts(inner.this)
        if isinstance(inner, exp.Or):
            return conjuncts(exp.Not(this=inner.this.copy())) + conjuncts(
                exp.Not(this=inner.expression.copy())
            )
        return [exp.Not(this=inner.copy())] if inner is not node.this else [node]
    if isinstance(node, exp.Between) and not node.args.get("symmetric"):
        low, high = node.args["low"], node.args["high"]
        return [
            exp.GTE(this=node.this.copy(), expression=low.copy()),
            exp.LTE(this=node.this.copy(), expression=high.copy()),
        ]
    return [node]


def spelled(condition: exp.Expression) -> list[exp.Expression]:
    """Returns the parts of a condition in canonical spelling; they may share its nodes."""
    return [canonical(part) for part in conjuncts(condition)]


def canonical(node: exp.Expression) -> exp.Expression:
    """Returns one part of a condition in canonical spelling: comparisons with the constant on the
    right and otherwise with the smaller text on the left, OR and IN sorted, NOT moved inwards."""
    node = without_parens(node)
    if isinstance(node, exp.Not):
        inner = without_parens(node.this)
        negated = _NEGATED.get(type(inner).__name__)
        if negated is not None and not _is_quantified(inner.expression):
            return canonical(_comparison(negated, inner.this, inner.expression))
        if isinstance(inner, exp.And):
            return canonical(_either([exp.Not(this=part) for part in conjuncts(inner)]))
        if isinstance(inner, exp.Is) and inner.args.get("negate"):
            return exp.Is(this=inner.this, expression=inner.expression)
        return exp.Not(this=canonical(inner)) if not isinstance(inner, exp.Or) else node
    flipped = _FLIPPED.get(type(node).__name__)
    if flipped is not None:
        return _ordered(node, flipped)
    if isinstance(node, exp.Or):
        return _sorted_or(node)
    if isinstance(node, exp.In) and node.expressions:
        values = {to_sql(value): value for value in node.expressions}
        if len(node.expressions) == 1:
            return canonical(exp.EQ(this=node.this, expression=node.expressions[0]))
        if len(values) == len(node.expressions):
            node.set("expressions", [values[text] for text in sorted(values)])
    return node


def _comparison(name: str, left: exp.Expression, right: exp.Expression) -> exp.Expression:
    made: exp.Expression = getattr(exp, name)(this=left, expression=right)
    return made


def _is_quantified(node: exp.Expression) -> bool:
    return isinstance(node, (exp.Any, exp.All))


def _ordered(node: exp.Expression, flipped: str) -> exp.Expression:
    left, right = _bare(node.this), _bare(node.expression)
    if _is_quantified(right):
        return node
    left_mask, right_mask = mask_of(left), mask_of(right)
    swap = right_mask and (not left_mask or to_sql(right) < to_sql(left))
    if not swap:
        return type(node)(this=left, expression=right)
    made = _comparison(flipped, right, left)
    made.meta["flipped"] = True
    return made


def _bare(node: exp.Expression) -> exp.Expression:
    while isinstance(node, exp.Paren) and isinstance(node.this, (exp.Column, exp.Literal)):
        node = node.this
    return node


def _alternatives(node: exp.Expression) -> list[exp.Expression]:
    stack, found = [node], []
    while stack:
        top = without_parens(stack.pop())
        if isinstance(top, exp.Or):
            stack.extend((top.expression, top.this))
        else:
            found.append(top)
    return found


def _either(arms: Sequence[exp.Expression]) -> exp.Expression:
    return reduce(lambda left, right: exp.Or(this=left, expression=right), arms)


def _arm(parts: Sequence[exp.Expression]) -> exp.Expression:
    """Returns one arm of an OR: its parts joined by AND."""
    joined = reduce(lambda left, right: exp.And(this=left, expression=right), parts)
    return exp.Paren(this=joined) if len(parts) > 1 else joined


def _sorted_or(node: exp.Expression) -> exp.Expression:
    arms = [
        _arm(sorted((canonical(part) for part in conjuncts(arm)), key=to_sql))
        for arm in _alternatives(node)
    ]
    return _either(sorted(arms, key=to_sql))


def factored(node: exp.Expression) -> list[exp.Expression]:
    """Returns an OR with the parts that all its arms share as separate conditions, as PostgreSQL
    does."""
    if not isinstance(node, exp.Or):
        return [node]
    arms = [{to_sql(part): part for part in conjuncts(arm)} for arm in _alternatives(node)]
    common = [text for text in arms[0] if all(text in arm for arm in arms)]
    if not common:
        return [node]
    shared = [arms[0][text] for text in common]
    rest = [[part for text, part in arm.items() if text not in common] for arm in arms]
    if all(rest):
        shared.append(_sorted_or(_either(list(map(_arm, rest)))))
    return shared


def restrictions_of(node: exp.Expression, relations: int) -> list[tuple[int, exp.Expression]]:
    """Returns the conditions on single relations that an OR over several implies (orclauses.c)."""
    found: list[tuple[int, exp.Expression]] = []
    if not isinstance(node, exp.Or) or relations & (relations - 1) == 0:
        return found
    arms = [conjuncts(arm) for arm in _alternatives(node)]
    rest = relations
    while rest:
        bit = rest & -rest
        rest ^= bit
        own = [[part.copy() for part in arm if mask_of(part) == bit] for arm in arms]
        if all(own):
            found.append((bit, _sorted_or(_either(list(map(_arm, own))))))
    return found


def mask_of(node: exp.Expression) -> int:
    """Returns the relations of the block that an expression uses, as a bit mask."""
    bits = (column.meta.get("bit") for column in node.find_all(exp.Column))
    return union(1 << bit for bit in bits if bit is not None)


def strict_mask(node: exp.Expression, catalog: Catalog, *, top: bool = True) -> int:
    """Returns the relations whose null-extended rows do not meet a condition (`top`), or make an
    expression null."""
    if isinstance(node, exp.Column):
        bit = node.meta.get("bit")
        return 0 if bit is None or not node.table else 1 << bit
    if isinstance(node, exp.And):
        left = strict_mask(node.this, catalog, top=top)
        right = strict_mask(node.expression, catalog, top=top)
        return left | right if top else left & right
    if isinstance(node, exp.Or):
        return strict_mask(node.this, catalog, top=top) & strict_mask(
            node.expression, catalog, top=top
        )
    if isinstance(node, exp.Not):
        return strict_mask(node.this, catalog, top=False)
    if isinstance(node, exp.Is):
        if isinstance(node.expression, exp.Null) and node.args.get("negate") and top:
            return strict_mask(node.this, catalog, top=False)
        return 0
    if isinstance(node, exp.In):
        if node.args.get("query") is not None or not node.expressions:
            return 0
        return strict_mask(node.this, catalog, top=False)
    if type(node).__name__ in _FLIPPED:
        if isinstance(node.expression, exp.Any):
            inner = without_parens(node.expression.this)
            is_array = isinstance(inner, exp.Array) and inner.expressions
            return strict_mask(node.this, catalog, top=False) if is_array else 0
        if isinstance(node.expression, exp.All):
            return 0
        return strict_mask(node.this, catalog, top=False) | strict_mask(
            node.expression, catalog, top=False
        )
    if type(node).__name__ in _STRICT:
        return union(strict_mask(part, catalog, top=False) for part in node.iter_expressions())
    name = function_name(node)
    if name is None or name in ("coalesce", "greatest", "least", "nullif"):
        return 0
    if not catalog.function(name).strict or catalog.function(name).aggregate:
        return 0
    return union(strict_mask(part, catalog, top=False) for part in node.expressions)


def forced_null(node: exp.Expression) -> str | None:
    """Returns the column that must be null to meet a condition, as SQL, or None."""
    if (
        isinstance(node, exp.Is)
        and isinstance(node.expression, exp.Null)
        and not node.args.get("negate")
        and isinstance(node.this, exp.Column)
        and node.this.table
    ):
        return to_sql(node.this)
    return None


def family_of(node: exp.Expression, catalog: Catalog) -> str | None:
    """Returns how values of an expression compare (see `Table.columns`); `*` for a literal that
    takes the type of the other side, `number` for one that compares with any number."""
    node = _bare(node)
    if isinstance(node, exp.Column):
        found: str | None = node.meta.get("family")
        return found
    if isinstance(node, exp.Literal):
        if node.is_string:
            return "*"
        return "number" if node.name.isdigit() and len(node.name) < 19 else None
    if isinstance(node, exp.Neg):
        return family_of(node.this, catalog)
    if isinstance(node, exp.Boolean):
        return catalog.type_family("boolean")
    if isinstance(node, exp.Cast):
        return catalog.type_family(to_sql(node.to))
    return None

"""Conditions in one spelling, and what PostgreSQL can tell from them."""

from __future__ import annotations

from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.parsing import exp, to_sql
from pilotcli.steering.subplans.scope import function_name

__all__ = [
    "canonical",
    "conjuncts",
    "family_of",
    "forced_null",
    "mask_of",
    "spelled",
    "strict_mask",
]

# By the names of sqlglot's classes: importing this module does not import sqlglot.
_FLIPPED = {"EQ": "EQ", "NEQ": "NEQ", "LT": "GT", "GT": "LT", "LTE": "GTE", "GTE": "LTE"}
_NEGATED = {"EQ": "NEQ", "NEQ": "EQ", "LT": "GTE", "GTE": "LT", "GT": "LTE", "LTE": "GT"}
_STRICT = frozenset(
    """Add Sub Mul Div Mod Neg Like ILike DPipe RegexpLike RegexpILike Cast Paren Extract Collate
    AtTimeZone""".split()  # noqa: SIM905
)


def conjuncts(node: exp.Expression | None) -> list[exp.Expression]:
    """The parts of a condition that must all hold, as PostgreSQL sees them."""
    if node is None:
        return []
    if isinstance(node, exp.Paren):
        return conjuncts(node.this)
    if isinstance(node, exp.And):
        parts = []
        stack = [node]
        while stack:
            top: exp.Expression = stack.pop()
            while isinstance(top, exp.Paren):
                top = top.this
            if isinstance(top, exp.And):
                stack.extend((top.expression, top.this))
            else:
                parts.extend(conjuncts(top))
        return parts
    if isinstance(node, exp.Not):
        inner = node.this
        while isinstance(inner, exp.Paren):
            inner = inner.this
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
    """The parts of a condition in their canonical spelling, which may take nodes of it over."""
    return [canonical(part) for part in conjuncts(condition)]


def canonical(node: exp.Expression) -> exp.Expression:
    """One part of a condition in canonical spelling: comparisons with the constant on the right
    and otherwise with the smaller text on the left, OR and IN sorted, NOT drawn inwards."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Not):
        inner = node.this
        while isinstance(inner, exp.Paren):
            inner = inner.this
        negated = _NEGATED.get(type(inner).__name__)
        if negated is not None and not _is_quantified(inner.expression):
            return canonical(_comparison(negated, inner.this, inner.expression))
        if isinstance(inner, exp.And):
            parts: list[exp.Expression] = [exp.Not(this=part) for part in conjuncts(inner)]
            return canonical(_either(parts))
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
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        return node
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
        top = stack.pop()
        while isinstance(top, exp.Paren):
            top = top.this
        if isinstance(top, exp.Or):
            stack.extend((top.expression, top.this))
        else:
            found.append(top)
    return found


def _either(parts: list[exp.Expression]) -> exp.Expression:
    made = parts[0]
    for part in parts[1:]:
        made = exp.Or(this=made, expression=part)
    return made


def _sorted_or(node: exp.Expression) -> exp.Expression:
    arms = []
    for arm in _alternatives(node):
        parts = sorted((canonical(part) for part in conjuncts(arm)), key=to_sql)
        made = parts[0]
        for part in parts[1:]:
            made = exp.And(this=made, expression=part)
        arms.append(exp.Paren(this=made) if len(parts) > 1 else made)
    return _either(sorted(arms, key=to_sql))


def factored(node: exp.Expression) -> list[exp.Expression]:
    """The parts of an OR of which some hold in each alternative: PostgreSQL draws them out."""
    if not isinstance(node, exp.Or):
        return [node]
    arms = [{to_sql(part): part for part in conjuncts(arm)} for arm in _alternatives(node)]
    common = [text for text in arms[0] if all(text in arm for arm in arms)]
    if not common:
        return [node]
    drawn = [arms[0][text] for text in common]
    rest = [[part for text, part in arm.items() if text not in common] for arm in arms]
    if all(rest):
        ors = []
        for parts in rest:
            made = parts[0]
            for part in parts[1:]:
                made = exp.And(this=made, expression=part)
            ors.append(exp.Paren(this=made) if len(parts) > 1 else made)
        drawn.append(_sorted_or(_either(ors)))
    return drawn


def restrictions_of(node: exp.Expression, relations: int) -> list[tuple[int, exp.Expression]]:
    """The conditions on single relations that an OR over several implies (orclauses.c)."""
    found: list[tuple[int, exp.Expression]] = []
    if not isinstance(node, exp.Or) or relations & (relations - 1) == 0:
        return found
    arms = [conjuncts(arm) for arm in _alternatives(node)]
    rest = relations
    while rest:
        bit = rest & -rest
        rest ^= bit
        own = [[part for part in arm if mask_of(part) == bit] for arm in arms]
        if all(own):
            ors = []
            for parts in own:
                made = parts[0].copy()
                for part in parts[1:]:
                    made = exp.And(this=made, expression=part.copy())
                ors.append(exp.Paren(this=made) if len(parts) > 1 else made)
            found.append((bit, _sorted_or(_either(ors))))
    return found


def mask_of(node: exp.Expression) -> int:
    """The relations of the block that an expression uses, as a bit mask."""
    mask = 0
    for column in node.find_all(exp.Column):
        bit = column.meta.get("bit")
        if bit is not None:
            mask |= 1 << bit
    return mask


def strict_mask(node: exp.Expression, catalog: Catalog, *, top: bool = True) -> int:
    """The relations without which a condition cannot hold: if all their columns are null, it is
    not true (`top`), or the expression is null."""
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
            inner = node.expression.this
            while isinstance(inner, exp.Paren):
                inner = inner.this
            is_array = isinstance(inner, exp.Array) and inner.expressions
            return strict_mask(node.this, catalog, top=False) if is_array else 0
        if isinstance(node.expression, exp.All):
            return 0
        return strict_mask(node.this, catalog, top=False) | strict_mask(
            node.expression, catalog, top=False
        )
    if type(node).__name__ in _STRICT:
        mask = 0
        for part in node.iter_expressions():
            mask |= strict_mask(part, catalog, top=False)
        return mask
    name = function_name(node)
    if name is None or name in ("coalesce", "greatest", "least", "nullif"):
        return 0
    mask = 0
    if catalog.function(name).strict and not catalog.function(name).aggregate:
        for part in node.expressions:
            mask |= strict_mask(part, catalog, top=False)
    return mask


def forced_null(node: exp.Expression) -> str | None:
    """The column of which a condition demands that it be null, as SQL."""
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
    """How values of an expression compare (see `Table.columns`); `*` for a literal that takes the
    type of the other side, `number` for one that any number may be compared with."""
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

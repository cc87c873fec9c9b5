"""What a condition says about the relations in it."""

from __future__ import annotations

from pilotcli.steering.subplans.catalog import Catalog
from pilotcli.steering.subplans.masks import union
from pilotcli.steering.subplans.parsing import exp, to_sql
from pilotcli.steering.subplans.scope import function_name, without_parens

NOT_FUNCTIONS = frozenset(
    {"coalesce", "greatest", "least", "nullif", "grouping", "xmlelement", "xmlforest", "row"}
)

# By the names of sqlglot's classes: importing this module does not import sqlglot.
_STRICT = frozenset({"Neg", "Cast", "Paren", "Extract", "Not"})
_NOT_STRICT = frozenset({"DPipe", "Is", "NullSafeEQ", "NullSafeNEQ"})


def conjuncts(node: exp.Expression | None) -> list[exp.Expression]:
    """Returns the parts of a condition that AND joins, without parentheses."""
    parts = []
    stack = [] if node is None else [node]
    while stack:
        top = without_parens(stack.pop())
        if isinstance(top, exp.And):
            stack.extend((top.expression, top.this))
        else:
            parts.append(top)
    return parts


def mask_of(node: exp.Expression) -> int:
    """Returns the relations of the block that an expression uses, as a bit mask."""
    bits = (column.meta.get("bit") for column in node.find_all(exp.Column))
    return union(1 << bit for bit in bits if bit is not None)


def strict_mask(node: exp.Expression, catalog: Catalog, *, top: bool = True) -> int:
    """Returns the relations whose null-extended rows do not meet a condition (`top`), or make an
    expression null."""
    if not node.meta.get("strict", True):
        return 0
    if isinstance(node, exp.Column):
        bit = node.meta.get("bit")
        return 0 if bit is None or isinstance(node.this, exp.Star) else 1 << bit
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
    if isinstance(node, exp.Binary):
        if type(node).__name__ in _NOT_STRICT:
            return 0
        values = values_of(node.expression)
        if values is not None:
            is_empty = to_sql(values).startswith("CAST('{}'")
            return 0 if is_empty else strict_mask(node.this, catalog, top=False)
    if isinstance(node, exp.Binary) or type(node).__name__ in _STRICT:
        return union(strict_mask(part, catalog, top=False) for part in node.iter_expressions())
    name = function_name(node)
    if name is None or name in NOT_FUNCTIONS:
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


def values_of(node: exp.Expression) -> exp.Expression | None:
    """Returns the array in ANY or ALL, or None for another side of a comparison."""
    if isinstance(node, (exp.Any, exp.All)):
        return without_parens(node.this)
    if isinstance(node, exp.Anonymous) and node.name.upper() in ("ANY", "ALL"):
        found: exp.Expression = node.expressions[0]
        return found
    return None


def is_volatile(node: exp.Expression, catalog: Catalog) -> bool:
    """Whether an expression calls a volatile function."""
    for part in node.walk():
        name = function_name(part)
        if name is not None and name not in NOT_FUNCTIONS and catalog.function(name).volatile:
            return True
    return False

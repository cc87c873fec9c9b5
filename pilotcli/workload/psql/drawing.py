"""Random numbers of pgbench's scripts: `\\set id random(1, 100000 * :scale)`.

Source: PostgreSQL documentation, pgbench, "Built-In Functions".
"""

from __future__ import annotations

import ast
import operator
import re
from random import Random

DRAWN = re.compile(rb"random(?:_exponential|_gaussian|_zipfian)?\(.*\)\Z", re.DOTALL)
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}
_BOUNDS = re.compile(r"random\(([0-9+\-*/() ]+),([0-9+\-*/() ]+)\)")
_MOST_CHARS = 200


def draw(value: bytes, random: Random) -> bytes:
    """A whole number from `random(low, high)`, both included.

    Raises `ValueError` for another function, and for bounds that are no whole numbers.
    """
    text = value.decode("utf-8", "replace")
    found = _BOUNDS.fullmatch(text) if len(text) <= _MOST_CHARS else None
    if found is None:
        raise ValueError("its bounds are no two whole numbers")
    low, high = _number(found[1]), _number(found[2])
    if low > high:
        raise ValueError(f"{low} is more than {high}")
    return str(random.randint(low, high)).encode()


def _number(text: str) -> int:
    try:
        number = _value(ast.parse(text.strip().replace("/", "//"), mode="eval").body)
    except (SyntaxError, ZeroDivisionError):
        raise ValueError(f"{text.strip()} is no whole number") from None
    if abs(number) >= 1 << 63:
        raise ValueError(f"{text.strip()} is out of range")
    return number


def _value(node: ast.expr) -> int:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _value(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        value = _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
        assert isinstance(value, int)
        return value
    raise ValueError("its bounds are no two whole numbers")

"""Compares the rows of two executions of a query, in any order."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Literal

from pilotcli.analysis.fixed import ALL, Fixed, fixed_rows
from pilotcli.databases.protocols import Row, Rows
from pilotcli.workload.expected_texts import COUNTED_ONLY

_DIGITS = 9
"""Significant digits of a float that count: sums in another order differ in the later ones."""
_TOLERANCE = 1e-8
_REAL_DIGITS = 3
"""Those of a `real`: the server sums reals up as reals, whose 24 bits lose about half a digit for
each tenfold of rows."""
_REAL_TOLERANCE = 1e-3
_LONG_NUMBER = re.compile(r"(?<![\d.])\d+\.\d+(?:e[-+]?\d+)?(?![\d.])")
_LONG_DIGITS = 15
"""A number in a text that has so many digits is one that a float may have been printed as."""
_REAL, _REAL_ARRAY = 700, 1021
"""Their types' numbers in pg_type, which every server has."""


class _Real(float):
    """A value of the type `real`: fewer of its digits count."""


def answer_of(rows: Rows, fixed: Fixed = ALL) -> str:
    """Returns the digest of a result, which may have only its first rows.

    Where the query leaves something open, the digest of what is fixed comes first, and the digest
    of all after a slash.
    """
    whole, values = f"{rows.row_count}:rows without content", comparable(rows)
    if rows.row_count is not None and rows.description is not None:
        if len(rows.rows) < rows.row_count:
            whole, values = f"{rows.row_count}:{COUNTED_ONLY}", ()
        else:
            whole = digest(values)
    if fixed.rows:
        return whole
    if not fixed.count:
        return f"/{whole}"
    if not values:
        return f"{whole}/{whole}"
    return f"{digest(fixed_rows(values, rows.columns, fixed))}/{whole}"


def compare_answers(a: str, b: str) -> Literal["same", "different", "undetermined"]:
    """Compares two digests of `answer_of`."""
    if a == b:
        return "same"
    (fixed_a, open_a, _), (fixed_b, open_b, _) = a.partition("/"), b.partition("/")
    if bool(open_a) != bool(open_b):
        # The query's views were others; the number of rows is what is left to compare.
        fixed_a, fixed_b = fixed_a.partition(":")[0], fixed_b.partition(":")[0]
        return "undetermined" if "" in (fixed_a, fixed_b) or fixed_a == fixed_b else "different"
    return "undetermined" if open_a and fixed_a == fixed_b else "different"


def comparable(rows: Rows) -> Sequence[Row]:
    """Returns the rows with values of the type `real` marked."""
    types = [column[1] for column in rows.description or ()]
    reals = [place for place, number in enumerate(types) if number in (_REAL, _REAL_ARRAY)]
    if not reals:
        return rows.rows
    marked = []
    for row in rows.rows:
        values = list(row)
        for place in reals:
            values[place] = _as_real(values[place])
        marked.append(tuple(values))
    return marked


def _as_real(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_real(item) for item in value]
    return _Real(value) if type(value) is float else value


def digest(rows: Sequence[Row]) -> str:
    """Returns a digest of `rows` that ignores their order and the last digits of floats."""
    whole = 0
    for row, times in Counter(map(_text, rows)).items():
        hashed = hashlib.blake2b(f"{times}\0{row}".encode("utf-8", "surrogatepass"), digest_size=16)
        whole = (whole + int.from_bytes(hashed.digest(), "big")) % (1 << 128)
    return f"{len(rows)}:{whole:032x}"


def same_rows(a: Sequence[Row], b: Sequence[Row]) -> bool:
    """Returns whether both hold the same rows in any order; floats may differ by 1 in 10**8,
    those of the type `real` (see `comparable`) by 1 in 10**3."""
    if len(a) != len(b):
        return False
    if a == b:
        return True
    # Sorted by what is exact first: rows that differ in the last digit of a float are neighbours.
    ordered_a, ordered_b = (sorted(rows, key=_sorting) for rows in (a, b))
    return all(map(_values_close, ordered_a, ordered_b))


def _text(row: Iterable[Any]) -> str:
    return "\0".join(map(_value_text, row))


def _value_text(value: Any) -> str:
    if isinstance(value, float):
        # 0 and -0 are the same.
        digits = _REAL_DIGITS if type(value) is _Real else _DIGITS
        return f"f{value:.{digits}g}" if value else "f0"
    if isinstance(value, Decimal):
        return f"d{value.normalize()}"  # 1.10 is 1.1
    if isinstance(value, (list, tuple)):
        return f"[{_text(map(_item, value))}]"
    if isinstance(value, dict):
        items = sorted(value.items(), key=repr)
        return "{" + _text(part for key, item in items for part in (key, _item(item))) + "}"
    if isinstance(value, str) and len(value) > _LONG_DIGITS and "." in value:
        return f"str{_LONG_NUMBER.sub(_rounded, value)!r}"
    if isinstance(value, memoryview):
        return f"b{bytes(value)!r}"
    return f"{type(value).__name__}{value!r}"


def _item(value: Any) -> Any:
    """Returns an item of a list or dict; JSON has 3 and 3.0000000000000004 of one sum of floats."""
    if isinstance(value, float) and math.isfinite(value):
        text = f"{value:.{_DIGITS}g}"
        return int(text) if text.lstrip("-").isdecimal() else value
    return value


def _rounded(found: re.Match[str]) -> str:
    digits = sum(map(str.isdigit, found[0].partition("e")[0].lstrip("0.")))
    return found[0] if digits < _LONG_DIGITS else f"{float(found[0]):.{_DIGITS}g}"


def _sorting(row: Row) -> tuple[str, tuple[str, ...], tuple[tuple[bool, float], ...]]:
    exact = "\0".join("" if isinstance(value, float) else _value_text(value) for value in row)
    floats = [value for value in row if isinstance(value, float)]
    rounded = tuple(f"{value:.{2 if type(value) is _Real else 6}g}" for value in floats)
    return exact, rounded, tuple(map(_nan_last, floats))


def _nan_last(value: float) -> tuple[bool, float]:
    return (True, 0.0) if math.isnan(value) else (False, value)


def _values_close(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        both_nan = math.isnan(a) and math.isnan(b)
        tolerance = _REAL_TOLERANCE if type(a) is type(b) is _Real else _TOLERANCE
        return both_nan or math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-12)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_items_close, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_items_close(a[key], b[key]) for key in a)
    return _value_text(a) == _value_text(b)


def _items_close(a: Any, b: Any) -> bool:
    return _values_close(a, b) or _value_text(_item(a)) == _value_text(_item(b))

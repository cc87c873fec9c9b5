"""Conditions in the server's own spelling (ruleutils.c), and their canonical form.

The server writes parentheses around everything, so AND, OR and comparisons are found by counting
them. The canonical form is that of `pilot_blocks.c`: comparisons with the constant on the right and
otherwise with the smaller text on the left; AND, OR and lists of values sorted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.masks import union

_TOKEN = re.compile(
    r"""(?P<string>[A-Za-z]?'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")*") | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\d[\w.]*) | (?P<star>\.\*) | (?P<cast>::) | (?P<space>\s+)
    | (?P<operator>[-+*/<>=~!@\#%^&|`?]+) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_ARRAY = re.compile(r"(ANY|ALL) \((E?)'\{(.*)\}'::(.*)\[\]\)\Z", re.DOTALL)
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^",{}\\]+)')
_TESTS = re.compile(r" IS (?:NOT )?(?:NULL|TRUE|FALSE|UNKNOWN)\Z| IS DISTINCT FROM ")
_FALSE = ("false", "NULL::boolean", "NULL::text")


@dataclass(frozen=True, slots=True)
class Bool:
    """AND, OR or NOT over conditions."""

    word: str
    parts: tuple[Condition, ...]


Condition = Bool | str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A binary operator and its sides."""

    left: str
    operator: str
    right: str


def _tokens(text: str) -> Iterator[tuple[int, str, re.Match[str]]]:
    """Yields the tokens of a text, each with its depth in parentheses and its kind."""
    depth = 0
    for found in _TOKEN.finditer(text):
        token = found.group()
        if token in (")", "]"):
            depth -= 1
        yield depth, found.lastgroup or "", found
        if token in ("(", "["):
            depth += 1


def split(text: str, separator: str, most: int = -1) -> list[str]:
    """Returns the parts of a text between a keyword or comma outside of parentheses, split in
    `most` places at most."""
    parts: list[str] = []
    start = 0
    for depth, kind, found in _tokens(text):
        if len(parts) == most:
            break
        if depth == 0 and kind in ("word", "other") and found.group() == separator:
            parts.append(text[start : found.start()].strip())
            start = found.end()
    return [*parts, text[start:].strip()]


def one_line(text: str) -> str:
    """Returns the text of a view as the server writes it without line breaks."""
    found: list[str] = []
    for _, kind, token in _tokens(text.strip().rstrip(";")):
        before = found[-1] if found else ""
        if kind == "space":
            if not before.endswith("("):
                found.append(" ")
        else:
            if token.group() == ")" and before == " ":
                found.pop()
            found.append(token.group())
    return "".join(found)


def _inside(text: str) -> str | None:
    """Returns what is between the parentheses around a text; None without them."""
    if not text.startswith("("):
        return None
    for depth, _, found in _tokens(text):
        if depth == 0 and found.group() == ")":
            return text[1:-1] if found.end() == len(text) else None
    return None


def read_condition(text: str) -> Condition:
    """Returns the tree of AND, OR and NOT of a condition."""
    inside = _inside(text)
    if inside is None:
        return text
    for word in ("OR", "AND"):
        parts = split(inside, word)
        if len(parts) > 1:
            return Bool(word, tuple(read_condition(part) for part in parts))
    if inside.startswith("NOT "):
        return Bool("NOT", (read_condition(inside[4:]),))
    return text


def _written(condition: Condition) -> str:
    if isinstance(condition, str):
        return condition
    if condition.word == "NOT":
        return f"(NOT {_written(condition.parts[0])})"
    return f"({f' {condition.word} '.join(_written(part) for part in condition.parts)})"


# ---- As the planner simplifies a condition (prepqual.c) ----


def conjuncts_of(condition: Condition) -> list[Condition]:
    """Returns the parts that must all hold, as `canonicalize_qual` makes them."""
    condition = _without_duplicates(condition)
    return [part for part in _parts(condition, "AND") if part != "true"]


def _is(condition: Condition, word: str) -> bool:
    return isinstance(condition, Bool) and condition.word == word


def _parts(condition: Condition, word: str) -> tuple[Condition, ...]:
    if isinstance(condition, Bool) and condition.word == word:
        return tuple(inner for part in condition.parts for inner in _parts(part, word))
    return (condition,)


def _joined(word: str, parts: Iterable[Condition]) -> Condition:
    flat = tuple(inner for part in parts for inner in _parts(part, word))
    return flat[0] if len(flat) == 1 else Bool(word, flat)


def _without_duplicates(condition: Condition) -> Condition:
    if isinstance(condition, str):
        return "false" if condition in _FALSE else condition
    if condition.word == "NOT":
        return condition
    parts = [_without_duplicates(part) for part in condition.parts]
    if condition.word == "AND":
        parts = [part for part in parts if part != "true"]
        if "false" in parts:
            return "false"
        return _joined("AND", parts) if parts else "true"
    if "true" in parts:
        return "true"
    arms = [part for part in parts if part != "false"]
    return _shared(list(_parts(Bool("OR", tuple(arms)), "OR"))) if arms else "false"


def _shared(arms: list[Condition]) -> Condition:
    """Returns an OR with what all its arms share as a condition of its own."""
    lists = [_parts(arm, "AND") for arm in arms]
    shared = [part for part in dict.fromkeys(lists[0]) if all(part in arm for arm in lists)]
    if len(arms) == 1 or not shared:
        return _joined("OR", arms)
    rest = [[part for part in arm if part not in shared] for arm in lists]
    if all(rest):
        shared.append(_joined("OR", [_joined("AND", arm) for arm in rest]))
    return _joined("AND", shared)


# ---- Comparisons ----


def comparison_of(text: str) -> Comparison | None:
    """Returns the operator with two sides that a condition or an expression is, or None."""
    inside = _inside(text)
    if inside is None:
        return None
    at = [
        found
        for depth, kind, found in _tokens(inside)
        if depth == 0 and (kind == "operator" or found.group() == "OPERATOR")
    ]
    if len(at) != 1 or at[0].start() == 0:
        return None
    if at[0].group() == "OPERATOR":
        raise NotAnalysable("an operator that it uses is not on the search path")
    left, right = inside[: at[0].start()].strip(), inside[at[0].end() :].strip()
    if left.startswith("ROW(") and right.startswith("ROW("):
        return None
    return Comparison(left, at[0].group(), right)


def _is_list(comparison: Comparison) -> bool:
    return comparison.right.startswith(("ANY (", "ALL ("))


def comparisons_in(condition: Condition) -> Iterator[Comparison]:
    """Yields the comparisons in a condition, without those with a list."""
    if isinstance(condition, Bool):
        for part in condition.parts:
            yield from comparisons_in(part)
        return
    found = comparison_of(condition)
    if found is not None and not _is_list(found):
        yield found


def bare(text: str) -> str:
    """Returns a condition without its parentheses, where `pilot_blocks.c` removes them."""
    inside = _inside(text)
    if inside is None or isinstance(read_condition(text), Bool):
        return text
    if _TESTS.search(inside):
        return inside
    has_operator = any(depth == 0 and kind == "operator" for depth, kind, _ in _tokens(inside))
    is_rows = inside.startswith("ROW(") and comparison_of(text) is None
    return inside if has_operator and not is_rows and "(SELECT " not in _head(inside) else text


def _head(inside: str) -> str:
    """Returns what follows ANY or ALL in a comparison with a list."""
    found = re.search(r" (?:ANY|ALL) (\(SELECT )", inside)
    return found.group(1) if found else ""


def canonical(
    condition: Condition,
    commutator: Callable[[Comparison], str | None],
    numbers: Mapping[str, int],
) -> str:
    """Returns a condition in canonical spelling.

    `commutator` returns the operator with the sides exchanged; `numbers`: the relations by name.
    """
    if isinstance(condition, Bool):
        parts = [canonical(part, commutator, numbers) for part in condition.parts]
        if condition.word == "NOT":
            return f"(NOT {parts[0]})"
        parts = sorted(set(parts), key=str.encode)
        return f"({f' {condition.word} '.join(parts)})" if len(parts) > 1 else parts[0]
    found = comparison_of(condition)
    if found is None:
        return condition
    if _is_list(found):
        return f"({found.left} {found.operator} {_sorted_values(found.right)})"
    left, right = (mask_of_text(side, numbers) for side in (found.left, found.right))
    if right and (not left or found.left.encode() > found.right.encode()):
        exchanged = commutator(found)
        if exchanged is not None:
            return f"({found.right} {exchanged} {found.left})"
    return condition


def _sorted_values(text: str) -> str:
    found = _ARRAY.match(text)
    if found is None:
        return text
    word, escaped, inside, kind = found.groups()
    inside = inside.replace("''", "'")
    if escaped:
        inside = inside.replace("\\\\", "\\")
    values: dict[str, str] = {}
    at = 0
    while at < len(inside):
        element = _ELEMENT.match(inside, at)
        if element is None or (element.group(2) or "").upper() == "NULL":
            return text
        value = element.group(2)
        if value is None:
            value = re.sub(r"\\(.)", r"\1", element.group(1))
        values.setdefault(value, element.group())
        at = element.end() + 1
    joined = ",".join(values[value] for value in sorted(values, key=str.encode))
    joined = joined.replace("'", "''")
    if escaped:
        joined = joined.replace("\\", "\\\\")
    return f"{word} ({escaped}'{{{joined}}}'::{kind}[])"


def extracted(condition: Condition, bit: int, mask: Callable[[Condition], int]) -> Condition | None:
    """Returns what an OR says about the relation `bit` alone (orclauses.c); None for nothing."""
    arms: list[Condition] = []
    for arm in _parts(condition, "OR"):
        kept: list[Condition] = []
        for part in _parts(arm, "AND"):
            if _is(part, "OR"):
                inner = extracted(part, bit, mask)
                if inner is not None:
                    kept.append(inner)
            elif mask(part) == bit:
                kept.append(part)
        if not kept:
            return None
        arms.append(_joined("AND", kept))
    return _joined("OR", arms)


def mask_of_text(condition: Condition, numbers: Mapping[str, int]) -> int:
    """Returns the relations that a condition or an expression uses, as a bit mask."""
    tokens = [part for part in _tokens(_written(condition)) if part[1] != "space"]
    bits = []
    for at, (_, kind, found) in enumerate(tokens[:-1]):
        if kind not in ("word", "quoted") or tokens[at + 1][2].group() not in (".", ".*"):
            continue
        before = tokens[at - 1][2].group() if at else ""
        after = tokens[at + 3][2].group() if at + 3 < len(tokens) else ""
        if before in (".", "::", "COLLATE") or after == "(":
            continue
        name = found.group()
        if kind == "quoted":
            name = name[1:-1].replace('""', '"')
        if name in numbers:
            bits.append(1 << numbers[name])
    return union(bits)

"""Scan methods, join methods and join orders, as drivers write them and as a server takes them.

The names are those of pg_hint_plan's hints, which PilotScope's drivers use. Without pg_hint_plan
they become settings of the planner, which are coarser: a method then applies to every relation of
the query.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pilotcli.common.errors import SteeringError
from pilotcli.steering.hint_plan import names_in, quote_name


class ScanJoinMethodEnum(enum.Enum):
    """A scan or join method, or the join order. PilotScope's names; pg_hint_plan's values."""

    SEQ = "SeqScan"
    TID = "TidScan"
    INDEX = "IndexScan"
    INDEXONLY = "IndexOnlyScan"
    BITMAP = "BitmapScan"
    NOSEQ = "NoSeqScan"
    NOTID = "NoTidScan"
    NOINDEX = "NoIndexScan"
    NOINDEXONLY = "NoIndexOnlyScan"
    NOBITMAP = "NoBitmapScan"
    PARALLEL = "Parallel"
    ROW = "Rows"
    NESTLOOP = "NestLoop"
    HASHJOIN = "HashJoin"
    MERGEJOIN = "MergeJoin"
    MEMOIZE = "Memoize"
    NONESTLOOP = "NoNestLoop"
    NOHASHJOIN = "NoHashJoin"
    NOMERGEJOIN = "NoMergeJoin"
    NOMEMOIZE = "NoMemoize"
    JOINORDER = "Leading"


Method = tuple[ScanJoinMethodEnum, str]
"""A method and the name of its relation, or the names of joined relations: `"p u"`."""

JoinOrder = Sequence[Any]
"""Relations in the order of their joins: `["p", "u", "c"]` joins p and u first,
`[["p", "u"], ["c", "v"]]` joins two joins."""

_SCANS = ("SeqScan", "TidScan", "IndexScan", "IndexOnlyScan", "BitmapScan")
_JOINS = ("NestLoop", "HashJoin", "MergeJoin")
_MEMOIZE = ("Memoize",)
"""Methods with a setting of their own: `SeqScan` has `enable_seqscan`."""
_COMMENT_MARK = re.compile(r"/\*|\*/")


def methods_of(given: Any) -> list[Method]:
    """Returns a handler's value, one method or a list of methods, as a list.

    Raises `SteeringError` for anything else.
    """
    if given is None:
        return []
    if not isinstance(given, (list, tuple)):
        raise SteeringError(f"methods are pairs of ScanJoinMethodEnum and text, not {given!r}")
    if isinstance(given, tuple) and not all(isinstance(part, (tuple, list)) for part in given):
        return [_method(given)]
    return [_method(pair) for pair in given]


def _method(pair: Any) -> Method:
    if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
        raise SteeringError(f"a method is a pair of ScanJoinMethodEnum and text, not {pair!r}")
    method, names = pair
    value = getattr(method, "value", method)
    try:
        known = ScanJoinMethodEnum("Rows" if value == "Row" else value)
    except ValueError:
        raise SteeringError(
            f"there is no scan or join method {value!r}",
            hint=f"There are: {', '.join(known.value for known in ScanJoinMethodEnum)}.",
        ) from None
    text = str(names)
    if _COMMENT_MARK.search(text) or not text.strip():
        raise SteeringError(f"{known.value} needs the names of relations, not {text!r}")
    return known, text.strip()


def order_of(given: Any) -> JoinOrder:
    """Returns a join order as nested lists, from such lists or the text of a Leading hint,
    `((p u) c)` or `p u c`. Raises `SteeringError` for anything else."""
    if isinstance(given, str):
        given = _read_order(given)
    if not _is_order(given):
        raise SteeringError(f"a join order is a list of at least two relations, not {given!r}")
    names = list(names_in(given))
    if len(set(names)) < len(names):
        raise SteeringError(f"the join order names a relation twice: {given!r}")
    return list(given)


def relations_of(order: JoinOrder) -> frozenset[str]:
    """Returns the names in a join order."""
    return frozenset(names_in(order))


def _is_order(given: Any) -> bool:
    if not isinstance(given, (list, tuple)) or len(given) < 2:
        return False
    return all(bool(part) if isinstance(part, str) else _is_order(part) for part in given)


def _read_order(text: str) -> list[Any]:
    open_lists: list[list[Any]] = [[]]
    for part in re.findall(r'"(?:[^"]|"")*"|[()]|[^\s()"]+', text):
        if part == "(":
            open_lists.append([])
        elif part == ")":
            if len(open_lists) == 1:
                raise SteeringError(f"a parenthesis closes nothing in the join order {text!r}")
            closed = open_lists.pop()
            open_lists[-1].append(closed)
        else:
            name = part[1:-1].replace('""', '"') if part.startswith('"') else part
            open_lists[-1].append(name)
    if len(open_lists) > 1:
        raise SteeringError(f"a parenthesis is left open in the join order {text!r}")
    (order,) = open_lists
    return order[0] if len(order) == 1 and isinstance(order[0], list) else order


def hint_text(methods: Iterable[Method], order: JoinOrder | None) -> str:
    """Returns pg_hint_plan's hints, without the marks of the comment."""
    parts = [f"{method.value}({names})" for method, names in methods]
    if order:
        parts.append(f"Leading({_leading(order)})")
    return " ".join(parts)


def _leading(order: JoinOrder) -> str:
    if isinstance(order, str):
        return quote_name(order)
    text, *others = map(_leading, order)
    for other in others:
        text = f"({text} {other})"
    return text


def coarse_settings(methods: Sequence[Method]) -> tuple[dict[str, str], list[str]]:
    """Returns the planner settings closest to `methods`, and the hints that have no setting.

    The scan and join methods that are asked for stay on and the others go off, for the whole
    query. `No...` turns its method off.
    """
    settings: dict[str, str] = {}
    given = {method.value for method, _ in methods}
    for family in (_SCANS, _JOINS, _MEMOIZE):
        wanted = given.intersection(family)
        for name in family:
            excluded = bool(wanted) and name not in wanted and family is not _MEMOIZE
            if excluded or f"No{name}" in given:
                settings[f"enable_{name.lower()}"] = "off"
        settings.update((f"enable_{name.lower()}", "on") for name in wanted)
    # enable_indexonlyscan has no effect without enable_indexscan.
    if settings.get("enable_indexonlyscan") == "on":
        settings["enable_indexscan"] = "on"
    known = {*_SCANS, *_JOINS, *_MEMOIZE}
    unmet = [
        f"{method.value}({names})"
        for method, names in methods
        if method.value.removeprefix("No") not in known
    ]
    return settings, unmet

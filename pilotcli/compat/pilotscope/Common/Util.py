"""Small helpers that drivers use."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from pilotcli.compat.pilotscope.Anchor.BaseAnchor.BasePullHandler import BasePullHandler
from pilotcli.compat.pilotscope.Anchor.BaseAnchor.BasePushHandler import BasePushHandler
from pilotcli.steering.hint_plan import quote_name

__all__ = [
    "all_https",
    "deprecated",
    "extract_anchor_handlers",
    "extract_handlers",
    "get_pg_hints",
    "is_number",
    "json_str_to_json_obj",
    "pilotscope_exit",
    "plan_to_pg_hint",
    "singleton",
    "sum_list",
    "wait_futures_results",
]

T = TypeVar("T")

all_https: list[Any] = []
"""Servers that `pilotscope_exit` shuts down; pilot itself needs none."""

_JOINS = {"Nested Loop": "NestLoop", "Hash Join": "HashJoin", "Merge Join": "MergeJoin"}
_SCANS = {
    "Seq Scan": "SeqScan",
    "Index Scan": "IndexScan",
    "Index Only Scan": "IndexOnlyScan",
    "Bitmap Heap Scan": "BitmapScan",
    "Tid Scan": "TidScan",
}
_JOIN_HINTS = tuple(f"{method}(" for method in _JOINS.values())


def is_number(value: Any) -> bool:
    """Whether `float` takes the value."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def sum_list(values: Any) -> Any:
    """The sum of the values."""
    return sum(values)


def json_str_to_json_obj(json_data: Any) -> dict[str, Any]:
    """The dict of a JSON text, or of a list of one dict; a dict is given back.

    Raises `ValueError` for anything else.
    """
    found = json_data if isinstance(json_data, (Mapping, list)) else json.loads(json_data)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, Mapping):
        raise ValueError(f"no JSON object, but {type(found).__name__}")
    return dict(found)


def wait_futures_results(futures: list[Future[Any]]) -> list[Any]:
    """The results of all futures; raises the first error."""
    return [future.result() for future in futures]


def pilotscope_exit(e: BaseException | None = None) -> None:
    """Say that the program ends, and why, and shut down what is in `all_https`."""
    print("pilotscope ends" if e is None else f"pilotscope ends: {e}")  # noqa: T201
    for server in all_https:
        server.shutdown()


def extract_handlers(handlers: Iterable[T], extract_pull_anchor: bool) -> list[T]:
    """The pull handlers among `handlers`, or the push handlers, in their order."""
    kind = _kind(extract_pull_anchor)
    return [handler for handler in handlers if isinstance(handler, kind)]


def extract_anchor_handlers(
    anchor_2_handlers: Mapping[Any, T], is_fetch_anchor: bool = True
) -> dict[Any, T]:
    """The entries with pull handlers, or those with push handlers."""
    kind = _kind(is_fetch_anchor)
    return {
        anchor: handler
        for anchor, handler in anchor_2_handlers.items()
        if isinstance(handler, kind)
    }


def _kind(is_pull: bool) -> type:
    return BasePullHandler if is_pull else BasePushHandler


def singleton(class_: Callable[..., T]) -> Callable[..., T]:
    """A class decorator: the first call makes the one object, which every call returns."""
    made: list[T] = []

    @functools.wraps(class_, updated=())
    def instance(*arguments: Any, **named: Any) -> T:
        if not made:
            made.append(class_(*arguments, **named))
        return made[0]

    return instance


def deprecated(func: Callable[..., T]) -> Callable[..., T]:
    """A decorator: calls warn with `DeprecationWarning`."""

    @functools.wraps(func)
    def wrapper(*arguments: Any, **named: Any) -> T:
        warnings.warn(f"{func.__name__} is deprecated", DeprecationWarning, stacklevel=2)
        return func(*arguments, **named)

    return wrapper


def get_pg_hints(plan_obj: Mapping[str, Any]) -> str:
    """The comment of pg_hint_plan's hints that repeats a plan: its scans, its joins and their
    order, with two spaces between relations, as PilotScope writes them. `plan_obj` is a dict with
    the key `Plan`."""
    hints: list[str] = []
    order = _hints_of(plan_obj["Plan"], hints)
    leading = f"Leading({_nested(order)})" if isinstance(order, tuple) else ""
    joins = [hint for hint in hints if hint.startswith(_JOIN_HINTS)]
    scans = [hint for hint in hints if not hint.startswith(_JOIN_HINTS)]
    return "/*+\n" + "\n".join(filter(None, [*scans, *joins, leading])) + "\n*/\n"


def plan_to_pg_hint(
    plan_obj: Mapping[str, Any], scan_hint_list: list[str], join_hint_list: list[str]
) -> Any:
    """Add pg_hint_plan's hints for a node of a plan, and those below it, to the two lists; returns
    its relations as nested pairs, None without any."""
    hints: list[str] = []
    order = _hints_of(plan_obj, hints)
    for hint in hints:
        (join_hint_list if hint.startswith(_JOIN_HINTS) else scan_hint_list).append(hint)
    return order


def _hints_of(node: Mapping[str, Any], hints: list[str]) -> Any:
    """Add the hints of a part of a plan; gives its relations as nested pairs."""
    kind = node["Node Type"]
    if kind in _SCANS:
        index = node.get("Index Name")
        for child in node.get("Plans", ()) if kind == "Bitmap Heap Scan" else ():
            index = index or child.get("Index Name")
        names = [node["Alias"], *([index] if index else [])]
        hints.append(f"{_SCANS[kind]}({' '.join(map(quote_name, names))})")
        return node["Alias"]
    parts = [
        part
        for child in node.get("Plans", ())
        if child.get("Parent Relationship") in ("Outer", "Inner", "Member", "Subquery", None)
        and (part := _hints_of(child, hints)) is not None
    ]
    if kind in _JOINS and len(parts) == 2:
        pair = (parts[0], parts[1])
        hints.append(f"{_JOINS[kind]}({'  '.join(map(quote_name, _flat(pair)))})")
        return pair
    return parts[0] if parts else None


def _flat(order: Any) -> list[str]:
    return [order] if isinstance(order, str) else [name for part in order for name in _flat(part)]


def _nested(order: Any) -> str:
    if isinstance(order, str):
        return quote_name(order)
    return f"({_nested(order[0])}  {_nested(order[1])})"

"""Finds the part of an object that pickle cannot take: pickle names its type, but not its place."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pilotcli.common.errors import text_of

DEEPEST = 20
LONGEST_KEY_CHARS = 60


def unpicklable_part(value: Any, name: str, error: BaseException) -> str | None:
    """Returns the place and the type of the part of `value`, named `name`, for which pickle raises
    `error`; None if pickle does not raise it.

    The place is a Python expression (`model.layers[2].hook`). Call this only after a failed save:
    it pickles each part on the way once more.
    """
    if not _raises(value, error):
        return None
    way = [value]  # also keeps each of them alive, so that no other gets its id
    while len(way) <= DEEPEST:
        seen = {id(item) for item in way}
        parts = ((step, item) for step, item in _parts(way[-1]) if id(item) not in seen)
        part = next(((step, item) for step, item in parts if _raises(item, error)), None)
        if part is None:
            break
        name += part[0]
        way.append(part[1])
    value = way[-1]
    kind = type(value)
    return f"{name}, of the type {kind.__module__}.{kind.__qualname__}"


def _raises(value: Any, error: BaseException) -> bool:
    try:
        with Path(os.devnull).open("wb") as nowhere:
            pickle.dump(value, nowhere)
    except Exception as exc:  # noqa: BLE001 - whatever a __reduce__ of the user's own raises
        return type(exc) is type(error) and text_of(exc) == text_of(error)
    return False


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """The parts into which pickle takes a value apart: the expression for each, and the part."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f"[{_short(key)}]", item
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield f"[{number}]", item
    elif isinstance(value, (set, frozenset)):
        for item in value:
            yield f" (the element {_short(item)})", item
    for state in _states(value):
        for attribute, item in state.items():
            yield f".{attribute}", item


def _states(value: Any) -> Iterator[Mapping[str, Any]]:
    """An object's attributes as pickle reads them: those of `__dict__`, and of `__slots__`."""
    try:
        reduced = value.__reduce_ex__(pickle.DEFAULT_PROTOCOL)
    except Exception:  # noqa: BLE001 - what cannot be taken apart is itself the part
        return
    state = reduced[2] if isinstance(reduced, tuple) and len(reduced) > 2 else None
    for attributes in state if isinstance(state, tuple) else (state,):
        if isinstance(attributes, Mapping):
            yield attributes


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the user's own __repr__
        text = f"a {type(value).__name__}"
    return text if len(text) <= LONGEST_KEY_CHARS else f"{text[:LONGEST_KEY_CHARS]}..."

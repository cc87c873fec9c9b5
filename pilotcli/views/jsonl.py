"""The view for programs: one JSON object a signal (`docs/signals.md` describes all of them)."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from pilotcli.common.records import Query
from pilotcli.common.signals import SIGNAL_VERSION, QueryStarted, Signal
from pilotcli.views.base import View
from pilotcli.views.console import Writer

_LEFT_OUT: dict[type, set[str]] = {Query: {"sql", "copy", "facts"}}
"""Fields that no signal carries: the statement may be megabytes (but see `verbose`), and the
inline data of a COPY is a place in a file of pilot's own. What a query expects, and when it was
sent, is in the workload."""


class JsonlView(View):
    """Writes each signal as a line of JSON, in ASCII. `verbose` adds each statement's text
    (`sql`) to `query_started`. Each line is flushed at once."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        verbose: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._writer = Writer(stream)
        self._verbose = verbose
        self._wall = wall

    def __call__(self, signal: object) -> None:
        """Write `signal`; what is no signal is left out."""
        if not isinstance(signal, Signal):
            return
        kind: type = type(signal)
        record = {"v": SIGNAL_VERSION, "signal": signal_name(kind), "time": round(self._wall(), 6)}
        record.update(_fields(signal))
        if self._verbose and isinstance(signal, QueryStarted):
            record["query"] = {**_fields(signal.query), "sql": signal.query.sql}
        try:
            text = _encode(record)
        except (ValueError, TypeError):
            text = _encode(_mended(record))
        self._writer.write(f"{text}\n")

    def check(self) -> None:
        """Raise `StorageError` if a line could not be written."""
        self._writer.check()


@functools.cache
def signal_name(cls: type) -> str:
    """The name of a signal in the output: `QueryFinished` is `query_finished`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


@functools.cache
def field_names(cls: type) -> tuple[str, ...]:
    """The fields of a dataclass that the output has, in their order."""
    left_out = _LEFT_OUT.get(cls, set())
    known = getattr(cls, "_fields", None) or [field.name for field in dataclasses.fields(cls)]
    return tuple(name for name in known if name not in left_out)


def _fields(record: Any) -> dict[str, Any]:
    kind: type = type(record)
    return {name: _spelt(getattr(record, name)) for name in field_names(kind)}


def _spelt(value: Any) -> Any:
    """Named tuples as objects; the encoder, which never asks about a tuple, would write lists."""
    if isinstance(value, tuple):
        return _fields(value) if hasattr(value, "_fields") else [_spelt(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """What JSON has for a value that the encoder does not know."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()  # a numpy number
    return str(value)


_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain).encode


def _mended(value: Any) -> Any:
    """`value` with null for NaN and the infinities, which JSON does not have (RFC 8259), and with
    keys that are strings."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _mended(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mended(item) for item in value]
    return _mended(_plain(value))

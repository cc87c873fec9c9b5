"""Names and values of knobs as drivers give them, checked before the server gets them."""

from __future__ import annotations

import contextlib
import math
import operator
import re
from collections.abc import Mapping
from typing import SupportsFloat, SupportsIndex

from pilotcli.common.errors import SteeringError
from pilotcli.common.suggestions import nearest

_PLACE = frozenset(
    {"config_file", "data_directory", "external_pid_file", "hba_file", "ident_file"}
    | {"listen_addresses", "port", "unix_socket_directories", "unix_socket_group"}
    | {"unix_socket_permissions"}
)
"""Where the server is and listens: with another value pilot would not find it again."""


def as_texts(knobs: Mapping[str, object]) -> dict[str, str]:
    """Knobs by name in lower case, with their values as ALTER SYSTEM takes them.

    Raises `SteeringError` for what is no dict, no name or no value.
    """
    if not isinstance(knobs, Mapping):
        raise SteeringError(f"knobs are a dict of names and values, not {type(knobs).__name__}")
    found = {}
    for name, value in knobs.items():
        if not isinstance(name, str) or not re.fullmatch(
            r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)*", name
        ):
            raise SteeringError(f"a knob's name is a word such as work_mem, not {name!r}")
        found[name.lower()] = _text(name, value)
        if name.lower().endswith("_preload_libraries") and not found[name.lower()].strip():
            raise SteeringError(
                f"the knob {name} cannot be made empty: ALTER SYSTEM writes a library without a "
                "name for it, which no server loads"
            )
    return found


def setting_text(value: object) -> str | None:
    """Returns a text, a number or a truth value as a setting's text; None for anything else.

    Numbers and truth values may be numpy's, which are what models give.
    """
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):  # the latter numpy's
        return "on" if value else "off"
    with contextlib.suppress(ValueError, OverflowError):  # of numbers that no setting can have
        if isinstance(value, SupportsIndex):
            return str(operator.index(value))
        if isinstance(value, SupportsFloat) and math.isfinite(float(value)):
            return repr(float(value))
    return value if isinstance(value, str) else None


def _text(name: str, value: object) -> str:
    text = setting_text(value)
    if text is not None and "\0" not in text and "\n" not in text:
        return text
    raise SteeringError(
        f"the knob {name} takes a text, a number or a truth value, not {_shown(value)}"
    )


def _shown(value: object) -> str:
    return (
        f"an integer of {value.bit_length()} bits" if isinstance(value, int) else f"{value!r:.200}"
    )


def require_known(settings: Mapping[str, str], contexts: Mapping[str, str]) -> None:
    """Raise `SteeringError` for a knob that is not there, or that cannot be set.

    `contexts` are those of `pg_settings` by name (PostgreSQL manual 53.24); empty if not known.
    """
    for name in settings:
        context = contexts.get(name)
        # Settings of an extension that is not loaded yet have a dot in their name.
        if context is None and contexts and "." not in name:
            match = nearest(name, contexts)
            raise SteeringError(
                f"the server has no knob named {name!r}",
                hint=f"Did you mean {match!r}?" if match else None,
            )
        if context == "internal":
            raise SteeringError(f"the knob {name} cannot be changed: it only shows something")
        if name in _PLACE:
            raise SteeringError(
                f"the knob {name} is not for drivers: it says where the server is",
                hint="Another server is named with `database.dsn`.",
            )

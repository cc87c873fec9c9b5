"""Sub-plan keys in the form of PilotScope's server, and rows as its drivers give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pilotcli.steering.subplans import NamedCards

_NEGATIVE = re.compile(r"(?<!')'(-\d+(?:\.\d+)?)'::(?:smallint|integer|bigint|numeric)\b(?!\()")
"""How PostgreSQL writes a negative number; within a literal the quotes are doubled."""


def cards_of(named: NamedCards) -> dict[str, float]:
    """Returns the rows of sub-plans by key, as `/* (b u) */ SELECT COUNT(*) FROM badges b, ...;`.

    The comment has the aliases of the sub-plan's relations, sorted. A negative number is written as
    one (`-2`): PilotScope's drivers read the numbers of conditions.
    """
    cards: dict[str, float] = {}
    for subplan, key in named.keys.items():
        aliases = " ".join(sorted(subplan.names)).replace("*/", "* /").replace("/*", "/ *")
        text = _NEGATIVE.sub(r"\1", key)
        cards.setdefault(f"/* ({aliases}) */ {text};", named.cards[key])
    return cards


def rows_given(cards: Any) -> Any:
    """Returns `{sub-plan query: rows}` with numbers instead of texts of numbers; anything else as
    it is, to be judged further on. PilotScope's models give both."""
    if not isinstance(cards, Mapping):
        return cards
    return {key: _number(rows) for key, rows in cards.items()}


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
